"""The files hold what a modality would have written, and the defective ones what an archive would."""

from __future__ import annotations

import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mammogan.data.phantom import make_cohort
from mammogan.data.phantom.defects import DEFECTS

SMALL = 0.125
IDENTIFYING = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "AccessionNumber",
    "InstitutionName",
    "ReferringPhysicianName",
    "OperatorsName",
    "DeviceSerialNumber",
    "StudyDate",
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("archive")
    make_cohort(directory, 3, 11, defects=True, workers=1, frame_scale=SMALL)
    return directory


@pytest.fixture(scope="module")
def truth(archive: Path) -> list[dict]:
    return json.loads((archive / "truth.json").read_text())["files"]


def of_kind(archive: Path, truth: list[dict], kind: str) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(archive / record["path"]) for record in truth if record["kind"] == kind]


def test_every_file_has_its_truth_and_every_truth_its_file(archive: Path, truth: list[dict]) -> None:
    files = {path.relative_to(archive).as_posix() for path in archive.rglob("*") if path.is_file()}
    assert files - {"truth.json"} == {record["path"] for record in truth}
    assert sum(record["kind"] == "clean" for record in truth) == 12


def test_clean_files_say_what_they_are(archive: Path, truth: list[dict]) -> None:
    for record in truth:
        if record["kind"] != "clean":
            continue
        ds = pydicom.dcmread(archive / record["path"])
        assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1.2"
        assert (ds.Modality, ds.PresentationIntentType) == ("MG", "FOR PRESENTATION")
        assert (ds.ViewPosition, ds.ImageLaterality) == (record["view"], record["laterality"])
        item = ds.ViewCodeSequence[0]
        assert item.CodeValue == {"CC": "399162004", "MLO": "399368009"}[record["view"]]
        assert len(item.ViewModifierCodeSequence) == 0
        assert ds.PatientOrientation[0] == {"L": "A", "R": "P"}[record["laterality"]]
        assert (ds.BitsAllocated, ds.HighBit) == (16, ds.BitsStored - 1)
        assert ds.BitsStored in (12, 14)
        assert ds.PhotometricInterpretation == "MONOCHROME2"
        assert float(ds.WindowWidth) > 1
        assert ds.PatientName
        assert ds.PatientBirthDate
        assert ds.StudyInstanceUID.startswith("2.25.")


def test_uids_are_valid_unique_and_shared_by_study(archive: Path, truth: list[dict]) -> None:
    clean = of_kind(archive, truth, "clean")
    assert len({ds.SOPInstanceUID for ds in clean}) == 12
    assert len({ds.StudyInstanceUID for ds in clean}) == 3
    assert all(ds.SOPInstanceUID.is_valid and ds.StudyInstanceUID.is_valid for ds in clean)


def test_acceptable_files_decode_to_the_rendered_pixels_in_every_syntax(
    archive: Path, truth: list[dict]
) -> None:
    syntaxes = set()
    for record in truth:
        if record["expected"] not in ("accept", "duplicate"):
            assert record["pixels_sha256"] is None
            continue
        ds = pydicom.dcmread(archive / record["path"])
        pixels = ds.pixel_array
        if ds.PhotometricInterpretation == "MONOCHROME1":
            pixels = 2**ds.BitsStored - 1 - pixels
        assert sha256(np.ascontiguousarray(pixels, "<u2")).hexdigest() == record["pixels_sha256"], record
        syntaxes.add(ds.file_meta.TransferSyntaxUID)
    assert len(syntaxes) == 6


def test_every_kind_of_defect_is_there_with_the_expected_answer(truth: list[dict]) -> None:
    for defect in DEFECTS:
        answers = {record["expected"] for record in truth if record["kind"] == defect.kind}
        assert answers == ({"accept", "duplicate"} if defect.again else {defect.expected})


