"""What to set so that a rule lets one file pass: tried on the rule before it is said."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, get_args

from pydantic import ValidationError

from mammogan.config.screening_settings import Flag, Screening
from mammogan.data.dicom.header import Header
from mammogan.data.screening.header_rules import HEADER_RULES
from mammogan.data.screening.pixel_rules import PIXEL_RULES, Measures, below

Silent = Callable[[Screening], bool]
"""Whether a rule is silent about the file by other settings."""


def _with(fact: str) -> Callable[[Header, Screening, str], Any]:
    """Add to a list of what is accepted what the header says."""

    def looser(header: Header, screening: Screening, key: str) -> Any:
        value = getattr(header, fact)
        return list(
            dict.fromkeys([*getattr(screening, key), *([value] if isinstance(value, str) else value)])
        )

    return looser


LOOSER: dict[str, Callable[[Header, Screening, str], Any]] = {
    "modalities": _with("modality"),
    "sop_classes": _with("sop_class"),
    "intents": _with("intent"),
    "view_modifiers": _with("modifiers"),
    "synthetic_2d": lambda h, s, key: True,
    "max_magnification": lambda h, s, key: math.ceil(h.magnification * 10) / 10,
    "smallest_field_mm": lambda h, s, key: [0, 0],
    "smallest_px": lambda h, s, key: [min(s.smallest_px[0], h.rows), min(s.smallest_px[1], h.columns)],
    "largest_px": lambda h, s, key: [max(s.largest_px[0], h.rows), max(s.largest_px[1], h.columns)],
}
"""By setting of ``[screening]``: a value that may let the file pass. Lists of words lose those that tell."""


def for_header(rule: str, header: Header, screening: Screening) -> list[str]:
    """Name the settings, as ``--set`` takes them, by which a rule of the header would let the file pass."""
    asked = HEADER_RULES[rule]

    def silent(changed: Screening) -> bool:
        return not asked.speaks(header, changed)

    values = {}
    for key in asked.keys:
        if key in LOOSER:
            values[key] = LOOSER[key](header, screening, key)
        elif isinstance(words := getattr(screening, key), tuple):
            values[key] = [word for word in words if silent(_changed(screening, {key: [word]}) or screening)]
    return list(_said(rule, screening, values, silent))


def for_pixels(rule: str, measures: Measures, screening: Screening) -> list[str]:
    """Name the settings, as ``--set`` takes them, by which a rule of the pixels would let the image pass."""
    asked = PIXEL_RULES[rule]
    values: dict[str, Any] = {}
    for key, value in zip(asked.thresholds, measures[rule], strict=False):
        threshold = getattr(screening, key)
        if asked.speaks(value, threshold):
            if isinstance(threshold, tuple):
                values[key] = [min(threshold[0], _rounded(value, -1)), max(threshold[1], _rounded(value, 1))]
            elif isinstance(threshold, int):
                values[key] = int(value)
            else:
                values[key] = _rounded(value, -1 if asked.speaks is below else 1)
    return list(_said(rule, screening, values, lambda changed: not asked.holds(measures[rule], changed)))


def flagging(rule: str, screening: Screening) -> str:
    """Name the setting by which a rule only marks images; empty where it can't."""
    if rule not in get_args(Flag):
        return ""
    return f"screening.only_flag={json.dumps([*screening.only_flag, rule])}"


def _said(rule: str, screening: Screening, values: dict[str, Any], silent: Silent) -> Iterator[str]:
    alone = [{key: value} for key, value in values.items()]
    for change in (*alone, values):
        changed = _changed(screening, change)
        if change and changed and silent(changed):
            yield from (f"screening.{key}={json.dumps(value)}" for key, value in change.items())
            return


def _changed(screening: Screening, values: dict[str, Any]) -> Screening | None:
    try:
        return Screening.model_validate(screening.model_dump() | values)
    except ValidationError:  # nothing that may be set lets it pass
        return None


def _rounded(value: float, direction: int) -> float:
    """Round up (1) or down (-1) to two digits, but past the value."""
    step = 10.0 ** (math.floor(math.log10(abs(value) or 1)) - 1)
    rounded = math.floor(value / step) * step if direction < 0 else math.ceil(value / step) * step
    return min(max(float(f"{rounded:.6g}"), 0.0), 1.0)
