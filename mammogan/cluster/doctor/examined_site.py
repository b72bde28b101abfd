"""A site under examination: its profile, what Slurm says of it, and its probes, each asked for once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mammogan.cluster import slurm_commands
from mammogan.cluster.doctor import node_probe
from mammogan.cluster.doctor.node_probe import Probe
from mammogan.cluster.doctor.slurm_facts import Facts
from mammogan.config.resource import Resource, Resources
from mammogan.config.site import Site
from mammogan.errors import ClusterError


@dataclass
class Case:
    """A site, and what was learnt of it so far.

    Attributes
    ----------
    site : Site
        What is claimed.
    jobs : bool
        Whether probe jobs may be submitted.
    patience_s : float
        How long a probe job may wait in the queue.
    """

    site: Site
    jobs: bool = True
    patience_s: float = 300

    @property
    def has_slurm(self) -> bool:
        """Tell whether the site has a scheduler to be asked."""
        return self.site.site.scheduler == "slurm"

    def classes(self) -> Iterator[tuple[str, Resource]]:
        """List the four classes of job: key of the table, and what it asks for."""
        for name in Resources.model_fields:
            yield f"resources.{name}", self.site.resources.of(name)

    @cached_property
    def facts(self) -> Facts | str:
        """What the controller says; or, if it says nothing, why."""
        try:
            slurm_commands.use(self.site)
            return Facts.ask()
        except ClusterError as error:
            return str(error)

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        """What was seen on a node of each partition, or on this machine."""
        if not self.has_slurm:
            return (node_probe.this_machine(self.site),)
        if not self.jobs:
            return ()
        if isinstance(self.facts, str):
            return (Probe("a node", (), failure="Slurm does not answer"),)
        return node_probe.in_jobs(self.site, self.patience_s)
