"""Where a run runs: scheduler, what each class of job asks for, container, environment, storage, tracking."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mammogan.config.settings import Natural, Positive, Settings, load_named, packaged


class Place(Settings):
    """The site's name and contact, and how its scheduler treats a job that must stop.

    `stop_notice_s` before its time limit a job is asked to save and stop; it is then queued again, at most
    `requeues` times. A job that dies is queued again as well, at most `retries` times, unless it has died at
    the same place before. `slurm_conf` names the configuration of a Slurm that is not the machine's own; the
    variable SLURM_CONF wins over it.
    """

    name: str = Field(description="Short name of the site, as given to --site.")
    summary: str = Field(description="One line on what the site is.")
    contact: str = Field(default="", description="Whom users of this profile may ask.")
    scheduler: Literal["local", "slurm"] = Field(
        description="local runs jobs on this machine; slurm submits them."
    )
    stop_notice_s: Annotated[int, Field(ge=60)] = Field(
        default=180, description="How long before its time limit a job is asked to save and stop."
    )
    requeues: Natural = Field(default=20, description="Times that a job is queued again at its time limit.")
    retries: Natural = Field(default=3, description="Times that a failed job is queued again.")
    slurm_conf: str = Field(
        default="", description="Path of the configuration of a Slurm that is not the machine's own."
    )


KEYS_OF_OPTIONS = {
    "nodes": "nodes",
    "ntasks": "tasks_per_node",
    "ntasks-per-node": "tasks_per_node",
    "cpus-per-task": "cpus_per_task",
    "mem": "mem_gb",
    "gpus-per-node": "gpus_per_node",
    "time": "time_min",
    "partition": "partition",
    "account": "account",
    "qos": "qos",
}
"""Options of sbatch that a resource class has keys for."""
OWN_OPTIONS = frozenset({
    "array", "chdir", "comment", "dependency", "error", "job-name", "kill-on-invalid-dep", "open-mode",
    "output", "requeue", "no-requeue", "signal", "wait-all-nodes", "wrap",
})  # fmt: skip
"""Options of sbatch on which the job graph, its restarts or its logs depend."""


class Resource(Settings):
    """What a job of one class asks for; an empty text leaves the choice to the scheduler.

    `cpus_per_task` 0 stands for every core of the machine (scheduler ``local`` only); `array_parallelism` is
    the most tasks of one array that run at once.
    """

    nodes: Positive = Field(default=1, description="Nodes of a job.")
    tasks_per_node: Positive = Field(
        default=1, description="Processes on each node, usually one for each GPU."
    )
    cpus_per_task: Natural = Field(
        default=1, description="CPU cores of each process; 0 is all cores, for scheduler local only."
    )
    mem_gb: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Memory of each node; left out, the scheduler decides."
    )
    gpus_per_node: Natural = Field(default=0, description="GPUs of each node.")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="Where the arithmetic is done.")
    time_min: Positive = Field(default=60, description="Time limit of a job.")
    array_parallelism: Positive = Field(default=8, description="Most tasks of one array that run at once.")
    partition: str = Field(default="", description="Slurm partition; empty leaves it to Slurm.")
    account: str = Field(default="", description="Slurm account; empty leaves it to Slurm.")
    qos: str = Field(default="", description="Slurm quality of service; empty leaves it to Slurm.")
    sbatch: dict[str, str | int | bool] = Field(
        default={},
        description="Further options of sbatch without their hyphens, as in "
        '{ constraint = "a100", exclusive = true }; true is an option without a value.',
    )
    srun: tuple[str, ...] = Field(default=(), description="Further options of srun, as they are typed.")

    @model_validator(mode="after")
    def _own_no_option_twice(self) -> Self:
        for name in self.sbatch:
            option = name.replace("_", "-")
            if not re.fullmatch(r"[a-z][a-z0-9-]*", option):
                raise ValueError(f"sbatch: '{name}' is no long option of sbatch, as 'constraint' is")
            if option in KEYS_OF_OPTIONS:
                raise ValueError(f"sbatch: '{name}' has a key of its own: set {KEYS_OF_OPTIONS[option]}")
            if option in OWN_OPTIONS:
                raise ValueError(f"sbatch: '{name}' is set by MammoGAN for each job, and can't be set here")
        return self

    @property
    def ranks(self) -> int:
        """Processes of the job's process group."""
        return self.nodes * self.tasks_per_node


