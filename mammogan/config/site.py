"""Where a run runs: scheduler, what each class of job asks for, container, environment, storage, tracking."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mammogan.config.resource import Resource, Resources
from mammogan.config.settings import Natural, Settings, load_named, packaged

CONTAINERS = ("apptainer", "singularity", "pyxis", "enroot")
"""What `container.command` can be."""


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


class Container(Settings):
    """The image of every job; an empty `image` runs the jobs in the launching Python instead.

    `command` is ``apptainer`` or ``singularity``, also by its path; ``pyxis`` for options of NVIDIA's plugin
    on the srun line, or ``enroot``. `python` is what starts Python inside.
    """

    image: str = Field(
        default="",
        description="Path of the image; empty runs jobs in the Python that launched them.",
    )
    command: str = Field(
        default="apptainer",
        description="What runs the image: apptainer, singularity, the path of one, pyxis or enroot.",
    )
    flags: tuple[str, ...] = Field(
        default=(), description='Further options of it, as they are typed: ["--nv"], ["--rocm"].'
    )
    python: str = Field(default="python3", description="Command that starts Python inside the image.")
    binds: tuple[str, ...] = Field(
        default=(), description="Further folders to bind, as SOURCE or SOURCE:TARGET:OPTIONS."
    )
    nv: bool = Field(
        default=False,
        description="Make the node's NVIDIA driver available inside Apptainer: the flag --nv.",
    )

    @field_validator("command")
    @classmethod
    def _known(cls, command: str) -> str:
        if not Path(command).name.startswith(CONTAINERS):
            raise ValueError(f"should be one of {', '.join(CONTAINERS)}, or the path of one")
        return command

    @model_validator(mode="after")
    def _driver_once(self) -> Self:
        if self.nv and self.kind in ("pyxis", "enroot"):
            raise ValueError(
                f"nv is 'true', which is Apptainer's; {self.kind} makes the driver available by itself: "
                "leave it out"
            )
        return self

    @property
    def kind(self) -> str:
        """Which of ``CONTAINERS`` runs the image, without its path and version."""
        return next(name for name in CONTAINERS if Path(self.command).name.startswith(name))

    @property
    def without_driver(self) -> bool:
        """Whether nothing brings the node's driver into an image of Apptainer."""
        drivers = {"--nv", "--nvccli", "--rocm"} & {*self.flags}
        return self.kind in ("apptainer", "singularity") and not self.nv and not drivers


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
        default=("mlflow",),
        description="Trackers that get what runs log, by name: mlflow, jsonl, tensorboard.",
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
        if self.site.scheduler == "local" and self.container.image and self.container.kind == "pyxis":
            raise ValueError(
                "container.command is 'pyxis', which is a part of srun, and the scheduler 'local' has none: "
                "set it to 'apptainer' or 'enroot'"
            )
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
