r"""A frame is laid by what it says of itself, and the same picture comes out whichever way it was stored."""

import numpy as np
import pytest
from pydicom import uid

from mammogan.config.pixel_settings import Pixels
from mammogan.config.screening_settings import Screening
from mammogan.config.source_settings import Source
from mammogan.data.dicom.decode import read
from mammogan.data.dicom.dicom_writing import ORIENTATIONS
from mammogan.data.dicom.orientation import EXIF, TURNS, Turn, patient_orientation
from mammogan.data.phantom import header_edits
from mammogan.data.preprocess.preprocess import take
from mammogan.data.screening.header_rules import screen_header
from mammogan.data.screening.pixel_rules import contradiction, screen_pixels
from mammogan.data.shards.archive import Archive
from tests.data.conftest import half_disc
from tests.data.forms import compressed

TOP = (320, 256)
STRICT = Screening(smallest_px=(1, 1), only_flag=())
HUNG = [("L", "CC"), ("R", "CC"), ("L", "MLO"), ("R", "MLO")]


def hung(side, view):
    """Give a breast as it hangs: lit unevenly, and an oblique one cut at the armpit."""
    pixels = half_disc(400, 300)
    if view == "MLO":
        grain = np.random.default_rng(1).integers(1800, 2200, pixels.shape)
        axilla = np.add.outer(np.arange(400), np.arange(300)) < 200
        pixels = np.where(axilla & (pixels == 0), grain, pixels)
    pixels = (pixels * np.linspace(1.2, 0.8, 400)[:, None]).astype(np.uint16)
    return pixels if side == "L" else pixels[:, ::-1].copy()


def stored(dicom, side, view, turn, *, tagged=True):
    """Store it turned; `told` says if Patient Orientation was turned with it."""
    tags = {"ViewPosition": view, "ImageLaterality": side}
    made = dicom(hung(side, view), PatientOrientation=ORIENTATIONS[side, view], **tags)
    pixels = header_edits.turned(turn, tagged=tagged)(made, made.pixel_array)
    made.PixelData = pixels.tobytes()
    return made


def shown(made, side, view):
    return take(made, view, side, Pixels(), TOP)


@pytest.mark.parametrize("turn", TURNS.values(), ids=str)
@pytest.mark.parametrize(("side", "view"), HUNG)
def test_all_ways_to_store_a_frame_give_one_picture(dicom, side, view, turn):
    found = shown(stored(dicom, side, view, turn), side, view)
    silent = dicom(hung(side, view), PatientOrientation="")
    upright = shown(silent, side, view)
    assert np.array_equal(found.image_HW, upright.image_HW)
    assert screen_pixels(found.measures, STRICT) == ("", ())
    assert found.image_HW[:160].sum() > 1.1 * found.image_HW[160:].sum(), "the armpit or lateral half is up"
    assert (upright.placing.turned_deg, upright.placing.mirrored) == (0, side == "R")
    back = Turn(found.placing.turned_deg, found.placing.mirrored)
    once = Turn(0, mirrored=side == "R").applied(hung(side, view))
    assert np.array_equal(back.applied(stored(dicom, side, view, turn).pixel_array), once)


@pytest.mark.parametrize(
    ("value", "side", "view", "turn"),
    [
        (["A", "F"], "L", "MLO", Turn()),
        (["A", "R"], "L", "MLO", Turn()),  # a shallow angle: the middle is down
        (["P", "FL"], "R", "MLO", Turn()),
        (["P", "F"], "L", "MLO", Turn(0, mirrored=True)),
        (["A", "FL"], "R", "MLO", Turn(0, mirrored=True)),
        (["P", "HL"], "L", "MLO", Turn(180)),
        (["A", "H"], "L", "MLO", Turn(180, mirrored=True)),
        (["RF", "P"], "L", "MLO", Turn(90)),
        (["H", "A"], "L", "MLO", Turn(270)),
        (["A", "R"], "L", "CC", Turn()),
        (["P", "L"], "R", "CC", Turn()),
        (["A", "R"], "R", "CC", Turn(180)),
        (["R", "P"], "L", "CC", Turn(90)),
        (["PR", "L"], "L", "CC", Turn(180)),
        (["A ", " F"], "L", "CC", Turn()),
    ],
)
def test_directions_are_read_by_the_side_and_the_view(dicom, value, side, view, turn):
    found = patient_orientation(dicom(PatientOrientation=value), view, side)
    assert (found.turn, found.unreadable, found.other_breast) == (turn, False, False)
    assert found.tag == "\\".join(part.strip() for part in value)


