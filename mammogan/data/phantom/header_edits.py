"""Changes to a good mammogram that make it one of the others in an archive.

An edit changes the data set in place, and returns the pixels to be stored in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pydicom import Dataset, uid

from mammogan.data.dicom.dicom_writing import code, dataset
from mammogan.data.dicom.orientation import Turn
from mammogan.data.phantom.phantom_dicom import Pixels

Edit = Callable[[Dataset, Pixels], Pixels]
OPPOSITE = str.maketrans("APLRHF", "PARLFH")


def tags(**values: Any) -> Edit:
    """Set tags, or take those of value None out, and leave the pixels alone."""

    def edit(ds: Dataset, pixels: Pixels) -> Pixels:
        for keyword, value in values.items():
            if value is None:
                delattr(ds, keyword)
            else:
                setattr(ds, keyword, value)
        return pixels

    return edit


def view(value: str, meaning: str, position: str) -> Edit:
    """Call it another view."""

    def edit(ds: Dataset, pixels: Pixels) -> Pixels:
        item = code(value, meaning)
        item.ViewModifierCodeSequence = []
        ds.ViewCodeSequence, ds.ViewPosition = [item], position
        return pixels

    return edit


def modifier(value: str, meaning: str) -> Edit:
    """Add a view modifier (PS3.16 CID 4015)."""

    def edit(ds: Dataset, pixels: Pixels) -> Pixels:
        ds.ViewCodeSequence[0].ViewModifierCodeSequence = [code(value, meaning)]
        return pixels

    return edit


def mirrored(ds: Dataset, pixels: Pixels) -> Pixels:
    """Show the breast as the other one hangs, and don't say so: a wrong side, or one read out flipped."""
    ds.PatientOrientation = ""
    return np.ascontiguousarray(pixels[:, ::-1])


def turned(turn: Turn, *, tagged: bool = True) -> Edit:
    """Store the frame turned, and say so in Patient Orientation, or leave that as it was."""

    def edit(ds: Dataset, pixels: Pixels) -> Pixels:
        rows, columns = ds.PatientOrientation
        for _ in range(turn.turned_deg // 90):  # the last column, from its foot up, becomes the first row
            rows, columns = columns.translate(OPPOSITE), rows
        if turn.mirrored:
            rows = rows.translate(OPPOSITE)
        if tagged:
            ds.PatientOrientation = [rows, columns]
        pixels = turn.applied(pixels)
        ds.Rows, ds.Columns = pixels.shape
        return pixels

    return edit


def windowed(more_bits: int) -> Edit:
    """Show the whole range of values that had so many bits more than these have, or fewer."""

    def edit(ds: Dataset, pixels: Pixels) -> Pixels:
        width = 2 ** (ds.BitsStored + more_bits)
        ds.WindowCenter, ds.WindowWidth = str(width // 2), str(width)
        return pixels

    return edit


def outlined(ds: Dataset, pixels: Pixels) -> Pixels:
    """Store no picture but the mask of a region, as data sets have it beside a picture."""
    mask = np.zeros_like(pixels)
    height, width = pixels.shape
    mask[height // 4 : height // 2, width // 3 : 2 * width // 3] = 2**ds.BitsStored - 1
    return mask


def monochrome1(ds: Dataset, pixels: Pixels) -> Pixels:
    """Store the same picture with white as 0, and a window that shows it so."""
    top = 2**ds.BitsStored - 1
    ds.PhotometricInterpretation, ds.PresentationLUTShape = "MONOCHROME1", "INVERSE"
    ds.WindowCenter = str(top + 1 - int(ds.WindowCenter))
    return np.asarray(top - pixels, np.uint16)


def voi_lut(ds: Dataset, pixels: Pixels) -> Pixels:
    """Show the same picture by a table; the window beside it is wrong, as the table goes before it."""
    centre, width, top = float(ds.WindowCenter), float(ds.WindowWidth), 2**ds.BitsStored - 1
    # PS3.3 C.11.2.1.2.1, the linear function.
    ramp = ((np.arange(top + 1) - (centre - 0.5)) / (width - 1) + 0.5).clip(0, 1) * 65535
    table = dataset(LUTDescriptor=[top + 1, 0, 16], LUTExplanation="NORMAL")
    table.add_new("LUTData", "OW", np.round(ramp).astype("<u2").tobytes())
    ds.VOILUTSequence = [table]
    ds.WindowCenter, ds.WindowWidth = str(top // 8), str(top // 16)
    return pixels


def for_processing(ds: Dataset, pixels: Pixels) -> Pixels:
    """Store the raw exposure: bright air, dark tissue, no window."""
    for keyword in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction"):
        delattr(ds, keyword)
    ds.SOPClassUID = uid.DigitalMammographyXRayImageStorageForProcessing
    ds.PresentationIntentType, ds.ImageType = "FOR PROCESSING", ["ORIGINAL", "PRIMARY"]
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LIN", 1
    top = 2**ds.BitsStored - 1
    return np.asarray(top * np.exp(-2.8 * pixels.astype(np.float32) / top), np.uint16)


def tomosynthesis(ds: Dataset, pixels: Pixels) -> Pixels:
    """Make a stack of eight thin slices, as small as a test needs it."""
    ds.SOPClassUID, ds.NumberOfFrames = uid.BreastTomosynthesisImageStorage, 8
    ds.ImageType = ["ORIGINAL", "PRIMARY", "TOMOSYNTHESIS", "NONE"]
    # The side stands only where multi-frame objects have it.
    anatomy = dataset(FrameLaterality=ds.ImageLaterality, AnatomicRegionSequence=ds.AnatomicRegionSequence)
    ds.SharedFunctionalGroupsSequence = [dataset(FrameAnatomySequence=[anatomy])]
    del ds.ViewPosition, ds.ImageLaterality
    small = np.ascontiguousarray(pixels[::8, ::8])
    ds.Rows, ds.Columns = small.shape
    return np.stack([np.roll(small, k, axis=1) for k in range(8)])


def ct(ds: Dataset, pixels: Pixels) -> Pixels:
    """Make a CT slice of a water cylinder."""
    for keyword in ("ViewPosition", "ViewCodeSequence", "ImageLaterality", "PresentationIntentType"):
        delattr(ds, keyword)
    ds.SOPClassUID, ds.Modality, ds.BodyPartExamined = uid.CTImageStorage, "CT", "CHEST"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Rows = ds.Columns = 256
    ds.RescaleIntercept, ds.RescaleType, ds.PixelSpacing = "-1024", "HU", ["1.4", "1.4"]
    y, x = np.mgrid[-128:128, -128:128]
    return np.asarray(1024 * (np.hypot(x, y) < 90), np.uint16)


def secondary_capture(ds: Dataset, pixels: Pixels) -> Pixels:
    """Make a screen save: bars of text-like blocks."""
    for keyword in ("ViewPosition", "ViewCodeSequence", "ImageLaterality", "PresentationIntentType"):
        delattr(ds, keyword)
    ds.SOPClassUID, ds.Modality, ds.ConversionType = uid.SecondaryCaptureImageStorage, "OT", "WSD"
    ds.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    ds.Rows, ds.Columns = 240, 320
    page = np.zeros((240, 320), np.uint16)
    page[20:220:16, 20:280] = 2000
    page[24:224:16, 20:200:3] = 3000
    return page
