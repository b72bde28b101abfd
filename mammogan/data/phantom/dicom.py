"""A phantom view as the DICOM file that a modality would send.

JPEG-LS is the cohort's own transfer syntax: of the common lossless ones it is both the smallest (3 MB for
3328x2560 pixels; RLE 5, raw 17) and the fastest to write (0.12 s on one core; RLE 0.30, JPEG Lossless 0.27).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.pixels.encoders.base import RLELosslessEncoder

from mammogan.data.phantom import identity
from mammogan.data.phantom.render import RenderedView

Pixels = NDArray[np.uint16]

ORDER = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))  # as radiographers take them
DEFAULT_SYNTAX = uid.JPEGLSLossless

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


def build(view: RenderedView, seed: int, patient: int) -> Dataset:
    """Build the header of a For Presentation mammogram (PS3.3 A.27), still without pixels."""
    index = ORDER.index((view.laterality, view.view))
    ds = dataset(
        **_person(view, seed, patient, index), **_exposure(view, seed, patient, index), **_image(view)
    )
    view_item = code(*VIEW_CODES[view.view])
    view_item.ViewModifierCodeSequence = []
    ds.ViewCodeSequence = [view_item]
    ds.AnatomicRegionSequence = [code("76752008", "Breast")]
    # What only an allow-list removes: a private group that counts the days of the patient's life.
    private = ds.private_block(0x0009, "LUMENOR 01", create=True)
    person = identity.invent(seed, patient, view.woman)
    private.add_new(0x01, "IS", str((person.exam - person.birth).days))
    return ds


def _person(view: RenderedView, seed: int, patient: int, index: int) -> dict[str, Any]:
    """Say who was examined, where, when and by which machine."""
    person, detector = identity.invent(seed, patient, view.woman), view.detector
    day, start = f"{person.exam:%Y%m%d}", timedelta(seconds=person.seconds)
    clock, taken = (
        f"{moment!s:0>8}".replace(":", "") for moment in (start, start + timedelta(seconds=95 * index))
    )
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": uid.DigitalMammographyXRayImageStorageForPresentation,
        "SOPInstanceUID": identity.uid(seed, patient, "image", index),
        "StudyInstanceUID": identity.uid(seed, patient, "study"),
        "SeriesInstanceUID": identity.uid(seed, patient, "series", index),
        **dict.fromkeys(("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"), day),
        **dict.fromkeys(("SeriesTime", "AcquisitionTime", "ContentTime"), taken),
        "StudyTime": clock,
        "StudyID": person.accession[1:],
        "AccessionNumber": person.accession,
        "StudyDescription": "Mammography bilateral",
        "SeriesDescription": f"{view.laterality} {view.view}",
        "SeriesNumber": index + 1,
        "InstanceNumber": index + 1,
        "PatientName": person.name,
        "PatientID": person.patient_id,
        "PatientBirthDate": f"{person.birth:%Y%m%d}",
        "PatientSex": "F",
        "PatientAge": f"{view.woman.age_years:03d}Y",
        "InstitutionName": person.institution,
        "ReferringPhysicianName": person.referrer,
        "OperatorsName": person.operator,
        "StationName": f"MG{person.serial[2:5]}",
        "Manufacturer": detector.vendor,
        "ManufacturerModelName": detector.model,
        "DeviceSerialNumber": person.serial,
        "SoftwareVersions": "3.1.4",
        "ImageComments": "MammoGAN phantom: computed, nobody was examined",
    }


def _exposure(view: RenderedView, seed: int, patient: int, index: int) -> dict[str, Any]:
    """Say how the picture was taken (PS3.3 C.8.11.7 and its neighbours)."""
    rng = np.random.default_rng([seed, patient, 50 + index])
    thick = view.woman.thickness_mm * rng.normal(1, 0.03)
    return {
        "Modality": "MG",
        "PresentationIntentType": "FOR PRESENTATION",
        "ImageType": ["DERIVED", "PRIMARY"],
        "ImageLaterality": view.laterality,
        "ViewPosition": view.view,
        "PatientOrientation": ORIENTATIONS[view.laterality, view.view],
        "OrganExposed": "BREAST",
        "BodyPartExamined": "BREAST",
        "BreastImplantPresent": "NO",
        "PartialView": "NO",
        "PositionerType": "MAMMOGRAPHIC",
        "PositionerPrimaryAngle": {"CC": "0", "MLO": "45"}[view.view],
        "BodyPartThickness": f"{thick:.0f}",
        "CompressionForce": f"{rng.uniform(70, 150):.0f}",
        "KVP": f"{25 + thick / 12:.0f}",
        "ExposureInuAs": f"{1000 * (40 + thick * 1.3):.0f}",
        "RelativeXRayExposure": f"{rng.uniform(250, 600):.0f}",
        "AnodeTargetMaterial": "TUNGSTEN",
        "FilterMaterial": "RHODIUM",
        "FocalSpots": "0.3",
        "DistanceSourceToDetector": "660",
        "DistanceSourceToPatient": "640",
        "EstimatedRadiographicMagnificationFactor": "1.031",
        "PaddleDescription": "24CM SCREENING",
        "DetectorType": "DIRECT",
        "DetectorConfiguration": "AREA",
        "DetectorTemperature": "28.5",
        "AcquisitionContextSequence": [],
        "BurnedInAnnotation": "NO",
        "QualityControlImage": "NO",
    }


def _image(view: RenderedView) -> dict[str, Any]:
    """Say what the stored values are."""
    detector = view.detector
    spacing = [f"{detector.spacing_mm:.6g}"] * 2
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": detector.rows,
        "Columns": detector.columns,
        "BitsAllocated": 16,
        "BitsStored": detector.bits,
        "HighBit": detector.bits - 1,
        "PixelRepresentation": 0,
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": -1,
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "PresentationLUTShape": "IDENTITY",
        "LossyImageCompression": "00",
        "WindowCenter": str(detector.window[0]),
        "WindowWidth": str(detector.window[1]),
        "WindowCenterWidthExplanation": "NORMAL",
        "VOILUTFunction": "LINEAR",
        "ImagerPixelSpacing": spacing,
        "PixelSpacing": spacing,
    }


def encode(ds: Dataset, pixels: Pixels, syntax: uid.UID = DEFAULT_SYNTAX) -> bytes:
    """Write a data set and its pixels as the bytes of a DICOM file, the same ones every time."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.ImplementationClassUID = uid.UID(identity.uid(0, "mammogan phantom"))
    ds.file_meta.ImplementationVersionName = "MAMMOGAN_PHANTOM"
    if syntax in _CODECS:
        ds.PixelData = encapsulate([_CODECS[syntax](pixels, ds.BitsStored)])
        ds["PixelData"].VR = "OB"
    else:
        ds.PixelData = pixels.astype("<u2" if syntax.is_little_endian else ">u2").tobytes()
        ds["PixelData"].VR = "OW"
    file = io.BytesIO()
    dcmwrite(file, ds, enforce_file_format=True)
    return file.getvalue()


def _rle(pixels: Pixels, bits: int) -> bytes:
    return RLELosslessEncoder.encode(
        pixels,
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        number_of_frames=1,
        samples_per_pixel=1,
        bits_allocated=16,
        bits_stored=bits,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
        encoding_plugin="pylibjpeg",
    )


def _jpeg_ls(pixels: Pixels, bits: int) -> bytes:
    return bytes(imagecodecs.jpegls_encode(pixels))


def _jpeg_lossless(pixels: Pixels, bits: int) -> bytes:
    return bytes(imagecodecs.jpeg_encode(pixels, lossless=True, predictor=1, bitspersample=bits))


def _jpeg_2000(pixels: Pixels, bits: int) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True, bitspersample=bits))


_CODECS: dict[uid.UID, Callable[[Pixels, int], bytes]] = {
    uid.RLELossless: _rle,
    uid.JPEGLSLossless: _jpeg_ls,
    uid.JPEGLosslessSV1: _jpeg_lossless,
    uid.JPEG2000Lossless: _jpeg_2000,
}
