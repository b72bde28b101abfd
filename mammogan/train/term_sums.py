"""Sums of the terms of both losses between two ticks, kept on the device by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mammogan.train.distributed import ProcessGroup

PENALTY = "critic/penalty"
EARLIER = (
    *("critic/drift", "critic/label_real", "critic/score_real", "critic/adversarial", "critic/label_fake"),
    *("critic/score_fake", "critic/penalty", "critic/gradient_norm", "critic/skipped"),
    *("generator/adversarial", "generator/label", "generator/gradient_norm", "generator/skipped"),
)
"""What the list stands for that checkpoints of version 0.1 hold instead of names."""

Saved = Mapping[str, Mapping[str, float]] | Sequence[float]


class TermSums:
    """Named sums, part by part: a part's terms are added up at once, without waiting for the device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.reset()

    def reset(self) -> None:
        """Begin to sum up anew; a penalty that is not taken between two ticks counts as 0."""
        self._names: dict[str, tuple[str, ...]] = {"penalty": (PENALTY,)}
        self._sums: dict[str, Tensor] = {"penalty": torch.zeros(1, device=self.device)}

    def add(self, part: str, names: Sequence[str], values: Tensor) -> None:
        """Add the values (as many as `names`, which stay the same) of one part of a step."""
        if part not in self._sums:
            self._names[part], self._sums[part] = tuple(names), torch.zeros_like(values)
        self._sums[part] += values

    def totals(self, group: ProcessGroup) -> dict[str, float]:
        """Return each name's sum in the mean over the ranks; one name in two parts is one sum. Collective."""
        totals: dict[str, float] = {}
        for named in self.state(group).values():
            for name, value in named.items():
                totals[name] = totals.get(name, 0.0) + value
        return totals

    def state(self, group: ProcessGroup) -> dict[str, dict[str, float]]:
        """Return the sums part by part in the mean over the ranks, to be saved. Collective."""
        means = group.all_reduce_mean(torch.cat(list(self._sums.values()))).tolist()
        values = iter(means)
        return {part: {name: next(values) for name in names} for part, names in self._names.items()}

    def load(self, saved: Saved) -> None:
        """Go on from what `state` returned."""
        if not isinstance(saved, Mapping):
            saved = {"version 0.1": dict(zip(EARLIER, saved, strict=True))}
        for part, named in saved.items():
            self._names[part] = tuple(named)
            self._sums[part] = torch.tensor(list(named.values()), device=self.device)
