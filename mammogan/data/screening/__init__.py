"""Why an image is refused or flagged: rules on its header, and rules on its pixels."""

from __future__ import annotations

from collections.abc import Sequence


def judge(names: Sequence[str], only_flag: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Give the reason of a refusal (empty if there is none), the first that was said, and the flags."""
    refused = [name for name in names if name not in only_flag]
    return (refused[0] if refused else ""), tuple(name for name in names if name in only_flag)
