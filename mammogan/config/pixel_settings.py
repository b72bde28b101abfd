"""How stored values become grey, and where the breast is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mammogan.config.settings import Settings


class Pixels(Settings):
    """How stored values become grey: VOI table or window `voi_index`, else `fallback`.

    ``stored-range`` maps all that the stored bits can say to black..white; ``breast-range`` maps the
    background to black and the percentile `white_percentile` of the breast to white; ``refuse`` refuses the
    image. `border_crop` is the fraction cut from every side, `chest_wall_trim` the widest empty strip
    (fraction of the width) taken away between frame and chest wall; films need both. `breast_threshold` is
    how far above the background, as a fraction of black..white, breast begins; what is thinner than the
    fraction `thin_part` of the height (letters, a scan's edge) is no breast. `jpeg2000_reduce` 1 decodes JPEG
    2000 to half its height and width only, where that is still as large as the picture: four times as fast,
    and about 8 of 4096 off.
    """

    voi_index: Annotated[int, Field(ge=0)] = 0
    fallback: Literal["stored-range", "breast-range", "refuse"] = "refuse"
    white_percentile: Annotated[float, Field(gt=50, le=100)] = 99.9
    border_crop: Annotated[float, Field(ge=0, lt=0.25)] = 0.0
    chest_wall_trim: Annotated[float, Field(ge=0, lt=0.25)] = 0.0
    breast_threshold: Annotated[float, Field(gt=0, lt=0.5)] = 0.02
    thin_part: Annotated[float, Field(ge=0, lt=0.1)] = 0.01
    jpeg2000_reduce: Literal[0, 1] = 0
