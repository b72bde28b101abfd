"""A phantom file in memory: where it goes, its bytes, and the truth about it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydicom import Dataset, uid

from mammogan.data.phantom import phantom_dicom, phantom_header
from mammogan.data.phantom.render_view import RenderedView, render


@dataclass(frozen=True)
class Made:
    """A file to be written at `path` (relative, with slashes) below the cohort's folder."""

    path: str
    data: bytes
    truth: dict[str, Any]

    def as_duplicate(self) -> Made:
        """Lie in a second folder, sorted behind the first."""
        folder, _, name = self.path.rpartition("/")
        return replace(self, path=f"{folder}_copy/{name}", truth={**self.truth, "expected": "duplicate"})


def make_file(
    ds: Dataset,
    pixels: phantom_dicom.Pixels,
    view: RenderedView,
    kind: str = "clean",
    expected: str = "accept",
    syntax: uid.UID = phantom_dicom.DEFAULT_SYNTAX,
    damage: phantom_dicom.Damage | None = None,
) -> Made:
    """Encode one file and note what is true about it.

    The hash is that of the rendered picture, little-endian uint16 with white high: what every acceptable file
    decodes to, in whatever syntax and polarity it is stored. Files to be refused have none.
    """
    picture = hashlib.sha256(view.pixels.astype("<u2", copy=False).data).hexdigest()
    truth = {
        "kind": kind,
        "expected": expected,
        "patient": str(ds.PatientID),
        "view": view.view,
        "laterality": view.laterality,
        "density": view.woman.density_class,
        "rows": view.detector.rows,
        "columns": view.detector.columns,
        "bits": view.bits,
        "transfer_syntax": str(syntax),
        **view.truth,
        "pixels_sha256": picture if expected in ("accept", "duplicate") else None,
    }
    path = f"{ds.PatientID}/{ds.StudyDate}-{ds.AccessionNumber}/{ds.InstanceNumber}.dcm"
    return Made(path, phantom_dicom.encode(ds, pixels, syntax, damage), truth)


def make_patient(seed: int, patient: int, frame_scale: float) -> Iterator[Made]:
    """Make the four files of a clean patient."""
    for laterality, view_name in phantom_header.ORDER:
        view = render(seed, patient, view_name, laterality, frame_scale=frame_scale)
        yield make_file(phantom_header.build(view, seed, patient), view.pixels, view)
