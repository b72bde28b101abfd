import pytest

from mammogan.config.label_fields import age_band, density
from mammogan.config.source_settings import Source
from mammogan.data.dicom.fields import check
from mammogan.data.dicom.vocabulary import Said, free_text, position
from mammogan.data.shards.archive import Archive
from mammogan.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CC", Said("CC")),
        ("mlo", Said("MLO")),
        ("RCC", Said("CC", "R")),
        ("L CC", Said("CC", "L")),
        ("LMLO", Said("MLO", "L")),
        ("CC L", Said("CC", "L")),
        ("MLOID", Said("MLO", "", ("implant-displaced",))),
        ("MLO-ID", Said("MLO", "", ("implant-displaced",))),
        ("CCM", Said("CC", "", ("magnification",))),
        ("RMLOSM", Said("MLO", "R", ("spot-compression", "magnification"))),
        ("XCCL", Said("XCCL")),
        ("LM", Said("LM")),
        ("LMO", Said("LMO")),
        ("LLM", Said("LM", "L")),
        ("ML", Said("ML")),
        ("AXILLA", Said("AXILLA")),
        ("", Said()),
    ],
)
def test_compact_positions_are_taken_apart(text, said):
    assert position(text) == said


@pytest.mark.parametrize(
    ("text", "view", "side"),
    [
        ("L CC", "CC", "L"),
        ("Right MLO, screening", "MLO", "R"),
        ("RCC", "CC", "R"),
        ("R XCCL", "XCCL", "R"),
        ("CC and MLO left", "", "L"),
        ("LCC RCC", "CC", ""),
        ("accent mellow", "", ""),
    ],
)
def test_free_text_gives_whole_words_that_do_not_contradict_each_other(text, view, side):
    said = free_text(text)
    assert (said.view, said.side) == (view, side)


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("055Y", "50-59"), ("555M", "40-49"), ("000Y", ""), ("039Y", "<40"), ("080Y", "80+"),
        ("62.7", "60-69"), ("40", "40-49"), ("", ""), ("999Y", ""), ("removed", ""), ("-5", ""), ("015D", ""),
    ],
)  # fmt: skip
def test_ages_end_in_decades_and_nonsense_in_nothing(text, band):
    assert age_band(text) == band


@pytest.mark.parametrize(
    ("text", "letter"),
    [("A", "a"), ("DENSITY D", "d"), ("3", "c"), ("2.0", "b"), ("5", ""), ("", ""), ("unknown", "")],
)
def test_densities_are_letters(text, letter):
    assert density(text) == letter


def test_origins_are_asked_in_order_of_trust(tmp_path, saved, dicom):
    source = Source(
        view=("ViewPosition", "text:SeriesDescription", r"path:_(CC|MLO)\."),
        laterality=("ImageLaterality", "text:SeriesDescription", r"path:_([LR])_"),
        patient=("PatientID", r"path:^([^/]+)/"),
    )
    read = Archive(source, tmp_path, None).header
    bare = {"ViewPosition": None, "ImageLaterality": None, "PatientID": None}
    by_path = read(saved(dicom(**bare), tmp_path / "anna" / "x_R_MLO.dcm"))
    assert (by_path.view, by_path.laterality, by_path.patient) == ("MLO", "R", "anna")
    by_text = read(saved(dicom(**bare, SeriesDescription="Left CC"), tmp_path / "anna" / "x_R_MLO.dcm"))
    assert (by_text.view, by_text.laterality) == ("CC", "L")
    assert by_text.flags == ("view-conflict", "laterality-conflict")
    by_tag = read(saved(dicom(SeriesDescription="L CC"), tmp_path / "b" / "x.dcm"))
    assert (by_tag.view, by_tag.laterality, by_tag.patient, by_tag.flags) == ("CC", "L", "patient-1", ())


def test_a_source_may_have_words_of_its_own(tmp_path, saved, dicom):
    source = Source(view_names={"cranio": "CC", "ML": "MLO"}, side_names={"links": "L"})
    made = dicom(ViewPosition="ML", ImageLaterality="LINKS")
    found = Archive(source, tmp_path, None).header(saved(made, tmp_path / "a.dcm"))
    assert (found.view, found.laterality) == ("MLO", "L")


def test_position_gives_the_side_where_no_tag_does(tmp_path, saved, dicom):
    made = dicom(ViewPosition="RMLOID", ImageLaterality=None)
    found = Archive(Source(), tmp_path, None).header(saved(made, tmp_path / "a.dcm"))
    assert (found.view, found.laterality, found.modifiers) == ("MLO", "R", ("implant-displaced",))


def test_age_density_and_partial_views_are_read(tmp_path, saved, dicom):
    made = dicom(PatientAge="063Y", PatientComments="DENSITY C")
    source = Source(density=("PatientComments",))
    found = Archive(source, tmp_path, None).header(saved(made, tmp_path / "a.dcm"))
    assert (found.labels["age_band"], found.labels["density"]) == ("60-69", "c")


def test_a_printed_header_names_nobody(tmp_path, saved, dicom):
    made = dicom(
        PatientID="CANARY1", PatientName="CANARY2", SeriesDescription="CANARY3", SOPInstanceUID="1.2.333"
    )
    printed = repr(Archive(Source(), tmp_path, None).header(saved(made, tmp_path / "a.dcm")))
    assert "CANARY" not in printed.upper()
    assert "1.2.333" not in printed


def test_a_keyword_that_dicom_does_not_have_is_named_with_the_nearest():
    with pytest.raises(
        ConfigError, match=r"'ViewPositon' names no DICOM attribute\. Did you mean 'ViewPosition'"
    ):
        check(Source(view=("ViewPositon",)))
