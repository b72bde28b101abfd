"""What the rules say of one file, with what they saw: the facts behind a line of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset as Dicom

from mammogan.config.screening_settings import Screening
from mammogan.data.dicom.fields import text
from mammogan.data.dicom.header import Header
from mammogan.data.preprocess.preprocess import Picture
from mammogan.data.screening.header_rules import HEADER_RULES, screen_header
from mammogan.data.screening.pixel_rules import PIXEL_RULES, Measures, contradiction, screen_pixels
from mammogan.data.shards.image_lists import ACCEPTED

Judged = tuple[str, tuple[str, ...]]
"""The reason of a refusal, empty if there is none, and flags."""
Seen = dict[str, Any]
MOST_CHARACTERS = 160
EXCEPTIONS = ("overlooked_words",)
"""Settings that take something out of a rule."""
FACTS = {"view": "view", "laterality": "laterality", "specimen": "view"}
"""Of rules that the recipe tells where to look: which fact decides, by the beginning of their names."""


def judge_header(header: Header, accepted: tuple[str, ...], screening: Screening) -> Judged:
    """Ask the rules of the header; those of `accepted`, which a list overrides, only flag."""
    reason, flags = screen_header(header, _lenient(screening, accepted))
    return reason, _marked(flags, accepted, screening)


def judge_pixels(measures: Measures, accepted: tuple[str, ...], screening: Screening) -> Judged:
    """Ask the rules of the pixels; those of `accepted`, which a list overrides, only flag."""
    reason, flags = screen_pixels(measures, _lenient(screening, accepted))
    return reason, _marked(flags, accepted, screening)


def header_evidence(rule: str, header: Header, dicom: Dicom, screening: Screening) -> tuple[Seen, Seen]:
    """Return what a rule of the header saw, by DICOM keyword or fact, and the settings that it followed."""
    if rule not in HEADER_RULES:
        return {}, {}
    asked = HEADER_RULES[rule]
    seen: Seen = {keyword: shown(dicom, keyword, header) for keyword in asked.attributes}
    seen = {keyword: value for keyword, value in seen.items() if value} or dict.fromkeys(seen, "absent")
    for beginning, fact in FACTS.items():
        if rule.startswith(beginning) and not asked.attributes:
            seen[fact] = getattr(header, fact) or "absent"
    if found := asked.saw(header, screening):
        seen["found"] = found
    return seen, thresholds(asked.keys, screening)


def thresholds(keys: Sequence[str], screening: Screening) -> Seen:
    """Return what a rule's settings say; exceptions of which there are none are left out."""
    values = {key: getattr(screening, key) for key in keys}
    return {key: value for key, value in values.items() if value or key not in EXCEPTIONS}


def pixel_evidence(rule: str, picture: Picture, screening: Screening) -> tuple[Seen, Seen]:
    """Return what a rule of the pixels measured and its thresholds, both by setting or else by the rule.

    Where tag and pixels disagree on the orientation, the value is in words.
    """
    keys, measured = PIXEL_RULES[rule].thresholds, picture.measures[rule]
    if not keys:
        words = contradiction(picture.measures, picture.lies) if rule == "orientation-conflict" else ""
        return {rule: words or round(max(measured), 6)}, {rule: 0}
    values = dict(zip(keys, (round(value, 6) for value in measured), strict=True))
    return values, {key: getattr(screening, key) for key in keys}


def shown(dicom: Dicom, keyword: str, header: Header) -> str:
    """Return what stands at an attribute, for a steward's eyes: of a sequence its codes."""
    if keyword == "PixelData":
        return "there" if header.has_pixels else ""
    if keyword not in dicom:
        return ""
    if dicom[keyword].VR == "SQ":
        codes = (f"{text(item, 'CodeValue')} {text(item, 'CodeMeaning')}" for item in dicom[keyword].value)
        return "; ".join(codes)[:MOST_CHARACTERS]
    return text(dicom, keyword)[:MOST_CHARACTERS]


def _lenient(screening: Screening, accepted: tuple[str, ...]) -> Screening:
    return screening.model_copy(update={"only_flag": (*screening.only_flag, *accepted)})


def _marked(flags: tuple[str, ...], accepted: tuple[str, ...], screening: Screening) -> tuple[str, ...]:
    overridden = {*flags} & {*accepted} - {*screening.only_flag}
    return (*flags, ACCEPTED) if overridden else flags
