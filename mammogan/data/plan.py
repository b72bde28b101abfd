"""Planning a shard set from headers alone: screening, duplicates, split by patient, places in shards."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mammogan.config.dataset import Dataset, Splits
from mammogan.data import header, manifest, private
from mammogan.data.manifest import Plan, PlannedShard, Sample, Tally
from mammogan.data.private import Entry, pseudonym
from mammogan.data.screening import screen_header
from mammogan.errors import ConfigError, DataError
from mammogan.files import write

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Candidate:
    entry: Entry
    sample: Sample | None = None


def plan(
    shardset: Path,
    sources: Sequence[tuple[Dataset, Path]],
    on_progress: Progress | None = None,
    key_file: Path | None = None,
) -> Plan:
    """Decide what goes into `shardset` and write it down there; pixels are not read.

    The same files, recipes and key give the same plan, in whatever folder and order the files lie.

    Parameters
    ----------
    sources
        A recipe and a folder (or a file) for each source of images.
    on_progress
        Called with the files read and the files to read.
    key_file
        Secret key to reuse; without it the set's own, or a new one.

    Raises
    ------
    DataError
        If there is no usable mammogram, or if the folder holds shards of another plan. Nothing is written
        then.
    ConfigError
        If the recipes don't agree on the rungs and shards to write.
    """
    recipes = tuple(recipe for recipe, _ in sources)
    if any(recipe.packing != recipes[0].packing for recipe in recipes):
        raise ConfigError(
            "The recipes of one shard set must agree on their table [packing]: set it alike in all."
        )
    key = private.secret_key(shardset, key_file)
    candidates = _without_duplicates(_catalogue(sources, key, on_progress or (lambda done, total: None)))
    tallies = tally(recipes, [candidate.entry for candidate in candidates])
    if not any(candidate.sample for candidate in candidates):
        raise DataError(_nothing(sources, tallies))
    shards = tuple(_shards(recipes, candidates, key))
    made = Plan(identity=manifest.identity(recipes, shards), recipes=recipes, shards=shards, tallies=tallies)
    _save(shardset, made, [candidate.entry for candidate in candidates], key)
    return made


def tally(recipes: Sequence[Dataset], entries: Iterable[Entry]) -> tuple[Tally, ...]:
    """Count outcomes by source and reason."""
    counts = Counter((entry.recipe, entry.outcome, entry.reason) for entry in entries)

    def by_reason(recipe: int, outcome: str) -> dict[str, int]:
        return {r: n for (i, o, r), n in sorted(counts.items()) if (i, o) == (recipe, outcome)}

    return tuple(
        Tally(
            recipe=recipe.dataset.name,
            files=sum(n for (i, _, _), n in counts.items() if i == index),
            accepted=counts[index, "accepted", ""],
            refused=by_reason(index, "refused"),
            unreadable=by_reason(index, "unreadable"),
        )
        for index, recipe in enumerate(recipes)
    )


def assign(patients: Iterable[str], splits: Splits, key: bytes) -> dict[str, str]:
    """Give every patient one split: a keyed shuffle cut at the fractions, no split left empty in vain."""
    ranked = sorted(patients, key=lambda patient: pseudonym(key, "split", patient))
    wanted = {name: part for name, part in splits.model_dump().items() if part > 0}
    names = sorted(wanted, key=lambda name: -wanted[name])[: len(ranked)]
    sizes = {name: max(round(wanted[name] * len(ranked)), 1) for name in names[1:]}
    order = [name for name in names[1:] for _ in range(sizes[name])]
    order += names[:1] * (len(ranked) - len(order))
    return dict(zip(ranked, order, strict=True))


def _catalogue(
    sources: Sequence[tuple[Dataset, Path]], key: bytes, on_progress: Progress
) -> Iterator[_Candidate]:
    listed = [(index, path) for index, (_, folder) in enumerate(sources) for path in _files(folder)]
    for done, (index, path) in enumerate(listed, start=1):
        yield _candidate(index, sources[index][0], path, key)
        on_progress(done, len(listed))


def _files(folder: Path) -> list[Path]:
    """List every file below `folder`, through links but round no loop, in an order of its own."""
    if folder.is_file():
        return [folder.resolve()]
    if not folder.is_dir():
        raise DataError(f"There is no folder '{folder}' to take mammograms from.")
    found, visited = [], set()
    for root, folders, names in os.walk(folder.resolve(), onerror=_unlisted, followlinks=True):
        status = Path(root).stat()
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders.sort()
        found += [Path(root) / name for name in sorted(names)]
    return found


def _unlisted(error: OSError) -> None:
    raise DataError(
        f"The folder '{error.filename}' can't be listed ({error.strerror}): nobody knows what it holds."
    )


def _candidate(index: int, recipe: Dataset, path: Path, key: bytes) -> _Candidate:
    try:
        facts = header.read(path, recipe.source)
    except header.UnreadableError as error:
        return _Candidate(Entry(str(path), index, "unreadable", str(error)))
    reason, flags = screen_header(facts, recipe.screening)
    if reason:
        return _Candidate(Entry(str(path), index, "refused", reason))
    name, patient = pseudonym(key, "image", facts.sop_instance_uid), pseudonym(key, "patient", facts.patient)
    sample = Sample(
        key=name, recipe=index, view=facts.view, laterality=facts.laterality, vendor=facts.vendor, flags=flags
    )
    return _Candidate(Entry(str(path), index, "accepted", key=name, patient=patient), sample)


def _without_duplicates(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    """Refuse what bears the SOP Instance UID of an image accepted before."""
    seen: set[str] = set()
    kept = []
    for candidate in candidates:
        again = candidate.entry.key in seen
        refused = replace(candidate.entry, outcome="refused", reason="duplicate", key="", patient="")
        kept.append(_Candidate(refused) if again else candidate)
        seen |= {candidate.entry.key} - {""}
    return kept


def _shards(
    recipes: Sequence[Dataset], candidates: Sequence[_Candidate], key: bytes
) -> Iterator[PlannedShard]:
    split_of: dict[str, str] = {}
    for index, recipe in enumerate(recipes):  # each source keeps its own fractions
        patients = {c.entry.patient for c in candidates if c.sample and c.sample.recipe == index}
        split_of |= assign(patients - split_of.keys(), recipe.splits, key)
    length = recipes[0].packing.samples_per_shard
    for split in Splits.model_fields:
        samples = [c.sample for c in candidates if c.sample and split_of[c.entry.patient] == split]
        samples.sort(key=lambda sample: sample.key)
        for number, first in enumerate(range(0, len(samples), length)):
            part = tuple(samples[first : first + length])
            yield PlannedShard(name=f"{split}-{number:05d}", split=split, samples=part)


def _save(shardset: Path, made: Plan, entries: Sequence[Entry], key: bytes) -> None:
    path = shardset / manifest.PLAN
    old = manifest.load_record(Plan, path).identity if path.exists() else ""
    if old != made.identity and any(shardset.glob("*/*.tar")):
        raise DataError(
            f"'{shardset}' holds shards of another plan (other files, recipes or key). "
            "Give the new set a folder of its own, or remove this one first."
        )
    secret = private.create(shardset)
    write(secret / "key", key.hex() + "\n", mode=0o600)
    private.write_entries(secret / "catalogue.jsonl", entries)
    shardset.mkdir(parents=True, exist_ok=True)
    write(path, manifest.render(made))  # last: a set that has a plan has all that the plan needs


def _nothing(sources: Sequence[tuple[Dataset, Path]], tallies: Sequence[Tally]) -> str:
    lines = ["No mammogram to learn from was found; nothing was written."]
    for (recipe, folder), counts in zip(sources, tallies, strict=True):
        reasons = [f"{n} refused: {r}" for r, n in counts.refused.items()]
        reasons += [f"{n} unreadable: {r}" for r, n in counts.unreadable.items()]
        found = "; ".join(reasons) or "the folder is empty"
        lines.append(f"'{folder}' as '{recipe.dataset.name}', {counts.files} files: {found}.")
    return "\n".join([*lines, "Is it the right folder, and the right recipe for it?"])
