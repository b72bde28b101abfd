"""A tracker without a server: ``<run>/tracking/log.jsonl``, a JSON object a line, for pandas, jq or DuckDB.

========  =====================================================================================
kind      keys beside ``run`` (the run's name, or its stage's) and ``time_ms``
========  =====================================================================================
param     name, value
tag       name, value
metric    name, value (null if not finite), step
image     path (in the run's folder), step
file      path, sha256
model     path, sha256 (of each file)
status    value: ``running`` or ``finished``
========  =====================================================================================

Lines are only ever added, each once; of a param, tag, file, model or status the last line holds.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mammogan.files import full_disk_explained, sha256
from mammogan.run_folder import RunFolder
from mammogan.tracking.run_journal import read
from mammogan.tracking.tracker import RunSummary, modified, one_at_a_time

FILE_NAME = "log.jsonl"
PROVENANCE = ("job", "commit", "image")
Line = dict[str, Any]


class JsonLinesWriter:
    """Writes the run's log beside its journals, whatever `uri` a server has."""

    def __init__(self, run: Path, uri: str) -> None:
        self._run, self._path = run, RunFolder(run).tracking / FILE_NAME

    @property
    def destination(self) -> str:
        """The file that is written."""
        return str(self._path)

    def last_sync(self) -> float:
        """Return when the file was last brought up to date, 0 if never."""
        return modified(self._path)

    def sync(self, summary: RunSummary) -> None:
        """Add the lines that are new; one that a kill has torn is written again, after what is left of it."""
        with one_at_a_time(self._run):
            content = self._path.read_bytes() if self._path.exists() else b""
            known: dict[str, Any] = dict(_identity(line) for line in _whole(content))
            now_ms, fresh = int(time.time() * 1000), []
            for line in self._lines(summary):
                name, value = _identity(line)
                if name not in known or known[name] != value:
                    known[name] = value
                    fresh.append(json.dumps({**line, "time_ms": line.get("time_ms", now_ms)}) + "\n")
            torn = content[-1:] not in (b"", b"\n")
            with full_disk_explained(self._path), self._path.open("ab") as stream:
                stream.write((b"\n" if torn else b"") + "".join(fresh).encode())
                stream.flush()
                os.fsync(stream.fileno())
            os.utime(self._path)  # up to date, even if nothing was new

    def _lines(self, summary: RunSummary) -> Iterator[Line]:
        name = summary.name
        yield {"kind": "status", "run": name, "value": _status(summary.ended)}
        for kind, values in (("param", summary.params), ("tag", summary.tags)):
            yield from ({"kind": kind, "run": name, "name": key, "value": x} for key, x in values.items())
        for source, stage in summary.stages.items():
            yield from self._stage(source, stage, source in summary.finished)
        for key, value, step in summary.scores:
            yield {"kind": "metric", "run": name, "name": key, "value": _finite(value), "step": step}
        for path in summary.files:
            yield {"kind": "file", "run": name, "path": self._place(path), "sha256": sha256(path)}
        if summary.model:
            digests = {path.name: sha256(path) for path in sorted(summary.model.folder.iterdir())}
            place = self._place(summary.model.folder)
            yield {"kind": "model", "run": name, "path": place, "sha256": digests}

    def _stage(self, source: str, stage: str, finished: bool) -> Iterator[Line]:
        entries = list(read(self._run, source))
        for name in PROVENANCE:
            if values := ",".join(dict.fromkeys(entry[name] for entry in entries if name in entry)):
                yield {"kind": "tag", "run": stage, "name": name, "value": values}
        for entry in entries:
            when = {"step": entry["step"], "time_ms": entry["time_ms"]}
            for name, value in entry.get("metrics", {}).items():
                yield {"kind": "metric", "run": stage, "name": name, "value": _finite(value), **when}
            if "picture" in entry:
                yield {"kind": "image", "run": stage, "path": f"tracking/{entry['picture']}", **when}
        if entries:
            yield {"kind": "status", "run": stage, "value": _status(finished)}

    def _place(self, path: Path) -> str:
        return str(path.relative_to(self._run)) if path.is_relative_to(self._run) else str(path)


def _whole(content: bytes) -> Iterator[Line]:
    for text in content.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and "kind" in line:
            yield line


def _identity(line: Line) -> tuple[str, Any]:
    """Return what a line is of, and what it says; a point of a curve is itself by all that it says.

    A stage that was rolled back has two points at a step, and both stay.
    """
    changing = ("time_ms",) if line["kind"] in ("metric", "image") else ("time_ms", "value", "sha256")
    name = json.dumps({key: value for key, value in line.items() if key not in changing}, sort_keys=True)
    return name, [line.get(key) for key in changing if key != "time_ms"]


def _status(ended: bool) -> str:
    return "finished" if ended else "running"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
