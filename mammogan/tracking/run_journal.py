"""Journals: files of JSON lines in the run's folder, one a job, that need no server and survive a kill."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammogan.files import full_disk_explained, replacing
from mammogan.provenance import provenance
from mammogan.run_folder import RunFolder

if TYPE_CHECKING:
    import numpy as np


class Journal:
    """What one job of a run logs, in ``<run>/tracking/<source>.jsonl``; silent if not `writes`."""

    def __init__(self, run: Path, source: str, *, writes: bool = True) -> None:
        self.folder, self.source, self.writes = RunFolder(run).tracking, source, writes

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Note numbers by name at `step`."""
        self._append({"metrics": dict(values), "step": step})

    def picture(self, image_HW: np.ndarray, name: str, step: int) -> None:
        """Keep a uint16 greyscale (H, W) as an 8-bit PNG."""
        if not self.writes:
            return
        from matplotlib.image import imsave

        path = self.folder / "pictures" / self.source / f"{name}-{step:09d}.png"
        with replacing(path) as stream:
            imsave(stream, image_HW >> 8, cmap="gray", vmin=0, vmax=255, format="png")
        self._append({"picture": str(path.relative_to(self.folder)), "step": step})

    def _append(self, entry: dict[str, Any]) -> None:
        if not self.writes:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        entry = {"time_ms": int(time.time() * 1000), **provenance(), **entry}
        line = json.dumps(entry).encode() + b"\n"
        path = self.folder / f"{self.source}.jsonl"
        with full_disk_explained(path), path.open("ab+") as stream:
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":  # the job before was killed in mid-line: don't lengthen its torso
                    line = b"\n" + line
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())


def read(run: Path, source: str) -> Iterator[dict[str, Any]]:
    """Return a journal's entries in order, without torn lines; of two entries for a step the first counts.

    After a stage was rolled back the same step may have other numbers.
    """
    path, seen = RunFolder(run).journal(source), set()
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        key = (entry["step"], entry.get("picture"), entry.get("metrics", {}).get("rolled_back"))
        if key not in seen:
            seen.add(key)
            yield entry
