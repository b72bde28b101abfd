"""What the words of one header mean for screening: phrases of the table, and a recipe's own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import get_args

from mammogan.config.screening_settings import Modifier, Screening
from mammogan.data.dicom.header import Header
from mammogan.data.screening.words import OWN, Word, meanings, nobodys_name, own_words, words

Finder = Callable[[Header, Screening], Sequence[Word]]
CLOSE_UPS = ("spot-compression", "magnification")
MODIFIERS = tuple(name for name in get_args(Modifier) if name not in CLOSE_UPS)
REFUSED = ("biops", "specimen", "stereotac", "localiz", "localis", "needle", "wire")
QC = ("phantom", "qc", "test", "quality control", "flatfield")


def having(*wanted: str) -> Finder:
    """Make a search for phrases of these meanings, except modifiers that the recipe allows."""

    def find(header: Header, screening: Screening) -> Sequence[Word]:
        asked = {*wanted} - {*screening.view_modifiers}
        return [word for word in words(header.texts, screening.overlooked_words) if word.meaning in asked]

    return find


def refused(header: Header, screening: Screening) -> Sequence[Word]:
    """Find `refused_words`: those that the table knows as its phrases, others anywhere."""
    known = [word for word in map(str.lower, screening.refused_words) if word in meanings()]
    own = [word for word in screening.refused_words if word.lower() not in meanings()]
    found = having(*known)(header, screening)
    return [*found, *own_words(header.texts, own, screening.overlooked_words)]


def quality_control(header: Header, screening: Screening) -> Sequence[Word]:
    """Find `qc_words`: as phrases of the table in descriptions and the patient's name, or whole words."""
    known = {word for word in map(str.lower, screening.qc_words) if word in meanings()}
    own = [word for word in screening.qc_words if word.lower() not in meanings()]
    found = [
        *having(*known)(header, screening),
        *(word for word in nobodys_name(header.patient_name) if word.meaning in known),
        *_whole_words("PatientID", header.patient_id, screening.qc_words),
        *_whole_words("PatientName", header.patient_name, own),
    ]
    for keyword, text in header.texts:
        found += _whole_words(keyword, text, own) if keyword == "StudyDescription" else ()
    return found


def no_words(header: Header, screening: Screening) -> Sequence[Word]:
    """Find nothing: most rules ask no words."""
    return ()


def _whole_words(keyword: str, text: str, wanted: Iterable[str]) -> list[Word]:
    """Find whole words; hyphens and underscores join, so that ``Mass-Test_P_00820`` is one word."""
    return [
        Word(keyword, OWN, word)
        for word in wanted
        if re.search(rf"(?<![\w-]){re.escape(word.lower())}(?![\w-])", text.lower())
    ]
