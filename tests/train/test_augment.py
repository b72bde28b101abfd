"""Augmentation changes what it says, keeps anatomy, and can be undone in the mean."""

import math

import numpy as np
import pytest
import torch

from mammogan.config.augmentation_settings import HIGHEST_PROBABILITY, Augmentation
from mammogan.config.settings import validate
from mammogan.errors import ConfigError
from mammogan.train import augment
from mammogan.train.augment import PARAMETERS, adjusted, apply, draw, overfit
from tests.bench.augment import STRONG, extremes, phantoms, row

SIZES = [(5, 4), (20, 16), (160, 128)]
VIEWS_N = torch.tensor([0, 1, 0, -1] * 2)


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(probability=0.8, count=4000, view=0, settings=STRONG, seed=0):
    return draw(settings, probability, count, noise(seed), torch.full((count,), view))


def column(params_NP, name):
    return params_NP[:, PARAMETERS.index(name)]


def pictures(height, width, count=8):
    return torch.rand(count, 1, height, width, generator=noise(9)) * 2 - 1


# ---- What is drawn


def test_the_same_numbers_give_the_same_changes_and_others_do_not():
    first, again, other = (draw(STRONG, 0.5, 8, noise(seed), VIEWS_N) for seed in (1, 1, 2))
    assert first.dtype == torch.float32
    assert first.shape == (8, len(PARAMETERS))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_as_many_numbers_are_used_whatever_the_settings_and_labels():
    sources = [noise() for _ in range(3)]
    draw(STRONG, 0.8, 8, sources[0], VIEWS_N)
    draw(Augmentation(), 0.0, 8, sources[1], VIEWS_N)
    draw(STRONG, 0.2, 8, sources[2], torch.zeros(8))
    states = [source.get_state() for source in sources]
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


def test_a_higher_probability_adds_changes_and_alters_none():
    seldom, often = (draw(STRONG, p, 500, noise(), torch.zeros(500)) for p in (0.2, 0.6))
    assert torch.equal(often[seldom != 0], seldom[seldom != 0])
    assert (often != 0).sum() > 2 * (seldom != 0).sum()


@pytest.mark.parametrize("probability", [0.2, 0.8])
def test_every_change_comes_with_the_probability_whatever_the_others_do(probability):
    changed_NT = drawn(probability, count=20_000)[:, :-1] != 0
    shares_T = changed_NT.float().mean(dim=0)
    torch.testing.assert_close(shares_T[0].item(), probability / 2, atol=0.015, rtol=0)  # half of them mirror
    torch.testing.assert_close(shares_T[1:], torch.full((6,), probability), atol=0.015, rtol=0)
    none = (1 - probability / 2) * (1 - probability) ** 6
    assert (~changed_NT).all(dim=1).float().mean().item() == pytest.approx(none, abs=0.01)
    together = torch.corrcoef(changed_NT.T.float()) - torch.eye(7)
    assert together.abs().max() < 0.03


def test_no_change_is_stronger_than_its_setting_and_most_are_weaker():
    params = drawn(HIGHEST_PROBABILITY)
    for name, most in (("rows", 0.05), ("columns", 0.03), ("angle_rad", math.radians(3))):
        size = column(params, name).abs()
        assert 0.9 * most < size.max() <= most
        assert size[size > 0].median() == pytest.approx((1 - math.sqrt(0.5)) * most, rel=0.1)
    for name, most in (("log_scale", 0.05), ("log_tone", 0.2), ("log_contrast", 0.1)):
        factor = column(params, name).exp()
        assert 1 / (1 + most) <= factor.min() < 1 < factor.max() <= 1 + most


@pytest.mark.parametrize("view", [1, -1])
def test_what_is_no_cc_is_never_mirrored_nor_moved_down(view):
    params, of_cc = drawn(view=view), drawn(view=0)
    assert not column(params, "flip").any()
    assert (column(params, "rows") <= 0).all()
    assert (column(params, "top_held") == 1).all()
    assert column(of_cc, "flip").any()
    assert (column(of_cc, "rows") > 0).any()
    assert not column(of_cc, "top_held").any()


