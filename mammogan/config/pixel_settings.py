"""How stored values become grey, and where the breast is."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mammogan.config.settings import GrownSettings


class Pixels(GrownSettings):
    """How stored values become grey values, and where the breast is; films need `border_crop` and a trim.

    ``stored-range`` maps all that the stored bits can express to black to white; ``breast-range`` maps the
    background to black and the percentile `white_percentile` of the breast to white. `jpeg2000_reduce` is
    used only where half the size is still as large as the picture: four times as fast, about 8 of 4096 off.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"background"})

    voi_index: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Which of several VOI tables or windows of a file is used, from 0."
    )
    fallback: Literal["stored-range", "breast-range", "refuse"] = Field(
        default="refuse",
        description="What happens without a window: refuse the image, map the stored range, or map the "
        "breast's range.",
    )
    white_percentile: Annotated[float, Field(gt=50, le=100)] = Field(
        default=99.9,
        description="Percentile of the breast's pixels that becomes white, for fallback breast-range.",
    )
    border_crop: Annotated[float, Field(ge=0, lt=0.25)] = Field(
        default=0.0, description="Fraction cut off at each side, for scanned films."
    )
    chest_wall_trim: Annotated[float, Field(ge=0, lt=0.25)] = Field(
        default=0.0,
        description="Above 0, what is empty at the chest wall is removed; a strip wider than this "
        "fraction of the width is flagged, too.",
    )
    breast_threshold: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        default=0.02,
        description="How far above the background the breast begins, as a fraction of black to white.",
    )
    background: Literal["even", "film"] = Field(
        default="even",
        description="Around the breast: one grey, as detectors give it, or a film's base with tape, labels, "
        "shading and black strips, or nothing at all, as in crops.",
    )
    thin_part: Annotated[float, Field(ge=0, lt=0.1)] = Field(
        default=0.01, description="Things thinner than this fraction of the height are not breast."
    )
    jpeg2000_reduce: Literal[0, 1] = Field(
        default=0, description="1 decodes JPEG 2000 at half size: faster, slightly less exact."
    )
