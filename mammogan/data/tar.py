"""Writing one shard of one rung: a tar of `<key>.png` and `<key>.json`, and the index that goes beside it.

Members have no time and no owner, so that the same samples give the same bytes. Any WebDataset reader takes
them.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, cast

from mammogan.config.settings import Settings
from mammogan.data.manifest import ShardFile
from mammogan.files import replacing, write


class Member(Settings):
    """Where the PNG of one sample lies in its tar."""

    key: str
    view: str
    offset: int
    size: int


class Index(Settings):
    """The samples of one tar, in its order."""

    samples: tuple[Member, ...]


class ShardWriter:
    """Writes a shard under a temporary name; `close` gives it its own, `abandon` removes it."""

    def __init__(self, shardset: Path, height_px: int, width_px: int, split: str, name: str) -> None:
        self._folder = shardset / f"{height_px}x{width_px}"
        self._rung, self._split, self._name = (height_px, width_px), split, name
        self._members: list[Member] = []
        self._stack = ExitStack()
        self._folder.mkdir(parents=True, exist_ok=True)
        stream = self._stack.enter_context(replacing(self._folder / f"{name}.tar"))
        self._hashing = _Hashing(stream)
        self._tar = tarfile.TarFile(
            fileobj=cast(IO[bytes], self._hashing), mode="w", format=tarfile.USTAR_FORMAT
        )

    def add(self, key: str, view: str, png: bytes, note: bytes) -> None:
        """Append one sample."""
        offset = self._tar.offset + tarfile.BLOCKSIZE
        self._members.append(Member(key=key, view=view, offset=offset, size=len(png)))
        for suffix, content in (("png", png), ("json", note)):
            member = tarfile.TarInfo(f"{key}.{suffix}")
            member.size, member.mode = len(content), 0o444
            self._tar.addfile(member, io.BytesIO(content))

    def close(self) -> ShardFile:
        """Finish tar and index, and give them their names."""
        with self._stack:
            self._tar.close()
        index = Index(samples=tuple(self._members)).model_dump_json() + "\n"
        write(self._folder / f"{self._name}.index.json", index)
        return ShardFile(
            path=f"{self._folder.name}/{self._name}.tar",
            index=f"{self._folder.name}/{self._name}.index.json",
            split=self._split,
            height_px=self._rung[0],
            width_px=self._rung[1],
            samples=len(self._members),
            bytes=self._hashing.size,
            sha256=self._hashing.sha256.hexdigest(),
            index_sha256=hashlib.sha256(index.encode()).hexdigest(),
        )

    def abandon(self, error: BaseException) -> None:
        """Remove what was written, because of `error`."""
        self._stack.__exit__(type(error), error, error.__traceback__)


class _Hashing(io.RawIOBase):
    """What is written to a stream, hashed on its way."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.sha256, self.size = stream, hashlib.sha256(), 0

    def write(self, content: Any) -> int:
        self.sha256.update(content)
        self.size += len(content)
        return self._stream.write(content)

    def tell(self) -> int:
        return self.size
