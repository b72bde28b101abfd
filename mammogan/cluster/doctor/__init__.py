"""Holds each claim of a site's profile against the place itself, and says what to do about those not true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from mammogan.cluster.doctor import all_reduce, compute_node_checks, login_node_checks, scheduler_checks
from mammogan.cluster.doctor.compute_node_checks import ON_A_NODE
from mammogan.cluster.doctor.examined_site import Case
from mammogan.cluster.doctor.finding import Finding
from mammogan.cluster.doctor.profile_lines import Profile, load
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
            yield replace(finding, claim=f"{finding.claim} on {' and '.join(dict.fromkeys(where))}")

    return check


CHECKS: dict[str, Check] = {
    "slurm": scheduler_checks.controller,
    "partitions": scheduler_checks.partitions,
    "accounts": scheduler_checks.accounts,
    "fits": scheduler_checks.fits,
    "arrays": scheduler_checks.arrays,
    "image": login_node_checks.image,
    "permanent": login_node_checks.permanent,
    "tracking": login_node_checks.tracking,
    "probes": compute_node_checks.probes,
    **{name: _of_each_node(name) for name in ON_A_NODE},
    "ranks": all_reduce.ranks,
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
