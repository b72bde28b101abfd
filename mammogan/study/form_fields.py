"""What a browser sends as text, brought to what is kept; what is out of range is kept as an empty text."""

from __future__ import annotations

import re
from collections.abc import Container


def one_of(text: str, allowed: Container[str]) -> str:
    """Return the text if it is one of `allowed`, else an empty one."""
    return text if text and text in allowed else ""


def number(text: str, high: float, low: float = 0, places: int = 3) -> str:
    """Return a decimal number from `low` to `high` rounded to `places`, without trailing zeros."""
    if not re.fullmatch(r"-?\d{1,12}(\.\d{1,20})?", text) or not low <= float(text) <= high:
        return ""
    return f"{float(text):.{places}f}".rstrip("0").rstrip(".")


def plain_text(text: str, length: int = 40) -> str:
    """Return letters, digits and the marks of a size or a device's name, cut to `length`."""
    return re.sub(r"[^\w .x-]", "", text, flags=re.ASCII)[:length]
