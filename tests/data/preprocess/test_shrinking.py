"""Leaving out what is black changes no bit of the picture."""

import cv2
import numpy as np
import pytest

from mammogan.data.preprocess.shrinking import shrunk

TOP_PX = (160, 128)
DARK = np.clip((np.arange(4096) - 300.0) * 20, 0, 65535).astype(np.uint16)
TABLES = {
    "black below": DARK,
    "black above": np.ascontiguousarray(DARK[::-1]),
    "black nowhere": np.full(4096, 7, np.uint16),
    "black between": np.where((np.arange(4096) > 1000) & (np.arange(4096) < 1500), 0, 9000).astype(np.uint16),
    "black alone": np.zeros(4096, np.uint16),
}
TABLES = {name: np.resize(table, 65536) * (np.arange(65536) < 4096) for name, table in TABLES.items()}


def whole(patterns, table):
    height, width = patterns.shape
    scale = min(TOP_PX[0] / height, TOP_PX[1] / width)
    size = min(round(width * scale), TOP_PX[1]), min(round(height * scale), TOP_PX[0])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(cv2.LUT(patterns, table.astype(np.uint16)), size, interpolation=method)


def breast(height, width, *, inverted=False, right=False):
    random = np.random.default_rng(height)
    y, x = np.mgrid[:height, :width]
    inside = ((y - height / 2) / (height * 0.3)) ** 2 + (x / (width * 0.5)) ** 2 < 1
    grey = np.where(inside, random.integers(400, 3500, inside.shape), random.integers(0, 200, inside.shape))
    grey = grey[:, ::-1] if right else grey
    return np.ascontiguousarray((4095 - grey if inverted else grey).astype(np.uint16))


@pytest.mark.parametrize(
    "size", [(416, 320), (320, 256), (383, 299), (287, 240), (351, 280), (331, 257), (80, 60)]
)
@pytest.mark.parametrize("name", TABLES)
def test_the_picture_is_that_of_the_whole_frame(size, name):
    for right in (False, True):
        patterns = breast(*size, inverted=name == "black above", right=right)
        made, _ = shrunk(patterns, TABLES[name].astype(np.uint16), TOP_PX)
        assert np.array_equal(made, whole(patterns, TABLES[name]))


def test_black_frames_and_frames_full_to_the_edge_come_out_whole():
    table = TABLES["black below"].astype(np.uint16)
    for patterns in (np.zeros((416, 320), np.uint16), np.full((416, 320), 2000, np.uint16)):
        made, scale = shrunk(patterns, table, TOP_PX)
        assert np.array_equal(made, whole(patterns, table))
        assert scale == pytest.approx(160 / 416)
    speck = np.zeros((416, 320), np.uint16)
    speck[415, 319] = 3000
    assert np.array_equal(shrunk(speck, table, TOP_PX)[0], whole(speck, table))
    assert shrunk(speck, table, TOP_PX)[0][-1, -1] > 0