def test_mirroring_is_off_unless_asked_for():
    assert not column(drawn(settings=Augmentation(kind="fixed")), "flip").any()


# ---- No change


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_touched_at_probability_0(size):
    images = pictures(*size)
    assert apply(images, draw(STRONG, 0.0, 8, noise(), VIEWS_N)) is images


@pytest.mark.parametrize("size", SIZES)
def test_strength_0_keeps_every_bit_even_of_the_neighbours_of_changed_images(size):
    weak = STRONG.model_copy(update=dict.fromkeys(("shift_rows", "shift_columns", "scale", "tone"), 0.0))
    weak = weak.model_copy(update={"rotation_deg": 0.0, "contrast": 0.0, "flip_cc": False})
    images = pictures(*size)
    assert torch.equal(apply(images, draw(weak, 0.8, 8, noise(), VIEWS_N)), images)
    params = draw(STRONG, 0.8, 8, noise(), VIEWS_N)
    params[::2, :-1] = 0
    changed = apply(images, params)
    assert torch.equal(changed[::2], images[::2])
    assert (changed[1::2] != images[1::2]).flatten(1).any(dim=1).all()


@pytest.mark.parametrize("size", SIZES)
def test_ranks_and_micro_batches_do_not_matter(size):
    images, params = pictures(*size), draw(STRONG, 0.8, 8, noise(), VIEWS_N)
    whole = apply(images, params)
    for share in (1, 2, 4):
        parts = [apply(i, p) for i, p in zip(images.split(share), params.split(share), strict=True)]
        assert torch.equal(torch.cat(parts), whole)


# ---- Each change, by itself


def test_shifts_move_whole_pixels_and_fill_with_black():
    images = pictures(20, 16, 1)
    down = apply(images, row(rows=0.1, columns=2 / 16))
    assert torch.equal(down[:, :, 2:, :-2], images[:, :, :-2, 2:])
    assert (down[:, :, :2] == -1).all()
    assert (down[:, :, :, -2:] == -1).all()
    up = apply(images, row(rows=-0.1))
    assert torch.equal(up[:, :, :-2], images[:, :, 2:])
    assert (up[:, :, -2:] == -1).all()


def test_a_flip_exchanges_top_and_bottom_and_is_its_own_undoing():
    images = pictures(20, 16, 1)
    flipped = apply(images, row(flip=1))
    assert torch.equal(flipped[0, 0, 0], images[0, 0, -1])
    assert torch.equal(apply(flipped, row(flip=1)), images)


def spots(*places_px, height=160, width=128):
    """Draw soft spots at (row, column); one image each."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    drawn = [2 * torch.exp(-((y - row) ** 2 + (x - column) ** 2) / 18) - 1 for row, column in places_px]
    return torch.stack(drawn).unsqueeze(1)


def centres(images_NCHW):
    """Find each spot's (row, column)."""
    light_NHW = images_NCHW[:, 0] + 1
    total_N = light_NHW.sum(dim=(1, 2))
    rows_N = (light_NHW.sum(dim=2) * torch.arange(light_NHW.shape[1])).sum(dim=1) / total_N
    columns_N = (light_NHW.sum(dim=1) * torch.arange(light_NHW.shape[2])).sum(dim=1) / total_N
    return torch.stack([rows_N, columns_N], dim=1)


PLACES = ((40, 30), (120, 30), (60, 90))


@pytest.mark.parametrize("held", [0, 1])
def test_scale_and_rotation_keep_every_angle_and_all_distances_in_proportion(held):
    """The images aren't square: in their own units the map must still be a similarity."""
    params = row(held, log_scale=math.log(1.05), angle_rad=math.radians(3)).expand(3, -1)
    moved = centres(apply(spots(*PLACES), params))
    places = torch.tensor(PLACES, dtype=torch.float32)
    cos, sin = 1.05 * math.cos(math.radians(3)), 1.05 * math.sin(math.radians(3))
    turn = torch.tensor([[cos, sin], [-sin, cos]])  # rows, columns: clockwise
    torch.testing.assert_close(moved[1:] - moved[:1], (places[1:] - places[:1]) @ turn.T, atol=0.02, rtol=0)


