"""Sheets of images have about the shape of a screen."""

import numpy as np
import pytest

from mammogan.pages.image_sheet import GAP_PX, WHITE, columns_for, sheet, side_by_side

TILE = (160, 128)


@pytest.mark.parametrize("images", [6, 8, 12, 16, 24, 32, 64])
@pytest.mark.parametrize("shape", [TILE, (160, 2 * 128 + GAP_PX), (160, 160)])
def test_a_sheet_is_about_as_wide_as_a_screen_and_wastes_at_most_a_row(images, shape):
    columns = columns_for(images, shape)
    rows = -(-images // columns)
    assert 1 < columns * shape[1] / (rows * shape[0]) < 2.6
    assert columns * rows - images < columns


def test_two_views_below_each_other_count_as_one_sheet():
    assert columns_for(16, TILE, blocks=2) == 8


def test_pairs_stand_together_and_apart_from_the_next():
    pairs = [side_by_side([np.full(TILE, n, np.uint16)] * 2) for n in range(16)]
    drawn = sheet(pairs, columns_for(16, pairs[0].shape), gap_px=8)
    assert drawn.shape == (4 * 160 + 3 * 8, 4 * (2 * 128 + GAP_PX) + 3 * 8)
    assert (drawn[:160, 128 : 128 + GAP_PX] == WHITE).all()
    assert (drawn[:160, 256 + GAP_PX : 256 + GAP_PX + 8] == WHITE).all()
    assert drawn[0, 266] == 1 and drawn[168, 0] == 4
