"""A tracker for TensorBoard: ``<run>/tensorboard/<stage>/events.out.tfevents...``, one file a stage.

What a stage's journal holds is a list of records that only grows, and the file begins with as many of them as
are whole in it. So nothing has to be remembered of what was written: the next sync counts, and adds the rest.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan.errors import ConfigError
from mammogan.files import full_disk_explained
from mammogan.run_folder import RunFolder
from mammogan.tracking.run_journal import read
from mammogan.tracking.tracker import RunSummary, modified, one_at_a_time

if TYPE_CHECKING:
    from tensorboardX.proto.event_pb2 import Event

WIDEST_PX = 1024
"""Wider sheets are shrunk: the whole ones are in ``<run>/tracking/pictures``, and grow to many megabytes."""
HEADER = struct.Struct("<QI")
"""Of a record: its length and the checksum of that; the record and four bytes of checksum follow."""
Entry = dict[str, Any]


class TensorBoardWriter:
    """Writes the run's event files beside its journals, whatever `uri` a server has."""

    def __init__(self, run: Path, uri: str) -> None:
        self._run, self._folder = run, RunFolder(run).tensorboard

    @property
    def destination(self) -> str:
        """The folder that ``tensorboard --logdir`` takes."""
        return str(self._folder)

    def last_sync(self) -> float:
        """Return when a file was last brought up to date, 0 if never."""
        return max(map(modified, self._folder.glob("*/events.*")), default=0.0)

    def sync(self, summary: RunSummary) -> None:
        """Add each stage's ticks and sheets that are new; what a kill has torn is written again.

        Raises
        ------
        ConfigError
            If the package that writes TensorBoard's files is not installed.
        """
        try:
            import tensorboardX  # noqa: F401
        except ModuleNotFoundError:
            raise ConfigError(
                "tracking.trackers names 'tensorboard', and the package 'tensorboardX' is not installed "
                "where the jobs run: install it there, or take 'tensorboard' out of tracking.trackers"
            ) from None
        with one_at_a_time(self._run):
            for source in summary.stages:
                if entries := list(read(self._run, source)):
                    self._add(source, entries)

    def _add(self, source: str, entries: Sequence[Entry]) -> None:
        folder = self._folder / source
        for each in (self._folder, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)  # sheets resemble patients' images
        path = folder / f"events.out.tfevents.{entries[0]['time_ms'] // 1000:010d}.{source}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with full_disk_explained(path), open(descriptor, "r+b") as stream:  # noqa: PTH123 - for its mode
            count = _skip_whole(stream)
            stream.truncate()
            records = (event.SerializeToString() for event in self._events(entries, count))
            stream.write(b"".join(map(_framed, records)))
            stream.flush()
            os.fsync(descriptor)
        os.utime(path)  # up to date, even if nothing was new

    def _events(self, entries: Sequence[Entry], since: int) -> Iterator[Event]:
        """Make the events from number `since` on: the format's version, then one for each entry."""
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        if since == 0:
            yield Event(wall_time=entries[0]["time_ms"] / 1000, file_version="brain.Event:2")
        times, number = 0.0, 1
        for entry in entries:
            when = {"wall_time": entry["time_ms"] / 1000, "step": entry["step"]}
            now = entry.get("metrics", {}).get("rolled_back", times)
            if now > times:  # TensorBoard drops the points that were left behind
                if number >= since:
                    yield Event(session_log=SessionLog(status=SessionLog.START), **when)
                number += 1
            if number >= since:
                yield Event(summary=self._summary(entry), **when)
            times, number = now, number + 1

    def _summary(self, entry: Entry) -> Any:
        from tensorboardX.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=name, simple_value=value) for name, value in entry.get("metrics", {}).items()
        ]
        path = RunFolder(self._run).tracking / entry.get("picture", "")
        if path.is_file():
            values.append(
                Summary.Value(tag=path.name.rpartition("-")[0], image=Summary.Image(**_image(path)))
            )
        return Summary(value=values)


def _image(path: Path) -> dict[str, Any]:
    """Return a sheet, not wider than `WIDEST_PX`, as TensorBoard's images are."""
    from PIL import Image

    with Image.open(path) as file:
        sheet = file.convert("L").reduce(-(-file.width // WIDEST_PX))
    png = io.BytesIO()
    sheet.save(png, "PNG")
    return {
        "width": sheet.width,
        "height": sheet.height,
        "colorspace": 1,
        "encoded_image_string": png.getvalue(),
    }


def _framed(record: bytes) -> bytes:
    header = struct.pack("<Q", len(record))
    return header + _checksum(header) + record + _checksum(record)


def _checksum(part: bytes) -> bytes:
    from tensorboardX.record_writer import masked_crc32c

    return struct.pack("<I", masked_crc32c(part))


def _skip_whole(stream: io.BufferedRandom) -> int:
    """Go to the end of a file's last whole record, and count them."""
    size, count, end = os.fstat(stream.fileno()).st_size, 0, 0
    while len(header := stream.read(HEADER.size)) == HEADER.size:
        length, _ = HEADER.unpack(header)
        after = end + HEADER.size + length + 4
        if after > size or header[8:] != _checksum(header[:8]):  # as a power cut leaves zeros
            break
        count, end = count + 1, after
        stream.seek(end)
    stream.seek(end)
    return count
