"""Writing files whole or not at all, and telling a full disk from everything else."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mammogan.errors import DataError


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` that takes its name at the end, or vanishes if that fails.

    Raises
    ------
    DataError
        If the disk or the quota is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(
                f"No room is left on the disk while writing '{path}'. The part written was removed; free "
                "some space and give the same command again: it goes on where it stopped."
            ) from None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, content: bytes | str, mode: int = 0o644) -> None:
    """Write `content` to `path` atomically."""
    with replacing(path, mode) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


def sha256(path: Path) -> str:
    """Hash a file without holding it in memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
