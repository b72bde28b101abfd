"""The judge of `make quality` finds planted faults, each by the measure that is to find it, and no others.

Shape suffixes: N images, H x W pixels.
"""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tests.bench import swd_peer
from tests.bench.quality import neighbours, spectra, swd
from tests.bench.quality.features import Pca, RandomNet
from tests.bench.quality.judge import Judge, judge

SIDE, DRAWS = 64, 3


def breasts(count, seed):
    """Draw half discs of textured grey at the left, on black."""
    random, found = np.random.default_rng(seed), []
    y, x = np.mgrid[:SIDE, :SIDE]
    for _ in range(count):
        high, wide = random.uniform(20, 30), random.uniform(30, 45)
        inside_HW = ((y - 32 - random.normal(0, 2)) / high) ** 2 + (x / wide) ** 2 < 1
        noise = random.standard_normal((2, SIDE, SIDE))
        fine, coarse = 40 * gaussian_filter(noise[0], 1), 200 * gaussian_filter(noise[1], 4)
        grey_HW = np.clip(fine + coarse + random.normal(120, 10), 10, 255)
        found.append(np.where(inside_HW, grey_HW, 0))
    return np.array(found).round().astype(np.uint8)


@pytest.fixture(scope="module")
def court():
    return Judge(breasts(120, 1), breasts(80, 2), draws=DRAWS)


@pytest.fixture(scope="module")
def fakes_NHW():
    return breasts(120, 3)


@pytest.fixture(scope="module")
def fair(court, fakes_NHW):
    return court.judge(fakes_NHW)


def test_images_like_the_reals_are_at_the_floor(fair):
    assert abs(fair["swd_above_floor"]) < 10
    for name in ("precision", "recall", "coverage"):
        for features in ("pca", "net"):
            assert abs(fair[f"{name}_{features}"] - fair[f"{name}_{features}_floor"]) < 0.1
    for number in (1, 2, 3):
        assert fair[f"stripes_{number}"] == pytest.approx(1, abs=0.3)
    assert fair["finest_power"] == pytest.approx(1, abs=0.15)
    assert fair["background"] < 1 and abs(fair["mmd_net"]) < 1


def test_the_floor_is_that_of_training_reals_whatever_is_judged(court, fair, fakes_NHW):
    floors = [name for name in fair if name.removesuffix("_floor") in fair and name.endswith("_floor")]
    again = court.judge(255 - fakes_NHW)
    assert len(floors) == 15 and all(again[name] == fair[name] for name in floors)
    itself = court.judge(court.train_NHW)
    assert itself["finest_power"] == pytest.approx(itself["finest_power_floor"], abs=0.1)


def test_stripes_are_found_in_their_octave(court, fair, fakes_NHW):
    for number, period, depth in ((1, 3, 8), (2, 6, 20), (3, 12, 40)):
        wave_W = depth * np.sin(2 * np.pi * np.arange(SIDE) / period)
        found = court.judge(fakes_NHW + wave_W * (fakes_NHW > 0))
        gains = {other: found[f"stripes_{other}"] / fair[f"stripes_{other}"] for other in (1, 2, 3)}
        assert gains[number] == max(gains.values()) > 1.5
        assert sorted(gains.values())[1] < 0.8 * gains[number]


def test_grain_is_found_in_the_finest_band_and_by_the_random_net_but_is_no_stripes(court, fair, fakes_NHW):
    grain = 15 * np.random.default_rng(0).standard_normal(fakes_NHW.shape)
    found = court.judge(fakes_NHW + grain * (fakes_NHW > 0))
    assert found["finest_power"] > 1.5 and found["coverage_net"] < 0.5
    assert found["stripes_1"] < 1.2 * fair["stripes_1"] and found["coverage_pca"] > 0.8


def test_blur_is_found_in_the_finest_band_and_by_swd(court, fakes_NHW):
    found = court.judge(gaussian_filter(fakes_NHW.astype(float), (0, 0.8, 0.8)))
    assert found["finest_power"] < 0.3 and found["swd_above_floor"] > 20
    assert found["coverage_net"] < 0.5


def test_a_lifted_background_is_told_in_grey_levels(court, fair, fakes_NHW):
    found = court.judge(np.where(fakes_NHW > 0, fakes_NHW, 9))
    assert found["background"] == pytest.approx(9, abs=0.5)
    assert found["coverage_net"] < 0.5 * fair["coverage_net"]


def test_a_collapse_is_found_by_recall_and_coverage_and_not_by_precision(court, fakes_NHW):
    found = court.judge(np.repeat(fakes_NHW[:4], 30, axis=0))
    assert found["recall_pca"] < 0.2 and found["coverage_pca"] < 0.6
    assert found["precision_pca"] > 0.8


def test_veiled_copies_of_training_reals_are_found_though_swd_normalises_contrast_away(court):
    found = court.judge(0.6 * court.train_NHW + 40)
    assert abs(found["swd_above_floor"]) < 10
    assert found["background"] == pytest.approx(40, abs=1)
    assert found["coverage_net"] < 0.1 and found["mmd_net"] > 10


def test_the_same_seed_gives_the_same_numbers_and_greys_of_16_bits_are_the_same_greys(court, fakes_NHW, fair):
    assert court.judge(fakes_NHW.astype(np.uint16) * 257) == fair
    other = judge(fakes_NHW[:40], court.train_NHW, court.held_out_NHW, seed=1)
    assert other["swd"] != fair["swd"] and set(other) == set(fair)


