"""What the columns of the tables mean, for those who analyse them anew."""

from __future__ import annotations

from collections.abc import Mapping

from mammogan.study.questions import QUESTIONS

_STUDY = {
    "study_id": "Name of the study.",
    "study_version": "Version of its plan and texts.",
    "plan_hash": "SHA-256 of the plan that the participant was enrolled with.",
    "participant": "Random code; nothing links it to a person.",
}
_ANSWER = {
    "trial": "Place of the pair in the participant's series, from 1; practice pairs are left out.",
    "view": "CC or MLO; both images of a pair are of it.",
    "real_id": "The real image, by a number of the study's own.",
    "synth_id": "The synthetic image, by a number of the study's own.",
    "model_id": "The generator's weights, as the start of their SHA-256.",
    "synth_side": "Where the synthetic image hung: left or right, by a fair coin for each trial.",
    "answer_side": "Which image was called synthetic: left or right.",
    "correct": "1 if both sides agree, else 0; empty until the study is locked.",
    "confidence": "From 1, a guess, to 5, certain; empty: not said.",
    "rt_ms": "Milliseconds from both images being shown to the answer.",
    "max_zoom_l": "Largest magnification of the left image; 1 fits the pane.",
    "max_zoom_r": "Largest magnification of the right image.",
    "wl_changes": "Times that window or level were changed.",
    "hidden_ms": "Milliseconds that the page was not in view.",
    "device": "Kind of device, as touch or mouse.",
    "dpr": "Device pixels for each pixel of the page.",
    "viewport": "Width x height of the page, in pixels of the page.",
    "app_version": "Version of MammoGAN that served the pair.",
    "t_utc": "When the answer came, in UTC.",
}
READERS = {
    "participant": "As in trials.csv.",
    "role": "As in trials.csv.",
    "answered": "Scored trials.",
    "right": "Right answers.",
    "rate": "right / answered.",
    "low": "Lower end of the exact 95 % interval (Clopper-Pearson).",
    "high": "Upper end.",
    "p_above": "Exact one-sided binomial p: as many right answers or more, by chance.",
    "p_two_sided": "Exact two-sided binomial p.",
    "p_bh": "p_above adjusted by Benjamini and Hochberg: false discovery rate.",
    "p_holm": "p_above adjusted by Holm: chance of any false claim.",
    "complete": "1 if every planned trial was answered.",
}
HISTOGRAM = {
    "right": "Right answers of a reader.",
    "rate": "right / planned trials.",
    "readers": "Complete readers with so many.",
    "expected": "Readers expected by chance.",
    "low": "Lower end of the range that 95 % of fair studies lie in, cell by cell.",
    "high": "Upper end.",
    "pooled_cell": "Cell of the chi-square test that it was merged into, from 0.",
}
GROUPS = {
    "group": "Who, or which trials.",
    "readers": "Readers in it.",
    "trials": "Trials in it.",
    "rate": "Share of right answers.",
    "low": "Lower end of the 95 % interval over readers and images.",
    "high": "Upper end.",
}
DIFFERENCES = {
    "comparison": "What is compared with what.",
    "difference": "Difference of the shares of right answers; or the change for the step that is named.",
    "low": "Lower end of the 95 % interval over readers and images.",
    "high": "Upper end.",
    "readers": "Readers that it rests on.",
    "trials": "Trials that it rests on.",
    "note": "Readers on each side where they are few, or why there is no difference.",
}
TABLES: Mapping[str, Mapping[str, str]] = {
    "readers.csv": READERS,
    "histogram.csv": HISTOGRAM,
    "groups.csv": GROUPS,
    "differences.csv": DIFFERENCES,
}
"""The tables that the analysis writes."""


def trial_columns() -> dict[str, str]:
    """Return the columns of trials.csv in their order, with what they mean."""
    return {**_STUDY, **{name: question.column for name, question in QUESTIONS.items()}, **_ANSWER}


def codebook() -> str:
    """Write all tables' columns as Markdown."""
    parts = ["# Codebook", "", "Intervals are 95 %, probabilities from 0 to 1. An empty cell is unknown."]
    for name, columns in {"trials.csv (the input)": trial_columns(), **TABLES}.items():
        parts += ["", f"## {name}", "", "| column | meaning |", "|---|---|"]
        parts += [f"| `{column}` | {meaning} |" for column, meaning in columns.items()]
    return "\n".join([*parts, ""])
