"""A review in its folder: what was fixed before the first verdict, and its secrets."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Literal

from mammogan import __version__
from mammogan.config.settings import Settings
from mammogan.errors import ConfigError, DataError
from mammogan.files import write
from mammogan.study.review.review_plan import Plan, plan
from mammogan.study.review.review_settings import Artefact, ReviewFile
from mammogan.study.web.answer_store import now
from mammogan.study.web.auth import new_token, sealed
from mammogan.study.web.image_store import Index, Record, load_record

REVIEW, SECRET = "review.json", "secret.json"


class Review(Settings):
    """What was fixed before the first verdict; the file is never written again.

    `model_id` is the start of the SHA-256 of the generator's weights, `split` the one that the reals are of,
    `plan_sha256` the hash of all reviewers' series, by which a change of pictures or program is noticed.
    """

    schema_version: Literal[1] = 1
    review_id: str
    mammogan: str = __version__
    created: str
    title: str
    seed: int
    overlap: int
    reviewers: tuple[str, ...]
    artefacts: tuple[Artefact, ...]
    model_id: str
    split: str
    plan_sha256: str

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the kinds of artefacts."""
        return tuple(artefact.name for artefact in self.artefacts)

    def plan(self, index: Index) -> Plan:
        """Return the reviewers' series.

        Raises
        ------
        DataError
            If they are not those that the review began with.
        """
        found = plan(self.seed, index.pictures, len(self.reviewers), self.overlap)
        if found.sha256 != self.plan_sha256:
            raise DataError(
                f"The pictures or the program are not those that the review '{self.review_id}' was made "
                f"with: reviewers would see others. Take MammoGAN {self.mammogan} and the review's own "
                "pictures."
            )
        return found


class Secret(Settings):
    """What must stay with the owner: `key` names pictures; tokens open the pages, one for each reviewer."""

    key: str
    admin: str
    reviewers: tuple[str, ...]

    def picture(self, reviewer: int, position: int) -> str:
        """Name a picture for one reviewer; it says nothing, and is of one length."""
        return sealed(self.key, "picture", reviewer, position)[:24]


def create(folder: Path, settings: ReviewFile, index: Index, model_id: str, split: str) -> Review:
    """Fix a review whose pictures lie in `folder`, and write its files.

    Raises
    ------
    ConfigError
        If a source has no picture.
    """
    about = settings.review
    for source in ("real", "synthetic"):
        if not any(picture.source == source for picture in index.pictures):
            raise ConfigError(f"There is no {source} image to review: a blinded series needs both sources.")
    review = Review(
        review_id=f"{about.name}-{secrets.token_hex(4)}",
        created=now(),
        title=about.title,
        seed=about.seed,
        overlap=about.overlap,
        reviewers=about.reviewers,
        artefacts=settings.artefact,
        model_id=model_id,
        split=split,
        plan_sha256=plan(about.seed, index.pictures, len(about.reviewers), about.overlap).sha256,
    )
    tokens = tuple(new_token() for _ in about.reviewers)
    secret = Secret(key=new_token(), admin=new_token(), reviewers=tokens)
    write(folder / SECRET, secret.model_dump_json(indent=1), 0o600)
    write(folder / REVIEW, review.model_dump_json(indent=1) + "\n")
    return review


def load_review(folder: Path) -> Review:
    """Read what was fixed.

    Raises
    ------
    DataError
        If the folder is no review, or its file is damaged.
    """
    return _load(Review, folder / REVIEW)


def load_secret(folder: Path) -> Secret:
    """Read the secrets; raises as `load_review`."""
    return _load(Secret, folder / SECRET)


def _load(model: type[Record], path: Path) -> Record:
    missing = (
        f"'{path.parent}' is no artefact review: it has no {path.name}. `mammogan review new` makes one."
    )
    return load_record(model, path, missing)
