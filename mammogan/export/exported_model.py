"""What is exported: a run's chosen generator or a model's folder, and how its plain twin is configured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan import __version__
from mammogan.errors import ConfigError
from mammogan.steps.model_folder import model_folder, read_terms, run_of

if TYPE_CHECKING:
    from mammogan.nets.plain_generator import MammoganGenerator
    from mammogan.train.draw_images import Model

KINDS = ("pggan", "bilinear-noise")
"""Pairs of networks whose generator `mammogan.nets.plain_generator` knows."""


@dataclass(frozen=True)
class ExportedModel:
    """A model on its way to another tool.

    Attributes
    ----------
    model
        As it draws in this package, on the CPU.
    terms
        On what terms the images came that it learned from, a line a data set.
    folder
        Where it lies: the folder `model` of a run, or one that was copied or exported.
    run
        The run's folder, if it is known: what the card has of measures and hours stands there.
    """

    model: Model
    terms: str
    folder: Path
    run: Path | None = None

    @property
    def config(self) -> dict[str, Any]:
        """What ``config.json`` holds; see `mammogan.nets.plain_generator.MammoganGenerator`."""
        method, generator = self.model.method, self.model.generator
        return {
            "model_type": "mammogan",
            "architectures": ["MammoganGenerator"],
            "torch_dtype": "float32",
            "mammogan": __version__,
            "method": method.method.name,
            "kind": method.network.kind,
            "stage": generator.stage,
            "base_px": list(generator.base_px),
            "size_px": list(self.model.size_px),
            "latent_size": method.network.latent_size,
            "widths": list(method.network.widths(generator.stage)),
            "skip_outputs": method.network.skip_outputs,
            "fade": self.model.fade,
            "seed": method.method.seed,
            "labels": self.labels,
            "combinations": self.model.table.combinations_KF.tolist() if self.labels else [],
            "counts": self.model.table.counts_K.tolist(),
        }

    @property
    def labels(self) -> dict[str, list[str]]:
        """The label fields that the generator is given, with all classes of each, taught or not."""
        from mammogan.config.label_fields import CLASSES

        supervision = self.model.method.supervision
        fields = supervision.fields if supervision.classes else ()
        return {name: list(CLASSES[name]) for name in fields}

    def plain(self) -> MammoganGenerator:
        """Give the generator without what training needs, with the same weights."""
        from mammogan.nets.plain_generator import MammoganGenerator

        plain = MammoganGenerator(self.config)
        plain.load_state_dict(self.model.generator.state_dict())
        return plain.requires_grad_(False).eval()


def open_exported(source: Path) -> ExportedModel:
    """Open a run or a model's folder, on the CPU.

    Raises
    ------
    ConfigError
        If its networks are somebody's own, which other tools can't be given.
    DataError
        If there is no model yet, or it can't be read.
    """
    from mammogan.train.export_model import load

    folder = model_folder(source)
    model = load(folder)
    if model.method.network.kind not in KINDS:
        raise ConfigError(
            f"network.kind '{model.method.network.kind}' of '{source}' is a network of your own, "
            f"and MammoGAN exports those that it knows: {' and '.join(KINDS)}. Export yours by its module."
        )
    return ExportedModel(model, read_terms(folder), folder, run_of(source))
