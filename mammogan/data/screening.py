"""Why a file is refused for what its header says: a table of named rules.

The order of the table is the order of asking; the first rule that speaks gives the file its reason. Sources:
DICOM PS3.3 A.26, C.8.11 and C.8.31; PS3.16 CID 4014 and 4015.
"""

from __future__ import annotations

from collections.abc import Callable

from mammogan.config.dataset import VIEWS
from mammogan.config.screening import Screening
from mammogan.data.header import Header
from mammogan.data.rules import judge


def _types(header: Header, *words: str) -> bool:
    return any(value.startswith(words) for value in header.image_type)


HEADER_RULES: dict[str, Callable[[Header, Screening], bool]] = {
    "modality": lambda h, s: h.modality not in s.modalities,
    "no-pixel-data": lambda h, s: not h.has_pixels,
    "tomosynthesis": lambda h, s: (
        h.frames > 1
        or h.sop_class.startswith("BreastTomosynthesis")
        or ("GENERATED_2D" not in h.image_type and _types(h, "TOMO"))
    ),
    "synthetic-2d": lambda h, s: (
        not s.synthetic_2d
        and (
            _types(h, "GENERATED_2D")
            or h.sop_class.startswith("BreastProjection")
            or any(word in h.descriptions for word in ("c-view", "s-view", "v-view"))
        )
    ),
    "stereo-or-biopsy": lambda h, s: (
        _types(h, "STEREO", "PREFIRE", "POSTFIRE") or h.detector_mode == "STEREO"
    ),
    "refused-word": lambda h, s: any(word in h.descriptions for word in s.refused_words),
    "contrast": lambda h, s: (
        _types(h, "HIGH_ENERGY", "SUBTRACTION")
        or (bool(h.contrast_agent) and "LOW_ENERGY" not in h.image_type)
    ),
    "quality-control": lambda h, s: h.quality_control,
    "for-processing": lambda h, s: (
        "FOR PROCESSING" not in s.intents
        and (h.intent == "FOR PROCESSING" or h.sop_class.endswith("ForProcessing"))
    ),
    "sop-class": lambda h, s: h.sop_class not in s.sop_classes,
    "intent": lambda h, s: h.intent not in s.intents,
    "colour": lambda h, s: h.samples_per_pixel != 1,
    "view-unknown": lambda h, s: not h.view,
    "view-other": lambda h, s: h.view not in VIEWS,
    "laterality-unknown": lambda h, s: h.laterality not in ("L", "R"),
    "spot-or-magnification": lambda h, s: (
        h.magnification > s.max_magnification
        or any(word in h.paddle for word in ("SPOT", "SPT", "MAG"))
        or not {"magnification", "spot-compression"}.isdisjoint({*h.modifiers} - {*s.view_modifiers})
    ),
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
    """Ask the rules of the header: the reason of a refusal (empty if there is none), and the flags."""
    said = [name for name, rule in HEADER_RULES.items() if rule(header, screening)]
    return judge(said, screening.only_flag)
