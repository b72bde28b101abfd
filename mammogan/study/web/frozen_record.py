"""Files that fix something once and for all, read back as what they were written from."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from mammogan.config.settings import Settings
from mammogan.errors import DataError

Record = TypeVar("Record", bound=Settings)


def load_record(model: type[Record], path: Path, missing: str) -> Record:
    """Read a JSON file; `missing` is what is said if there is none.

    Raises
    ------
    DataError
        If it is missing or damaged.
    """
    if not path.exists():
        raise DataError(missing)
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise DataError(
            f"'{path}' is damaged, or of another version ('{where}': {first['msg']}): copy it from where it "
            "was made."
        ) from None
