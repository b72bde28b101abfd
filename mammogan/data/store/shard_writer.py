"""Writing one shard of one rung: a WebDataset tar, and the index that goes beside it.

A large rung has two members for each sample, `<key>.<codec>` and `<key>.json`. A tar's headers would outweigh
the images of a small rung, so that all its images are one member, `<shard>.npy`, with `<shard>.json` beside
it. Members have no time and no owner: the same samples give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from mammogan.config.settings import Settings
from mammogan.data.store import image_encoding
from mammogan.data.store.manifest import ShardFile, load_record
from mammogan.files import replacing, write

Labels = dict[str, str]


class Index(Settings):
    """The samples of one tar, in its order: key, labels, and where in the tar the image lies.

    The images of a `packed` tar are plain little-endian uint16, the others encoded.
    """

    packed: bool
    keys: tuple[str, ...]
    labels: dict[str, tuple[str, ...]]
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]


def is_packed(height_px: int, width_px: int) -> bool:
    """Whether the images of such a rung are packed into one member."""
    return height_px * width_px <= int(image_encoding.PACKED_PX)


class ShardWriter:
    """Writes a shard under a temporary name; `close` gives it its own, `abandon` removes it."""

    def __init__(self, shardset: Path, height_px: int, width_px: int, split: str, name: str) -> None:
        self._folder = shardset / f"{height_px}x{width_px}"
        self._reader_of, self._split, self._name = (height_px, width_px), split, name
        self._packed = is_packed(height_px, width_px)
        self._keys: list[str] = []
        self._labels: list[Labels] = []
        self._places: list[tuple[int, int]] = []
        self._images: list[bytes] = []
        self._notes: list[bytes] = []
        self._stack = ExitStack()
        self._folder.mkdir(parents=True, exist_ok=True)
        stream = self._stack.enter_context(replacing(self._folder / f"{name}.tar"))
        self._hashing = _Hashing(stream)
        self._tar = tarfile.TarFile(
            fileobj=cast(IO[bytes], self._hashing), mode="w", format=tarfile.USTAR_FORMAT
        )

    def add(self, key: str, labels: Labels, content: bytes, note: bytes) -> None:
        """Append one sample: its image as `encoding.encode` gave it, or plain for a packed rung."""
        self._keys.append(key)
        self._labels.append(labels)
        if self._packed:
            self._images.append(content)
            self._notes.append(note)
        else:
            self._places.append((self._member(f"{key}.{image_encoding.SUFFIX}", content), len(content)))
            self._member(f"{key}.json", note)

    def close(self) -> ShardFile:
        """Finish tar and index, and give them their names."""
        with self._stack:
            if self._packed:
                self._pack()
            self._tar.close()
        names = sorted({name for labels in self._labels for name in labels})
        index = Index(
            packed=self._packed,
            keys=tuple(self._keys),
            labels={name: tuple(labels.get(name, "") for labels in self._labels) for name in names},
            offsets=tuple(offset for offset, _ in self._places),
            sizes=tuple(size for _, size in self._places),
        )
        text = index.model_dump_json() + "\n"
        write(self._folder / f"{self._name}.index.json", text)
        return ShardFile(
            path=f"{self._folder.name}/{self._name}.tar",
            index=f"{self._folder.name}/{self._name}.index.json",
            split=self._split,
            height_px=self._reader_of[0],
            width_px=self._reader_of[1],
            samples=len(self._keys),
            bytes=self._hashing.size,
            sha256=self._hashing.sha256.hexdigest(),
            index_sha256=hashlib.sha256(text.encode()).hexdigest(),
        )

    def abandon(self, error: BaseException) -> None:
        """Remove what was written, because of `error`."""
        self._stack.__exit__(type(error), error, error.__traceback__)

    def _pack(self) -> None:
        header = io.BytesIO()
        shape = (len(self._images), *self._reader_of)
        np.lib.format.write_array_header_1_0(header, {"descr": "<u2", "fortran_order": False, "shape": shape})
        start = self._member(
            f"{self._name}.{image_encoding.PACKED_SUFFIX}", header.getvalue() + b"".join(self._images)
        )
        start += len(header.getvalue())
        size = 2 * self._reader_of[0] * self._reader_of[1]
        self._places = [(start + number * size, size) for number in range(len(self._images))]
        self._member(f"{self._name}.json", b"[" + b",\n".join(self._notes) + b"]\n")

    def _member(self, name: str, content: bytes) -> int:
        """Append a member and give the place of its content."""
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o444
        start = self._tar.offset + tarfile.BLOCKSIZE
        self._tar.addfile(member, io.BytesIO(content))
        return start


def read_image(shardset: Path, file: ShardFile, index: Index, number: int) -> NDArray[np.uint16] | None:
    """Read one image (height, width); None if it is damaged."""
    with (shardset / file.path).open("rb", buffering=0) as tar:
        tar.seek(index.offsets[number])
        content = tar.read(index.sizes[number])
    return decode_image(content, (file.height_px, file.width_px), packed=index.packed)


def encode_image(image_HW: NDArray[np.uint16]) -> bytes:
    """Encode an image as it is to lie in a tar of its rung."""
    return image_HW.astype("<u2").tobytes() if is_packed(*image_HW.shape) else image_encoding.encode(image_HW)


def decode_image(content: bytes, shape: tuple[int, int], *, packed: bool) -> NDArray[np.uint16] | None:
    """Decode an image as it lies in a tar; None if it is damaged."""
    if not packed:
        return image_encoding.decode(content, shape)
    whole = len(content) == 2 * shape[0] * shape[1]
    return np.frombuffer(content, "<u2").reshape(shape) if whole else None


def load_index(shardset: Path, file: ShardFile) -> Index:
    """Read the index of a shard."""
    return load_record(Index, shardset / file.index)


def copy_without(shardset: Path, file: ShardFile, keys: Collection[str]) -> ShardFile:
    """Write a shard again without the samples `keys`, byte for byte as if they had never come."""
    index = load_index(shardset, file)
    name = Path(file.path).stem
    writer = ShardWriter(shardset, file.height_px, file.width_px, file.split, name)
    try:
        with tarfile.open(shardset / file.path) as tar, (shardset / file.path).open("rb") as stream:
            notes = read_notes(tar, index, name)
            for number, key in enumerate(index.keys):
                if key not in keys:
                    stream.seek(index.offsets[number])
                    labels = {label: values[number] for label, values in index.labels.items()}
                    writer.add(key, labels, stream.read(index.sizes[number]), notes[number])
        return writer.close()
    except BaseException as error:
        writer.abandon(error)
        raise


def read_notes(tar: tarfile.TarFile, index: Index, name: str) -> list[bytes]:
    """Read the notes of a shard's samples, JSON each, in the order of its index."""

    def content(member: str) -> bytes:
        stream = tar.extractfile(member)
        assert stream is not None, member
        return stream.read()

    if index.packed:
        return content(f"{name}.json")[1:-2].split(b",\n")
    return [content(f"{key}.json") for key in index.keys]


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
