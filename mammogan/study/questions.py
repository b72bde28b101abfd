"""What participants are asked about themselves: the one table of it.

Form, store, export, codebook, simulated readers and analysis all follow `QUESTIONS`, when they are used and
not when they are imported. A new question is a new row, in this file alone; to studies of before it was not
put, and all of their participants count as not having answered.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mammogan.study import form_fields

ROLE, RADIOLOGIST = "role", "radiologist"
TAKEN = frozenset(
    {
        *("id", "kind", "t", "participant", "number", "form", "invitation", "plan", "plan_hash", "enrolled"),
        *("described", "sees_dark", "sees_light", "displayed", "ready", "answered", "complete", "trial"),
        *("study_id", "study_version", "view", "real_id", "synth_id", "model_id", "synth_side", "correct"),
        *("answer_side", "confidence", "rt_ms", "max_zoom_l", "max_zoom_r", "wl_changes", "hidden_ms"),
        *("device", "dpr", "viewport", "app_version", "t_utc", "side"),
    }
)
"""Names that events, the store's tables or the exported ones use for something else."""
SAME = {"1": "yes", "true": "yes", "0": "no", "false": "no"}
UNSAID = ("", "prefer not", "prefer-not", "prefer not to say", "unknown", "na")
"""How tables that others write spell the answers yes and no, and no answer."""


@dataclass(frozen=True)
class Groups:
    """Compare groups of readers by what they answered.

    Attributes
    ----------
    groups
        Name of a group to the answers in it; without any, each option is a group, called by its label.
    contrasts
        (Name, group, the group that is subtracted); without any, the first of two groups less the second, or
        of more groups each less all the others.
    unsaid
        Name of the group of those who did not answer, listed if there are any; without it they are left out.
    all_readers
        Whether all readers are compared; else radiologists alone, for among all it would compare roles.
    """

    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    contrasts: tuple[tuple[str, str, str], ...] = ()
    unsaid: str = ""
    all_readers: bool = False


@dataclass(frozen=True)
class Slope:
    """Estimate by how much the share of right answers changes along an answer, by a straight line.

    Attributes
    ----------
    name
        What the change is given for, as "for 10 years of experience more".
    step
        The change of the answer that this is.
    values
        Numbers of the options of a choice.
    all_readers
        As of `Groups`.
    """

    name: str
    step: float = 1
    values: Mapping[str, float] = field(default_factory=dict)
    all_readers: bool = False


@dataclass(frozen=True)
class Question:
    """A question that participants may answer or leave; what they leave is kept as an empty text.

    Attributes
    ----------
    name
        Of the form's field, the store's column, the event's key and the tables' column.
    text
        The question, as the form asks it.
    meaning
        What the answer says, for the codebook; the options are listed after it.
    options
        Value to label of a choice, in the form's order; without any a number is asked for.
    low, high
        Range of a number.
    analysis
        How readers are compared by it; nothing is computed without.
    shares, mean
        What simulated readers answer: shares of the options, or the mean of a number. Without them all
        options and numbers are as likely.
    """

    name: str
    text: str
    meaning: str
    options: Mapping[str, str] = field(default_factory=dict)
    low: float = 0
    high: float = 100
    analysis: tuple[Groups | Slope, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    mean: float | None = None

    def __post_init__(self) -> None:
        assert re.fullmatch("[a-z][a-z0-9_]{0,29}", self.name) and self.name not in TAKEN, self.name

    @property
    def allowed(self) -> str:
        """Return in words what an answer may be."""
        return ", ".join(self.options) if self.options else f"a number from {self.low:g}"

    @property
    def column(self) -> str:
        """Return in words what the column holds."""
        listed = f": {' or '.join(self.options)}" if self.options else ""
        return f"{self.meaning}{listed}; empty: not said."

    def from_form(self, text: str) -> str:
        """Return the answer as it is kept; whatever is none of the options, or out of range, is not said."""
        if self.options:
            return form_fields.one_of(text, self.options)
        return form_fields.number(text, self.high, self.low)

    def from_table(self, text: str) -> str:
        """Return the answer as it is kept, from a table that this program or anybody else wrote.

        Raises
        ------
        ValueError
            If it is none.
        """
        text = text.lower()
        if text in self.options:
            return text
        if text in UNSAID:
            return ""
        if self.options:
            if SAME.get(text) in self.options:
                return SAME[text]
        elif math.isfinite(value := float(text)) and value >= self.low:
            return text
        raise ValueError(text)


def _yes_or_no(name: str, text: str, meaning: str, group: str, share: float) -> Question:
    """Return a question whose two answers are compared; `share` is that of yes in a rehearsal."""
    return Question(
        name=name,
        text=text,
        meaning=meaning,
        options={"yes": "Yes", "no": "No"},
        analysis=(
            Groups(
                {group: ("yes",), f"not {group}": ("no",)},
                ((f"{group} - not", group, f"not {group}"),),
            ),
        ),
        shares={"yes": share, "no": round(1 - share, 2)},
    )


def _table(*questions: Question) -> dict[str, Question]:
    return {question.name: question for question in questions}


QUESTIONS = _table(
    Question(
        name=ROLE,
        text="Are you a radiologist?",
        meaning="Profession",
        options={RADIOLOGIST: "Radiologist", "other": "Something else"},
        analysis=(
            Groups(
                {"radiologists": (RADIOLOGIST,), "other readers": ("other",)},
                (("radiologists - others", "radiologists", "other readers"),),
                unsaid="role not said",
                all_readers=True,
            ),
        ),
    ),
    _yes_or_no("board", "Are you board certified in radiology?", "Board certified", "board certified", 0.82),
    _yes_or_no(
        "breast", "Are you a specialist in breast imaging?", "Breast specialist", "breast specialists", 0.60
    ),
    Question(
        name="years",
        text="Years of experience in reading images",
        meaning="Years of experience",
        high=80,
        analysis=(Slope("for 10 years of experience more", step=10),),
        mean=12,
    ),
    Question(
        name="volume",
        text="How many mammograms do you read in a year?",
        meaning="Mammograms read in a year, in bands",
        options={
            "0": "None",
            "1-499": "Up to 499",
            "500-1999": "500 to 1,999",
            "2000-4999": "2,000 to 4,999",
            "5000+": "5,000 or more",
        },
        # The European guidelines ask 5,000 a year of readers of screening mammograms (Perry et al. 2008).
        analysis=(
            Groups(
                {
                    "5,000 mammograms a year or more": ("5000+",),
                    "fewer than 5,000 mammograms a year": ("0", "1-499", "500-1999", "2000-4999"),
                },
                (
                    (
                        "5,000 mammograms a year or more - fewer",
                        "5,000 mammograms a year or more",
                        "fewer than 5,000 mammograms a year",
                    ),
                ),
            ),
            Slope(
                "for one of five bands of mammograms a year more",
                values={"0": 0, "1-499": 1, "500-1999": 2, "2000-4999": 3, "5000+": 4},
            ),
        ),
    ),
)
"""The questions by name, in the form's order."""