def test_scale_is_about_the_chest_walls_middle_or_its_upper_end():
    for scale in (0.95, 1.05):
        for held, fixed_row in ((0, 79.5), (1, 0)):
            moved = centres(apply(spots(*PLACES), row(held, log_scale=math.log(scale)).expand(3, -1)))
            wanted = [[fixed_row + scale * (r - fixed_row), scale * c] for r, c in PLACES]
            torch.testing.assert_close(moved, torch.tensor(wanted), atol=0.02, rtol=0)


def test_a_positive_rotation_is_clockwise():
    (before,), (after,) = (centres(i) for i in (spots((80, 90)), apply(spots((80, 90)), row(angle_rad=0.05))))
    assert after[0] > before[0] + 3


def test_tone_lifts_the_middle_and_leaves_black_and_white():
    greys = torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3)
    assert apply(greys, row(log_tone=math.log(1.5))).flatten().tolist() == pytest.approx([-1, 0.2, 1])
    assert apply(greys, row(log_contrast=math.log(1.5))).flatten().tolist() == pytest.approx([-1, 0.5, 2])


@pytest.mark.parametrize("name", ["log_tone", "log_contrast"])
def test_grey_is_undone_by_the_inverse_even_of_fakes_beyond_black_and_white(name):
    images = torch.linspace(-6, 6, 601).view(1, 1, 1, -1)
    changed = apply(images, row(**{name: 0.5}))
    torch.testing.assert_close(apply(changed, row(**{name: -0.5})), images, atol=1e-5, rtol=0)
    assert (changed.diff() > 0).all()


def test_slopes_of_the_tone_stay_bounded_where_a_powers_do_not():
    images = (
        torch.tensor([-3.0, -1 - 1e-7, -1.0, -1 + 1e-7, 0.0, 1.0, 3.0]).view(1, 1, 1, -1).requires_grad_()
    )
    apply(images, row(log_tone=math.log(2))).sum().backward()
    assert images.grad.flatten().tolist() == pytest.approx([2, 2, 2, 2, 2 / 2.25, 0.5, 0.5], rel=1e-5)


def test_gradients_are_those_of_the_images():
    images = (torch.rand(2, 1, 10, 8, generator=noise(), dtype=torch.float64) * 1.8 - 0.9).requires_grad_()
    everything = {"log_scale": 0.04, "angle_rad": 0.05, "log_tone": 0.1, "log_contrast": -0.1}
    params = torch.cat(
        [row(0, flip=1, rows=0.1, **everything), row(1, rows=-0.1, columns=0.13, **everything)]
    )
    assert torch.autograd.gradcheck(lambda x: apply(x, params), (images,))


# ---- Anatomy


@pytest.mark.parametrize("view", [0, 1])
@pytest.mark.parametrize("size", SIZES)
def test_the_chest_wall_stays_at_the_edge_and_an_mlo_at_the_top(view, size):
    height, width = size
    params = drawn(count=200, view=view)
    shown = apply(torch.ones(200, 1, *size), params)[:, 0]
    greys = apply(torch.ones(200, 1, 1, 1), params * torch.tensor([0, 0, 0, 0, 0, 1, 1, 0.0]))
    shown = (shown + 1) / (greys[:, 0] + 1)
    top = 0 if view else math.ceil(0.15 * height)
    torch.testing.assert_close(shown[:, top : int(0.85 * height), 0].min().item(), 1.0, atol=1e-3, rtol=0)
    if view:
        torch.testing.assert_close(shown[:, 0, : int(0.85 * width)].min().item(), 1.0, atol=1e-3, rtol=0)


@pytest.mark.parametrize("view", [0, 1])
@pytest.mark.parametrize("size", SIZES)
def test_black_stays_exactly_black(view, size):
    black = torch.full((200, 1, *size), -1.0)
    assert torch.equal(apply(black, drawn(count=200, view=view)), black)


@pytest.fixture(scope="module")
def breasts():
    return phantoms(1, 0.125, (160, 128))


