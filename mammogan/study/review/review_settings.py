"""What the owner of a review decides before it begins; all of it has a default."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from mammogan.config.settings import Natural, Positive, Settings
from mammogan.study.web.image_store import Window

TAXONOMY = "artefacts.toml"
USED_KEYS = "ynurwl0"
"""Letters and digits that the page has other uses for."""


class Artefact(Settings):
    """A kind of artefact: its name in tables, what is on its button, how it looks, its key."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    label: Annotated[str, Field(min_length=1, max_length=40)]
    look: Annotated[str, Field(min_length=1, max_length=200)]
    key: Annotated[str, Field(pattern=r"^[a-z1-9]$")]

    @field_validator("key")
    @classmethod
    def _free(cls, key: str) -> str:
        if key in USED_KEYS:
            raise ValueError(f"the page uses it itself; taken are {', '.join(USED_KEYS)}")
        return key


class About(Settings):
    """What the review is called, who looks, and at how many images.

    `images_per_view` are of each source; `overlap` images are seen by every reviewer, the others by one. A
    reviewer is a description, as 'radiologist, 12 years': no names.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")] = "artefact-review"
    title: Annotated[str, Field(min_length=1, max_length=120)] = "Is there an artefact?"
    seed: Natural = 1
    images_per_view: Positive = 500
    overlap: Natural = 200
    reviewers: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=60)], ...], Field(min_length=1, max_length=20)
    ] = ("first reviewer", "second reviewer")


def _taxonomy() -> tuple[Artefact, ...]:
    text = resources.files("mammogan.study.review").joinpath(TAXONOMY).read_text(encoding="utf-8")
    return tuple(Artefact.model_validate(each) for each in tomllib.loads(text)["artefact"])


class ReviewFile(Settings):
    """The file as a whole; without `artefact` the kinds are those that come along."""

    review: About = About()
    pictures: Window = Window()
    artefact: Annotated[tuple[Artefact, ...], Field(min_length=1, max_length=20)] = Field(
        default_factory=_taxonomy
    )

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        for field in ("name", "label", "key"):
            values = [getattr(each, field) for each in self.artefact]
            twice = [value for value in values if values.count(value) > 1]
            if twice:
                raise ValueError(f"two kinds of artefact have the {field} '{twice[0]}'")
        return self