class Resources(Settings):
    """The four classes of job that the graph knows."""

    login: Resource
    cpu_array: Resource
    gpu_one: Resource
    gpu_nodes: Resource

    def of(self, name: str) -> Resource:
        """Look up a class by the name that a graph node gives."""
        resource: Resource = getattr(self, name)
        return resource


class Container(Settings):
    """The Apptainer image of every job; an empty `image` runs the jobs in the launching Python instead."""

    image: str = Field(
        default="",
        description="Path of the Apptainer image; empty runs jobs in the Python that launched them.",
    )
    binds: tuple[str, ...] = Field(
        default=(), description="Further folders to bind, as SOURCE or SOURCE:TARGET:OPTIONS."
    )
    nv: bool = Field(default=False, description="Make the node's NVIDIA driver available inside.")


class Environment(Settings):
    """Lines of shell that each batch script runs first, and variables that it exports."""

    setup: tuple[str, ...] = Field(
        default=(), description="Lines of shell at the head of each batch script, outside the container."
    )
    variables: dict[str, str] = Field(
        default_factory=dict, description="Environment variables that each job exports."
    )


class Storage(Settings):
    """Folders that the nodes have.

    `scratch` exists on every node's own disk; it may be written with shell variables. `permanent` is kept and
    shared by all nodes and the login node: runs and shards belong below it.
    """

    scratch: str = Field(
        default="",
        description="Folder on each node's own disk for temporary files; may contain shell variables.",
    )
    permanent: str = Field(
        default="",
        description="Folder shared by all nodes and the login node, where runs and shards are kept.",
    )


class Tracking(Settings):
    """Which trackers are given what runs log: names of ``TRACKERS`` in `mammogan.tracking`.

    `uri` is MLflow's tracking URI; empty means an SQLite file beside the run's folder, ``off`` means that no
    tracker is given anything. A run's own journals are written in any case. Names and passwords belong into
    MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or into ``~/.mlflow/credentials``.
    """

    uri: str = Field(
        default="", description="MLflow server; empty is an SQLite file beside the run's folder, off is none."
    )
    trackers: tuple[str, ...] = Field(
        default=("mlflow",), description="Trackers that are given what runs log, by name: mlflow, jsonl."
    )
    experiment: str = Field(
        default="",
        description="MLflow experiment of the runs; empty is MLFLOW_EXPERIMENT_NAME, or else mammogan.",
    )
    model: str = Field(
        default="",
        description="Name of the chosen generator in MLflow's registry; empty is mammogan- and the method's.",
    )


class Site(Settings):
    """Everything that differs between places, and nothing that changes what is learned."""

    site: Place
    resources: Resources
    container: Container = Container()
    environment: Environment = Environment()
    storage: Storage = Storage()
    tracking: Tracking = Tracking()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name in Resources.model_fields:
            problem = _impossible(self.site, self.resources.of(name))
            if problem:
                raise ValueError(f"resources.{name}.{problem}")
        return self


def _impossible(place: Place, resource: Resource) -> str:
    """Say what the scheduler can't do about `resource`, as ``key is 'value', why: what to do``."""
    if place.scheduler == "local":
        if resource.nodes > 1:
            return f"nodes is '{resource.nodes}', but the scheduler 'local' has one machine: set it to 1"
        return ""
    if resource.cpus_per_task == 0:
        return "cpus_per_task is '0' (every core), which only the scheduler 'local' knows: give a number"
    if resource.device == "cuda" and resource.gpus_per_node == 0:
        return "device is 'cuda', but gpus_per_node is '0': ask for a GPU, or set device to 'cpu'"
    if (
        resource.time_min * 60 < place.stop_notice_s + 120
    ):  # Slurm may signal a minute early, and saving takes time
        return f"time_min is '{resource.time_min}', too short for site.stop_notice_s '{place.stop_notice_s}'"
    return ""


def sites() -> dict[str, Path]:
    """Find the profiles that come with the package, by name; they are those of ``slurm/profiles``."""
    return {path.stem: path for path in packaged("profiles", "*.toml")}


def load_site(name: str, overrides: tuple[str, ...] = ()) -> Site:
    """Load a site by its name, or from the user's own TOML file.

    Raises
    ------
    ConfigError
        If there is no such site, or it holds a wrong key or value.
    """
    return load_named(Site, "site", name, sites(), overrides)
