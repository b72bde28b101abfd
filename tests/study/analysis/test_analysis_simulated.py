"""What the statistics do with readers whose truth is known: fair ones, able ones, one expert.

The forms marked slow give the rates that the documents quote; ``--log-cli-level=INFO`` shows them.
"""

import logging
from functools import cache

import numpy as np
import pytest
from scipy import stats

from mammogan.study.analysis.chance_counts import MonteCarlo, histogram, pooled_chi_square
from mammogan.study.analysis.clustered_intervals import share
from mammogan.study.analysis.dispersion import dispersion
from mammogan.study.analysis.equivalence import tost
from mammogan.study.analysis.reader_tests import against_a_coin
from mammogan.study.analysis.simulate_readers import Plan, simulate
from mammogan.study.analysis.study_statistics import Design, analyse

PAPER = Plan(radiologists=55, others=62, pairs=10)
DESIGN = Design(0.1, fixed=True, pairs=10)
EFFECTS = {
    "no effects": Plan(),
    "readers differ": Plan(reader_sd=0.3),
    "images differ": Plan(real_sd=0.5, synth_sd=0.5),
    "both differ": Plan(reader_sd=0.3, real_sd=0.3, synth_sd=0.3),
    "both differ at 65 %": Plan(rate=0.65, reader_sd=0.4, real_sd=0.4, synth_sd=0.4),
}
FEW, MANY = 150, 1000


@cache
def null():
    return MonteCarlo(117, 10)


def rejections(studies, plan=PAPER):
    """Give the p values of three tests over simulated studies."""
    found = {"pooled chi-square": [], "drawn": [], "mean": []}
    for seed in range(studies):
        trials = simulate(plan, seed)
        counts = histogram(trials.right, 10)
        found["pooled chi-square"].append(pooled_chi_square(counts, 117).p)
        found["drawn"].append(null().p(counts))
        found["mean"].append(share(trials.correct, trials.clusters).p_two_sided(0.5))
    return {name: np.array(p) for name, p in found.items()}


def told(name, hits, of):
    """Log a rate with its exact 95 % interval, and give the 99.9 % one."""
    test = stats.binomtest(int(hits), of)
    percent = [100 * value for value in (hits / of, *test.proportion_ci(0.95))]
    logging.getLogger(__name__).info("%s: %d of %d = %.1f %% (%.1f to %.1f %%)", name, hits, of, *percent)
    return test.proportion_ci(0.999)


def assert_fair_readers_are_rejected_in_one_of_twenty(studies):
    for name, p in rejections(studies).items():
        low, high = told(name, (p <= 0.05).sum(), studies)
        assert low <= 0.05 <= high, name


def assert_intervals_hold_the_truth_in_19_of_20(name, studies):
    plan, hits = EFFECTS[name], 0
    for seed in range(studies):
        trials = simulate(plan, seed)
        low, high = share(trials.correct, trials.clusters).interval()
        hits += low <= plan.rate <= high
    low, high = told(name, hits, studies)
    assert low <= 0.95 <= high


def passes(plan, margin, studies):
    count = 0
    for seed in range(studies):
        trials = simulate(plan, seed)
        count += tost(share(trials.correct, trials.clusters), margin).equivalent
    return count


def test_fair_readers_are_rejected_in_one_study_of_twenty():
    assert_fair_readers_are_rejected_in_one_of_twenty(FEW)


@pytest.mark.slow
def test_fair_readers_are_rejected_in_fifty_studies_of_a_thousand():
    assert_fair_readers_are_rejected_in_one_of_twenty(MANY)


@pytest.mark.parametrize("name", EFFECTS)
def test_intervals_hold_the_truth(name):
    assert_intervals_hold_the_truth_in_19_of_20(name, 100)


@pytest.mark.slow
@pytest.mark.parametrize("name", EFFECTS)
def test_intervals_hold_the_truth_in_950_studies_of_a_thousand(name):
    assert_intervals_hold_the_truth_in_19_of_20(name, MANY)


