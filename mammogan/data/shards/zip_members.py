"""Files inside zip archives, named as if the archive were a folder: ``export.zip/study/1.dcm``.

A member is unpacked into a temporary file without a name, which nobody else can open and which is gone with
the process: what it holds is a patient's.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO

LARGEST_BYTES = 1 << 30
"""No mammogram is larger; a member that says so, or grows beyond, is a mistake or a trap."""
ENCRYPTED = 0x1


def members(path: str) -> list[str]:
    """Name the files inside what calls itself a zip archive, in its order; itself alone if it is none."""
    if not path.lower().endswith(".zip"):
        return [path]
    try:
        with zipfile.ZipFile(path) as archive:
            return [f"{path}/{info.filename}" for info in archive.infolist() if not info.is_dir()]
    except Exception:  # noqa: BLE001  (as below; what is wrong with it is for the reader to say)
        return [path]


@contextmanager
def on_disk(path: Path) -> Iterator[Path]:
    """Give a path under which the file at `path` can be opened, inside an archive or not, during the block.

    Raises
    ------
    UnreadableError
        ``archive-locked`` if the member is encrypted, ``too-large`` if it is larger than any mammogram,
        ``damaged`` if it can't be unpacked.
    OSError
        If there is neither a file nor an archive with such a member, or if there is no room to unpack it.
    """
    outside = (
        path if _is_there(path) else next((folder for folder in path.parents if _is_there(folder)), path)
    )
    if outside == path or not stat.S_ISREG(outside.stat().st_mode):
        yield path  # what is not there is for the reader to say
        return
    unpacked = _unpacked(str(outside), outside.stat().st_mtime_ns, str(path))
    yield Path(f"/dev/fd/{unpacked.fileno()}")


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return True


@lru_cache(maxsize=1)
def _unpacked(archive: str, changed_ns: int, path: str) -> IO[bytes]:
    """Unpack a member; the last one stays, for header, size and pixels are asked for one after the other."""
    from mammogan.data.dicom.header import UnreadableError  # its packages are not where jobs are submitted

    unpacked = tempfile.TemporaryFile()  # noqa: SIM115  (closed when nobody has it any more)
    try:
        opened = _opened(archive, changed_ns)
        info = opened.getinfo(path[len(archive) + 1 :])
        if info.flag_bits & ENCRYPTED:
            raise UnreadableError("archive-locked")
        if info.file_size > LARGEST_BYTES:
            raise UnreadableError("too-large")
        with opened.open(info) as member:  # reads no more than the size that was declared
            shutil.copyfileobj(member, unpacked)
    except (UnreadableError, OSError):
        raise
    except Exception:  # noqa: BLE001  (a damaged archive can raise anything from inside its decoders)
        raise UnreadableError("damaged") from None
    unpacked.flush()
    return unpacked


@lru_cache(maxsize=2)
def _opened(path: str, _changed_ns: int) -> zipfile.ZipFile:
    """Open an archive once for all of its members: its directory may be long."""
    return zipfile.ZipFile(path)
