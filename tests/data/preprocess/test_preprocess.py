import numpy as np
import pytest

from mammogan.config.dataset import Packing
from mammogan.config.pixel_settings import Pixels
from mammogan.data.breast_mask import find_breast
from mammogan.data.preprocess.preprocess import pyramid, take

TOP = (320, 256)


def picture(made, view="CC", laterality="L", **pixels):
    return take(made, view, laterality, Pixels(**pixels), TOP)


def breast(rows=512, columns=400, level=2000, label=0, noise=0):
    y, x = np.mgrid[:rows, :columns]
    inside = ((y - rows / 2) / (rows * 0.35)) ** 2 + (x / (columns * 0.6)) ** 2 < 1
    grain = np.random.default_rng(0).integers(0, noise + 1, (rows, columns))
    pixels = np.where(inside, level, grain)
    pixels[20:60, columns - 100 : columns - 40] += label
    return pixels.astype(np.uint16)


def test_a_right_breast_is_mirrored_onto_the_left(dicom):
    left = picture(dicom(breast()))
    right = picture(dicom(breast()[:, ::-1].copy()), laterality="R")
    assert np.array_equal(left.image_HW, right.image_HW)
    assert right.placing.mirrored
    assert left.image_HW[160, 0] > 20000
    assert left.image_HW[160, -1] == 0


@pytest.mark.parametrize(("rows", "columns"), [(512, 300), (512, 410), (420, 400)])
def test_the_aspect_is_kept_and_padding_lies_away_from_the_chest_wall(dicom, rows, columns):
    made = picture(dicom(breast(rows, columns)))
    lit = made.image_HW > 0
    height, width = np.ptp(np.flatnonzero(lit.any(1))) + 1, np.ptp(np.flatnonzero(lit.any(0))) + 1
    assert width / height == pytest.approx(0.6 * columns / (0.7 * rows), rel=0.05)
    assert made.placing.scale == pytest.approx(min(320 / rows, 256 / columns), abs=1e-6)
    assert lit[:, 0].any()


def test_an_oblique_view_keeps_its_armpit_at_the_upper_edge(dicom):
    wide = dicom(breast(300, 400))
    assert picture(wide, "MLO").placing.pad_top_px == 0
    assert picture(wide, "CC").placing.pad_top_px == picture(wide, "CC").placing.pad_bottom_px > 0


def test_labels_and_grain_of_the_background_become_exactly_black(dicom):
    made = picture(dicom(breast(label=3000, noise=15)))
    assert (made.image_HW[:, 190:] == 0).all()
    assert 0.2 < made.measures["breast-area"][0] < 0.45


def test_the_skin_line_is_kept(dicom):
    y, x = np.mgrid[:512, :400]
    depth = np.clip(1 - np.hypot((y - 256) / 180, x / 240), 0, 1)  # fades out to the skin
    soft = (depth * 3000).astype(np.uint16)
    mask = find_breast((soft * 16).astype(np.uint16), 0.02, 0.01)
    seen = soft / 4095 > 0.03
    assert (mask & seen).sum() / seen.sum() > 0.999
    assert mask.sum() < 1.15 * (soft > 0).sum()


def test_a_border_of_the_scan_is_no_part_of_the_breast(dicom):
    film = breast()
    film[:6], film[-6:], film[:, :4] = 4000, 4000, 4000
    made = picture(dicom(film), border_crop=0.02)
    assert (made.image_HW[:40] == 0).all()
    assert made.image_HW.max() < 0.6 * 65535


def test_an_empty_strip_at_the_chest_wall_is_trimmed(dicom):
    film = np.roll(breast(), 16, axis=1)
    film[:, :16] = 0
    assert picture(dicom(film)).image_HW[160, 0] == 0
    trimmed = picture(dicom(film), chest_wall_trim=0.1)
    assert trimmed.image_HW[160, 2] > 20000
    assert trimmed.placing.trim_px > 0


@pytest.mark.parametrize("strip_px", [60, 80, 110])
def test_a_strip_wider_than_the_setting_is_trimmed_too_and_flagged(dicom, strip_px):
    film = np.roll(breast(), strip_px, axis=1)
    film[:, :strip_px] = 0
    trimmed = picture(dicom(film), chest_wall_trim=0.1)
    assert trimmed.image_HW[160, 2] > 20000
    assert trimmed.flags == ("chest-wall-strip",)
    left = picture(dicom(film))
    assert (left.image_HW[160, 0], left.flags) == (0, ("chest-wall-strip",))


def test_a_breast_that_lies_the_wrong_way_round_is_not_moved(dicom):
    film = np.ascontiguousarray(breast()[:, ::-1])
    assert picture(dicom(film), chest_wall_trim=0.1).placing.trim_px == 0
    assert picture(dicom(film), chest_wall_trim=0.1).measures["orientation"][0] > 0


def test_breast_range_stretches_from_background_to_the_percentile(dicom):
    film = dicom(breast(level=1500, noise=3) + np.uint16(200), WindowCenter=None, WindowWidth=None)
    made = picture(film, fallback="breast-range")
    assert np.median(made.image_HW[150:170, 5:60]) == pytest.approx(65535, rel=0.01)


def test_every_rung_is_the_exact_mean_of_two_by_two_pixels_rounded_once():
    readers = Packing(top_px=(1280, 1024)).resolutions
    top = np.random.default_rng(0).integers(0, 65536, (1280, 1024)).astype(np.uint16)
    pictures = pyramid(top, readers)
    assert [image.shape for image in pictures] == list(readers)
    for image, (height, width) in zip(pictures, readers, strict=True):
        exact = top.astype(np.float64).reshape(height, 1280 // height, width, 1024 // width).mean(axis=(1, 3))
        assert np.array_equal(image, np.rint(exact))
