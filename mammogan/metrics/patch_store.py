"""Patches of one level, in memory or in a file that grows: a set of all levels is larger than memory may be.

Shape suffixes: P patches, D numbers of a patch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammogan.files import full_disk_explained

Floats = NDArray[np.float32]
HELD_BYTES = 2 << 20
"""What is held of a level before it goes to the file: few large writes suit a parallel file system."""
BLOCK_ROWS = 1 << 16


class Store:
    """Patches of `numbers` numbers each, (P, D) float32; in `path`, a new file, if it is given."""

    def __init__(self, numbers: int, path: Path | None = None) -> None:
        self.numbers, self.path = numbers, path
        self._files: list[tuple[Path, int]] = []  # whole files of others, and rows of each
        self._written = 0
        self._held: list[Floats] = []

    @classmethod
    def of_file(cls, numbers: int, path: Path, rows: int) -> Store:
        """Give what a file holds; more may be added in memory, and the file stays as it is."""
        store = cls(numbers)
        store._files.append((path, rows))
        return store

    def __len__(self) -> int:
        return self._written + sum(rows for _, rows in self._files) + sum(len(part) for part in self._held)

    def add(self, patches_PD: Floats) -> None:
        """Add patches (P, D)."""
        self._held.append(patches_PD)
        if self.path and sum(part.nbytes for part in self._held) > HELD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Bring to the file what is held."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with full_disk_explained(self.path), self.path.open("ab") as stream:
            for part in self._held:
                stream.write(np.ascontiguousarray(part, np.float32).data)
                self._written += len(part)
        self._held = []

    def merge(self, other: Store) -> None:
        """Add what another store has; its file is read from where it is."""
        self._files += other._files
        if other.path and other._written:
            self._files.append((other.path, other._written))
        self._held += other._held

    def read(self) -> Floats:
        """Give all patches, a row a number: (D, P)."""
        patches_DP = np.empty((self.numbers, len(self)), np.float32)
        first = 0
        own = [(self.path, self._written)] if self.path and self._written else []
        for path, rows in [*own, *self._files]:
            with path.open("rb") as stream:
                for begin in range(0, rows, BLOCK_ROWS):
                    count = min(BLOCK_ROWS, rows - begin)
                    block = np.fromfile(stream, np.float32, count * self.numbers)
                    patches_DP[:, first : first + count] = block.reshape(count, self.numbers).T
                    first += count
        for part in self._held:
            patches_DP[:, first : first + len(part)] = part.T
            first += len(part)
        return patches_DP
