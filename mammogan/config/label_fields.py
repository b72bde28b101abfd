"""The labels that an image may carry, and the classes of each; a class's number is its place here."""

from __future__ import annotations

VIEWS = ("CC", "MLO")
DENSITIES = ("a", "b", "c", "d")
AGE_BANDS = ("<40", "40-49", "50-59", "60-69", "70-79", "80+")
VENDORS = (
    "ge", "hologic", "lorad", "siemens", "fuji", "philips", "sectra", "planmed", "ims", "giotto", "konica",
)  # fmt: skip

CLASSES = {"view": VIEWS, "density": DENSITIES, "age_band": AGE_BANDS, "vendor": VENDORS}
"""Label field to its classes; whatever else an image says of itself is unknown."""

UNKNOWN = -1
"""The number of a class that is not known: of that field the networks are told and asked nothing."""
