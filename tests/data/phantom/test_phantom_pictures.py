"""A phantom view looks, in numbers, like what it says it is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mammogan.data.phantom import RenderedView, render

SMALL = 0.125
PATIENTS = range(6)


@pytest.fixture(scope="module")
def views() -> dict[tuple[int, str, str], RenderedView]:
    return {
        (patient, view, side): render(3, patient, view, side, frame_scale=SMALL)
        for patient in PATIENTS
        for view in ("CC", "MLO")
        for side in "LR"
    }


def shown(view: RenderedView) -> np.ndarray:
    """Apply the window: 0..1."""
    centre, width = view.detector.window
    return np.clip((view.pixels.astype(np.float32) - (centre - width / 2)) / width, 0, 1)


def test_the_same_arguments_give_the_same_pixels_and_others_do_not() -> None:
    first, again = (render(3, 0, "CC", "L", frame_scale=SMALL).pixels for _ in range(2))
    assert np.array_equal(first, again)
    for other in ((4, 0, "CC", "L"), (3, 1, "CC", "L"), (3, 0, "MLO", "L")):
        pixels = render(*other, frame_scale=SMALL).pixels
        assert pixels.shape != first.shape or not np.array_equal(pixels, first)


def test_the_chest_wall_is_on_the_left_for_l_and_on_the_right_for_r(views) -> None:
    for (_, _, side), view in views.items():
        left, right = np.array_split(shown(view), 2, axis=1)
        assert (left.mean() > 3 * right.mean()) if side == "L" else (right.mean() > 3 * left.mean())


def test_the_left_and_the_right_breast_are_two_pictures(views) -> None:
    mirrored = views[0, "CC", "R"].pixels[:, ::-1]
    assert not np.array_equal(views[0, "CC", "L"].pixels, mirrored)


def test_an_mlo_reaches_the_top_with_its_muscle_and_a_cc_does_not(views) -> None:
    for (_, name, _), view in views.items():
        picture = shown(view)
        row = picture[0] > 0.1
        if name == "MLO":
            assert 0.1 < row.mean() < 0.6
            assert 0.02 < view.truth["muscle_share"] < 0.15
            corner = picture[: len(picture) // 12]
            corner = corner[:, :30] if view.laterality == "L" else corner[:, -30:]
            assert corner.mean() > 0.45
        else:
            assert not row.any()


def test_a_cc_is_centred_and_an_mlo_hangs_lower(views) -> None:
    lower = [
        views[p, "MLO", s].truth["nipple_px"][1] - views[p, "CC", s].truth["nipple_px"][1]
        for p in PATIENTS
        for s in "LR"
    ]
    assert np.mean(lower) > 10
    for (_, name, _), view in views.items():
        if name == "CC":
            assert 0.4 < view.truth["nipple_px"][1] / view.detector.rows < 0.6


def test_air_is_exactly_zero_and_tissue_uses_the_window_without_saturating(views) -> None:
    for view in views.values():
        assert np.mean(view.pixels == 0) > 0.3
        assert view.pixels.max() < 2**view.bits
        tissue = shown(view)[shown(view) > 0.05]
        assert 0.12 < np.median(tissue) < 0.72
        assert np.mean(tissue > 0.97) < 0.001


def test_the_brightness_falls_off_towards_the_skin(views) -> None:
    for (_, name, side), view in views.items():
        if name == "CC":
            picture = shown(view) if side == "L" else shown(view)[:, ::-1]
            row = picture[view.detector.rows // 2 + 20]
            edge = int(np.flatnonzero(row > 0.02)[-1])
            assert row[edge - 1] < row[max(0, edge - 25) : edge - 8].mean()


def test_the_four_views_of_a_woman_share_her_size_and_density(views) -> None:
    depths = np.array(
        [[views[patient, "CC", side].truth["breast_share"] for side in "LR"] for patient in PATIENTS]
    )
    assert np.abs(depths[:, 0] - depths[:, 1]).mean() < 0.5 * depths.std()


def test_denser_women_have_more_gland() -> None:
    drawn = [render(3, patient, "CC", "L", frame_scale=0.06) for patient in range(24)]
    density = [view.woman.density for view in drawn]
    assert np.corrcoef(density, [view.truth["dense_share"] for view in drawn])[0, 1] > 0.85
    assert len({view.woman.density_class for view in drawn}) >= 3
    assert len({view.detector.model for view in drawn}) >= 2


def test_the_parenchyma_has_the_power_spectrum_of_breast_tissue() -> None:
    slopes = [_slope(render(0, patient, "CC", "L", frame_scale=0.5)) for patient in range(3)]
    assert 2.6 < np.mean(slopes) < 3.4  # 1/f^3


def _slope(view: RenderedView) -> float:
    """Fit the exponent over 0.15-1 cycles per mm in 40 mm of gland behind the nipple."""
    size = int(40 / view.spacing_mm)
    column, row = (int(place) for place in view.truth["nipple_px"])
    left = max(0, column - int(12 / view.spacing_mm) - size)
    patch = shown(view)[row - size // 2 : row - size // 2 + size, left : left + size]
    taper = np.hanning(size)
    power = np.abs(np.fft.fft2((patch - patch.mean()) * taper[:, None] * taper)) ** 2
    axis = np.fft.fftfreq(size, view.spacing_mm)
    frequency = np.hypot(axis[:, None], axis)
    edges = np.geomspace(0.15, 1, 12)
    rings = [(frequency >= low) & (frequency < high) for low, high in pairwise(edges)]
    middle = np.sqrt(edges[1:] * edges[:-1])
    return float(-np.polyfit(np.log(middle), np.log([power[ring].mean() for ring in rings]), 1)[0])


def test_the_frame_scale_changes_the_pixels_size_and_not_the_field() -> None:
    half, eighth = (render(3, 0, "CC", "L", frame_scale=scale) for scale in (0.5, 0.125))
    assert half.detector.rows * half.spacing_mm == pytest.approx(
        eighth.detector.rows * eighth.spacing_mm, rel=1e-2
    )
    assert half.truth["breast_share"] == pytest.approx(eighth.truth["breast_share"], rel=0.02)
