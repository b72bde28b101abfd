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
    "archive-file": "an archive: unpack it, or set source.read_zips for zip",
    "archive-locked": "encrypted inside a zip archive",
    "document-file": "a document",
    "text-file": "a table or text",
    "system-file": "left by the operating system",
    "image-file": "a picture file among DICOMs: the recipe 'images' reads those",
    "dicom-file": "a DICOM among picture files: other recipes read those",
    "dicomdir": "the index of a disc",
    "own-list": "a table or list of the recipe itself",
    "colour": "in colour, and no channel is grey",
    "several-pages": "several pictures in one file",
    "too-large": "larger than any mammogram",
    "broken-window": "its window or table of greys makes no sense",
    "chest-wall-strip": "a wide empty strip at the chest wall, cut off if pixels.chest_wall_trim is above 0",
    "enlarged": "a picture or scan that is smaller than asked for, and enlarged",
    "looks-inverted": "white where no breast is: set source.images.inverted=true",
    "odd-window": "its window was passed over, or is not as the standard wants it",
    "unreadable-number": "a number in its header can't be read",
    "no-preamble": "a file without the preamble of DICOM",
    "no-transfer-syntax": "it does not say how it is encoded; that was guessed",
    "trailing-bytes": "something stands behind its pixels",
    "orientation-unreadable": "its Patient Orientation can't be read",
    "hidden-file": "its name begins with a dot",
    "not-an-image": "no picture of a format that is read",
    "broken-header": "its header is damaged",
    "bit-depth": "values of a width that no mammogram has",
    "truncated": "its pixels end early",
    "damaged": "its pixels are damaged",
    "decode-failed": "no decoder can read its pixels",
    "decoder-absent": "a rare kind of JPEG: pip install 'mammogan[libjpeg]' adds a decoder under the GPL",
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
