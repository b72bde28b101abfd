"""Holds each claim of a site's profile against the place itself, and says what to do about those not true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from mammogan.cluster.doctor import login, nodes, scheduler
from mammogan.cluster.doctor.case import Case
from mammogan.cluster.doctor.finding import Finding
from mammogan.cluster.doctor.nodes import ON_A_NODE
from mammogan.cluster.doctor.profile import Profile, load
from mammogan.config.settings import nearest
from mammogan.errors import ConfigError

__all__ = ["CHECKS", "Case", "Finding", "Profile", "examine", "load"]

Check = Callable[[Case], Iterator[Finding]]


def _of_each_node(name: str) -> Check:
    """Make one check of all nodes, which tells once what it finds alike on several."""

    def check(case: Case) -> Iterator[Finding]:
        places: dict[Finding, list[str]] = {}
        for probe in case.probes:
            if not probe.failure:
                for finding in ON_A_NODE[name](case, probe):
                    places.setdefault(finding, []).append(probe.place)
        for finding, where in places.items():
            yield replace(finding, claim=f"{finding.claim} on {' and '.join(where)}")

    return check


CHECKS: dict[str, Check] = {
    "slurm": scheduler.controller,
    "partitions": scheduler.partitions,
    "accounts": scheduler.accounts,
    "fits": scheduler.fits,
    "arrays": scheduler.arrays,
    "image": login.image,
    "permanent": login.permanent,
    "tracking": login.tracking,
    "probes": nodes.probes,
    **{name: _of_each_node(name) for name in ON_A_NODE},
}
"""What is checked, in this order: what is known at once first, then what probe jobs see on the nodes."""


def examine(case: Case, names: Iterable[str] = ()) -> Iterator[Finding]:
    """Do the checks of these names, or all; findings come as they are made.

    Raises
    ------
    ConfigError
        If there is no check of a name.
    """
    names = list(names) or list(CHECKS)
    for name in names:
        if name not in CHECKS:
            raise ConfigError(f"There is no check '{name}'.{nearest(name, CHECKS)}")
    for name in names:
        yield from CHECKS[name](case)
