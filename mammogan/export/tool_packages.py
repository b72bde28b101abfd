"""Models as packages of two tools of the field: a bundle of MONAI, and a model of medigan."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan import __version__
from mammogan.files import write
from mammogan.steps.licence_notice import TERMS

if TYPE_CHECKING:
    from mammogan.export.exported_model import ExportedModel

SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
)
MONAI_VERSION = "1.5.0"
"""The oldest that the bundle is meant for; it needs no MONAI to be written."""
USE = "Research on synthetic images; not for diagnosis, nor as evidence about any patient."
INFERENCE: dict[str, Any] = {
    "imports": ["$import json", "$import pathlib", "$import numpy", "$import torch"],
    "bundle_root": ".",
    "output_dir": "$@bundle_root + '/eval'",
    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "images": 16,
    "first": 0,
    "seed": 1000,
    "labels": {},
    "truncation": 1.0,
    "network_def": {
        "_target_": "scripts.modeling_mammogan.MammoganGenerator",
        "config": "$json.loads(pathlib.Path(@bundle_root, 'config.json').read_text())",
    },
    "ckpt_path": "$@bundle_root + '/models/model.pt'",
    "network": "$@network_def.to(@device).eval()",
    "numbers": "$range(@first, @first + @images)",
    "drawn": "$@network.draw(@numbers, @seed, @labels, @truncation)",
    "initialize": [
        "$@network.load_state_dict(torch.load(@ckpt_path, map_location=@device, weights_only=True))",
        "$pathlib.Path(@output_dir).mkdir(parents=True, exist_ok=True)",
    ],
    "run": ["$numpy.save(@output_dir + '/images.npy', @drawn)"],
}
MAMMOGRAPHY = ["MMG", "Mammography", "Mammogram", "full-field digital MMG", "digital Mammography"]


def write_monai_bundle(exported: ExportedModel, folder: Path) -> None:
    """Write a bundle for ``python -m monai.bundle run`` and ``monai.bundle.load``.

    Its network takes latents where MONAI's names have ``image``, and labels and noise beside, if it likes.
    """
    import numpy as np
    import torch

    for name in ("configs", "docs", "models", "scripts"):
        (folder / name).mkdir()
    state = {name: value.contiguous() for name, value in exported.plain().state_dict().items()}
    torch.save(state, folder / "models" / "model.pt")
    write(folder / "scripts" / "__init__.py", "")
    write_code(folder / "scripts" / "modeling_mammogan.py")
    write(folder / "docs" / "README.md", (folder / "README.md").read_text(encoding="utf-8"))
    for copy in ("LICENSE", "docs/data_license.txt"):
        write(folder / copy, exported.terms)
    height, width = exported.model.size_px
    about = exported.model.method.method
    size = {"is_patch_data": False, "dtype": "float32"}
    latents = {"type": "latent", "format": "standard normal", "modality": "n/a", "value_range": []}
    image = {"type": "image", "format": "magnitude", "modality": "MG", "value_range": [-1, 1]}
    metadata = {
        "schema": SCHEMA,
        "version": "1.0.0",
        "changelog": {"1.0.0": f"exported with MammoGAN {__version__}"},
        "monai_version": MONAI_VERSION,
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {},
        "name": f"Synthetic mammograms: {about.name}",
        "task": f"Synthesis of mammograms of {height} x {width} pixels",
        "description": f"A GAN that draws synthetic mammograms from latents. {about.summary}",
        "authors": "who exported it; with MammoGAN",
        "copyright": f"see {TERMS}",
        "data_source": " ".join(exported.terms.splitlines()),
        "data_type": "latents",
        "intended_use": USE,
        "network_data_format": {
            "inputs": {
                "image": latents
                | size
                | {"num_channels": exported.config["latent_size"], "spatial_shape": [], "channel_def": {}}
            },
            "outputs": {
                "pred": image
                | size
                | {"num_channels": 1, "spatial_shape": [height, width], "channel_def": {"0": "mammogram"}}
            },
        },
    }
    write(folder / "configs" / "metadata.json", json.dumps(metadata, indent=1) + "\n")
    inference = INFERENCE | {"seed": about.seed}
    write(folder / "configs" / "inference.json", json.dumps(inference, indent=1) + "\n")


def write_medigan(exported: ExportedModel, folder: Path) -> None:
    """Write a package with medigan's function, and the metadata by which medigan finds it."""
    from mammogan.export import medigan_generate
    from mammogan.train.export_model import copy

    height, width = exported.model.size_px
    about, config = exported.model.method.method, exported.config
    package = "mammogan_" + "".join(c if c.isalnum() else "_" for c in about.name.lower())
    inside = folder / package
    inside.mkdir()
    copy(exported.folder, inside)
    write_code(inside / "modeling_mammogan.py")
    code = Path(medigan_generate.__file__).read_text(encoding="utf-8")
    write(inside / "__init__.py", code.replace("mammogan.nets.plain_generator", ".modeling_mammogan"))
    for name in ("config.json", TERMS):
        write(inside / name, (folder / name).read_text(encoding="utf-8"))
    base = ["model_file", "num_samples", "output_path", "save_images"]
    custom = {"seed": None, "first": None, "labels": None, "truncation": 1.0}
    execution = {
        "package_name": package,
        "package_link": package,
        "model_name": "model",
        "extension": ".safetensors",
        "image_size": [height, width],
        "dependencies": ["numpy", "torch", "safetensors", "pillow"],
        "generate_method": {"name": "generate", "args": {"base": base, "custom": custom}},
    }
    selection = {
        "performance": {},
        "use_cases": ["data augmentation"],
        "organ": ["breast"],
        "modality": MAMMOGRAPHY,
        "vendors": config["labels"].get("vendor", []),
        "centres": [],
        "function": ["noise to image", "image generation"],
        "condition": list(config["labels"]),
        "dataset": [line.partition(":")[0] for line in exported.terms.splitlines()],
        "augmentations": [],
        "generates": ["full images", "mammograms"],
        "height": height,
        "width": width,
        "depth": None,
        "type": "PGGAN",
        "license": f"see {TERMS}",
        "dataset_type": "",
        "privacy_preservation": None,
        "tags": ["Mammogram", "Mammography", f"{height}x{width}", "synthetic"],
        "year": str(date.today().year),
    }
    description: dict[str, Any] = {
        "title": f"Synthetic mammograms of {height} x {width} pixels: {about.name}",
        "provided_date": "",
        "trained_date": "",
        "provided_after_epoch": None,
        "version": "1.0.0",
        "publication": None,
        "doi": [],
        "comment": f"{about.summary} {USE} Made with MammoGAN {__version__}; README.md is its card.",
    }
    entry = {"execution": execution, "selection": selection, "description": description}
    write(folder / "metadata.json", json.dumps({package.upper(): entry}, indent=1) + "\n")


def write_code(path: Path) -> None:
    """Copy the one file that draws without this package."""
    from mammogan.nets import plain_generator

    write(path, Path(plain_generator.__file__).read_text(encoding="utf-8"))
