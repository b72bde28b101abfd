"""From stored values to grey: one look-up table holds bits, padding, modality, window and inversion.

The order is that of DICOM PS3.3 C.7.5.1.1.2 (padding, in stored values), C.11.1 (modality LUT), C.11.2 (VOI
LUT) and PS3.4 N.2: inversion comes last, and once.

A window that makes no sense (empty, 0/0, no number, not wider than nothing) is passed over for the next one,
as fo-dicom and dwv do; what is left of a VOI without any is what the recipe says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset as Dicom
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut

from mammogan.data.dicom import pixel_depth
from mammogan.data.dicom.header import UnreadableError

WHITE = 65535
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
"""Values of VOI LUT Function (0028,1056); LINEAR where it is missing."""

Table = NDArray[np.uint16]


def grey_table(dicom: Dicom, voi_index: int) -> tuple[Table, bool]:
    """Tabulate grey (0 black .. 65535 white) for every pattern of the allocated bits.

    Also says if a window was found; without VOI table and window the whole stored range is mapped to
    0 .. 65535.

    Raises
    ------
    UnreadableError
        ``broken-window`` if VOI LUT Function is unknown or several, or a table makes no sense.
    """
    try:
        return _grey_table(dicom, voi_index)
    except UnreadableError:
        raise
    except Exception:  # noqa: BLE001  (a damaged header can hold anything where numbers should be)
        raise UnreadableError("broken-window") from None


def odd_window(dicom: Dicom, voi_index: int) -> bool:
    """Tell whether rescaling or the window that `voi_index` asks for is not what the standard allows.

    Then the next one, or none, was taken in its place. To be asked where `grey_table` gave a table.
    """
    slope, _, odd = _rescale(dicom)
    return odd or _voi(dicom, voi_index, abs(slope)).odd


def quantised(grey: NDArray[np.float64]) -> Table:
    """Round grey from 0 to 1 to 0 .. 65535.

    Twelve decimals come first: a grey that was inverted carries other rounding noise than one that was not,
    and would fall to the other side of a tie.
    """
    levels: NDArray[np.float64] = np.rint(np.round(np.clip(grey, 0, 1), 12) * WHITE)
    return levels.astype(np.uint16)


def _grey_table(dicom: Dicom, voi_index: int) -> tuple[Table, bool]:
    stored = _stored_values(dicom)
    slope, intercept, _ = _rescale(dicom)
    if dicom.get("ModalityLUTSequence"):
        values = np.asarray(apply_modality_lut(stored, dicom), dtype=np.float64)
    else:
        values = stored.astype(np.float64) * slope + intercept
    grey = _windowed(values, dicom, _voi(dicom, voi_index, abs(slope)))
    found = grey is not None
    if grey is None:
        black, white = values.min(), values.max()
        grey = (values - black) / max(white - black, 1e-12)
    if not np.isfinite(grey).all():
        raise UnreadableError("broken-window")
    if (
        dicom.get("PhotometricInterpretation") == "MONOCHROME1"
        or dicom.get("PresentationLUTShape") == "INVERSE"
    ):
        grey = 1 - grey
    table = quantised(grey)
    table[_padding(stored, dicom)] = 0
    return table, found


def _stored_values(dicom: Dicom) -> NDArray[np.int64]:
    """Read every pattern of the allocated bits as the value it stores; junk above and below is masked off."""
    bits, high = int(dicom.BitsStored), int(dicom.get("HighBit", dicom.BitsStored - 1))
    patterns = np.arange(2 ** int(dicom.BitsAllocated), dtype=np.int64)
    values = (patterns >> max(high + 1 - bits, 0)) & ((1 << bits) - 1)
    if dicom.PixelRepresentation:
        values -= (values >> (bits - 1)) << bits
    return values


def _padding(stored: NDArray[np.int64], dicom: Dicom) -> NDArray[np.bool_]:
    """Say which stored values are padding: from Pixel Padding Value to its limit, both included."""
    value = dicom.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=bool)
    limit = dicom.get("PixelPaddingRangeLimit")
    low, high = sorted((int(value), int(value if limit is None else limit)))
    return (stored >= low) & (stored <= high)


@dataclass(frozen=True)
class _Voi:
    """What maps values to grey: the table of that index, or a window, or neither.

    `odd` says that it is not the one that was asked for, or not as the standard wants it.
    """

    odd: bool
    table: int | None = None
    centre: float | None = None
    width: float = 0
    function: str = "LINEAR"


def _voi(dicom: Dicom, index: int, scale: float) -> _Voi:
    """Choose a table of the VOI LUT Sequence or, without one, a window; the last serves a higher `index`.

    `scale` is how far apart stored values are after rescaling.
    """
    tables = dicom.get("VOILUTSequence") or ()
    usable = [place for place, item in enumerate(tables) if item.get("LUTDescriptor") and item.get("LUTData")]
    if usable:
        table = _nearest(usable, min(index, len(tables) - 1))
        return _Voi(table != min(index, len(tables) - 1), table)
    centres, widths = _decimals(dicom.get("WindowCenter")), _decimals(dicom.get("WindowWidth"))
    windows = list(zip_longest(centres, widths, fillvalue=math.nan))
    promised = bool(windows or tables or dicom.get("WindowCenterWidthExplanation"))
    if not centres or not widths:
        return _Voi(promised)
    function = _function(dicom.get("VOILUTFunction"))
    usable = [place for place, window in enumerate(windows) if _makes_sense(*window, function, scale)]
    if not usable:
        return _Voi(promised)
    asked = min(index, len(windows) - 1)
    place = _nearest(usable, asked)
    stated = (*_parts(dicom.get("WindowCenter")), *_parts(dicom.get("WindowWidth")))
    odd = place != asked or bool(tables) or any("," in str(part) for part in stated)
    centre, width = windows[place]
    exact = function == "LINEAR" and scale < 1 and width <= 1
    return _Voi(odd, None, centre, width, "LINEAR_EXACT" if exact else function)


def _makes_sense(centre: float, width: float, function: str, scale: float) -> bool:
    """Whether PS3.3 C.11.2.1.2 and C.11.2.1.3 allow a window.

    LINEAR asks for a width of 1 or more, as it counts whole values. Where rescaling sets values closer, one
    step of them is enough: dicom-rs, cornerstone and fo-dicom read such windows as LINEAR_EXACT.
    """
    if not (math.isfinite(centre) and math.isfinite(width)):
        return False
    return width > 0 if function != "LINEAR" else width >= min(scale, 1) * (1 - 1e-9)


def _nearest(usable: Sequence[int], asked: int) -> int:
    """Give the first usable one from `asked` on, else the last before it."""
    return next((place for place in usable if place >= asked), usable[-1])


def _function(value: Any) -> str:
    names = [name for part in _parts(value) if (name := str(part).strip().upper())]
    if len(names) > 1 or not {*names} <= {*FUNCTIONS}:
        raise UnreadableError("broken-window")
    return names[0] if names else "LINEAR"


def _rescale(dicom: Dicom) -> tuple[float, float, bool]:
    """Give Rescale Slope and Intercept, and say if one that is there makes no sense: it is left out."""
    if dicom.get("ModalityLUTSequence"):
        return 1.0, 0.0, False
    found, odd = [], False
    for keyword, customary in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)):
        stated = [*_decimals(dicom.get(keyword)), math.nan][0] if keyword in dicom else customary
        sound = math.isfinite(stated) and (stated != 0 or customary == 0)
        found.append(stated if sound else customary)
        odd |= not sound
    return found[0], found[1], odd


def _windowed(values: NDArray[np.float64], dicom: Dicom, voi: _Voi) -> NDArray[np.float64] | None:
    """Apply the VOI LUT or the window that was chosen."""
    if voi.table is not None:
        first, entries, bits = _entries(dicom, dicom.VOILUTSequence[voi.table])
        places = np.clip(np.rint(values) - first, 0, len(entries) - 1).astype(np.int64)
        return np.asarray(np.clip(entries[places] / (2.0**bits - 1), 0, 1))
    if voi.centre is None:
        return None
    centre, width = voi.centre, voi.width
    if voi.function == "SIGMOID":
        steps = np.clip(-4 * (values - centre) / width, -700, 700)  # exp overflows beyond
        return np.asarray(1 / (1 + np.exp(steps)))
    if voi.function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    if width == 1:
        return np.asarray(values > centre - 0.5, np.float64)
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


def _entries(dicom: Dicom, table: Dicom) -> tuple[int, NDArray[np.float64], int]:
    """Read a VOI LUT (PS3.3 C.11.2.1.1): the first value mapped, the entries, and how many bits these have.

    Many a descriptor names the width of the entries' words instead of the depth of the greys in them, or the
    other way round: the entries themselves decide.
    """
    length, first, declared = map(int, table.LUTDescriptor)
    length = length or 1 << 16
    data = table.LUTData
    if isinstance(data, bytes):
        words = len(data) >= 2 * length
        order = "<" if dicom.file_meta.TransferSyntaxUID.is_little_endian else ">"
        data = np.frombuffer(data, f"{order}u2" if words else "u1")
    entries = np.atleast_1d(np.asarray(data, np.float64))[:length]
    if len(entries) < length or not 8 <= declared <= 16 or entries.min() < 0:
        raise UnreadableError("broken-window")
    return first, entries, pixel_depth.smallest_depth(int(entries.max()), declared)


def _decimals(value: Any) -> list[float]:
    """Read decimal strings; empty and senseless ones are NaN, and a decimal comma is a point."""
    return [_decimal(str(part)) for part in _parts(value)]


def _decimal(text: str) -> float:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return math.nan


def _parts(value: Any) -> Sequence[Any]:
    if value is None or value == "":
        return ()
    return value if isinstance(value, (MultiValue, list, tuple)) else (value,)
