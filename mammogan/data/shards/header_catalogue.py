"""Reading the headers of all listed files: screened, their identifiers replaced by pseudonyms, part by part.

Each part is a file of its own, so that array tasks share them out and a reading that was stopped goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from mammogan.config.settings import canonical_json
from mammogan.data import process_pool
from mammogan.data.dicom import header
from mammogan.data.shards import build_status, file_listing, pixel_bytes, sources
from mammogan.data.shards.archive import Archive
from mammogan.data.shards.judgement import header_evidence, judge_header
from mammogan.data.shards.same_woman import NOT_HERS
from mammogan.data.store import private_folder
from mammogan.data.store.manifest import Sample
from mammogan.data.store.private_folder import Line, pseudonym

Progress = Callable[[int, int], None]

CHUNK_FILES = 32
"""Files that a worker reads at a time."""


@dataclass(frozen=True)
class Found:
    """What the header of one file says.

    `outcome` is accepted, refused or unreadable. `patient` is a pseudonym, and `sample` the image's own facts
    if it is accepted. `fingerprint` decides which of several files with one UID is kept: the longest, as a
    copy may have been cut short. `pixels` is equal for files that share them, `value` is what the rule that
    refused it saw and `threshold` what it asked for; `listed` are the lists' entries that name it, and
    `accepts` the rules that they override.
    """

    path: str
    recipe: int
    outcome: str
    reason: str = ""
    key: str = ""
    uid: str = ""
    patient: str = ""
    pixels: str = ""
    fingerprint: str = ""
    sample: dict[str, Any] | None = None
    value: dict[str, Any] = field(default_factory=dict)
    threshold: dict[str, Any] = field(default_factory=dict)
    listed: tuple[tuple[str, str], ...] = ()
    accepts: tuple[str, ...] = ()


def read_headers(
    shardset: Path,
    task: int = 0,
    tasks: int = 1,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Read the headers of every `tasks`-th part of the listing from `task` on, if they were not read yet."""
    private_folder.secret_key(shardset)  # drawn before workers ask for it
    private_folder.create(shardset, "catalogue")
    numbers = build_status.parts(shardset, task, tasks)
    missing = [number for number in numbers if not build_status.catalogue_path(shardset, number).exists()]
    chunks = (chunk for number in missing for chunk in _chunks(shardset, number))
    results = chain.from_iterable(
        _each(result) for result in process_pool.ordered(_read, chunks, workers, _lost)
    )
    whole = file_listing.find_listing(shardset)
    sizes = {number: whole.size(number) for number in missing} if whole else {}
    done = 0

    def counted(size: int) -> Iterator[Line]:
        nonlocal done
        for found in islice(results, size):
            yield asdict(found)
            done += 1
            if on_progress:
                on_progress(done, sum(sizes.values()))

    for number, size in sizes.items():
        private_folder.write_lines(build_status.catalogue_path(shardset, number), counted(size))


def entries(shardset: Path) -> Iterator[Line]:
    """Read the whole catalogue."""
    for number in build_status.parts(shardset, 0, 1):
        yield from private_folder.read_lines(build_status.catalogue_path(shardset, number))


@dataclass(frozen=True)
class _Chunk:
    """Files that go to a worker together."""

    secret: str
    lines: tuple[Line, ...]


def _chunks(shardset: Path, number: int) -> Iterator[_Chunk]:
    lines = file_listing.part(shardset, number)
    while chunk := tuple(islice(lines, CHUNK_FILES)):
        yield _Chunk(str(private_folder.folder(shardset)), chunk)


def _read(chunk: _Chunk) -> _Chunk | list[Found]:
    secret = Path(chunk.secret)
    of, key = sources.load(secret), bytes.fromhex((secret / "key").read_text())
    archives = {index: of.archive(index) for index in {line["recipe"] for line in chunk.lines}}
    return [_found(line, of, archives[line["recipe"]], key) for line in chunk.lines]


def _lost(chunk: _Chunk, reason: str) -> _Chunk | list[Found]:
    if len(chunk.lines) > 1:
        return chunk  # one of its files did it
    line = chunk.lines[0]
    return [Found(line["path"], line["recipe"], "unreadable", reason)]


def _each(result: _Chunk | list[Found]) -> Iterator[Found]:
    """Give the findings of a chunk, or read it file by file if it has cost a worker its life."""
    if isinstance(result, _Chunk):
        alone = [_Chunk(result.secret, (line,)) for line in result.lines]
        for part in process_pool.ordered(_read, alone, 1, _lost):
            yield from _each(part)
    else:
        yield from result


def _found(line: Line, of: sources.Sources, archive: Archive, key: bytes) -> Found:
    index, path = line["recipe"], line["path"]
    name = pseudonym(key, "file", f"{index}/{path}")
    if line["reason"]:
        return Found(path, index, "unreadable", line["reason"], name)
    try:
        examined = archive.examine(Path(path))
    except header.UnreadableError as error:
        return Found(path, index, "unreadable", str(error), name, listed=archive.listed(Path(path)))
    facts, accepts, screening = examined.header, examined.verdict.accepted, of.recipes[index].screening
    reason, flags = judge_header(facts, accepts, screening)
    uid, patient = facts.sop_instance_uid, pseudonym(key, "patient", facts.patient)
    # A UID is the world's; a path is one folder's, and another may have the same.
    scope = f"{index}/" if of.recipes[index].source.kind == "images" else ""
    name = pseudonym(key, "image", scope + uid) if uid else name
    hers = facts.has_pixels and reason not in NOT_HERS
    place = pixel_bytes.place(Path(path), examined.dicom, examined.pixels_at)
    found = Found(
        path=path,
        recipe=index,
        outcome="refused" if reason else "accepted",
        reason=reason,
        key=name,
        uid=uid,
        patient=patient if hers else "",
        pixels=pixel_bytes.sample(place) if hers else "",
        listed=examined.verdict.listed,
        accepts=accepts,
    )
    if reason:
        value, threshold = header_evidence(reason, facts, examined.dicom, screening)
        return replace(found, value=value, threshold=threshold)
    sample = Sample(
        key=name, recipe=index, view=facts.view, laterality=facts.laterality, **facts.labels, flags=flags
    )
    fields = sample.model_dump(mode="json")
    tells_apart = hashlib.sha256(canonical_json([patient, fields]).encode()).hexdigest()
    fingerprint = f"{(1 << 63) - archive.size(Path(path)):019d}-{tells_apart}"
    return replace(found, fingerprint=fingerprint, sample=fields)
