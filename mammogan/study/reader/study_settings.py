"""What the owner of a study decides before it begins, in a TOML file; all but a contact has a default."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from pydantic import Field, field_validator

from mammogan.config.settings import Natural, Positive, Settings
from mammogan.study.web.image_store import Window

PARAGRAPHS = (
    "You will see pairs of mammograms. One of the two is a photograph of a patient's breast by X-rays, the "
    "other was computed by a program that has learned what mammograms look like. You are asked which of the "
    "two was computed.",
    "A few pairs are for practice, then come those that count. There is no time limit; most people need "
    "about ten minutes. You can stop at any moment, and go on later at the same place.",
    "We keep your answers, how long each took, how you used zoom and contrast, the kind of device, and what "
    "you tell about your profession. We keep neither your name nor your address, nor that of your computer. "
    "At the end you get a code, by which you can have all of it erased.",
    "Taking part is voluntary and has no consequence for you. Results are published as a whole, never one "
    "person's.",
)


class About(Settings):
    """What the study is called, and its design.

    `margin` is of the equivalence test: readers who are right in less than half and more than half by no more
    than this are as good as guessing. It is fixed before anybody has read. `seed` decides every plan.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")] = "reader-study"
    title: Annotated[str, Field(min_length=1, max_length=120)] = "Which mammogram is synthetic?"
    version: Annotated[str, Field(min_length=1, max_length=20)] = "1"
    margin: Annotated[float, Field(gt=0, lt=0.5)] = 0.10
    seed: Natural = 1
    pairs_per_view: Annotated[int, Field(gt=0, le=100)] = 5
    practice_per_view: Annotated[int, Field(ge=0, le=5)] = 1
    images_per_view: Positive = 100


class Consent(Settings):
    """What participants agree to; its hash is kept with every consent.

    `contact` is whom they can write to, and `retain_until` the day by which their answers are deleted.
    Without both a study is a rehearsal, and says so.
    """

    version: Annotated[str, Field(min_length=1, max_length=20)] = "1"
    paragraphs: Annotated[tuple[str, ...], Field(min_length=1)] = PARAGRAPHS
    contact: str = ""
    retain_until: date | None = None

    @field_validator("contact")
    @classmethod
    def _one_line(cls, text: str) -> str:
        return re.sub(r"\s+", " ", text).strip()

    @property
    def is_rehearsal(self) -> bool:
        """Whether nobody real may be asked."""
        return not (self.contact and self.retain_until)


class Enrolment(Settings):
    """Who may take part: with `codes` only who has one of so many invitation codes, each for one person."""

    codes: Annotated[int, Field(ge=0, le=10_000)] = 0


class StudyFile(Settings):
    """The file as a whole."""

    study: About = About()
    consent: Consent = Consent()
    enrolment: Enrolment = Enrolment()
    pictures: Window = Window()
