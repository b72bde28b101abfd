"""Which images the report's measures are taken from, numbered by source and view, and the parts of the work.

Parts and their numbers of images follow from the run alone, so that any number of tasks makes the same files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mammogan import schedule
from mammogan.config.label_fields import VIEWS
from mammogan.config.method import Method
from mammogan.config.run_config import Run
from mammogan.errors import ConfigError, DataError
from mammogan.files import sha256
from mammogan.run_folder import RunFolder
from mammogan.steps.job_graph import images_per_view
from mammogan.steps.select_checkpoint import read_choice

if TYPE_CHECKING:
    import numpy as np

    from mammogan.data.shards.shard_reader import ImageReader

FORMAT = 2
"""Counts up whenever the same images would give other numbers."""
SOURCES = ("synthetic", "real", "train")
PART_IMAGES, PART_PAIRS = 128, 128


@dataclass(frozen=True)
class Part:
    """A piece of the work: `kind` is ``images`` or ``pairs``, `numbers` of those of one source and view."""

    kind: str
    source: str
    view: str
    numbers: range

    @property
    def name(self) -> str:
        """What its file is called."""
        number = self.numbers.start // (PART_IMAGES if self.kind == "images" else PART_PAIRS)
        return f"{self.kind}-{self.source}-{self.view.lower()}-{number:04d}.npz"


class Subjects:
    """The images of a run that are measured: its pool's, held-out reals and training reals.

    Held-out are those of split ``test``; of a set without one those of ``validation``, by which the
    checkpoint was chosen. `weights` is a user's own feature network; its parts lie in a folder of their own.

    Raises
    ------
    ConfigError
        If the pool is not of the chosen checkpoint.
    DataError
        If nothing was chosen yet, or pool or shard set are missing or damaged.
    """

    def __init__(self, folder: Path, run: Run, weights: Path | None = None) -> None:
        from mammogan.data.shards.shard_reader import ShardSet
        from mammogan.data.synthetic.synthetic_pool import load_manifest

        self.folder, self.run, self.weights = folder, run, weights
        if not RunFolder(folder).choice.exists():
            raise DataError(
                f"The run '{folder}' has chosen no checkpoint yet, so there is nothing to report on. "
                f"`mammogan status {folder}` tells how far it is."
            )
        choice, pool = read_choice(folder), load_manifest(RunFolder(folder).samples)
        self.checkpoint = pool.pool.checkpoint
        if self.checkpoint != choice.checkpoint:
            raise ConfigError(
                f"The pool '{RunFolder(folder).samples}' was drawn from checkpoint '{self.checkpoint}', and "
                f"the run chose '{choice.checkpoint}': launch the run again, or remove the pool and do so."
            )
        stage = schedule.plan(run.method)[choice.stage]
        self.size_px = stage.height_px, stage.width_px
        self.shard_set = ShardSet(Path(run.shards))
        self.held_out = self.shard_set.held_out(*self.size_px)
        self.readers: dict[str, ImageReader] = {
            "synthetic": pool.reader(RunFolder(folder).samples),
            "real": self.shard_set.reader(*self.size_px, self.held_out),
            "train": self.shard_set.reader(*self.size_px, "train"),
        }

    @property
    def method(self) -> Method:
        """The run's method."""
        return self.run.method

    def positions(self, source: str, view: str) -> np.ndarray:
        """Give where the images of a source and view lie in their rung: (N,)."""
        import numpy as np

        of_view = np.flatnonzero(self.readers[source].views_N == VIEWS.index(view))
        return of_view[: images_per_view(self.method)]

    def images(self, source: str, view: str, numbers: range) -> Iterator[np.ndarray]:
        """Read images one by one, uint16 (H, W)."""
        positions = self.positions(source, view)[numbers.start : numbers.stop]
        for at in range(len(positions)):
            yield self.readers[source].read(positions[at : at + 1])[0]

    @property
    def parts(self) -> list[Part]:
        """List all parts, those that take longest first."""
        found = []
        for view in VIEWS:
            for source in SOURCES:
                count = len(self.positions(source, view))
                cut = (range(at, min(at + PART_IMAGES, count)) for at in range(0, count, PART_IMAGES))
                found += [Part("images", source, view, numbers) for numbers in cut]
            for source in SOURCES[:2]:
                pairs = self.method.assessment.pairs if len(self.positions(source, view)) > 1 else 0
                cut = (range(at, min(at + PART_PAIRS, pairs)) for at in range(0, pairs, PART_PAIRS))
                found += [Part("pairs", source, view, numbers) for numbers in cut]
        return found

    def share(self, task: int, tasks: int) -> list[Part]:
        """Give the parts that `task` of `tasks` makes."""
        return self.parts[task::tasks]

    def path(self, part: Part) -> Path:
        """Where a part's file is."""
        return RunFolder(self.folder).image_features(self._digest[:12]) / part.name

    @cached_property
    def key(self) -> str:
        """Hash all that decides about the numbers of a part."""
        depends_on = (
            FORMAT,
            self.checkpoint,
            self.shard_set.identity,
            self.size_px,
            self.held_out,
            images_per_view(self.method),
            self.method.assessment.pairs,
            self.method.method.seed,
            self._digest,
        )
        return hashlib.sha256(repr(depends_on).encode()).hexdigest()[:16]

    @cached_property
    def _digest(self) -> str:
        return sha256(self.weights) if self.weights else ""

    def pairs(self, source: str, view: str) -> np.ndarray:
        """Draw the pairs of different images of a view that are compared: (pairs, 2)."""
        import numpy as np

        count, wanted = len(self.positions(source, view)), self.method.assessment.pairs
        place = SOURCES.index(source), VIEWS.index(view)
        random = np.random.default_rng([self.method.method.seed, *place])
        first = random.integers(0, count, wanted)
        other = (first + random.integers(1, max(2, count), wanted)) % count
        return np.stack([first, other], axis=1)