@pytest.mark.parametrize("value", ["", None, "CC", "MLO", ["", ""], "LMLO"])
def test_nothing_and_the_name_of_a_view_are_silence(dicom, value):
    made = dicom(PatientOrientation="")
    made.PatientOrientation = value
    found = shown(made, "L", "CC")
    assert (found.flags, found.lies, found.placing.turned_deg) == ((), "", 0)


@pytest.mark.parametrize(
    "value",
    ["A", ["A", "F", "L"], ["a", "f"], "ANTERIOR", ["A", "P"], ["F", "R"], ["AA", "F"], ["AP", "F"],
     ["X", "F"], "A/F", ["A", ""], ["LE", "V"]],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_what_names_no_two_directions_is_flagged_and_not_followed(dicom, value):
    found = shown(dicom(hung("L", "CC"), PatientOrientation=value), "L", "CC")
    assert (found.flags, found.lies) == (("orientation-unreadable",), "")
    assert np.array_equal(found.image_HW, shown(dicom(hung("L", "CC")), "L", "CC").image_HW)


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize("side", ["", "B", "U", "R"])
@pytest.mark.parametrize("view", ["", "other", "ML", "CC"])
@pytest.mark.parametrize("value", [["L", "P"], ["A", "R"], ["H", "L"], ["A", "F"]])
def test_a_header_without_side_or_view_is_read_all_the_same(tmp_path, dicom, saved, value, view, side):
    made = dicom(ViewPosition=view, ImageLaterality=side, PatientOrientation=value)
    header = Archive(Source(), tmp_path, None).header(saved(made, tmp_path / "a.dcm"))
    assert {header.rows, header.columns} == {512, 400}
    if side != "R":
        assert (header.rows, header.columns) == (512, 400)


def test_the_letters_of_animals_are_others(dicom):
    made = dicom(PatientOrientation=["A", "F"], AnatomicalOrientationType="QUADRUPED")
    assert patient_orientation(made, "MLO", "L").unreadable


@pytest.mark.parametrize(
    ("turn", "shows"),
    [
        (Turn(0, mirrored=True), "right"),
        (Turn(180), "right"),
        (Turn(90), "top"),
        (Turn(270), "bottom"),
        (Turn(180, mirrored=True), "armpit at the bottom"),
    ],
)
@pytest.mark.parametrize("side", ["L", "R"])
def test_pixels_that_were_turned_and_the_header_not_are_refused_and_both_are_named(dicom, turn, shows, side):
    found = shown(stored(dicom, side, "MLO", turn, tagged=False), side, "MLO")
    assert screen_pixels(found.measures, STRICT)[0] == "orientation-conflict"
    said = contradiction(found.measures, found.lies)
    across = {"top": "bottom", "bottom": "top"} if side == "R" else {}
    assert f"'{found.lies}'" in said and across.get(shows, shows) in said
    assert screen_pixels(found.measures, Screening(only_flag=("orientation-conflict",)))[0] == ""


@pytest.mark.parametrize(("side", "view"), HUNG)
def test_a_header_that_was_turned_and_the_pixels_not_is_refused(dicom, side, view):
    for value in (
        [ORIENTATIONS[side, view][0].translate(header_edits.OPPOSITE), "F"],
        ["F", "A"],
        ["H", "P"],
    ):
        found = shown(dicom(hung(side, view), PatientOrientation=value), side, view)
        assert screen_pixels(found.measures, STRICT)[0] == "orientation-conflict"


def test_a_side_that_an_oblique_view_contradicts_is_refused(dicom):
    found = shown(dicom(hung("L", "MLO"), PatientOrientation=["A", "FR"]), "R", "MLO")
    assert screen_pixels(found.measures, STRICT)[0] == "orientation-conflict"
    assert "other breast" in contradiction(found.measures, found.lies)
    mirrored = dicom(hung("L", "MLO"), PatientOrientation=["A", "FL"])  # of a right breast, flipped
    assert screen_pixels(shown(mirrored, "R", "MLO").measures, STRICT)[0] == ""


def test_without_patient_orientation_the_wrong_side_is_found_as_ever(dicom):
    found = shown(dicom(hung("L", "CC")), "R", "CC")
    assert screen_pixels(found.measures, STRICT)[0] == "orientation"
    assert contradiction(found.measures, found.lies) == ""


def test_a_break_between_rows_is_seen_in_a_frame_that_lies(dicom):
    made = stored(dicom, "L", "CC", Turn(90))
    pixels = made.pixel_array.copy()
    pixels[len(pixels) // 2 :] = 0
    made.PixelData = pixels.tobytes()
    assert shown(made, "L", "CC").measures["half-decoded"][0] > STRICT.row_break


@pytest.mark.parametrize(("side", "view"), HUNG)
def test_a_blank_strip_along_the_chest_wall_contradicts_nothing(dicom, side, view):
    pixels = hung(side, view)
    pixels[:, slice(8) if side == "L" else slice(-8, None)] = 0
    found = shown(dicom(pixels, PatientOrientation=ORIENTATIONS[side, view]), side, view)
    assert found.lies
    assert max(found.measures["orientation-conflict"]) < 0


def test_jpeg_2000_is_halved_by_the_sides_of_the_frame_as_it_hangs(dicom):
    tall, small = np.kron(hung("L", "CC"), np.ones((2, 2), np.uint16)), (400, 160)
    made = dicom(tall, PatientOrientation=ORIENTATIONS["L", "CC"])
    upright = compressed(made, uid.JPEG2000Lossless, tall)
    lying = dicom(tall, PatientOrientation=ORIENTATIONS["L", "CC"])
    pixels = header_edits.turned(Turn(90))(lying, tall)
    lying = compressed(lying, uid.JPEG2000Lossless, pixels)
    placings = [take(each, "CC", "L", Pixels(jpeg2000_reduce=1), small).placing for each in (upright, lying)]
    assert placings[0].scale == placings[1].scale == pytest.approx(160 / 600, abs=1e-5)


def test_the_size_of_a_frame_that_lies_is_judged_as_it_hangs(tmp_path, dicom, saved):
    made = stored(dicom, "L", "CC", Turn(90))
    header = Archive(Source(), tmp_path, None).header(saved(made, tmp_path / "a.dcm"))
    assert (header.rows, header.columns) == (400, 300)
    tall = STRICT.model_copy(update={"smallest_px": (400, 300)})
    assert screen_header(header, tall)[0] == ""


def test_exif_and_dicom_turn_alike():
    seen = np.arange(12).reshape(3, 4)
    assert np.array_equal(EXIF[6].applied(seen), np.rot90(seen, -1))
    assert np.array_equal(EXIF[8].applied(seen), np.rot90(seen))
    assert np.array_equal(EXIF[3].applied(seen), seen[::-1, ::-1])
    assert np.array_equal(EXIF[5].applied(seen), seen.T)
    assert np.array_equal(EXIF[7].applied(seen), seen[::-1, ::-1].T)
    assert len(set(EXIF.values())) == 8


def test_real_files_lie_as_they_say(real):
    ge, film = real / "ge_ffdm/GH133_scrubbed.dcm", real / "nema_wg04/MG1_J2KI.dcm"
    assert patient_orientation(read(ge), "MLO", "R").turn == Turn()
    assert patient_orientation(read(film), "MLO", "L").turn == Turn()
    lying = read(real / "siemens_biopsy/OutOfBoundsOverlay_scrubbed.dcm")  # its chest wall is at the bottom
    assert patient_orientation(lying, "CC", "L").turn == Turn(90)
    assert screen_pixels(shown(lying, "L", "CC").measures, STRICT)[0] not in (
        "orientation",
        "orientation-conflict",
    )