def test_without_a_background_there_is_none():
    grey = np.random.default_rng(0).integers(20, 200, (60, 32, 32))
    assert np.isnan(Judge(grey[:30], grey[30:], draws=1).judge(grey)["background"])


@pytest.mark.parametrize(
    ("fakes", "said"),
    [
        (np.zeros((40, SIDE)), r"fakes has the shape \(40, 64\)"),
        (
            np.random.default_rng(0).uniform(-1, 1, (40, SIDE, SIDE)),
            "greys from -.* to 0.*, and 0 to 255 is wanted",
        ),
        (np.full((39, SIDE, SIDE), 100), "fakes are 39, and a draw takes 40"),
        (np.full((40, 32, 32), 100), r"fakes are \(32, 32\) px"),
    ],
)
def test_what_can_not_be_judged_is_refused(court, fakes, said):
    with pytest.raises(ValueError, match=said):
        court.judge(fakes)
    with pytest.raises(ValueError, match="train has 8"):
        Judge(court.train_NHW[:8], court.held_out_NHW)


def test_the_pyramid_is_the_published_one(fakes_NHW):
    ours = swd.laplacian_pyramid(fakes_NHW[:2].astype(np.float32))
    theirs = list(swd_peer.pyramid(fakes_NHW[:2, None].astype(np.float32)))
    assert [level.shape[1:] for level in ours] == [(64, 64), (32, 32), (16, 16)]
    for mine, level in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, level[:, 0], atol=1e-3)


def test_the_distance_of_two_normal_sets_is_scipys():
    """A channel and level is brought to mean 0 and sd 1; the distance is one of shapes."""
    from scipy.stats import wasserstein_distance

    random = np.random.default_rng(0)
    a, b = random.standard_normal((20, 128, 49)), random.exponential(size=(20, 128, 49))
    (found,) = swd.distances([a.astype(np.float32)], [b.astype(np.float32)], np.random.default_rng(1))
    directions_RD = swd.directions(49, np.random.default_rng(1))
    flat = [(x - x.mean()) / x.std() for x in (a.reshape(-1, 49), b.reshape(-1, 49))]
    by_scipy = [wasserstein_distance(flat[0] @ d, flat[1] @ d) for d in directions_RD[:60]]
    one = [np.abs(np.sort(flat[0] @ d) - np.sort(flat[1] @ d)).mean() for d in directions_RD]
    assert found == pytest.approx(1000 * np.mean(one), rel=1e-4)
    np.testing.assert_allclose(by_scipy, one[:60], rtol=1e-6)


def test_precision_to_coverage_by_hand():
    """Reals at 0, 1, 3 and fakes at 0.5, 10: with k = 1 the reals' radii are 1, 1, 2 and the fakes' 9.5."""
    reals, fakes = np.array([[0.0], [1], [3]]), np.array([[0.5], [10]])
    found = neighbours.prdc(reals, fakes, k=1)
    assert found == pytest.approx({"precision": 1 / 2, "recall": 1.0, "density": 2 / 2, "coverage": 2 / 3})


def test_precision_to_coverage_are_those_of_their_authors():
    prdc = pytest.importorskip("prdc")
    random = np.random.default_rng(0)
    reals, fakes = random.standard_normal((80, 6)), 0.8 * random.standard_normal((70, 6)) + 0.5
    assert neighbours.prdc(reals, fakes) == pytest.approx(prdc.compute_prdc(reals, fakes, nearest_k=5))


def test_mmd_by_hand_and_unbiased():
    """Of x = 0, 1 and y = 2, 2: k(0, 1) + k(2, 2) - (k(0, 2) + k(1, 2)) = 1 + 125 - 1 - 27."""
    assert neighbours.mmd(np.array([[0.0], [1]]), np.array([[2.0], [2]])) == pytest.approx(98)
    random = np.random.default_rng(0)
    chance = [neighbours.mmd(*random.standard_normal((2, 30, 8))) for _ in range(200)]
    assert abs(np.mean(chance)) < 3 * np.std(chance) / np.sqrt(200)


def test_components_are_those_of_a_singular_value_decomposition(fakes_NHW):
    flat = fakes_NHW.reshape(len(fakes_NHW), -1) / 255
    _, values, _ = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    found = Pca(fakes_NHW)(fakes_NHW)
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), values[:64], rtol=1e-6)
    np.testing.assert_allclose(found.T @ found, np.diag(values[:64] ** 2), atol=1e-6 * values[0] ** 2)


def test_the_random_net_is_always_the_same_and_standardised(fakes_NHW):
    found = RandomNet(fakes_NHW)(fakes_NHW)
    assert found.shape == (len(fakes_NHW), 448)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(found.std(0), 1, atol=1e-3)
    assert np.array_equal(found, RandomNet(fakes_NHW)(fakes_NHW))


def test_white_noise_lies_evenly_in_all_directions_and_bands():
    noise = np.random.default_rng(0).uniform(0, 255, (200, 80, 64))
    power_HW = spectra.power(noise).mean(0)
    np.testing.assert_allclose(spectra.axes_over_diagonals(power_HW), 1, atol=0.1)
    np.testing.assert_allclose(spectra.band_power(power_HW) / spectra.band_power(power_HW)[0], 1, atol=0.1)
