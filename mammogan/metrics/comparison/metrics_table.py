"""The report's metrics by family, in the order in which they are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mammogan.metrics.comparison import (
    band_measures,
    distributions,
    diversity,
    feature_measures,
    joint_classifier,
    memorization,
    spectrum_measures,
)
from mammogan.metrics.comparison.measure import Measure
from mammogan.metrics.comparison.view_comparison import ViewComparison

Family = Callable[[ViewComparison], Iterable[Measure]]


def _features(of: ViewComparison) -> Iterator[Measure]:
    yield from feature_measures.features(of.sets)
    if of.user_network:
        yield from feature_measures.features(of.sets, known=True)


def _diversity(of: ViewComparison) -> Iterator[Measure]:
    if all(of.pairs):
        yield from diversity.diversity(of.sets, *of.pairs)


def _copies(of: ViewComparison) -> Iterator[Measure]:
    for space in memorization.SPACES:
        yield from memorization.audit(of.sets, of.nearest(space))


METRICS: dict[str, Family] = {
    "distributions": lambda of: distributions.distributions(of.sets, of.quantities),
    "joint": lambda of: joint_classifier.joint(of.sets),
    "spectra": lambda of: spectrum_measures.spectra(of.sets, of.exponents),
    "bands": lambda of: band_measures.bands(of.sets),
    "features": _features,
    "diversity": _diversity,
    "copies": _copies,
}
"""`mammogan.steps.compare_sets` reads the table; ``report/measure_labels.toml`` names the measures."""