def test_a_real_breast_keeps_its_place_under_every_extreme(breasts):
    """No gap at the chest wall, air at the right edge, and an MLO's muscle in the upper left corner."""
    for view in (0, 1):
        for title, params in extremes(STRONG, view):
            image = apply(breasts[view : view + 1], params)[0, 0]
            tissue = image > -0.8
            behind = tissue[:, :3].any(dim=1)
            wide = tissue.sum(dim=1) > 20
            assert (behind | ~wide).all(), title
            assert wide.sum() > 60, title
            assert (image[:, -10:] == -1).all(), title
            if view:
                assert image[:8, :8].mean() > -0.2, title


def test_a_breasts_area_and_mean_grey_change_by_no_more_than_the_settings_say(breasts):
    images = breasts.repeat_interleave(50, dim=0)
    params = torch.cat([drawn(count=50, view=view) for view in (0, 1)])
    area, before = ((x > -0.8).sum(dim=(1, 2, 3)) for x in (apply(images, params), images))
    ratio = area / before
    assert 0.8 < ratio.min() < 0.97
    assert 1.02 < ratio.max() < 1.2


# ---- What must hold for augmentation not to leak


@pytest.mark.parametrize("height", [20, 30, 40, 80])
@pytest.mark.parametrize("name", ["rows", "columns"])
def test_shifts_as_rounded_can_be_undone_in_the_mean_at_the_highest_probability(name, height):
    """The distribution of shifts has no frequency at which it vanishes (Karras et al. 2020, appendix C)."""
    params = drawn(HIGHEST_PROBABILITY, count=50_000)
    pixels = (column(params, name) * height).round().long()
    shares = torch.bincount(pixels + 10, minlength=21).double() / len(pixels)
    assert torch.fft.fft(shares, 256).abs().min() > 0.15  # 0.2 but for chance


def test_uniform_shifts_could_not_have_been():
    """Why strengths are drawn by the difference of two numbers: -1, 0 and 1 alike would vanish at 0.75."""
    shares = torch.tensor([0.25, 0.25 + 0.25, 0.25], dtype=torch.double)  # 0.75 / 3 each, and 0.25 left alone
    assert torch.fft.fft(shares, 256).abs().min() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["log_scale", "angle_rad", "log_tone", "log_contrast"])
def test_groups_of_one_parameter_can_be_undone_in_the_mean_too(name):
    values = column(drawn(HIGHEST_PROBABILITY, count=50_000), name).double()
    frequencies = torch.linspace(0, 200, 400)[:, None] / values.abs().max()
    assert torch.exp(1j * frequencies * values).mean(dim=1).abs().min() > 0.15


def test_mirrored_pictures_stay_in_the_minority():
    assert column(drawn(HIGHEST_PROBABILITY, count=20_000), "flip").mean().item() == pytest.approx(
        0.4, abs=0.02
    )


# ---- The adaptive probability

ADAPTIVE = Augmentation(kind="adaptive", target=0.5, adjust_kimg=100)


def test_overfitting_is_where_validation_lies_between_reals_and_fakes():
    assert overfit(2.0, 2.0, -2.0) == 0
    assert overfit(2.0, 1.0, -2.0) == 0.25
    assert overfit(2.0, -2.0, -2.0) == 1


def test_a_wasserstein_critics_zero_and_scale_do_not_matter():
    assert overfit(102.0, 101.0, 98.0) == overfit(2.0, 1.0, -2.0) == overfit(0.02, 0.01, -0.02)


@pytest.mark.parametrize(
    ("train", "fake"),
    [(1.0, 1.0), (0.0, 0.0), (1e6 + 1e-3, 1e6), (-1.0, 1.0), (math.nan, 0.0), (0.0, math.nan)],
)
def test_a_critic_that_does_not_tell_reals_from_fakes_is_not_overfitted(train, fake):
    assert overfit(train, -5.0, fake) == 0


def test_the_probability_moves_at_its_speed_towards_the_target():
    assert adjusted(ADAPTIVE, 0.3, 0.9, 4000) == pytest.approx(0.34)
    assert adjusted(ADAPTIVE, 0.3, 0.1, 4000) == pytest.approx(0.26)
    assert adjusted(ADAPTIVE, 0.3, 0.5, 4000) == 0.3


def test_the_probability_keeps_within_0_and_its_highest_value():
    assert adjusted(ADAPTIVE, 0.79, 0.9, 10_000) == HIGHEST_PROBABILITY == 0.8
    assert adjusted(ADAPTIVE, 0.01, 0.1, 10_000) == 0


