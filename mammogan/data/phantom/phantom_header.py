"""The header of a phantom view: what a modality says about a For Presentation mammogram (PS3.3 A.27)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from pydicom import Dataset, uid

from mammogan.data.dicom.dicom_writing import ORIENTATIONS, code, dataset, image_pixels, new_uid, view_code
from mammogan.data.phantom import identity
from mammogan.data.phantom.render_view import RenderedView

ORDER = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))  # as radiographers take them


def build(view: RenderedView, seed: int, patient: int) -> Dataset:
    """Build the data set of one view, still without pixels."""
    index, of = ORDER.index((view.laterality, view.view)), view.detector
    ds = dataset(
        **_person(view, seed, patient, index),
        **_exposure(view, seed, patient, index),
        **image_pixels(of.rows, of.columns, of.bits, of.window, of.spacing_mm),
    )
    ds.ViewCodeSequence = [view_code(view.view)]
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
        "SOPInstanceUID": new_uid(seed, patient, "image", index),
        "StudyInstanceUID": new_uid(seed, patient, "study"),
        "SeriesInstanceUID": new_uid(seed, patient, "series", index),
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
