"""The environment that Slurm's commands are called in: what encloses a launch doesn't shape its jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

KEPT = frozenset({"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT"})
"""Which Slurm is meant, and who one is: not what is asked of it."""
PREFIXES = ("SLURM_", "SLURMD_", "SBATCH_", "SRUN_", "SALLOC_", "SQUEUE_", "SACCT_", "SCANCEL_", "SINFO_")


def clean(environ: Mapping[str, str], named: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return `environ` without the variables of an enclosing job and without options for Slurm's commands.

    A launch inside an allocation would hand SLURM_MEM_PER_CPU and its like on to its jobs, whose srun then
    refuses to start; SBATCH_EXPORT=NONE would leave them without an environment; SQUEUE_PARTITION would hide
    them. What a profile names under ``[environment.variables]`` is set, `named`, since it was asked for.
    """
    kept = {name: value for name, value in environ.items() if not _of_slurm(name)}
    return kept | {name: value for name, value in (named or {}).items() if name.startswith(PREFIXES)}


def notice(named: Mapping[str, str]) -> str:
    """Say which options for sbatch stand in the environment and aren't handed on; empty if none does."""
    options = sorted(name for name in os.environ if name.startswith("SBATCH_") and name not in named)
    if not options:
        return ""
    texts = ", ".join(f"{name}='{os.environ[name]}'" for name in options)
    return (
        f"Not handed on to sbatch: {texts}. The profile alone says what jobs ask for: set its keys, or name "
        "the variable under [environment.variables]."
    )


@contextmanager
def in_force(named: Mapping[str, str]) -> Iterator[None]:
    """Let the clean environment be this process' own while the block lasts, for a library's sbatch."""
    before = dict(os.environ)
    _replace(clean(before, named))
    try:
        yield
    finally:
        _replace(before)


def _of_slurm(name: str) -> bool:
    return name.startswith(PREFIXES) and name not in KEPT


def _replace(environ: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(environ):
        del os.environ[name]
    os.environ.update(environ)
