"""Why a file is refused for what its header says: a table of rules, each with its reason.

The order of the table is the order of asking; the first rule that speaks gives the file its reason. Sources:
DICOM PS3.3 A.26, C.8.11 and C.8.31; PS3.16 CID 4014 and 4015.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mammogan.config.label_fields import VIEWS
from mammogan.config.screening_settings import Screening
from mammogan.data.dicom.header import Header
from mammogan.data.screening import header_words, judge
from mammogan.data.screening.header_words import CLOSE_UPS, MODIFIERS, QC, REFUSED, Finder, having
from mammogan.data.screening.words import attributes as asked

GENERATED = "GAN_SYNTHETIC"
"""Of Image Type in our own exports, where Synthetic Data (0008,001C) was removed."""
FUJI_2D = ("DERIVED", "PRIMARY")
"""Image Type of Fuji's S-View on the workstation FDR-3000AWS; its originals say ORIGINAL."""
MEMBERSHIP = ("include-list", "not-in-table")
"""What a source doesn't count as its own has no other reason: its view may be unknown for that alone."""
CODES = ("ViewCodeSequence", "ViewModifierCodeSequence")
ENERGIES = ("HIGH_ENER", "SUBTRACT", "RECOMBIN")
"""Beginnings of Image Type's value 3 to 5 of contrast images (PS3.3 table C.8-74e), cut and inflected."""
INTENTS = {"ForPresentation": "FOR PRESENTATION", "ForProcessing": "FOR PROCESSING"}
"""What a SOP class that ends so says of the intent where Presentation Intent Type (0008,0068) is missing."""


def _types(header: Header, *words: str) -> bool:
    return any(value.startswith(words) for value in header.image_type)


def _fuji_synthetic(header: Header) -> bool:
    return (
        header.model == "fdr-3000aws"
        and header.image_type[:2] == FUJI_2D
        and "POST_CONTRAST" not in header.image_type
    )


def _intents(header: Header) -> set[str]:
    """Give what the header says of the intent, and what its SOP class says where it says nothing."""
    by_class = next((intent for end, intent in INTENTS.items() if header.sop_class.endswith(end)), "")
    return {header.intent, header.intent or by_class}


def _low_energy(header: Header, screening: Screening) -> bool:
    return _types(header, "LOW_ENER") or bool(having("low-energy")(header, screening))


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
    words
        Which words of the header it has found: any is enough for it to speak, unless `speaks` weighs them.
    """

    speaks: Callable[[Header, Screening], bool]
    reason: str
    attributes: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    words: Finder = header_words.no_words

    def saw(self, header: Header, screening: Screening) -> str:
        """Say which words it has found in which attributes; empty if it asks no words, or found none."""
        return ", ".join(dict.fromkeys(map(str, self.words(header, screening))))


def _worded(
    words: Finder,
    reason: str,
    attributes: tuple[str, ...],
    keys: tuple[str, ...] = (),
    otherwise: Callable[[Header, Screening], bool] = lambda h, s: False,
) -> HeaderRule:
    """Make a rule that speaks where words are found, or otherwise."""
    return HeaderRule(
        lambda h, s: otherwise(h, s) or bool(words(h, s)),
        reason,
        attributes=tuple(dict.fromkeys(attributes)),
        keys=(*keys, "overlooked_words"),
        words=words,
    )


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
    "tomosynthesis": _worded(
        having("tomosynthesis"),
        "a stack, slice or projection of tomosynthesis",
        ("NumberOfFrames", "SOPClassUID", "ImageType", *asked("tomosynthesis")),
        otherwise=lambda h, s: (
            h.frames > 1
            or h.sop_class.startswith("BreastTomosynthesis")
            or ("GENERATED_2D" not in h.image_type and _types(h, "TOMO"))
        ),
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
                or _fuji_synthetic(h)
                or bool(having("synthetic-2d")(h, s))
            )
        ),
        "a two-dimensional image computed from tomosynthesis",
        attributes=("ImageType", "SOPClassUID", "ManufacturerModelName", *asked("synthetic-2d")),
        keys=("synthetic_2d", "overlooked_words"),
        words=having("synthetic-2d"),
    ),
    "stereo-or-biopsy": HeaderRule(
        lambda h, s: _types(h, "STEREO", "PREFIRE", "POSTFIRE") or h.detector_mode == "STEREO",
        "a stereotactic or biopsy frame",
        attributes=("ImageType", "DetectorMode"),
    ),
    "specimen": HeaderRule(lambda h, s: h.view == "SPECIMEN", "tissue on a plate"),
    "refused-word": _worded(
        header_words.refused,
        "its descriptions hold a refused word",
        asked(*REFUSED),
        keys=("refused_words",),
    ),
    "contrast": HeaderRule(
        lambda h, s: (
            _types(h, *ENERGIES)
            or (not _low_energy(h, s) and (h.contrast_agent or bool(having("contrast")(h, s))))
        ),
        "high energy, recombined, subtraction or contrast agent",
        attributes=("ImageType", "ContrastBolusAgent", "ContrastBolusAgentSequence", *asked("contrast")),
        keys=("overlooked_words",),
        words=having("contrast"),
    ),
    "quality-control": HeaderRule(
        lambda h, s: h.quality_control, "a test of the machine", attributes=("QualityControlImage",)
    ),
    "phantom-or-qc": _worded(
        header_words.quality_control,
        "a phantom or test, by patient name, ID or descriptions",
        ("PatientName", "PatientID", *asked(*QC)),
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
        lambda h, s: _intents(h).isdisjoint(s.intents),
        "of another presentation intent",
        attributes=("PresentationIntentType", "SOPClassUID"),
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
    "spot-or-magnification": _worded(
        having(*CLOSE_UPS),
        "a spot or magnification view",
        ("EstimatedRadiographicMagnificationFactor", *CODES, *asked(*CLOSE_UPS)),
        keys=("max_magnification", "view_modifiers"),
        otherwise=lambda h, s: (
            h.magnification > s.max_magnification
            or not {*CLOSE_UPS}.isdisjoint({*h.modifiers} - {*s.view_modifiers})
        ),
    ),
    "small-field": HeaderRule(
        lambda h, s: _small_field(h, s.smallest_field_mm),
        "a field of view too small for a whole breast",
        attributes=("FieldOfViewDimensions",),
        keys=("smallest_field_mm",),
    ),
    "view-modifier": _worded(
        having(*MODIFIERS),
        "rolled, tangential, exaggerated, implant displaced or otherwise modified",
        (*CODES, *asked(*MODIFIERS)),
        keys=("view_modifiers",),
        otherwise=lambda h, s: not {*h.modifiers} <= {*s.view_modifiers},
    ),
    "partial-view": _worded(
        having("partial-view"),
        "a part of a large breast",
        ("PartialView", "PartialViewCodeSequence", *asked("partial-view")),
        otherwise=lambda h, s: h.partial_view,
    ),
    "implant": _worded(
        having("implant"),
        "a breast with an implant",
        ("BreastImplantPresent", *asked("implant")),
        otherwise=lambda h, s: h.implant,
    ),
    "burned-in": _worded(
        having("burned-in"),
        "text burned into the pixels",
        ("BurnedInAnnotation", *asked("burned-in")),
        otherwise=lambda h, s: h.burned_in,
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
