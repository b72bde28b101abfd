"""Why a file is refused for what its header says: a table of rules, each with its reason.

The order of the table is the order of asking; the first rule that speaks gives the file its reason. Sources:
DICOM PS3.3 A.26, C.8.11 and C.8.31; PS3.16 CID 4014 and 4015.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mammogan.config.label_fields import VIEWS
from mammogan.config.screening_settings import Screening
from mammogan.data.dicom.header import DESCRIPTIONS, Header
from mammogan.data.screening import judge

GENERATED = "GAN_SYNTHETIC"
"""Of Image Type in our own exports, where Synthetic Data (0008,001C) was removed."""
SYNTHETIC = ("c-view", "cview", "s-view", "v-view", "v-preview", "insight 2d")
FUJI_2D = ("DERIVED", "PRIMARY")
"""Image Type of Fuji's S-View on the workstation FDR-3000AWS; its originals say ORIGINAL."""
MEMBERSHIP = ("include-list", "not-in-table")
"""What a source doesn't count as its own has no other reason: its view may be unknown for that alone."""
MODIFIERS = ("ViewCodeSequence", "ViewModifierCodeSequence", "ViewPosition")
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


@dataclass(frozen=True)
class HeaderRule:
    """One rule.

    Attributes
    ----------
    speaks
        Whether it holds of a header, with the recipe's ``[screening]``.
    reason
        Why a file is refused for it, for people.
    attributes
        What it looks at, by the keywords of PS3.6; none where the recipe says which (``[source]``).
    keys
        Settings of ``[screening]`` that it follows.
    """

    speaks: Callable[[Header, Screening], bool]
    reason: str
    attributes: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


HEADER_RULES: dict[str, HeaderRule] = {
    "modality": HeaderRule(
        lambda h, s: h.modality not in s.modalities,
        "no mammogram: its modality is another",
        attributes=("Modality",),
        keys=("modalities",),
    ),
    "no-pixel-data": HeaderRule(
        lambda h, s: not h.has_pixels,
        "a report or presentation state: it has no pixels",
        attributes=("PixelData",),
    ),
    "tomosynthesis": HeaderRule(
        lambda h, s: (
            h.frames > 1
            or h.sop_class.startswith("BreastTomosynthesis")
            or ("GENERATED_2D" not in h.image_type and _types(h, "TOMO"))
        ),
        "a stack or slice of tomosynthesis",
        attributes=("NumberOfFrames", "SOPClassUID", "ImageType"),
    ),
    "synthetic-data": HeaderRule(
        lambda h, _: h.synthetic or GENERATED in h.image_type,
        "drawn by a generator",
        attributes=("SyntheticData", "ImageType"),
    ),
    "synthetic-2d": HeaderRule(
        lambda h, s: (
            not s.synthetic_2d
            and (
                _types(h, "GENERATED_2D")
                or h.sop_class.startswith("BreastProjection")
                or any(word in h.descriptions for word in SYNTHETIC)
                or _fuji_synthetic(h)
            )
        ),
        "a two-dimensional image computed from tomosynthesis",
        attributes=(
            "ImageType",
            "SOPClassUID",
            "ManufacturerModelName",
            *DESCRIPTIONS,
        ),
        keys=("synthetic_2d",),
    ),
    "stereo-or-biopsy": HeaderRule(
        lambda h, s: _types(h, "STEREO", "PREFIRE", "POSTFIRE") or h.detector_mode == "STEREO",
        "a stereotactic or biopsy frame",
        attributes=("ImageType", "DetectorMode"),
    ),
    "specimen": HeaderRule(lambda h, s: h.view == "SPECIMEN", "tissue on a plate"),
    "refused-word": HeaderRule(
        lambda h, s: any(word in h.descriptions for word in s.refused_words),
        "its descriptions hold a refused word",
        attributes=(*DESCRIPTIONS,),
        keys=("refused_words",),
    ),
    "contrast": HeaderRule(
        lambda h, s: (
            _types(h, "HIGH_ENERGY", "SUBTRACTION") or (h.contrast_agent and "LOW_ENERGY" not in h.image_type)
        ),
        "high energy, subtraction or contrast agent",
        attributes=("ImageType", "ContrastBolusAgent", "ContrastBolusAgentSequence"),
    ),
    "quality-control": HeaderRule(
        lambda h, s: h.quality_control, "a test of the machine", attributes=("QualityControlImage",)
    ),
    "phantom-or-qc": HeaderRule(
        lambda h, s: _has_word(h.names, s.qc_words),
        "a phantom or test, by patient name, ID or study description",
        attributes=("PatientName", "PatientID", "StudyDescription"),
        keys=("qc_words",),
    ),
    "for-processing": HeaderRule(
        lambda h, s: (
            "FOR PROCESSING" not in s.intents
            and (h.intent == "FOR PROCESSING" or h.sop_class.endswith("ForProcessing"))
        ),
        "raw, FOR PROCESSING",
        attributes=(
            "PresentationIntentType",
            "SOPClassUID",
        ),
        keys=("intents",),
    ),
    "secondary-capture": HeaderRule(
        lambda h, s: "SecondaryCapture" in h.sop_class and h.sop_class not in s.sop_classes,
        "a screen shot or scan",
        attributes=("SOPClassUID",),
        keys=("sop_classes",),
    ),
    "sop-class": HeaderRule(
        lambda h, s: h.sop_class not in s.sop_classes,
        "of another SOP class",
        attributes=("SOPClassUID",),
        keys=("sop_classes",),
    ),
    "intent": HeaderRule(
        lambda h, s: h.intent not in s.intents,
        "of another presentation intent",
        attributes=("PresentationIntentType",),
        keys=("intents",),
    ),
    "colour": HeaderRule(lambda h, s: h.samples_per_pixel != 1, "in colour", attributes=("SamplesPerPixel",)),
    "view-unknown": HeaderRule(lambda h, s: not h.view, "no origin names its view"),
    "view-other": HeaderRule(lambda h, s: h.view not in VIEWS, "a view other than CC and MLO"),
    "view-conflict": HeaderRule(lambda h, s: "view-conflict" in h.flags, "two origins name different views"),
    "laterality-unknown": HeaderRule(
        lambda h, s: h.laterality not in ("L", "R"), "no origin names its side, or it is both"
    ),
    "laterality-conflict": HeaderRule(
        lambda h, s: "laterality-conflict" in h.flags, "two origins name different sides"
    ),
    "spot-or-magnification": HeaderRule(
        lambda h, s: (
            h.magnification > s.max_magnification
            or any(word in h.paddle for word in CLOSE_UP)
            or not CLOSE_UP_WORDS.isdisjoint(h.series_words)
            or not {"magnification", "spot-compression"}.isdisjoint({*h.modifiers} - {*s.view_modifiers})
        ),
        "a spot or magnification view",
        attributes=(
            "EstimatedRadiographicMagnificationFactor",
            "PaddleDescription",
            "SeriesDescription",
            *MODIFIERS,
        ),
        keys=("max_magnification",),
    ),
    "small-field": HeaderRule(
        lambda h, s: _small_field(h, s.smallest_field_mm),
        "a field of view too small for a whole breast",
        attributes=("FieldOfViewDimensions",),
        keys=("smallest_field_mm",),
    ),
    "view-modifier": HeaderRule(
        lambda h, s: not {*h.modifiers} <= {*s.view_modifiers},
        "rolled, tangential, implant displaced or otherwise modified",
        attributes=(*MODIFIERS,),
        keys=("view_modifiers",),
    ),
    "partial-view": HeaderRule(
        lambda h, s: h.partial_view,
        "a part of a large breast",
        attributes=(
            "PartialView",
            "PartialViewCodeSequence",
        ),
    ),
    "implant": HeaderRule(
        lambda h, s: h.implant, "a breast with an implant", attributes=("BreastImplantPresent",)
    ),
    "burned-in": HeaderRule(
        lambda h, s: h.burned_in, "text burned into the pixels", attributes=("BurnedInAnnotation",)
    ),
    "frame-size": HeaderRule(
        lambda h, s: (
            not s.smallest_px[0] <= h.rows <= s.largest_px[0]
            or not s.smallest_px[1] <= h.columns <= s.largest_px[1]
        ),
        "more or fewer pixels than asked for",
        attributes=("Rows", "Columns"),
        keys=(
            "smallest_px",
            "largest_px",
        ),
    ),
    "patient-unknown": HeaderRule(
        lambda h, s: not h.patient, "no origin names the patient, so it can't be split safely"
    ),
    "no-instance-uid": HeaderRule(
        lambda h, s: not h.sop_instance_uid,
        "it has no SOP Instance UID, so it can't be told from copies",
        attributes=("SOPInstanceUID",),
    ),
}


def screen_header(header: Header, screening: Screening) -> tuple[str, tuple[str, ...]]:
    """Ask the lists, the rules, then the tables: the reason of a refusal (empty for none), and flags."""
    strange = [reason for reason in header.refused if reason in MEMBERSHIP]
    holding = [name for name, rule in HEADER_RULES.items() if rule.speaks(header, screening)]
    reason, flags = judge([*strange, *holding, *header.refused], screening.only_flag)
    return reason, tuple(dict.fromkeys((*flags, *(f for f in header.flags if f not in HEADER_RULES))))
