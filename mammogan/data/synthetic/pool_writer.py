"""Writing a pool: encoding and writing go on beside the drawing, and the generator waits for neither."""

from __future__ import annotations

import hashlib
import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from mammogan.config.settings import canonical_json
from mammogan.data.store.manifest import render
from mammogan.data.store.shard_writer import ShardWriter, encode_image
from mammogan.data.synthetic.exports import EXPORTS, SHARDS
from mammogan.data.synthetic.synthetic_pool import PARTS, BuiltPart, Image, Part, Pool, image_name
from mammogan.files import write

ENCODERS = 4
AHEAD = 48
"""Images that may be drawn before they are written; three of the generator's chunks."""

Item = TypeVar("Item")
_END, _BROKEN = object(), object()


class _AbandonedError(Exception):
    """The drawing has failed."""


def write_parts(
    folder: Path, pool: Pool, drawn: Iterable[tuple[Part, Image]], on_written: Callable[[], None]
) -> None:
    """Write images as they come, part after part; a part is there once its record is.

    Parameters
    ----------
    drawn
        All images of each part in its order; they are drawn in this thread, while others encode and write.
    on_written
        Called after each image, from another thread.
    """

    def consume(items: Iterator[tuple[Part, Image]]) -> None:
        with ThreadPoolExecutor(ENCODERS) as encoders:
            for part, group in groupby(items, key=lambda item: item[0]):
                _write_part(folder, pool, part, (image for _, image in group), encoders, on_written)

    _overlapped(drawn, consume)


def _write_part(
    folder: Path,
    pool: Pool,
    part: Part,
    images: Iterator[Image],
    encoders: ThreadPoolExecutor,
    on_written: Callable[[], None],
) -> None:
    writer = ShardWriter(folder, *pool.size_px, "synthetic", part.name) if SHARDS in pool.formats else None
    files: dict[str, str] = {}
    waiting: deque[tuple[Image, Future[tuple[bytes, dict[str, str]]]]] = deque()

    def take() -> None:
        image, encoded = waiting.popleft()
        content, made = encoded.result()
        files.update(made)
        if writer is not None:
            writer.add(image.name, {"view": image.view}, content, canonical_json(pool.note(image)).encode())
        on_written()

    try:
        for image in images:
            waiting.append((image, encoders.submit(_encode, folder, pool, image)))
            while waiting and (len(waiting) > ENCODERS or waiting[0][1].done()):
                take()
        while waiting:
            take()
        shard = writer.close() if writer is not None else None
    except BaseException as error:
        if writer is not None:
            writer.abandon(error)
        raise
    if shard is not None:
        files |= {shard.path: shard.sha256, shard.index: shard.index_sha256}
    record = BuiltPart(name=part.name, images=len(list(part.order)), shard=shard, files=files)
    write(folder / PARTS / f"{part.name}.json", render(record))


def _encode(folder: Path, pool: Pool, image: Image) -> tuple[bytes, dict[str, str]]:
    """Write an image's own files; give its bytes in a shard, and the SHA-256 of each file."""
    contents = {
        f"{name}/{image.name}.{export.suffix}": export.encode(pool, image)
        for name, export in EXPORTS.items()
        if name in pool.formats
    }
    for name, content in contents.items():
        write(folder / name, content)
    shard = encode_image(image.pixels_HW) if SHARDS in pool.formats else b""
    return shard, {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def sweep(folder: Path, parts: Iterable[Part]) -> None:
    """Delete what a killed process has left half-written of `parts`; nobody else may be writing them."""
    own = {name for part in parts for name in (part.name, *(image_name(*image) for image in part.order))}
    for temporary in folder.rglob(".*.tmp"):
        if temporary.name[1:].partition(".")[0] in own:
            temporary.unlink(missing_ok=True)


def _overlapped(items: Iterable[Item], consume: Callable[[Iterator[Item]], None]) -> None:
    """Run `consume` in a thread on `items` as they come from this one, at most `AHEAD` of them behind."""
    passed: queue.Queue[object] = queue.Queue(AHEAD)

    def taken() -> Iterator[Item]:
        while (item := passed.get()) is not _END:
            if item is _BROKEN:
                raise _AbandonedError
            yield item  # type: ignore[misc]

    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(consume, taken())
        last = _BROKEN
        try:
            if all(_put(passed, item, ended) for item in items):
                last = _END
        finally:
            _put(passed, last, ended)
    ended.result()


def _put(passed: queue.Queue[object], item: object, ended: Future[None]) -> bool:
    """Pass an item on as soon as there is room; False if nobody takes any more."""
    while not ended.done():
        try:
            passed.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
