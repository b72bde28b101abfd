"""Where view, laterality, patient and labels of an image come from."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator

from mammogan.config.settings import Settings

Keywords = Annotated[tuple[str, ...], Field(min_length=1)]


class Source(Settings):
    """The DICOM keywords that view, laterality and patient are read from, in order of trust.

    `patient_pattern` is a regular expression; what its first group (or all of it) matches is the patient. An
    empty pattern takes the whole value.
    """

    view: Keywords = ("ViewCodeSequence", "ViewPosition")
    laterality: Keywords = ("ImageLaterality", "Laterality", "FrameLaterality")
    patient: Keywords = ("PatientID",)
    patient_pattern: str = ""

    @field_validator("patient_pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern
