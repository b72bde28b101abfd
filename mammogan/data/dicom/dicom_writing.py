"""What every mammogram that is written here as DICOM has: view codes, orientation, UIDs, a file's head."""

from __future__ import annotations

import hashlib
import io
from typing import Any

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

# PS3.16 CID 4014; and what the rows and the columns run towards (PS3.3 C.7.6.1.1.1).
VIEW_CODES = {"CC": ("399162004", "cranio-caudal"), "MLO": ("399368009", "medio-lateral oblique")}
ORIENTATIONS = {
    ("L", "CC"): ["A", "R"],
    ("R", "CC"): ["P", "L"],
    ("L", "MLO"): ["A", "FR"],
    ("R", "MLO"): ["P", "FL"],
}


def code(value: str, meaning: str, scheme: str = "SCT") -> Dataset:
    """Make the item of a code sequence."""
    return dataset(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def dataset(**values: Any) -> Dataset:
    """Make a data set of keywords and values."""
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def view_code(view: str) -> Dataset:
    """Make the item of View Code Sequence (0054,0220) for a view without modifiers."""
    item = code(*VIEW_CODES[view])
    item.ViewModifierCodeSequence = []
    return item


def image_pixels(
    rows: int, columns: int, bits: int, window: tuple[int, int], spacing_mm: float
) -> dict[str, Any]:
    """Say what unsigned stored values of `bits` are, white high; `window` is its centre and width."""
    spacing = [f"{spacing_mm:.6g}"] * 2
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": 16,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": -1,
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "PresentationLUTShape": "IDENTITY",
        "LossyImageCompression": "00",
        "WindowCenter": str(window[0]),
        "WindowWidth": str(window[1]),
        "WindowCenterWidthExplanation": "NORMAL",
        "VOILUTFunction": "LINEAR",
        "ImagerPixelSpacing": spacing,
        "PixelSpacing": spacing,
    }


def new_uid(*names: object) -> str:
    """Make a UID under the 2.25 root (PS3.5 B.2) that is a pure function of its arguments."""
    digest = hashlib.sha256(repr(names).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"


def prepare_meta(ds: Dataset, syntax: UID, implementation: str) -> None:
    """Give a data set its file's head (PS3.10, 7.1); `implementation` names the writer."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.ImplementationClassUID = UID(new_uid(0, implementation.lower().replace("_", " ")))
    ds.file_meta.ImplementationVersionName = implementation


def file_bytes(ds: Dataset) -> bytes:
    """Spell a data set with a file's head as the bytes of a DICOM file."""
    file = io.BytesIO()
    dcmwrite(file, ds, enforce_file_format=True)
    return file.getvalue()
