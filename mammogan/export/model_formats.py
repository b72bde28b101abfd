"""The formats that a model is exported in, each a folder with its card and the terms of the images."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mammogan.config.settings import nearest
from mammogan.errors import ConfigError
from mammogan.export import traced_formats
from mammogan.export.exported_model import ExportedModel
from mammogan.export.model_card import CARD, card, check_reviewed
from mammogan.export.release_terms import check_release
from mammogan.export.tool_packages import write_code, write_medigan, write_monai_bundle
from mammogan.files import replacing_folder, write
from mammogan.steps.licence_notice import TERMS

if TYPE_CHECKING:
    from mammogan.study.review.review_results import Results

CODE, CONFIG = "modeling_mammogan.py", "config.json"
PERMISSION = "permission"
"""Key of ``config.json``: who permitted to pass on what the terms forbid to."""


@dataclass(frozen=True)
class ModelFormat:
    """A format: what writes its files into a folder, how they are loaded, and the packages that it takes."""

    write: Callable[[ExportedModel, Path], None]
    use: str
    needs: tuple[str, ...] = ()


def export(
    exported: ExportedModel, name: str, out: Path, permission: str = "", review: Results | None = None
) -> None:
    """Write `exported` in the format `name` into the folder `out`.

    Raises
    ------
    ConfigError
        If there is no such format, a package is missing, or terms forbid to pass the model on.
    DataError
        If the review is of another model.
    """
    if name not in MODEL_FORMATS:
        raise ConfigError(f"--format '{name}': there is no such format.{nearest(name, MODEL_FORMATS)}")
    form = MODEL_FORMATS[name]
    if missing := [package for package in form.needs if find_spec(package) is None]:
        raise ConfigError(
            f"--format '{name}' needs the package '{missing[0]}', which is not installed: "
            "pip install 'mammogan[export]'."
        )
    check_release(exported.terms, permission, str(exported.run or exported.folder))
    check_reviewed(exported, review)
    config = exported.config | ({PERMISSION: permission} if permission else {})
    with replacing_folder(out) as folder:
        write(folder / CONFIG, json.dumps(config, indent=1) + "\n")
        write(folder / TERMS, exported.terms)
        write(folder / CARD, card(exported, f"## Use\n\n{form.use.strip()}", permission, review))
        form.write(exported, folder)


def _write_safetensors(exported: ExportedModel, folder: Path) -> None:
    from mammogan.train.export_model import copy

    copy(exported.folder, folder)


def _write_huggingface(exported: ExportedModel, folder: Path) -> None:
    _write_safetensors(exported, folder)
    write_code(folder / CODE)


def _with_code(write_graph: Callable[[ExportedModel, Path], None]) -> Callable[[ExportedModel, Path], None]:
    """Add the code to a graph: it makes the inputs of an image's number."""

    def write_both(exported: ExportedModel, folder: Path) -> None:
        write_graph(exported, folder)
        write_code(folder / CODE)

    return write_both


ALONE = """Without MammoGAN, with `torch` and `safetensors`, in this folder:

```python
from modeling_mammogan import MammoganGenerator

model = MammoganGenerator.from_pretrained(".")
images = model.draw(range(4), seed=1000)  # uint16 (4, H, W); labels={"view": "CC"} asks for a class
```

Image number i of a seed is the same whoever draws it. With MammoGAN: `mammogan.load(".").draw(4)`, and
`mammogan draw` or `sample`."""
WEIGHTS_ALONE = """`model.safetensors` holds the weights, `config.json` the shape of the network. With
MammoGAN: `mammogan.load(".").draw(4)`. The format `huggingface` has the code to draw without it, too."""
GRAPH = """Inputs by name, of any number N of images: `latents` (N, Z) float32, standard normal; `labels`
(N, L) float32, the classes of `config.json` side by side, 1 for the image's own, if it was taught any;
`noise` (N,) int64 from 0 to 2^56 - 1, if its `kind` is bilinear-noise. The result is (N, 1, H, W) float32,
-1 black to 1 white. `latents`, `noise_numbers`, `MammoganGenerator.one_hot` and `to_uint16` of
`modeling_mammogan.py` give the inputs of image numbers, and 16-bit images.

```python
{code}
```"""
MONAI = """In this folder, with MONAI:

```sh
PYTHONPATH=. python -m monai.bundle run --config_file configs/inference.json --bundle_root . --images 16
```

writes `eval/images.npy`, uint16 (N, H, W); `seed`, `first`, `labels` and `truncation` of the configuration
say which. `monai.bundle.load` with `workflow_type="inference"` gives the network, which takes latents,
labels and noise."""
MEDIGAN = """`metadata.json` is medigan's entry; the folder beside it is the package: put it into medigan's
folder `models/MODEL_ID`, or zip it, and let `package_link` name the archive. Its function is `generate`."""
MODEL_FORMATS: dict[str, ModelFormat] = {
    "huggingface": ModelFormat(_write_huggingface, ALONE),
    "safetensors": ModelFormat(_write_safetensors, WEIGHTS_ALONE),
    "torchscript": ModelFormat(
        _with_code(traced_formats.write_torchscript),
        GRAPH.format(code='images = torch.jit.load("model.ts")(latents=latents, labels=labels)'),
    ),
    "pt2": ModelFormat(
        _with_code(traced_formats.write_pt2),
        GRAPH.format(code='images = torch.export.load("model.pt2").module()(latents=latents, labels=labels)'),
    ),
    "onnx": ModelFormat(
        _with_code(traced_formats.write_onnx),
        GRAPH.format(
            code='session = onnxruntime.InferenceSession("model.onnx")\n'
            'images = session.run(None, {"latents": latents, "labels": labels})[0]'
        ),
        ("onnx", "onnxscript"),
    ),
    "monai-bundle": ModelFormat(write_monai_bundle, MONAI),
    "medigan": ModelFormat(write_medigan, MEDIGAN),
}
"""By the name that `mammogan export --format` takes."""
