"""What a real archive holds beside good mammograms, and what a pipeline should do with each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from pydicom import uid

from mammogan.data.dicom.dicom_writing import new_uid
from mammogan.data.phantom import header_edits, phantom_dicom, phantom_header
from mammogan.data.phantom.findings import Finding
from mammogan.data.phantom.phantom_files import Made, make_file
from mammogan.data.phantom.render_view import render

FIRST_PATIENT = 1_000_000  # defective patients are numbered from here, whatever the size of the clean cohort
BOTH = (("L", "CC"), ("L", "MLO"))


@dataclass(frozen=True)
class Defect:
    """One kind of trouble.

    Attributes
    ----------
    expected
        "accept", or the family of reasons for which a pipeline refuses the file.
    views
        The (laterality, view) that are made.
    edit
        Changes the header, and the pixels if need be.
    pixel_damage
        Changes the bytes of the stored or coded pixels.
    damage
        Changes the finished file's bytes.
    again
        Adds a second file, a "duplicate" of the first: a "copy" of its bytes, or "resent" with the same
        SOP Instance UID in another series.
    """

    kind: str
    expected: str = "accept"
    views: tuple[tuple[str, str], ...] = (("L", "CC"),)
    findings: tuple[str, ...] = ()
    edit: header_edits.Edit | None = None
    syntax: uid.UID = phantom_dicom.DEFAULT_SYNTAX
    pixel_damage: phantom_dicom.Damage | None = None
    damage: phantom_dicom.Damage | None = None
    again: str = ""


def zeroed(data: bytes, start: float, stop: float) -> bytes:
    """Overwrite with zeros from one fraction of the bytes to another."""
    first, last = round(len(data) * start), round(len(data) * stop)
    return data[:first] + bytes(last - first) + data[last:]


DEFECTS = (
    Defect("implant_tagged", "implant", BOTH, ("implant",), header_edits.tags(BreastImplantPresent="YES")),
    Defect("implant_untagged", "implant", BOTH, ("implant",), header_edits.tags(BreastImplantPresent=None)),
    Defect("pacemaker", "foreign_body", (("L", "MLO"),), ("pacemaker",)),
    Defect("surgical_clips", "foreign_body", (("R", "CC"),), ("clips",)),
    Defect("localisation_wire", "foreign_body", (("R", "CC"),), ("wire",)),
    Defect("monochrome1", views=BOTH, edit=header_edits.monochrome1),
    Defect("voi_lut", edit=header_edits.voi_lut),
    Defect("for_processing", "intent", BOTH, edit=header_edits.for_processing),
    Defect("spot_by_code", "modifier", edit=header_edits.modifier("399055006", "Spot compression")),
    Defect("magnification_by_code", "modifier", edit=header_edits.modifier("399163009", "Magnification")),
    Defect("spot_by_paddle", "modifier", edit=header_edits.tags(PaddleDescription="9CM SPOT CONTACT")),
    Defect(
        "magnification_by_factor",
        "modifier",
        edit=header_edits.tags(EstimatedRadiographicMagnificationFactor="1.8"),
    ),
    Defect(
        "xccl", "view", edit=header_edits.view("399265004", "cranio-caudal exaggerated laterally", "XCCL")
    ),
    Defect(
        "tomosynthesis", "tomosynthesis", edit=header_edits.tomosynthesis, syntax=uid.ExplicitVRLittleEndian
    ),
    Defect("ct", "modality", edit=header_edits.ct, syntax=uid.ExplicitVRLittleEndian),
    Defect(
        "secondary_capture",
        "modality",
        edit=header_edits.secondary_capture,
        syntax=uid.ExplicitVRLittleEndian,
    ),
    Defect("truncated", "unreadable", damage=lambda data: data[: len(data) // 2]),
    Defect("empty", "unreadable", damage=lambda data: b""),
    Defect("not_dicom", "not_dicom", damage=lambda data: b"Index of the export, page 1 of 1\n" * 20),
    Defect("byte_copy", again="copy"),
    Defect("same_uid", again="resent"),
    Defect("missing_view", views=(("R", "CC"), ("L", "CC"), ("R", "MLO"))),
    Defect("implicit_little_endian", syntax=uid.ImplicitVRLittleEndian),
    Defect("explicit_big_endian", syntax=uid.ExplicitVRBigEndian),
    Defect("rle", syntax=uid.RLELossless),
    Defect("jpeg_lossless", syntax=uid.JPEGLosslessSV1),
    Defect("jpeg_ls", syntax=uid.JPEGLSLossless),
    Defect("jpeg_2000", syntax=uid.JPEG2000Lossless),
    Defect("coarse_calcifications", views=BOTH, findings=("coarse_calcifications",)),
    Defect("paddle_rim", "paddle", BOTH, ("paddle_rim",)),
    Defect("paddle_shutter", "paddle", BOTH, ("paddle_shutter",)),
    Defect("paddle_lip", "paddle", BOTH, ("paddle_lip",)),
    Defect("wrong_side", "wrong_side", (("L", "CC"), ("R", "MLO")), edit=header_edits.mirrored),
    Defect(
        "half_decoded_raw",
        "half_decoded",
        BOTH,
        syntax=uid.ExplicitVRLittleEndian,
        pixel_damage=partial(zeroed, start=0.5, stop=1.0),
    ),
    Defect(
        "half_decoded_jpeg_lossless",
        "half_decoded",
        BOTH,
        syntax=uid.JPEGLosslessSV1,
        pixel_damage=partial(zeroed, start=0.4, stop=0.9),
    ),
    Defect("half_decoded_jpeg_ls", "half_decoded", BOTH, pixel_damage=partial(zeroed, start=0.4, stop=0.41)),
)


def make_defect(seed: int, number: int, frame_scale: float) -> Iterator[Made]:
    """Make the files of one row of the table, as a patient of their own."""
    yield from make_defective(DEFECTS[number], seed, FIRST_PATIENT + number, frame_scale)


def make_defective(defect: Defect, seed: int, patient: int, frame_scale: float) -> Iterator[Made]:
    """Make the files of any patient with that trouble."""
    findings = tuple(Finding(kind) for kind in defect.findings)
    for laterality, view_name in defect.views:
        view = render(seed, patient, view_name, laterality, frame_scale=frame_scale, findings=findings)
        ds = phantom_header.build(view, seed, patient)
        pixels = defect.edit(ds, view.pixels) if defect.edit else view.pixels
        made = make_file(ds, pixels, view, defect.kind, defect.expected, defect.syntax, defect.pixel_damage)
        if defect.damage:
            made = replace(made, data=defect.damage(made.data))
        yield made
        if defect.again == "resent":
            # The archive got it twice: other series, other day, same object.
            ds.SeriesInstanceUID = new_uid(seed, patient, "resent")
            ds.StudyDescription = "Mammography, outside copy"
            made = make_file(ds, pixels, view, defect.kind, "duplicate", defect.syntax)
        if defect.again:
            yield made.as_duplicate()
