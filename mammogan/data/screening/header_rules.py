"""Why a file is refused for what its header says: a table of named rules.

The order of the table is the order of asking; the first rule that speaks gives the file its reason. Sources:
DICOM PS3.3 A.26, C.8.11 and C.8.31; PS3.16 CID 4014 and 4015.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mammogan.config.label_fields import VIEWS
from mammogan.config.screening_settings import Screening
from mammogan.data.dicom.header import Header
from mammogan.data.screening.rule_outcome import judge

GENERATED = "GAN_SYNTHETIC"
"""Of Image Type in our own exports, where Synthetic Data (0008,001C) was removed."""
SYNTHETIC = ("c-view", "cview", "s-view", "v-view", "v-preview", "insight 2d")
FUJI_2D = ("DERIVED", "PRIMARY")
"""Image Type of Fuji's S-View on the workstation FDR-3000AWS; its originals say ORIGINAL."""
MEMBERSHIP = ("include-list", "not-in-table")
"""What a source doesn't count as its own has no other reason: its view may be unknown for that alone."""
CLOSE_UP = ("SPOT", "SPT", "MAG")
CLOSE_UP_WORDS = {"spot", "mag", "magnification"}


def _types(header: Header, *words: str) -> bool:
    return any(value.startswith(words) for value in header.image_type)


def _fuji_synthetic(header: Header) -> bool:
    return (
        header.model == "fdr-3000aws"
        and header.image_type[:2] == FUJI_2D
        and "POST_CONTRAST" not in header.image_type
    )


def _has_word(text: str, words: Sequence[str]) -> bool:
    """Find whole words; hyphens and underscores join, so that ``Mass-Test_P_00820`` is one word."""
    return any(re.search(rf"(?<![\w-]){re.escape(word.lower())}(?![\w-])", text) for word in words)


def _small_field(header: Header, smallest_mm: tuple[float, float]) -> bool:
    """Compare the field of view, both ways round alike; one number is a square or a circle."""
    sides = sorted(header.field_mm if len(header.field_mm) > 1 else header.field_mm * 2)
    return any(side < smallest for side, smallest in zip(sides, sorted(smallest_mm), strict=False))


HEADER_RULES: dict[str, Callable[[Header, Screening], bool]] = {
    "modality": lambda h, s: h.modality not in s.modalities,
    "no-pixel-data": lambda h, s: not h.has_pixels,
    "tomosynthesis": lambda h, s: (
        h.frames > 1
        or h.sop_class.startswith("BreastTomosynthesis")
        or ("GENERATED_2D" not in h.image_type and _types(h, "TOMO"))
    ),
    "synthetic-data": lambda h, _: h.synthetic or GENERATED in h.image_type,
    "synthetic-2d": lambda h, s: (
        not s.synthetic_2d
        and (
            _types(h, "GENERATED_2D")
            or h.sop_class.startswith("BreastProjection")
            or any(word in h.descriptions for word in SYNTHETIC)
            or _fuji_synthetic(h)
        )
    ),
    "stereo-or-biopsy": lambda h, s: (
        _types(h, "STEREO", "PREFIRE", "POSTFIRE") or h.detector_mode == "STEREO"
    ),
    "specimen": lambda h, s: h.view == "SPECIMEN",
    "refused-word": lambda h, s: any(word in h.descriptions for word in s.refused_words),
    "contrast": lambda h, s: (
        _types(h, "HIGH_ENERGY", "SUBTRACTION") or (h.contrast_agent and "LOW_ENERGY" not in h.image_type)
    ),
    "quality-control": lambda h, s: h.quality_control,
    "phantom-or-qc": lambda h, s: _has_word(h.names, s.qc_words),
    "for-processing": lambda h, s: (
        "FOR PROCESSING" not in s.intents
        and (h.intent == "FOR PROCESSING" or h.sop_class.endswith("ForProcessing"))
    ),
    "secondary-capture": lambda h, s: "SecondaryCapture" in h.sop_class and h.sop_class not in s.sop_classes,
    "sop-class": lambda h, s: h.sop_class not in s.sop_classes,
    "intent": lambda h, s: h.intent not in s.intents,
    "colour": lambda h, s: h.samples_per_pixel != 1,
    "view-unknown": lambda h, s: not h.view,
    "view-other": lambda h, s: h.view not in VIEWS,
    "view-conflict": lambda h, s: "view-conflict" in h.flags,
    "laterality-unknown": lambda h, s: h.laterality not in ("L", "R"),
    "laterality-conflict": lambda h, s: "laterality-conflict" in h.flags,
    "spot-or-magnification": lambda h, s: (
        h.magnification > s.max_magnification
        or any(word in h.paddle for word in CLOSE_UP)
        or not CLOSE_UP_WORDS.isdisjoint(h.series_words)
        or not {"magnification", "spot-compression"}.isdisjoint({*h.modifiers} - {*s.view_modifiers})
    ),
    "small-field": lambda h, s: _small_field(h, s.smallest_field_mm),
    "view-modifier": lambda h, s: not {*h.modifiers} <= {*s.view_modifiers},
    "partial-view": lambda h, s: h.partial_view,
    "implant": lambda h, s: h.implant,
    "burned-in": lambda h, s: h.burned_in,
    "frame-size": lambda h, s: (
        not s.smallest_px[0] <= h.rows <= s.largest_px[0]
        or not s.smallest_px[1] <= h.columns <= s.largest_px[1]
    ),
    "patient-unknown": lambda h, s: not h.patient,
    "no-instance-uid": lambda h, s: not h.sop_instance_uid,
}


def screen_header(header: Header, screening: Screening) -> tuple[str, tuple[str, ...]]:
    """Ask the lists, the rules, then the tables: the reason of a refusal (empty for none), and flags."""
    strange = [reason for reason in header.refused if reason in MEMBERSHIP]
    said = [name for name, rule in HEADER_RULES.items() if rule(header, screening)]
    reason, flags = judge([*strange, *said, *header.refused], screening.only_flag)
    return reason, tuple(dict.fromkeys((*flags, *(f for f in header.flags if f not in HEADER_RULES))))
