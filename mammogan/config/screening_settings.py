"""Which images are refused, which are flagged, and from what threshold on."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mammogan.config.settings import Fraction, GrownSettings, Natural, Positive

HeaderFlag = Literal["burned-in", "partial-view", "view-conflict", "laterality-conflict", "small-field"]
PixelFlag = Literal[
    "constant-image",
    "few-greys",
    "half-decoded",
    "too-dark",
    "too-bright",
    "breast-area",
    "orientation",
    "orientation-conflict",
    "implant-like",
    "foreign-body",
    "paddle",
    "metal",
]
Flag = Literal[HeaderFlag, PixelFlag]
Modifier = Literal[
    "magnification",
    "spot-compression",
    "implant-displaced",
    "tangential",
    "cleavage",
    "axillary-tail",
    "axillary-tissue",
    "rolled",
    "nipple-in-profile",
    "anterior-compression",
    "infra-mammary-fold",
    "exaggerated",
]
Millimetres = Annotated[float, Field(ge=0)]


class Screening(GrownSettings):
    """Which images are suitable for training; an empty text means an absent value.

    `refused_words` and `qc_words` that the table of words knows stand for its phrases in all languages;
    others are looked for as they are, anywhere in the descriptions, or as whole words in patient name, ID and
    study description. A field of view smaller than `smallest_field_mm` is a close-up; 0 asks nothing.
    Thresholds of the pixel rules are fractions: of the frame (`breast_area`), its rows (`repeated_rows`),
    width (`row_break`), height (`metal_length`) or shorter side (`paddle_length`), or of the breast
    (`implant_area`, `foreign_body_area`); `too_dark` and `too_bright` are greys from 0 (black) to 1 (white),
    and `few_greys` is a number. Rules named in `only_flag` mark an image in its JSON and let it
    pass.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"overlooked_words", "few_greys", "too_dark", "too_bright"})

    modalities: tuple[str, ...] = Field(default=("MG",), description="DICOM modalities that are accepted.")
    sop_classes: tuple[str, ...] = Field(
        default=("DigitalMammographyXRayImageStorageForPresentation",),
        description="SOP classes that are accepted, by DICOM keyword.",
    )
    intents: tuple[str, ...] = Field(
        default=("FOR PRESENTATION",), description="Presentation intents that are accepted."
    )
    view_modifiers: tuple[Modifier, ...] = Field(
        default=(), description="View modifiers that are accepted; others are refused."
    )
    refused_words: tuple[str, ...] = Field(
        default=(
            "biops",
            "specimen",
            "stereotac",
            "localiz",
            "localis",
            "needle",
            "wire",
        ),
        description="Words that refuse an image wherever they stand in its descriptions.",
    )
    qc_words: tuple[str, ...] = Field(
        default=(
            "phantom",
            "phantoms",
            "qc",
            "test",
            "quality control",
            "flatfield",
            "flat field",
        ),
        description="Whole words in patient name, patient ID or study description of test images.",
    )
    overlooked_words: tuple[str, ...] = Field(
        default=(),
        description="Phrases in descriptions that only sound like refused ones: no rule on words sees them.",
    )
    synthetic_2d: bool = Field(
        default=False, description="Accept synthetic 2D images made from tomosynthesis."
    )
    smallest_px: tuple[Positive, Positive] = Field(
        default=(1280, 1024), description="Smallest height and width of a frame."
    )
    largest_px: tuple[Positive, Positive] = Field(
        default=(8192, 8192), description="Largest height and width of a frame."
    )
    max_magnification: Annotated[float, Field(ge=1)] = Field(
        default=1.4, description="Largest estimated radiographic magnification factor."
    )
    smallest_field_mm: tuple[Millimetres, Millimetres] = Field(
        default=(0, 0), description="Smallest height and width of the field of view; 0 does not ask."
    )
    breast_area: tuple[Fraction, Fraction] = Field(
        default=(0.05, 0.85), description="Smallest and largest fraction of the frame that the breast covers."
    )
    few_greys: Natural = Field(default=16, description="Stored values that make up the frame: fewest.")
    too_dark: Fraction = Field(default=0.3, description="Grey that 99 % of the breast are below: least.")
    too_bright: Fraction = Field(default=0.9, description="Median grey of the breast: most.")
    row_break: Fraction = Field(default=0.2, description="Jump between two rows: most, of the width.")
    repeated_rows: Fraction = Field(default=0.02, description="Rows that repeat the one above: most, of all.")
    implant_area: Fraction = Field(default=0.1, description="A bright, even region: most, of the breast.")
    foreign_body_area: Fraction = Field(default=0.015, description="A white body: most, of the breast.")
    paddle_length: Fraction = Field(default=0.2, description="A straight edge: most, of the shorter side.")
    metal_length: Fraction = Field(default=0.012, description="A thin white object: most, of the height.")
    only_flag: tuple[Flag, ...] = Field(
        default=("burned-in", "view-conflict", "laterality-conflict"),
        description="Rules that only mark an image instead of refusing it.",
    )

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        low, high = self.breast_area
        if low >= high:
            raise ValueError(f"breast_area is [{low:g}, {high:g}]: the smallest share comes first")
        if any(small > large for small, large in zip(self.smallest_px, self.largest_px, strict=True)):
            raise ValueError(
                f"smallest_px {[*self.smallest_px]} is larger than largest_px {[*self.largest_px]}"
            )
        return self
