"""A study in its folder: what was fixed before the first participant."""

from __future__ import annotations

import hashlib
import secrets
from datetime import date
from pathlib import Path
from typing import Literal

from mammogan import __version__
from mammogan.config.settings import Settings, canonical_json
from mammogan.errors import DataError
from mammogan.files import write
from mammogan.study.reader.reading_plan import Plans, plans
from mammogan.study.reader.study_secret import Secret
from mammogan.study.reader.study_settings import Consent, StudyFile
from mammogan.study.web.answer_store import now
from mammogan.study.web.image_store import Index, checksums, load_record

STUDY, SECRET, CODES, SUMS, PACK = (
    "study.json",
    "secret.json",
    "invitations.csv",
    "images.sha256",
    "pack.json",
)


class Study(Settings):
    """What was fixed before the first participant; the file is never written again.

    `pairs` are those of a participant that count. `model_id` is the start of the SHA-256 of the generator's
    weights, `split` the one that the reals are of. `filtered` says that synthetic images with obvious
    artefacts were left out, so that all results hold for the rest only. `plan_0` is the hash of the first
    plan, by which a change of pictures or program is noticed.
    """

    schema_version: Literal[1] = 1
    study_id: str
    study_version: str
    mammogan: str = __version__
    created: str
    title: str
    seed: int
    margin: float
    pairs: int
    pairs_per_view: int
    practice_per_view: int
    filtered: bool
    model_id: str
    split: str
    codes: int
    consent: Consent
    plan_0: str

    @property
    def consent_sha256(self) -> str:
        """Hash of the text that is agreed to."""
        return hashlib.sha256(canonical_json(self.consent.model_dump(mode="json")).encode()).hexdigest()

    def plans(self, index: Index) -> Plans:
        """Return the participants' plans.

        Raises
        ------
        DataError
            If they are not those that the study began with.
        """
        found = Plans(plans(self.seed, index.pictures, self.pairs_per_view, self.practice_per_view))
        if found[0].sha256 != self.plan_0:
            raise DataError(
                f"The pictures or the program are not those that the study '{self.study_id}' was made with: "
                f"participants would get other pairs. Take MammoGAN {self.mammogan} and the study's own "
                "pictures."
            )
        return found


class Numbers(Settings):
    """The participants' numbers that a pack may give: `count` from `first` on."""

    first: int = 0
    count: int = 1000


def create(
    folder: Path, settings: StudyFile, index: Index, model_id: str, split: str, filtered: bool
) -> Study:
    """Fix a study whose pictures lie in `folder`, and write its files.

    Raises
    ------
    ConfigError
        If there are too few pictures for its plans.
    """
    about = settings.study
    source = plans(about.seed, index.pictures, about.pairs_per_view, about.practice_per_view)
    views = {picture.view for picture in index.pictures}
    study = Study(
        study_id=f"{about.name}-{secrets.token_hex(4)}",
        study_version=about.version,
        created=now(),
        title=about.title,
        seed=about.seed,
        margin=about.margin,
        pairs=about.pairs_per_view * len(views),
        pairs_per_view=about.pairs_per_view,
        practice_per_view=about.practice_per_view,
        filtered=filtered,
        model_id=model_id,
        split=split,
        codes=settings.enrolment.codes,
        consent=settings.consent,
        plan_0=next(source).sha256,
    )
    secret = Secret.new()
    write(folder / SUMS, checksums(index.pictures))
    write(folder / SECRET, secret.model_dump_json(indent=1), 0o600)
    if study.codes:
        lines = [f"{number},{secret.invitation(number)}" for number in range(study.codes)]
        write(folder / CODES, "\n".join(["number,code", *lines, ""]), 0o600)
    write(folder / STUDY, study.model_dump_json(indent=1) + "\n")
    return study


def load_study(folder: Path) -> Study:
    """Read what was fixed.

    Raises
    ------
    DataError
        If the folder is no study, or its file is damaged.
    """
    return load_record(
        Study, folder / STUDY, f"'{folder}' is no reader study: `mammogan study new` makes one."
    )


def load_secret(folder: Path) -> Secret:
    """Read the secrets.

    Raises
    ------
    DataError
        If they are missing or damaged.
    """
    return load_record(
        Secret, folder / SECRET, f"'{folder / SECRET}' is missing: copy it from where it was made."
    )


def load_numbers(folder: Path) -> Numbers:
    """Read which participants' numbers may be given out: those of a pack, or the study's own.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    return load_record(Numbers, folder / PACK, "") if (folder / PACK).exists() else Numbers()


def retention(day: date | None) -> str:
    """Write a day as people do."""
    return f"{day.day} {day:%B %Y}" if day else ""
