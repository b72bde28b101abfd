"""A synthetic image as a DICOM file: a Digital Mammography X-Ray Image (PS3.3 A.27) that says what it is.

The marks lie in several places, for each de-identification tool removes some of them. Synthetic Data
(0008,001C) is the standard's own (PS3.3 C.12.1), younger than many tools' dictionaries. Image Type says
DERIVED, SECONDARY, as pipelines of real mammograms skip it; manufacturer, model, software and the window's
explanation are attributes that the basic profile of PS3.15 leaves alone. A watermark lies in the pixels.
Neither patient nor device is imitated: there is no dose, no exposure, no date.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from mammogan.data.dicom.dicom_writing import (
    ORIENTATIONS,
    code,
    dataset,
    file_bytes,
    image_pixels,
    new_uid,
    prepare_meta,
    view_code,
)
from mammogan.data.synthetic.synthetic_pool import DicomForm, Image, Pool

BITS = 12
"""Bits stored, as in most mammograms; what lies below in a generator's 16 is nothing that a viewer shows."""
WHITE = (1 << BITS) - 1
MAKER, MODEL = "MammoGAN (SYNTHETIC)", "GAN-SYNTHETIC IMAGE, NOT A PATIENT"
COMMENT = (
    "SYNTHETIC: drawn by a generative adversarial network. Nobody was examined; not for diagnosis. Pixel "
    "spacing is nominal. "
)
PAIRED = "CC and MLO of this study are one latent drawn twice; nothing asks that they be one breast."
ALONE = "This image is a sample of its own, and belongs to no other."
WATERMARK = "SYNTHETIC"


def encode_dicom(pool: Pool, image: Image) -> bytes:
    """Make the DICOM file of an image: Explicit VR Little Endian, a pure function of pool and image."""
    assert pool.dicom is not None, "a pool with DICOMs has their form"
    stored_HW = stored(image.pixels_HW, pool.dicom)
    # The window is the range that training saw, black to white.
    rows, columns = pool.size_px
    pixels = image_pixels(rows, columns, BITS, (1 << (BITS - 1), 1 << BITS), pool.dicom.pixel_mm)
    ds = dataset(**_identity(pool, image), **_acquisition(image, pool.dicom), **pixels)
    ds.WindowCenterWidthExplanation = "SYNTHETIC"
    ds.ViewCodeSequence = [view_code(image.view)]
    ds.AnatomicRegionSequence = [code("76752008", "Breast")]
    ds.ContributingEquipmentSequence = [_equipment(pool, image)]
    prepare_meta(ds, ExplicitVRLittleEndian, "MAMMOGAN_SYNTH")
    ds.PixelData = stored_HW.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    return file_bytes(ds)


def stored(pixels_HW: NDArray[np.uint16], form: DicomForm) -> NDArray[np.uint16]:
    """Give the stored values (H, W), 0 .. 4095 for 0 .. 65535, as a breast of that side is hung."""
    values_HW = (pixels_HW.astype(np.uint32) * WHITE + 32767) // 65535
    # As hung for reading: the chest wall of a right breast is on the right.
    hung_HW = np.ascontiguousarray(values_HW[:, ::-1] if form.laterality == "R" else values_HW, np.uint16)
    return _watermarked(hung_HW, form.laterality) if form.watermark else hung_HW


def _watermarked(values_HW: NDArray[np.uint16], laterality: str) -> NDArray[np.uint16]:
    """Draw the word, white edged with black, at the foot of the side away from the chest wall."""
    height, width = values_HW.shape
    drawn_HW = np.zeros((100, 1000), np.uint8)
    cv2.putText(drawn_HW, WATERMARK, (20, 80), cv2.FONT_HERSHEY_SIMPLEX, 2.0, (255,), 4)
    left, top, across, down = cv2.boundingRect(drawn_HW)
    size_px = (max(1, round(0.45 * width)), max(1, round(0.45 * width * down / across)))
    word_HW = cv2.resize(
        drawn_HW[top : top + down, left : left + across], size_px, interpolation=cv2.INTER_AREA
    )
    letters_HW, gap_px = np.zeros((height, width), np.uint8), max(1, round(0.02 * width))
    bottom, right = height - gap_px, width - gap_px if laterality == "L" else gap_px + size_px[0]
    letters_HW[bottom - size_px[1] : bottom, right - size_px[0] : right] = word_HW
    edge_HW = cv2.dilate(letters_HW, np.ones((3, 3), np.uint8))
    return np.where(letters_HW > 127, WHITE, np.where(edge_HW > 0, 0, values_HW)).astype(np.uint16)


