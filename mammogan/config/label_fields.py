"""The labels that an image may carry: classes, origins, and how the text at an origin is understood.

A field is added here and nowhere else: header, plan, shards, networks and commands follow the table. A
class's number is its place among the classes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

VIEWS = ("CC", "MLO")
DENSITIES = ("a", "b", "c", "d")
AGE_BANDS = ("<40", "40-49", "50-59", "60-69", "70-79", "80+")
VENDORS = (
    "ge", "hologic", "lorad", "siemens", "fuji", "philips", "sectra", "planmed", "ims", "giotto", "konica",
)  # fmt: skip
AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25, "": 1.0}
BIRADS = {"A": "a", "B": "b", "C": "c", "D": "d", "1": "a", "2": "b", "3": "c", "4": "d"}


@dataclass(frozen=True)
class LabelField:
    """One label.

    Attributes
    ----------
    meaning
        What it says, for documents.
    classes
        What a network may be conditioned on; whatever else an image says of itself is unknown.
    parse
        From the text at an origin to a class, or to another word that is kept but is none; empty if the text
        says nothing, and the next origin is asked.
    origins
        Where it is read from in a recipe that doesn't say, the most trusted first.
    missing
        What is kept where no origin says anything.
    """

    meaning: str
    classes: tuple[str, ...]
    parse: Callable[[str], str]
    origins: tuple[str, ...] = ()
    missing: str = ""


def vendor(manufacturer: str) -> str:
    """Name the vendor by a word of Manufacturer (0008,0070): all of it that ever reaches a shard."""
    words = re.findall(r"[a-z]+", manufacturer.lower())
    found = (
        name for name in VENDORS if any(word.startswith(name) and len(word) < len(name) + 5 for word in words)
    )
    return next(found, "other" if words else "")


def age_band(text: str) -> str:
    """Put an Age String (VR AS) or a number of years into its decade; empty if it makes no sense.

    ``000Y`` is what anonymisers write for unknown, and children have no mammograms.
    """
    found = re.fullmatch(r"(\d{1,4}(?:\.\d+)?)\s*([YMWD]?)", text.strip().upper())
    years = float(found[1]) * AGE_UNITS[found[2]] if found else 0
    if not 10 <= years < 120:
        return ""
    return AGE_BANDS[min(max(int(years // 10) - 3, 0), len(AGE_BANDS) - 1)]


def density(text: str) -> str:
    """Name a BI-RADS density a to d, from A to D or 1 to 4, perhaps with words before it; else empty."""
    words = re.findall(r"[A-Z]+|\d+", re.sub(r"(\d)\.0+\s*$", r"\1", text).upper())
    return BIRADS.get(words[-1] if words else "", "")


LABEL_FIELDS: dict[str, LabelField] = {
    "vendor": LabelField(
        "Vendor of the system", VENDORS, vendor, origins=("Manufacturer",), missing="unknown"
    ),
    "age_band": LabelField("Decade of the patient's age", AGE_BANDS, age_band, origins=("PatientAge",)),
    "density": LabelField("BI-RADS density", DENSITIES, density),
}
"""By name, but for the view, which decides how an image is laid out and so is known before all others."""

CLASSES: dict[str, tuple[str, ...]] = {
    "view": VIEWS,
    **{name: each.classes for name, each in LABEL_FIELDS.items()},
}
"""Label field to its classes."""

UNKNOWN = -1
"""The number of a class that is not known: the networks are not shown it, and not asked for it."""
