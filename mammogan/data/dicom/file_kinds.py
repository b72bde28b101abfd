"""What a file is that is not what its source holds, told by its first bytes and its name.

A folder as people have it holds more than images; a steward wants to know what was left out as what.
"""

from __future__ import annotations

from pathlib import Path

HEAD_BYTES = 512
NO_IMAGES = ("own-list", "text-file", "document-file", "system-file")
"""Reasons for files that nobody takes for images: they lie beside them in any folder."""
SYSTEM = ("thumbs.db", "desktop.ini", ".ds_store", "ehthumbs.db")
"""What operating systems leave in folders, in small letters; so is what begins with ``._``."""
TEXTS = (
    ".csv",
    ".tsv",
    ".txt",
    ".md",
    ".json",
    ".xml",
    ".html",
    ".htm",
    ".ini",
    ".log",
    ".toml",
    ".yaml",
    ".yml",
)
OFFICE = (".docx", ".xlsx", ".pptx", ".odt", ".ods")
"""Zip files that people know as documents."""
SIGNATURES: tuple[tuple[str, int, bytes], ...] = (
    ("dicom-file", 128, b"DICM"),
    ("archive-file", 0, b"PK\x03\x04"),
    ("archive-file", 0, b"PK\x05\x06"),
    ("archive-file", 0, b"\x1f\x8b"),
    ("archive-file", 0, b"BZh"),
    ("archive-file", 0, b"\xfd7zXZ\x00"),
    ("archive-file", 0, b"7z\xbc\xaf\x27\x1c"),
    ("archive-file", 0, b"Rar!\x1a\x07"),
    ("archive-file", 0, b"\x28\xb5\x2f\xfd"),
    ("archive-file", 257, b"ustar"),
    ("document-file", 0, b"%PDF"),
    ("document-file", 0, b"{\\rtf"),
    ("document-file", 0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    ("image-file", 0, b"\x89PNG\r\n\x1a\n"),
    ("image-file", 0, b"\xff\xd8\xff"),
    ("image-file", 0, b"II*\x00"),
    ("image-file", 0, b"MM\x00*"),
    ("image-file", 0, b"II+\x00"),
    ("image-file", 0, b"MM\x00+"),
    ("image-file", 0, b"GIF8"),
    ("image-file", 0, b"BM"),
    ("image-file", 0, b"P2\n"),
    ("image-file", 0, b"P5\n"),
    ("image-file", 0, b"P5 "),
    ("image-file", 0, b"\x00\x00\x00\x0cjP  "),
    ("image-file", 8, b"WEBP"),
)
"""Reason in the ledger, and bytes at a place by which such a file is known; the first that fits counts."""


def kind_of(path: Path, otherwise: str) -> str:
    """Name the kind of the file at `path` as a reason of the ledger; `otherwise` if nobody knows it.

    Raises
    ------
    OSError
        If it can't be read.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    kind = next((kind for kind, at, bytes_ in SIGNATURES if head.startswith(bytes_, at)), otherwise)
    name, suffix = path.name.lower(), path.suffix.lower()
    if name in SYSTEM or name.startswith("._"):
        return "system-file"
    if kind == otherwise and suffix in TEXTS and b"\0" not in head:
        return "text-file"
    return "document-file" if kind == "archive-file" and suffix in OFFICE else kind
