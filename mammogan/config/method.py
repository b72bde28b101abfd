"""What is learned: ladder, networks, loss, supervision, optimiser, schedule, scoring and sampling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from mammogan.config.alarm_settings import Alarms
from mammogan.config.augmentation_settings import Augmentation
from mammogan.config.loss_settings import Loss, Supervision
from mammogan.config.scoring_settings import Assessment, Sampling, Scoring, Selection
from mammogan.config.settings import (
    Fraction,
    GrownSettings,
    NonNegative,
    Positive,
    Settings,
    load_named,
    packaged,
)


def _listed(value: object) -> object:
    return value if isinstance(value, (list, tuple)) else (value,)


Rates = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1), BeforeValidator(_listed)]


class About(Settings):
    """Name and purpose of the method, and the seed that everything random follows from."""

    name: str = Field(description="Short name of the method, as given to --method.")
    summary: str = Field(description="One line on what the method is for.")
    seed: Annotated[int, Field(ge=0)] = Field(
        default=1000, description="Random seed, from which everything random follows."
    )


class Ladder(Settings):
    """The resolutions: `base_px` (height, width) doubled `stages` - 1 times."""

    base_px: tuple[Positive, Positive] = Field(
        default=(5, 4), description="Height and width of the first stage."
    )
    stages: Annotated[int, Field(ge=1, le=12)] = Field(
        description="Number of stages; each doubles the resolution."
    )


class Network(GrownSettings):
    """The pair of networks, `kind` of `mammogan.nets.networks.NETWORKS`, and its widths.

    Channels at stage s: min(channels_base / 2^s, channels_max), as PGGAN's nf(s) with s counted from 1.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"kind"})

    kind: str = Field(
        default="pggan", description="Pair of networks, by its name in `mammogan.nets.networks.NETWORKS`."
    )
    latent_size: Positive = Field(default=512, description="Length of the latent vector.")
    channels_base: Positive = Field(
        default=8192, description="Sets how fast channels fall with the resolution; see the formula above."
    )
    channels_max: Positive = Field(default=512, description="Most channels of a layer.")
    stddev_group: Positive = Field(
        default=4,
        description="Images that minibatch standard deviation compares; batches are multiples of it.",
    )


class Optimiser(Settings):
    """Adam of both networks."""

    learning_rate: Rates = Field(description="One number, or a list with one for each stage.")
    beta1: Fraction = Field(default=0.0, description="Adam's decay of the mean of gradients.")
    beta2: Fraction = Field(default=0.99, description="Adam's decay of the mean of squared gradients.")
    epsilon: Annotated[float, Field(gt=0)] = Field(default=1e-8, description="Adam's epsilon.")


class Schedule(Settings):
    """How long each stage lasts; lists have one entry a stage, and the last entry serves all later stages."""

    fade_kimg: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = Field(
        description="Images while new layers fade in."
    )
    stable_kimg: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = Field(
        description="Images of a stage after the fade."
    )
    batch: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        description="Images of one step, all ranks together."
    )
    tick_kimg: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = Field(
        description="Images between two ticks: numbers are logged, a checkpoint is saved, alarms are checked."
    )


class Ema(Settings):
    """The averaged generator, which is scored and drawn with."""

    decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.999,
        description="Decay of the exponential moving average, for each step.",
    )


class Engine(Settings):
    """How the arithmetic is done; lists have one entry a stage, and the last entry serves all later stages.

    ``fp16`` comes with a loss scale. ``cuda-graphs`` and `overlap_communication` are for GPUs and were not
    measured.
    """

    precision: Literal["fp32", "bf16", "fp16"] = Field(
        default="fp32", description="Arithmetic of the convolutions; everything else stays in fp32."
    )
    zero_stage: Literal[0, 1, 2] = Field(
        default=0,
        description="ZeRO: 1 divides Adam's state among ranks, 2 also gradients.",
    )
    micro_batch: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        description="Most images that a rank processes at once; smaller needs less memory."
    )
    recompute: Annotated[tuple[bool, ...], Field(min_length=1)] = Field(
        default=(False,),
        description="Recompute activations in the backward pass: less memory, more work.",
    )
    compile: Literal["off", "default", "cuda-graphs"] = Field(
        default="off", description="Use torch.compile for the generator; needs a C++ compiler in the job."
    )
    overlap_communication: bool = Field(
        default=False, description="Reduce gradients during the backward pass; needs zero_stage 2."
    )

    @model_validator(mode="after")
    def _overlaps(self) -> Self:
        if self.overlap_communication and self.zero_stage != 2:
            raise ValueError(
                "overlap_communication needs zero_stage 2: only ZeRO 2 reduces while it goes back"
            )
        return self


class Method(Settings):
    """Everything that decides what is learned; with the dataset it identifies a run."""

    method: About
    ladder: Ladder
    network: Network = Network()
    loss: Loss = Loss()
    supervision: Supervision = Supervision()
    augmentation: Augmentation = Augmentation()
    optimiser: Optimiser
    schedule: Schedule
    ema: Ema = Ema()
    engine: Engine
    alarms: Alarms = Alarms()
    scoring: Scoring = Scoring()
    selection: Selection = Selection()
    sampling: Sampling = Sampling()
    assessment: Assessment = Assessment()

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        group = self.network.stddev_group
        for table, key in (("schedule", "batch"), ("engine", "micro_batch")):
            for value in getattr(getattr(self, table), key):
                if value % group:
                    raise ValueError(
                        f"{table}.{key} {value} is not a multiple of network.stddev_group {group}: a group "
                        "split between ranks would make the result depend on their number"
                    )
        return self

    @model_validator(mode="after")
    def _flips_known_views(self) -> Self:
        known = self.supervision.fields if self.supervision.kind != "none" else ()
        if self.augmentation.flip_cc and "view" not in known:
            raise ValueError(
                "augmentation.flip_cc needs to know a fake's view: name it in supervision.fields"
            )
        return self


def methods() -> dict[str, Path]:
    """Find the methods that come with the package, by name."""
    return {path.stem: path for path in packaged("methods", "*.toml")}


def load_method(name: str, overrides: tuple[str, ...] = ()) -> Method:
    """Load a method by its name, or from the user's own TOML file.

    Raises
    ------
    ConfigError
        If there is no such method, or it holds a wrong key or value.
    """
    return load_named(Method, "method", name, methods(), overrides)
