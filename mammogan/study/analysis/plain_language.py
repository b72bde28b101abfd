"""What each statistic shows and what it doesn't, in plain words that hang on the numbers."""

from __future__ import annotations

from collections.abc import Callable

from mammogan.pages.html_helpers import Reading, between, percent
from mammogan.study.analysis.equivalence import Equivalence
from mammogan.study.analysis.reader_tests import least_right
from mammogan.study.analysis.study_statistics import Analysis


def headline(found: Analysis) -> str:
    """Answer the study's question in one sentence."""
    low, high = found.share.interval()
    result = f"Readers picked out the synthetic image in {percent(found.share.value)} of pairs"
    chance_is_possible = low <= 0.5 <= high
    if found.equivalence.equivalent:
        verdict = f"equivalent to guessing within the margin {_margin(found.equivalence)}"
        if not chance_is_possible:
            verdict += ", though measurably off a half"
    elif chance_is_possible:
        verdict = "neither shown to be guessing nor shown not to be: too few readers, pairs or images"
    elif low > 0.5:
        verdict = "not equivalent to guessing: they can tell, if not always"
    else:
        verdict = "not equivalent to guessing: they see a difference, and misread it"
    rest = ""
    if found.design.filtered:
        rest = " Images with obvious artefacts were left out before: this holds for the others only."
    return f"{result} (95 % interval {between(low, high)}): {verdict}.{rest}"


def readings(found: Analysis) -> dict[str, Reading]:
    """Return the sentences of each section."""
    return {name: write(found) for name, write in SECTIONS.items()}


def _share(found: Analysis) -> Reading:
    return Reading(
        f"How often other readers like these would be right on other images like these: "
        f"{between(*found.share.interval())}, counting that readers and images differ "
        f"({found.share.trials:,} pairs say as much as {found.share.effective_n:,.0f} independent ones).",
        "It is a mean: some readers or some images may be easy. It says nothing of how varied the synthetic "
        "images are, nor of what they would show on a calibrated 5-megapixel display.",
    )


def _equivalence(found: Analysis) -> Reading:
    test = found.equivalence
    lies = f"The 90 % interval, {between(test.low, test.high)}, {_place(test)} the margin, {_margin(test)}"
    if test.equivalent:
        shows = f"{lies}: whatever readers see moves them by less than {100 * test.margin:g} points."
    else:
        shows = f"{lies}: equivalence with guessing is not shown."
    return Reading(
        shows,
        "It doesn't say that real and synthetic images are alike, only that these readers on average don't "
        "tell them apart by more than that. Failing it doesn't show that they can.",
    )


def _histogram(found: Analysis) -> Reading:
    pooled = found.histogram.pooled
    if not found.complete_R.any():
        shows = "No reader answered every pair, so there is nothing to compare with a coin's histogram."
    elif pooled is None:
        shows = "Too few complete readers for a chi-square; the Monte-Carlo p stands alone."
    elif pooled.p < 0.05:
        shows = "The counts differ from those of coins: readers don't all guess."
    elif (found.histogram.monte_carlo_p or 0) < 0.05:
        shows = (
            "The pooled counts are like those of coins, but the exact test finds a histogram this odd rare: "
            "look at the tails, which pooling merges."
        )
    else:
        shows = "The counts are like those of as many coins."
    return Reading(
        shows,
        "A large p is no proof of guessing: 117 readers of 10 pairs who are all right in 55 % would still "
        "pass three times in ten. It looks at shape and mean at once; the tests below take them apart.",
    )


def _dispersion(found: Analysis) -> Reading:
    spread = found.dispersion
    if spread is None:
        shows = "With one reader, or all answers alike, there is no spread to speak of."
    elif spread.p_extra < 0.05:
        shows = (
            f"Readers differ by more than chance makes them: their true shares have an sd of "
            f"{percent(spread.sd)} ({between(spread.low, spread.high)})."
        )
    else:
        shows = f"No spread beyond chance is seen; an sd up to {percent(spread.high)} remains possible."
    return Reading(
        shows,
        "It doesn't say who is better, and with ten pairs each it is blind to small differences.",
    )


def _readers(found: Analysis) -> Reading:
    tests, count = found.readers, len(found.trials.readers)
    pairs, least = found.design.pairs, least_right(found.design.pairs)
    asked = f"at least {least} of {pairs} right" if least is not None else "more right than there are pairs"
    shows = (
        f"{_readers_of(tests.above)} of {count} beat a coin at 5 % ({asked}); were all guessing, "
        f"{tests.expected_above:.2f} would be expected to, and at least one with probability "
        f"{tests.chance_of_any:.2f}. After Holm's correction {tests.holm} remain, after Benjamini and "
        f"Hochberg's {tests.bh}."
    )
    but = "A reader who beats a coin here is not thereby an expert: somebody has to be the luckiest."
    if not tests.holm_possible:
        but += (
            f" With {pairs} pairs and {count} readers not even all right would survive Holm's correction, so "
            "no single reader can be certified; for that, the reader needs more pairs."
        )
    return Reading(shows, but)


def _sensitivity(found: Analysis) -> Reading:
    return Reading(
        "d' is the distance between real and synthetic in units of the reader's noise, 0 for guessing; the "
        "area under the ROC curve also uses how sure readers were, 0.5 for guessing.",
        "Both pool readers and images; a rating that is used differently by each reader lowers the area.",
    )


def _groups(found: Analysis) -> Reading:
    return Reading(
        "How much one group is ahead of another, and how far that may be off: differences with intervals "
        "over readers and images.",
        "Groups were not drawn by lot, so a difference need not come from what names them; a wide interval "
        f"around 0 is ignorance, not equality; and of {len(found.comparisons)} comparisons one in twenty "
        "misses the truth.",
    )


def _side(found: Analysis) -> Reading:
    return Reading(
        "Whether readers lean to a side, and whether the software's coin was fair. A leaning costs them "
        "nothing on average, since each pair's side is tossed anew.",
        "A coin's p is below 0.05 in one study in twenty with nothing wrong.",
    )


def _times(found: Analysis) -> Reading:
    return Reading(
        "How long readers took from both images being shown to the answer, and whether they looked closely.",
        "A long time may be care or a telephone call; hidden pages are counted, people who look away aren't.",
    )


def _place(test: Equivalence) -> str:
    return "lies within" if test.equivalent else "doesn't lie within"


def _margin(test: Equivalence) -> str:
    return between(0.5 - test.margin, 0.5 + test.margin, 1 if (1000 * test.margin) % 10 else 0)


def _readers_of(count: int) -> str:
    return f"{count} reader" if count == 1 else f"{count} readers"


SECTIONS: dict[str, Callable[[Analysis], Reading]] = {
    "share": _share,
    "equivalence": _equivalence,
    "histogram": _histogram,
    "dispersion": _dispersion,
    "readers": _readers,
    "sensitivity": _sensitivity,
    "groups": _groups,
    "side": _side,
    "times": _times,
}
