"""What each reason of the ledger, and each flag, means: for people."""

from __future__ import annotations

from mammogan.data.screening.header_rules import HEADER_RULES
from mammogan.data.screening.pixel_rules import PIXEL_RULES

OTHERS = {
    "include-list": "the include_list does not name it",
    "exclude-list": "the exclude_list names it",
    "not-in-table": "a table that is required has no row for it",
    "duplicate": "another file has its SOP Instance UID and its pixels",
    "duplicate-pixels": "another image of the set has its pixels",
    "same-woman": "its patient has a picture in common with one of another split",
    "uid-reused": "another picture has its SOP Instance UID, too",
    "accept-list": "the accept_list lets it pass a rule",
    "empty-file": "it holds nothing",
    "not-a-file": "a pipe, a device or a socket",
    "no-access": "it may not be read, or a link leads nowhere",
    "folder-not-listed": "a folder that may not be read",
    "not-dicom": "it is not DICOM",
    "not-an-image": "no picture of a format that is read",
    "broken-header": "its header is damaged",
    "bit-depth": "values of a width that no mammogram has",
    "truncated": "its pixels end early",
    "damaged": "its pixels are damaged",
    "decode-failed": "no decoder can read its pixels",
    "decode-mismatch": "its pixels are not as many as its header says",
    "decoder-crashed": "it killed its reader",
    "time-limit": "it took too long",
    "memory-limit": "it asked for too much memory",
}


def meaning(reason: str) -> str:
    """Say what a reason or flag means; those of a recipe's own tables are its own words."""
    rule = HEADER_RULES.get(reason) or PIXEL_RULES.get(reason)
    return rule.reason if rule else OTHERS.get(reason, "")


def settings(reason: str) -> tuple[str, ...]:
    """Return the keys of ``[screening]`` that a rule follows."""
    if reason in HEADER_RULES:
        return HEADER_RULES[reason].keys
    return PIXEL_RULES[reason].thresholds if reason in PIXEL_RULES else ()
