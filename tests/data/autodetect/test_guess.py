"""What a folder of pictures is taken for: by tables, names and pixels; what nobody can know stays open."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest

from mammogan.config.dataset import Dataset
from mammogan.config.settings import load as load_settings
from mammogan.data.autodetect import guess, pixels, recipe_file, tables
from mammogan.data.autodetect.survey import grey_bits, survey
from mammogan.errors import DataError


def mammogram(view="CC", side="L", rows=320, columns=256, white=200):
    """A breast with its chest wall on the given side; of an oblique view the armpit is cut off at the top."""
    y, x = np.mgrid[:rows, :columns]
    centre, radius = (0.5, 0.33) if view == "CC" else (0.42, 0.5)
    inside = ((y / rows - centre) / radius) ** 2 + (x / columns / 0.6) ** 2 < 1
    if view == "MLO":
        inside |= (x / columns < 0.45 - 0.3 * y / rows) & (y / rows < 0.8)
    image = np.where(inside, white, 0).astype(np.uint8)
    return image if side == "L" else np.ascontiguousarray(image[:, ::-1])


@pytest.fixture
def folder(tmp_path):
    """Write pictures into a folder by their paths."""

    def write(paths, **kinds):
        root = tmp_path / "pictures"
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / path), mammogram(**kinds))
        return root

    return write


@pytest.mark.parametrize("view", ["CC", "MLO"])
@pytest.mark.parametrize("side", ["L", "R"])
def test_pixels_tell_view_and_side(view, side):
    assert pixels.look(mammogram(view, side).astype(np.uint16) * 257) == pixels.Seen(view, side)


@pytest.mark.parametrize("image", [np.zeros((320, 256), np.uint16), np.full((320, 256), 65535, np.uint16)])
def test_a_picture_without_a_breast_tells_no_view(image):
    assert pixels.look(image).view == ""


@pytest.mark.parametrize(
    ("path", "view", "side", "patient"),
    [
        ("20586908_6c613a14b80a8591_MG_R_CC_ANON.png", "CC", "R", "6c613a14b80a8591"),
        ("20586934_6c613a14b80a8591_MG_L_ML_ANON.png", "MLO", "L", "6c613a14b80a8591"),
        ("Mass-Training_P_00001_LEFT_CC/1.3/0.png", "CC", "L", "P_00001"),
        ("A_0002_1.LEFT_MLO.png", "MLO", "L", "A_0002"),
        ("P1_L_DM_MLO.jpg", "MLO", "L", "P1"),
        ("P12-left-mlo.tif", "MLO", "L", "P12"),
        ("case12/RMLO.png", "MLO", "R", "case12"),
        ("x/001_rcc.png", "CC", "R", "x-001"),
        ("a/p3RCC.png", "CC", "R", "a-p3"),
        ("MLO/right/12.png", "MLO", "R", "12"),
        ("P12_L_CC_2.png", "CC", "L", "P12"),
        ("L_CC_0031.png", "CC", "L", "0031"),
        ("clinic/P12 L MLO.png", "MLO", "L", "clinic-P12"),
        ("mdb007.pgm", "MLO", "", "mdb004"),
        ("mdb008.pgm", "MLO", "", "mdb004"),
        ("IMG_0031.png", "", "", "IMG-0031"),
        ("accurate/classic_1.png", "", "", "accurate-classic-1"),
    ],
)
def test_names_of_public_sets_and_of_people_are_read(folder, path, view, side, patient):
    found = guess.Guess(path).filled("name", **guess.by_name(path))
    assert (found.view, found.side) == (view, side)
    [whole] = guess.guess(survey(folder([path])))
    assert whole.patient == patient
    assert (whole.view_by, whole.side_by) == ("name" if view else "pixels", "name" if side else "pixels")


def test_a_table_beside_the_pictures_goes_before_names_and_pixels(folder):
    root = folder(["ab12_L_CC.png", "cd34.png", "sub/ef56.png"])
    (root / "truth.csv").write_text(
        "who;file;projection;breast\nanna;C:\\scans\\ab12_L_CC.jpg;medio-lateral oblique;right\n"
        "berta;cd34;CC;Left\nberta;EF56.PNG;CC;R\nclara;gone.png;CC;R\n"
    )
    found = {each.path: each for each in guess.guess(survey(root))}
    assert {path: (each.view, each.side) for path, each in found.items()} == {
        "ab12_L_CC.png": ("MLO", "R"),
        "cd34.png": ("CC", "L"),
        "sub/ef56.png": ("CC", "R"),
    }
    assert {each.view_by for each in found.values()} == {"table"}


@pytest.mark.parametrize("column", ["patient_id", "Study ID", "subject", "Case"])
def test_the_patient_of_a_table_is_its_own_column(folder, column):
    root = folder(["a1.png", "a2.png", "b1.png"])
    (root / "t.csv").write_text(f"image,{column},view,laterality\na1,p1,CC,L\na2,p1,MLO,L\nb1,p2,CC,R\n")
    assert [each.patient for each in guess.guess(survey(root))] == ["p1", "p1", "p2"]


@pytest.mark.parametrize(("encoding", "delimiter"), [("cp1252", ";"), ("utf-8-sig", ","), ("utf-16", "\t")])
def test_a_table_that_a_spreadsheet_has_saved_is_read_again(tmp_path, encoding, delimiter):
    saved = guess.Guess("größe.png", "CC", "L", "anna", "name", "name", "name")
    guess.save([saved], tmp_path / "files.csv")
    text = (tmp_path / "files.csv").read_text(encoding="utf-8").replace(",CC,", ",MLO,")
    (tmp_path / "files.csv").write_bytes(text.replace(",", delimiter).encode(encoding))
    [found] = guess.load(tmp_path / "files.csv")
    assert (found.path, found.view, found.side, found.patient) == ("größe.png", "MLO", "L", "anna")


def test_what_is_no_table_any_more_is_refused(tmp_path):
    for garbage in (b"x\x00\xff", b"", b"a,b\n1,2\n"):
        (tmp_path / "files.csv").write_bytes(garbage)
        with pytest.raises(
            DataError, match=r"has no column 'file': it needs .* Remove it to have it made anew"
        ):
            guess.load(tmp_path / "files.csv")


def test_a_table_of_something_else_is_left_alone_and_said_so_if_it_was_given(folder, tmp_path):
    root = folder(["a1.png"])
    (root / "notes.csv").write_text("day,remark\nMonday,L CC looks well\n")
    (root / "latin.csv").write_bytes("Größe;Maß\n1;2\n".encode("cp1252"))
    (root / "broken.csv").write_bytes(b"\x00\xff\x00")
    found = survey(root)
    assert len(found.tables) == 3
    assert {each.view_by for each in guess.guess(found)} == {"pixels"}
    with pytest.raises(DataError, match=r"names none of the 1 pictures .* one of its columns should hold"):
        guess.guess(found, table=root / "notes.csv")


def test_what_the_user_says_goes_before_all_else(folder):
    [found] = guess.guess(survey(folder(["P1_L_CC.png"])), view="MLO", side="R")
    assert (found.view, found.side, found.view_by, found.patient) == ("MLO", "R", "you", "P1")


def test_a_picture_that_only_its_damaged_pixels_could_tell_is_left_out_in_silence(folder, capfd):
    root = folder(["a1.png", "a2.png"])
    whole = (root / "a1.png").read_bytes()
    (root / "a1.png").write_bytes(whole[: len(whole) // 3])
    found = survey(root)
    assert [each.path for each in guess.guess(found)] == ["a2.png"]
    assert found.others["decode-failed"] == 1
    assert capfd.readouterr().err == ""


def test_women_of_whom_all_would_be_one_count_as_many(folder):
    found = guess.guess(survey(folder(["anna_L_CC_1.png", "anna_L_CC_2.png", "anna_R_MLO.png"])))
    assert {each.patient for each in found} == {"anna"}
    assert len({each.patient for each in guess.apart(found)}) == 3
    two = guess.guess(survey(folder(["berta_L_CC.png", "clara_L_CC.png", "clara_R_CC.png"])))
    assert [each.patient for each in guess.apart(two)] == [each.patient for each in two]


def test_names_that_mean_two_files_mean_none():
    names = tables.spellings(["a/1.png", "b/1.png", "b/2.png"])
    assert tables.named("1.png", names) == ""
    assert tables.named("b/1.png", names) == "b/1.png"
    assert tables.named("/elsewhere/2.dcm", names) == "b/2.png"


def test_a_table_of_guesses_is_read_again_as_it_was_corrected(tmp_path):
    path = tmp_path / "files.csv"
    guess.save([guess.Guess("a,b.png", "", "L", "p", "", "pixels", "name")], path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.path for each in guess.unknown(guess.load(path))] == ["a,b.png"]
    rows = list(csv.reader(path.open()))
    rows[1][1] = "oblique"
    with path.open("w") as stream:
        csv.writer(stream).writerows(rows)
    with pytest.raises(DataError, match=r"files.csv', line 2: view is 'oblique': write CC or MLO"):
        guess.load(path)
    rows[1][1] = "mlo"
    with path.open("w") as stream:
        csv.writer(stream).writerows(rows)
    assert (guess.load(path)[0].view, guess.unknown(guess.load(path))) == ("MLO", [])


@pytest.mark.parametrize(("greatest", "bits"), [(1000, 10), (4095, 12), (4096, 14), (40000, 16)])
def test_the_depth_of_sixteen_bit_files_is_what_their_values_need(tmp_path, greatest, bits):
    image = mammogram().astype(np.uint16)
    image[image > 0] = greatest
    cv2.imwrite(str(tmp_path / "a.png"), image)
    assert grey_bits(survey(tmp_path)) == bits


def test_a_survey_counts_everything_and_opens_nothing_that_it_need_not(folder, dicom):
    root = folder(["a.png", "b/c.pgm"])
    (root / "notes.pdf").write_bytes(b"%PDF-1.4")
    (root / "empty").write_bytes(b"")
    (root / "cut.png").write_bytes((root / "a.png").read_bytes()[:20])
    found = survey(root)
    assert sorted(image.path for image in found.images) == ["a.png", "b/c.pgm"]
    assert found.sizes == {(320, 256): 2}
    assert found.others["document-file"] == 1
    assert sum(found.others.values()) == 3


def test_the_recipe_that_is_written_reads_the_table_of_guesses(tmp_path):
    path = tmp_path / "own.toml"
    recipe_file.save(path, tmp_path / "a folder", tmp_path / "files.csv", (80, 64), 12)
    recipe = load_settings(Dataset, path)
    assert recipe.source.tables[0].file == str(tmp_path / "files.csv")
    assert (recipe.source.images.bits, recipe.packing.top_px) == (12, (80, 64))
    path.write_text(path.read_text().replace("thin_part = 0.04", "thin_part = 0.02"))
    recipe_file.save(path, tmp_path, tmp_path / "files.csv", (80, 64), None)
    assert load_settings(Dataset, path).pixels.thin_part == 0.02
