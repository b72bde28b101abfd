"""Who sees what: a pure function of the study's seed, its pictures and the participant's number.

Every choice is the smallest of hashes of (seed, participant, what is chosen), so that any language on any
machine comes to the same plan. Sides are independent fair coins: only then is the number of right answers
binomial whatever a reader's strategy; were they balanced, somebody who always says "left" would score exactly
half.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Literal, get_args

from mammogan.config.settings import Settings, canonical_json
from mammogan.errors import ConfigError
from mammogan.study.web.image_store import Picture

Side = Literal["left", "right"]
SIDES: tuple[Side, ...] = get_args(Side)


class Pair(Settings):
    """Two pictures by their keys; `trial` counts from 1, and practice pairs count up to -1."""

    trial: int
    view: str
    real: str
    synthetic: str
    synthetic_side: Side

    def shown(self, side: Side) -> str:
        """Return the key of the picture on a side."""
        return self.synthetic if side == self.synthetic_side else self.real


class Plan(Settings):
    """All pairs of one participant, in their order."""

    number: int
    pairs: tuple[Pair, ...]

    @property
    def sha256(self) -> str:
        """Hash of all of it."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json")).encode()).hexdigest()

    def at(self, trial: int) -> Pair | None:
        """Return the pair of a trial, if it is in the plan."""
        return next((pair for pair in self.pairs if pair.trial == trial), None)


def plans(
    seed: int, pictures: Iterable[Picture], pairs_per_view: int, practice_per_view: int
) -> Iterator[Plan]:
    """Return the plans of participants 0, 1, 2 ... without end.

    Within a pair the view is the same, and the laterality if both pictures know theirs. No participant sees a
    picture twice. From one to the next those come first that were shown least: exposure is even to one, for
    scored pairs alone and for practice alone, unless lateralities leave no choice.

    Raises
    ------
    ConfigError
        If a view has too few pictures of a source.
    """
    pools = _pools(pictures, pairs_per_view + practice_per_view)
    shown = {"scored": Counter[str](), "practice": Counter[str]()}
    for number in count():
        chosen: dict[str, list[tuple[str, str, str]]] = {"scored": [], "practice": []}
        seen: set[str] = set()
        for kind, wanted in (("scored", pairs_per_view), ("practice", practice_per_view)):
            for view, (reals, synthetics) in pools.items():
                for _ in range(wanted):
                    real = _least(reals, seen, shown[kind], f"{seed}/{number}/{kind}")
                    fitting = [p for p in synthetics if _matches(real, p)]
                    synthetic = _least(fitting, seen, shown[kind], f"{seed}/{number}/{kind}")
                    seen |= {real.key, synthetic.key}
                    shown[kind].update((real.key, synthetic.key))
                    chosen[kind].append((view, real.key, synthetic.key))
        pairs = []
        for kind, first in (("practice", -len(chosen["practice"])), ("scored", 1)):
            order = sorted(chosen[kind], key=lambda pair: _hash(f"{seed}/{number}/order/{pair[1]}"))
            for trial, (view, real_key, synthetic_key) in enumerate(order, first):
                side = SIDES[_hash(f"{seed}/{number}/side/{trial}")[0] & 1]
                pairs.append(
                    Pair(trial=trial, view=view, real=real_key, synthetic=synthetic_key, synthetic_side=side)
                )
        yield Plan(number=number, pairs=tuple(pairs))


class Plans:
    """The plans by number; those up to the highest that was asked for are kept."""

    def __init__(self, source: Iterator[Plan]) -> None:
        self._source, self._known = source, list[Plan]()

    def __getitem__(self, number: int) -> Plan:
        while len(self._known) <= number:
            self._known.append(next(self._source))
        return self._known[number]


def _pools(
    pictures: Iterable[Picture], needed: int
) -> dict[str, tuple[Sequence[Picture], Sequence[Picture]]]:
    """Sort pictures by view and source."""
    ordered = sorted(pictures, key=lambda picture: picture.key)
    views = sorted({picture.view for picture in ordered})
    pools: dict[str, tuple[Sequence[Picture], Sequence[Picture]]] = {}
    for view in views:
        of_view = [picture for picture in ordered if picture.view == view]
        real, synthetic = (
            [picture for picture in of_view if picture.source == source] for source in ("real", "synthetic")
        )
        # A laterality's pictures may run out before the view's: as many are needed of each that occurs.
        for picture in real:
            fitting = sum(_matches(picture, other) for other in synthetic)
            if min(len(real), fitting) < needed:
                raise ConfigError(
                    f"A participant sees {needed} pairs of view '{view}', none of its pictures twice, and "
                    f"there are {len(real)} real and {fitting} fitting synthetic ones. Give more images, or "
                    "lower 'study.pairs_per_view' or 'study.practice_per_view'."
                )
        if not real:
            raise ConfigError(f"There is no real picture of view '{view}' to be paired with synthetic ones.")
        pools[view] = (real, synthetic)
    return pools


def _matches(real: Picture, synthetic: Picture) -> bool:
    sides = {real.laterality, synthetic.laterality} - {""}
    return len(sides) < 2


def _least(pool: Sequence[Picture], seen: set[str], shown: Counter[str], salt: str) -> Picture:
    """Take the picture that was shown least, of those not seen; ties by hash."""
    left = [picture for picture in pool if picture.key not in seen]
    fewest = min(shown[picture.key] for picture in left)
    ties = [picture for picture in left if shown[picture.key] == fewest]
    return min(ties, key=lambda picture: _hash(f"{salt}/{picture.key}"))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
