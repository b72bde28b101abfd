"""From stored values to grey: one look-up table holds bits, padding, modality, window and inversion.

The order is that of DICOM PS3.3 C.7.5.1.1.2 (padding, in stored values), C.11.1 (modality LUT), C.11.2 (VOI
LUT) and PS3.4 N.2: inversion comes last, and once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset as Dicom
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut

from mammogan.data.dicom import pixel_depth
from mammogan.data.dicom.header import UnreadableError

WHITE = 65535

Table = NDArray[np.uint16]


def grey_table(dicom: Dicom, voi_index: int) -> tuple[Table, bool]:
    """Tabulate grey (0 black .. 65535 white) for every pattern of the allocated bits.

    Also says if a window was found; without VOI table and window the whole stored range is mapped to
    0 .. 65535.

    Raises
    ------
    UnreadableError
        ``broken-window`` if the window or a table makes no sense.
    """
    try:
        return _grey_table(dicom, voi_index)
    except UnreadableError:
        raise
    except Exception:  # noqa: BLE001  (a damaged header can hold anything where numbers should be)
        raise UnreadableError("broken-window") from None


def quantised(grey: NDArray[np.float64]) -> Table:
    """Round grey from 0 to 1 to 0 .. 65535.

    Twelve decimals come first: a grey that was inverted carries other rounding noise than one that was not,
    and would fall to the other side of a tie.
    """
    levels: NDArray[np.float64] = np.rint(np.round(np.clip(grey, 0, 1), 12) * WHITE)
    return levels.astype(np.uint16)


def _grey_table(dicom: Dicom, voi_index: int) -> tuple[Table, bool]:
    stored = _stored_values(dicom)
    values = np.asarray(apply_modality_lut(stored, dicom), dtype=np.float64)
    grey = _windowed(values, dicom, voi_index)
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


def _windowed(values: NDArray[np.float64], dicom: Dicom, index: int) -> NDArray[np.float64] | None:
    """Apply the VOI LUT Sequence or, without one, the window; the last of several serves a higher `index`."""
    tables = dicom.get("VOILUTSequence")
    if tables:
        first, entries, bits = _entries(dicom, tables[min(index, len(tables) - 1)])
        places = np.clip(np.rint(values) - first, 0, len(entries) - 1).astype(np.int64)
        return np.asarray(np.clip(entries[places] / (2.0**bits - 1), 0, 1))
    centres, widths = _many(dicom.get("WindowCenter")), _many(dicom.get("WindowWidth"))
    if not centres or not widths:
        return None
    centre, width = centres[min(index, len(centres) - 1)], widths[min(index, len(widths) - 1)]
    function = str(dicom.get("VOILUTFunction") or "LINEAR").strip().upper()
    if width < 1 if function == "LINEAR" else width <= 0:
        raise UnreadableError("broken-window")
    if function == "SIGMOID":
        steps = np.clip(-4 * (values - centre) / width, -700, 700)  # exp overflows beyond
        return np.asarray(1 / (1 + np.exp(steps)))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    return np.clip((values - (centre - 0.5)) / max(width - 1, 1e-12) + 0.5, 0, 1)


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


def _many(value: Any) -> list[float]:
    if value is None or value == "":
        return []
    return [float(part) for part in (value if isinstance(value, (MultiValue, list)) else [value])]
