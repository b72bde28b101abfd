"""What was measured of images, as files: a part each, which are joined in their order."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan.errors import DataError
from mammogan.files import write

if TYPE_CHECKING:
    import numpy as np

Arrays = dict[str, "np.ndarray"]


def stacked(rows: Iterable[dict[str, Any]]) -> Arrays:
    """Bring what was measured of images into arrays, a row an image."""
    import numpy as np

    columns: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return {name: np.stack(values) for name, values in columns.items()}


def save(path: Path, key: str, arrays: Arrays) -> None:
    """Write a part, the same arrays to the same bytes."""
    import numpy as np

    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, key=np.array(key), **arrays)
    write(path, stream.getvalue())


def is_there(path: Path, key: str) -> bool:
    """Whether a whole part of that key is there."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return bool(str(arrays["key"]) == key) and arrays.zip.testzip() is None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False


def load(paths: Iterable[Path], key: str) -> Arrays:
    """Join parts in the order that they are given in.

    Raises
    ------
    DataError
        If one is missing, damaged, or of another run.
    """
    import numpy as np

    rows: dict[str, list[np.ndarray]] = {}
    for path in paths:
        if not is_there(path, key):
            raise DataError(
                f"The part '{path}' of the measures is missing, damaged, or of other images. The step "
                "'assess' makes it: launch the run again, or give `mammogan report`."
            )
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                if name != "key":
                    rows.setdefault(name, []).append(arrays[name])
    return {name: np.concatenate(parts) for name, parts in rows.items()}
