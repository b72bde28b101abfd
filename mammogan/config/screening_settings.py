"""Which images are refused, which are flagged, and from what threshold on."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mammogan.config.settings import Fraction, Positive, Settings

HeaderFlag = Literal["burned-in", "partial-view", "view-conflict", "laterality-conflict", "small-field"]
PixelFlag = Literal[
    "constant-image",
    "half-decoded",
    "breast-area",
    "orientation",
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
]
Millimetres = Annotated[float, Field(ge=0)]


class Screening(Settings):
    """Which files are mammograms that one may learn from; an empty text stands for an absent value.

    `refused_words` are looked for anywhere in the descriptions, `qc_words` as whole words in patient name, ID
    and study description. A field of view smaller than `smallest_field_mm` is a close-up; 0 asks nothing.
    Thresholds of the pixel rules are fractions: of the frame (`breast_area`), its rows (`repeated_rows`),
    width (`row_break`), height (`metal_length`) or shorter side (`paddle_length`), or of the breast
    (`implant_area`, `foreign_body_area`). Rules named in `only_flag` mark an image in its JSON and let it
    pass.
    """

    modalities: tuple[str, ...] = ("MG",)
    sop_classes: tuple[str, ...] = ("DigitalMammographyXRayImageStorageForPresentation",)
    intents: tuple[str, ...] = ("FOR PRESENTATION",)
    view_modifiers: tuple[Modifier, ...] = ()
    refused_words: tuple[str, ...] = (
        "biops",
        "specimen",
        "stereotac",
        "localiz",
        "localis",
        "needle",
        "wire",
    )
    qc_words: tuple[str, ...] = (
        "phantom",
        "phantoms",
        "qc",
        "test",
        "quality control",
        "flatfield",
        "flat field",
    )
    synthetic_2d: bool = False
    smallest_px: tuple[Positive, Positive] = (1280, 1024)
    largest_px: tuple[Positive, Positive] = (8192, 8192)
    max_magnification: Annotated[float, Field(ge=1)] = 1.4
    smallest_field_mm: tuple[Millimetres, Millimetres] = (0, 0)
    breast_area: tuple[Fraction, Fraction] = (0.05, 0.85)
    row_break: Fraction = 0.2
    repeated_rows: Fraction = 0.02
    implant_area: Fraction = 0.1
    foreign_body_area: Fraction = 0.015
    paddle_length: Fraction = 0.2
    metal_length: Fraction = 0.012
    only_flag: tuple[Flag, ...] = ("burned-in", "view-conflict", "laterality-conflict")

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
