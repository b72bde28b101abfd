"""The scored trials of a study, and who gave them.

Shape suffixes: N trials, R readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mammogan.study.questions import QUESTIONS, ROLE

LEFT, RIGHT = "left", "right"


@dataclass(frozen=True)
class Trials:
    """The scored trials of one study, and who gave them.

    Attributes
    ----------
    study_id, study_version
        As the study calls itself.
    readers
        Code of each reader.
    answers
        Question to each reader's answer, as `mammogan.study.questions` keeps it; empty is unsaid. A question
        that is no key was not asked.
    reader_N, real_N, synth_N
        Who answered, and which images were shown, as numbers from 0.
    trial_N, view_N
        Place in the reader's series, from 1, and the view of the pair.
    synth_left_N, answer_left_N
        Whether the synthetic image hung on the left, and whether the left one was called synthetic.
    confidence_N, rt_ms_N, zoom_N, wl_changes_N, hidden_ms_N
        NaN where nothing is known.
    """

    study_id: str
    study_version: str
    readers: tuple[str, ...]
    answers: Mapping[str, tuple[str, ...]]
    reader_N: NDArray[np.int64]
    real_N: NDArray[np.int64]
    synth_N: NDArray[np.int64]
    trial_N: NDArray[np.int64]
    view_N: NDArray[np.str_]
    synth_left_N: NDArray[np.bool_]
    answer_left_N: NDArray[np.bool_]
    confidence_N: NDArray[np.float64]
    rt_ms_N: NDArray[np.float64]
    zoom_N: NDArray[np.float64]
    wl_changes_N: NDArray[np.float64]
    hidden_ms_N: NDArray[np.float64]

    def answers_to(self, question: str) -> tuple[str, ...]:
        """Return each reader's answer to a question; all are empty if it was not asked."""
        return self.answers.get(question, ("",) * len(self.readers))

    @property
    def roles(self) -> tuple[str, ...]:
        """Each reader's answer to the question of the role."""
        return self.answers_to(ROLE)

    @property
    def not_asked(self) -> list[str]:
        """The names of questions of which nothing is known, as in studies from before they were asked."""
        return [name for name in QUESTIONS if name not in self.answers]

    @cached_property
    def correct(self) -> NDArray[np.float64]:
        """Which answers were right, 1 or 0; (N,)."""
        return np.equal(self.synth_left_N, self.answer_left_N).astype(np.float64)

    @cached_property
    def answered(self) -> NDArray[np.int64]:
        """Trials of each reader, (R,)."""
        return np.bincount(self.reader_N, minlength=len(self.readers))

    @cached_property
    def right(self) -> NDArray[np.int64]:
        """Right answers of each reader, (R,)."""
        counts_R = np.bincount(self.reader_N, self.correct, minlength=len(self.readers))
        return counts_R.round().astype(np.int64)

    @property
    def clusters(self) -> tuple[NDArray[np.int64], ...]:
        """What makes trials alike: their reader, their real image, their synthetic image."""
        return self.reader_N, self.real_N, self.synth_N