def _identity(pool: Pool, image: Image) -> dict[str, Any]:
    """Say that it is nobody, in every field where a tool or a person may look; no date, for none is true."""
    # What decides about the bytes of this file, and no more: the same file has the same UID in a larger pool.
    form = pool.dicom.model_dump_json() if pool.dicom else ""
    own = (pool.mammogan, pool.checkpoint, pool.seed, pool.truncation, pool.labels, pool.pairs, form)
    number = f"{image.number:07d}" if pool.pairs else f"{image.view}-{image.number:07d}"
    group = new_uid(*own)[-8:]
    position = pool.views.index(image.view) + 1 if pool.pairs else 1
    laterality = pool.dicom.laterality if pool.dicom else ""
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": DigitalMammographyXRayImageStorageForPresentation,
        "SOPInstanceUID": new_uid("image", *own, image.view, image.number),
        "StudyInstanceUID": new_uid("study", *own, number),
        "SeriesInstanceUID": new_uid("series", *own, image.view, image.number),
        "SyntheticData": "YES",
        "PatientName": "SYNTHETIC^NOT A PATIENT",
        "PatientID": f"SYN-{group}-{number}",
        "PatientBirthDate": "",
        "PatientSex": "O",
        "PatientComments": "SYNTHETIC - NOT A PATIENT",
        "StudyDate": "",
        "StudyTime": "",
        "StudyID": "SYNTHETIC",
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "StudyDescription": "SYNTHETIC - NOT A PATIENT",
        "SeriesDescription": f"{laterality} {image.view} SYNTHETIC",
        "SeriesNumber": position,
        "InstanceNumber": position,
        "Manufacturer": MAKER,
        "ManufacturerModelName": MODEL,
        "DeviceSerialNumber": f"SYNTHETIC-{pool.checkpoint[:16]}",
        "SoftwareVersions": f"MammoGAN {pool.mammogan} SYNTHETIC",
        "DerivationDescription": f"GAN-synthetic: {_made_from(pool, image)}",
        "ImageComments": COMMENT + (PAIRED if pool.pairs else ALONE),
    }


def _made_from(pool: Pool, image: Image) -> str:
    labels = f", {' '.join(pool.labels)}" if pool.labels else ""
    return (
        f"checkpoint SHA-256 {pool.checkpoint}, seed {pool.seed}, number {image.number}, view {image.view}, "
        f"truncation {pool.truncation:g}{labels}"
    )


def _equipment(pool: Pool, image: Image) -> Dataset:
    """Make the item of Contributing Equipment Sequence (0018,A001) that names what synthesised the image."""
    return dataset(
        PurposeOfReferenceCodeSequence=[code("109100", "Synthesizing Equipment", "DCM")],
        Manufacturer=MAKER,
        ManufacturerModelName=MODEL,
        SoftwareVersions=f"MammoGAN {pool.mammogan}",
        ContributionDescription=_made_from(pool, image),
    )


def _acquisition(image: Image, form: DicomForm) -> dict[str, Any]:
    """Say which view it shows (PS3.3 C.8.11.7); nothing is said of an exposure, for there was none."""
    return {
        "Modality": "MG",
        "PresentationIntentType": "FOR PRESENTATION",
        # Value 3 must be there and empty; not GENERATED_2D, which means computed from tomosynthesis.
        "ImageType": ["DERIVED", "SECONDARY", "", "GAN_SYNTHETIC"],
        "ImageLaterality": form.laterality,
        "ViewPosition": image.view,
        "PatientOrientation": ORIENTATIONS[form.laterality, image.view],
        "OrganExposed": "BREAST",
        "BodyPartExamined": "BREAST",
        "BreastImplantPresent": "NO",
        "PartialView": "NO",
        "PositionerType": "NONE",
        "DetectorType": "",
        "AcquisitionContextSequence": [],
        "BurnedInAnnotation": "YES" if form.watermark else "NO",
    }