def test_scores_that_are_no_numbers_move_nothing():
    assert adjusted(ADAPTIVE, 0.3, math.nan, 4000) == 0.3
    assert adjusted(ADAPTIVE, 0.3, overfit(1.0, math.nan, 0.0), 4000) == 0.3


@pytest.mark.parametrize(("kind", "first"), [("none", 0.0), ("fixed", 0.2), ("adaptive", 0.0)])
def test_where_the_probability_begins_and_that_only_an_adaptive_one_moves(kind, first):
    settings = Augmentation(kind=kind)
    assert settings.first_probability == first
    moved = adjusted(settings, first, 0.9, 4000)
    assert (moved > first) if kind == "adaptive" else moved == first


def test_an_adaptive_probability_settles_where_the_critic_overfits_as_much_as_asked():
    """A critic that overfits less the more its pictures are changed: 0.9 - p, so 0.4 it is."""
    probability, seen = 0.0, []
    for _ in range(200):
        probability = adjusted(ADAPTIVE, probability, 0.9 - probability, 1000)
        seen.append(probability)
    assert np.mean(seen[100:]) == pytest.approx(0.4, abs=0.011)


# ---- Settings


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"kind": "always"}, r"key 'kind' is 'always': input should be 'none', 'fixed' or 'adaptive'\."),
        ({"probability": 0.9}, r"key 'probability' is '0.9': input should be less than or equal to 0.8\."),
        ({"probability": 0}, r"key 'probability' is '0': input should be greater than 0\."),
        ({"target": 1}, r"key 'target' is '1': input should be less than 1\."),
        ({"adjust_kimg": 0}, r"key 'adjust_kimg' is '0': input should be greater than 0\."),
        ({"shift_rows": 0.5}, r"key 'shift_rows' is '0.5': input should be less than or equal to 0.25\."),
        ({"rotation_deg": 90}, r"key 'rotation_deg' is '90': input should be less than or equal to 10\."),
        ({"tone": -0.1}, r"key 'tone' is '-0.1': input should be greater than or equal to 0\."),
        ({"flip": True}, r"unknown key 'flip'\. Did you mean 'flip_cc'\?"),
    ],
)
def test_a_wrong_setting_is_named(tree, message):
    with pytest.raises(ConfigError, match=message):
        validate(Augmentation, tree, "some.toml")


def test_augmentation_that_changes_nothing_is_refused():
    off = dict.fromkeys(("shift_rows", "shift_columns", "scale", "rotation_deg", "tone", "contrast"), 0)
    with pytest.raises(
        ConfigError, match=r"kind 'adaptive' changes nothing, as every strength is 0; make one of"
    ):
        validate(Augmentation, {"kind": "adaptive", **off}, "some.toml")
    assert validate(Augmentation, off, "some.toml").kind == "none"
    assert validate(Augmentation, {"kind": "fixed", **off, "flip_cc": True}, "some.toml").flip_cc


@pytest.mark.parametrize("shape", [(3, 1, 10, 8), (2, 2, 7, 12)])
def test_sampling_in_order_is_torchs_own_forward_and_backward_and_reaches_over_edges(shape):
    """On a GPU torch's adds up gradients in no fixed order; this is taken there."""
    torch.manual_seed(0)
    count, _, height, width = shape
    turns = augment._turns(
        torch.linspace(-0.3, 0.2, count), torch.linspace(0.4, -0.2, count), torch.ones(count), height, width
    ).float()
    grid = augment._grid(turns, height, width)
    torch.testing.assert_close(
        grid, torch.nn.functional.affine_grid(turns, list(shape), align_corners=True), rtol=0, atol=1e-6
    )
    assert (grid.abs() > 1).any()
    images, upstream = torch.randn(shape, requires_grad=True), torch.randn(shape)
    one, other = augment._in_order(images, grid), augment._sampled(images, grid)
    assert torch.equal(one, other)
    torch.testing.assert_close(
        *(torch.autograd.grad(result, images, upstream)[0] for result in (one, other)), rtol=1e-5, atol=1e-6
    )