@pytest.mark.parametrize(
    ("kind", "keyword", "value"),
    [
        ("implant_tagged", "BreastImplantPresent", "YES"),
        ("implant_untagged", "BreastImplantPresent", None),
        ("for_processing", "PresentationIntentType", "FOR PROCESSING"),
        ("spot_by_paddle", "PaddleDescription", "9CM SPOT CONTACT"),
        ("magnification_by_factor", "EstimatedRadiographicMagnificationFactor", 1.8),
        ("xccl", "ViewPosition", "XCCL"),
        ("tomosynthesis", "NumberOfFrames", 8),
        ("ct", "Modality", "CT"),
        ("secondary_capture", "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"),
        ("monochrome1", "PhotometricInterpretation", "MONOCHROME1"),
    ],
)
def test_a_defect_shows_in_its_tag(
    archive: Path, truth: list[dict], kind: str, keyword: str, value: object
) -> None:
    found = of_kind(archive, truth, kind)
    assert found
    assert all(ds.get(keyword) == value for ds in found)


def test_a_modifier_stands_in_the_view_code(archive: Path, truth: list[dict]) -> None:
    for kind, code in (("spot_by_code", "399055006"), ("magnification_by_code", "399163009")):
        for ds in of_kind(archive, truth, kind):
            assert ds.ViewCodeSequence[0].ViewModifierCodeSequence[0].CodeValue == code


def test_an_implant_without_a_tag_is_a_large_bright_even_region(archive: Path, truth: list[dict]) -> None:
    for ds in of_kind(archive, truth, "implant_untagged"):
        low = float(ds.WindowCenter) - float(ds.WindowWidth) / 2
        shown = (ds.pixel_array - low) / float(ds.WindowWidth)
        assert np.mean(shown[shown > 0.02] > 0.72) > 0.15


@pytest.mark.parametrize("kind", ["pacemaker", "surgical_clips", "localisation_wire"])
def test_metal_is_brighter_than_any_tissue(archive: Path, truth: list[dict], kind: str) -> None:
    for ds in of_kind(archive, truth, kind):
        low = float(ds.WindowCenter) - float(ds.WindowWidth) / 2
        assert np.mean((ds.pixel_array - low) / float(ds.WindowWidth) > 0.9) > 0.0001


def test_monochrome1_and_the_voi_table_show_the_same_picture(archive: Path, truth: list[dict]) -> None:
    from pydicom.pixels import apply_voi_lut

    for kind in ("monochrome1", "voi_lut"):
        for ds in of_kind(archive, truth, kind):
            stored = ds.pixel_array
            shown = apply_voi_lut(stored, ds).astype(float)
            top = 2**ds.BitsStored - 1
            shown = 1 - shown / top if kind == "monochrome1" else shown / 65535
            plain = top - stored if kind == "monochrome1" else stored
            centre, width = (2000, 3200) if ds.BitsStored == 12 else (7600, 12400)
            expected = np.clip((plain - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
            assert np.abs(shown - expected).max() < 1e-3


def test_damaged_files_cannot_be_read(archive: Path, truth: list[dict]) -> None:
    kinds = {record["kind"]: archive / record["path"] for record in truth}
    assert kinds["empty"].stat().st_size == 0
    with pytest.raises(pydicom.errors.InvalidDicomError):
        pydicom.dcmread(kinds["not_dicom"])
    with pytest.raises((AttributeError, ValueError, EOFError, RuntimeError)):
        _ = pydicom.dcmread(kinds["truncated"]).pixel_array


def test_duplicates_are_a_copy_of_the_bytes_and_a_second_file_of_the_same_uid(
    archive: Path, truth: list[dict]
) -> None:
    for kind, alike in (("byte_copy", True), ("same_uid", False)):
        first, second = sorted(archive / record["path"] for record in truth if record["kind"] == kind)
        assert (first.read_bytes() == second.read_bytes()) is alike
        assert pydicom.dcmread(first).SOPInstanceUID == pydicom.dcmread(second).SOPInstanceUID


def test_an_identity_is_complete_for_the_privacy_machinery_to_strip(archive: Path, truth: list[dict]) -> None:
    for ds in of_kind(archive, truth, "clean"):
        for keyword in IDENTIFYING:
            assert ds.get(keyword), keyword
        assert ds.private_block(0x0009, "LUMENOR 01")


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
def test_the_validator_finds_no_error_in_clean_files(archive: Path, truth: list[dict]) -> None:
    for record in truth:
        if record["kind"] == "clean":
            run = subprocess.run(
                ["dciodvfy", archive / record["path"]], capture_output=True, text=True, check=False
            )
            said = run.stdout + run.stderr  # it ends with 0 whatever it finds
            assert "MammographyImageForPresentation" in said
            assert "Error" not in said
