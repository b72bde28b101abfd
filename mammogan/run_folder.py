"""Every path of a run's folder, by name; docs/run-folder.md describes what is in each."""

from __future__ import annotations

from pathlib import Path


def score_path(run: Path, stage: int, images: int) -> Path:
    """Where the score of a checkpoint is."""
    return run / "scores" / str(stage) / f"{images:09d}.json"