@pytest.mark.parametrize("margin", [0.05, 0.1])
def test_readers_at_60_percent_are_not_equivalent(margin):
    # At the margin itself a test at 5 % passes one study in twenty; further out none.
    assert passes(Plan(rate=0.6), margin, 60) <= (0 if margin < 0.1 else 9)
    assert passes(Plan(rate=0.65, reader_sd=0.2), margin, 30) == 0


def test_readers_at_a_half_are_equivalent_within_ten_points():
    assert passes(PAPER, 0.1, 60) == 60
    assert passes(EFFECTS["both differ"], 0.1, 60) >= 57


@pytest.mark.slow
def test_equivalence_over_a_thousand_studies():
    for plan, name in ((PAPER, "all at 50 %"), (EFFECTS["both differ"], "50 %, readers and images differ")):
        for margin in (0.05, 0.1):
            told(f"equivalent within {margin:g}, {name}", passes(plan, margin, MANY), MANY)
    assert passes(PAPER, 0.1, MANY) >= 995
    low, _ = told("equivalent within 0.1, all at 60 %", passes(Plan(rate=0.6), 0.1, MANY), MANY)
    assert low <= 0.05
    assert passes(Plan(rate=0.6), 0.05, MANY) == 0


def test_a_planted_expert_is_found_beside_what_chance_gives():
    found = [analyse(simulate(Plan(experts=1), seed), DESIGN).readers for seed in range(15)]
    seen = sum(each.p_above_R[0] <= 0.05 for each in found)
    assert seen >= 10  # right in 95 %, nine or more of ten come in 91 of 100
    assert all(each.expected_above == pytest.approx(1.2568, abs=1e-4) for each in found)
    assert all(each.holm == 0 and not each.holm_possible for each in found)


def test_without_an_expert_as_many_readers_beat_a_coin_as_chance_says():
    above = []
    for seed in range(200):
        trials = simulate(PAPER, seed)
        above.append(against_a_coin(trials.right, trials.answered).above)
    assert np.mean(above) == pytest.approx(1.2568, abs=4 * np.sqrt(1.2568 / 200))
    assert np.mean(np.array(above) > 0) == pytest.approx(0.717, abs=4 * np.sqrt(0.717 * 0.283 / 200))


def test_readers_who_differ_around_a_half_are_seen_by_the_spread_and_not_by_the_mean():
    plan, spread, mean = Plan(reader_sd=0.6, images_per_view=100), 0, 0
    for seed in range(20):
        trials = simulate(plan, seed)
        spread += dispersion(trials.right, trials.answered).p_extra <= 0.05
        mean += share(trials.correct, trials.clusters).p_two_sided(0.5) <= 0.05
    assert spread >= 18
    assert mean <= 5


def test_a_leaning_to_the_left_is_seen_and_costs_nothing():
    found = analyse(simulate(Plan(left_bias=0.5), 4), DESIGN)
    assert found.side.answered_left.interval()[0] > 0.6
    assert found.share.interval()[0] < 0.5 < found.share.interval()[1]
    assert found.side.coin_p > 0.001


def test_images_are_dealt_once_to_a_reader_and_evenly_to_all():
    trials = simulate(PAPER, 9)
    for images in (trials.real_N, trials.synth_N):
        pairs = {*zip(trials.reader_N.tolist(), images.tolist(), strict=True)}
        assert len(pairs) == 1170
        shown = np.bincount(images)
        assert len(shown) == 200
        assert np.ptp(shown) <= 1


def test_the_simulated_rate_is_what_was_asked_for_whatever_the_effects():
    plan = Plan(400, 0, rate=0.65, reader_sd=0.5, real_sd=0.5, synth_sd=0.5, images_per_view=2000)
    rates = [simulate(plan, seed).correct.mean() for seed in range(20)]
    assert np.mean(rates) == pytest.approx(0.65, abs=0.01)
