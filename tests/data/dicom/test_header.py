import os

import pytest
from pydicom.dataset import Dataset

from mammogan.config.source_settings import Source
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.shards.archive import Archive


def code(scheme, value, **more):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    for keyword, content in more.items():
        setattr(item, keyword, content)
    return item


def read(tmp_path, saved, made, source=None):
    return Archive(source or Source(), tmp_path, None).header(saved(made, tmp_path / "a.dcm"))


@pytest.mark.parametrize(
    ("scheme", "value", "view"),
    [
        ("SCT", "399162004", "CC"),
        ("SRT", "R-10242", "CC"),
        ("SNM3", "R-10242", "CC"),
        ("SCT", "399368009", "MLO"),
        ("SNM3", "R-10226", "MLO"),
        ("SCT", "399265004", "XCC"),
        ("SCT", "unheard-of", "other"),
        ("99LOCAL", "R-10242", "ML"),
    ],
)
def test_the_views_code_in_a_known_scheme_goes_before_its_text(tmp_path, saved, dicom, scheme, value, view):
    made = dicom(ViewPosition="ML", ViewCodeSequence=[code(scheme, value)])
    assert read(tmp_path, saved, made).view == view


def test_without_code_the_text_gives_the_view(tmp_path, saved, dicom):
    assert read(tmp_path, saved, dicom(ViewPosition="MLO")).view == "MLO"
    assert read(tmp_path, saved, dicom(ViewPosition=None)).view == ""


def test_a_recipe_can_look_for_view_and_patient_elsewhere(tmp_path, saved, dicom):
    made = dicom(ViewPosition=None, PatientOrientation="MLO", PatientID="Mass-Test_P_00820_LEFT_CC")
    found = read(tmp_path, saved, made, Source(view=("PatientOrientation",), patient_pattern=r"P_\d{5}"))
    assert (found.view, found.patient) == ("MLO", "P_00820")


def test_a_patient_that_the_pattern_misses_is_unknown(tmp_path, saved, dicom):
    assert read(tmp_path, saved, dicom(), Source(patient_pattern=r"P_\d{5}")).patient == ""


def test_laterality_is_found_in_all_three_places(tmp_path, saved, dicom):
    frame = Dataset()
    frame.FrameLaterality = "R"
    group = Dataset()
    group.FrameAnatomySequence = [frame]
    made = dicom(ImageLaterality=None, SharedFunctionalGroupsSequence=[group])
    assert read(tmp_path, saved, made).laterality == "R"
    made.Laterality = "L"
    assert read(tmp_path, saved, made).laterality == "L"
    made.ImageLaterality = "R"
    assert read(tmp_path, saved, made).laterality == "R"


def test_modifiers_are_found_inside_the_view_and_beside_it(tmp_path, saved, dicom):
    inside = code("SCT", "399162004", ViewModifierCodeSequence=[code("SRT", "R-102D7")])
    made = dicom(ViewCodeSequence=[inside], ViewModifierCodeSequence=[code("SCT", "399163009")])
    assert set(read(tmp_path, saved, made).modifiers) == {"spot-compression", "magnification"}


@pytest.mark.parametrize(
    ("manufacturer", "vendor"),
    [
        ("GE MEDICAL SYSTEMS", "ge"),
        ("HOLOGIC, Inc.", "hologic"),
        ("FUJIFILM Corporation", "fuji"),
        ("SIEMENS", "siemens"),
        ("General Hospital of Gelderland", "other"),
        ("", "unknown"),
    ],
)
def test_only_a_class_of_vendor_is_kept(tmp_path, saved, dicom, manufacturer, vendor):
    assert read(tmp_path, saved, dicom(Manufacturer=manufacturer)).labels["vendor"] == vendor


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty-file"), (b"Index of the export\n" * 20, "not-dicom")],
)
def test_what_is_no_dicom_file_has_a_reason(tmp_path, content, reason):
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=f"^{reason}$"):
        Archive(Source(), tmp_path, None).header(path)


def test_pipes_and_broken_links_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(UnreadableError, match=r"^not-a-file$"):
        Archive(Source(), tmp_path, None).header(tmp_path / "pipe")
    with pytest.raises(UnreadableError, match=r"^no-access$"):
        Archive(Source(), tmp_path, None).header(tmp_path / "link")


def test_broken_numbers_and_missing_values_are_survived(tmp_path, saved, dicom):
    made = dicom(ImageType=None, PatientAge="555M")
    made.add_new(0x00181114, "LO", "1.5 or so")
    found = read(tmp_path, saved, made)
    assert found.magnification == 0
    assert found.image_type == ()
