"""Who looks at which image, and when: a pure function of seed, pictures and number of reviewers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mammogan.study.web.image_store import Picture


@dataclass(frozen=True)
class Plan:
    """The series of each reviewer.

    Attributes
    ----------
    series
        For each reviewer the keys of pictures, in the order in which they are shown.
    owners
        For each picture the reviewer whose verdict counts in rates, so that each image counts once.
    shared
        The pictures that all reviewers see.
    """

    series: tuple[tuple[str, ...], ...]
    owners: dict[str, int]
    shared: frozenset[str]

    @property
    def sha256(self) -> str:
        """Hash of all series."""
        return hashlib.sha256(repr(self.series).encode()).hexdigest()


def plan(seed: int, pictures: Iterable[Picture], reviewers: int, overlap: int) -> Plan:
    """Deal pictures to reviewers: `overlap` of them to all, the others in turn, in each one's own order.

    Overlap and shares are balanced over source and view, to one picture.
    """
    strata: dict[tuple[str, str], list[str]] = {}
    for picture in pictures:
        strata.setdefault((picture.source, picture.view), []).append(picture.key)
    shuffled = [sorted(keys, key=lambda key: _drawn(seed, "deal", key)) for _, keys in sorted(strata.items())]
    # In turn from each stratum, so that any first part of the list is balanced.
    dealt = [
        keys[place]
        for place in range(max(map(len, shuffled), default=0))
        for keys in shuffled
        if place < len(keys)
    ]
    shared = frozenset(dealt[:overlap])
    owners = {
        key: number
        for first, keys in enumerate(shuffled)
        for number, key in _turns(keys, shared, reviewers, first)
    }
    series = tuple(
        tuple(
            sorted(
                (key for key in dealt if key in shared or owners[key] == reviewer),
                key=lambda key: _drawn(seed, f"order {reviewer}", key),
            )
        )
        for reviewer in range(reviewers)
    )
    return Plan(series, owners, shared)


def _turns(
    keys: Sequence[str], shared: frozenset[str], reviewers: int, first: int
) -> Iterable[tuple[int, str]]:
    """Deal the keys of a stratum to reviewers in turn, from `first` on, shared and others apart."""
    for part in ([k for k in keys if k in shared], [k for k in keys if k not in shared]):
        for place, key in enumerate(part):
            yield (first + place) % reviewers, key


def _drawn(seed: int, what: str, key: str) -> bytes:
    return hashlib.sha256(f"{seed}/{what}/{key}".encode()).digest()
