"""What a job of one class asks the scheduler for: our own keys, and every other option of sbatch and srun."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from mammogan.config.settings import Natural, Positive, Settings

Option = str | int | float | bool

KEYS_OF_OPTIONS = {
    "nodes": "nodes",
    "ntasks": "tasks_per_node",
    "ntasks-per-node": "tasks_per_node",
    "ntasks-per-gpu": "tasks_per_node",
    "cpus-per-task": "cpus_per_task",
    "time": "time_min",
    "partition": "partition",
    "account": "account",
    "qos": "qos",
}
"""Options of sbatch that a resource class has keys for, on which the layout of ranks depends."""
OWN_OPTIONS = frozenset({
    "array", "chdir", "clusters", "comment", "dependency", "error", "job-name", "kill-on-invalid-dep",
    "open-mode", "output", "parsable", "quiet", "requeue", "no-requeue", "signal", "test-only", "wait",
    "wait-all-nodes", "wrap",
})  # fmt: skip
"""Options of sbatch on which the job graph, its restarts or its logs depend."""
REPLACED = {
    "mem": "mem",
    "mem-per-cpu": "mem",
    "mem-per-gpu": "mem",
    "gres": "gpus-per-node",
    "gpus": "gpus-per-node",
    "gpus-per-node": "gpus-per-node",
    "gpus-per-task": "gpus-per-node",
    "gpus-per-socket": "gpus-per-node",
    "cpus-per-gpu": "cpus-per-task",
}
"""Options of sbatch that take the place of one that our own keys would write."""
COMMON_OPTIONS = (
    "constraint", "exclude", "exclusive", "gpu-bind", "gres", "hint", "licenses", "mail-type", "mail-user",
    "mem", "mem-per-cpu", "mem-per-gpu", "nodelist", "reservation",
)  # fmt: skip
"""Options of sbatch that may stand as keys of the class itself, beside those in its table `sbatch`."""
OWN_SRUN = {
    "--ntasks": "tasks_per_node", "-n": "tasks_per_node", "--ntasks-per-node": "tasks_per_node",
    "--nodes": "nodes", "-N": "nodes", "--cpus-per-task": "cpus_per_task", "-c": "cpus_per_task",
    "--output": "", "-o": "", "--error": "", "-e": "", "--input": "", "-i": "", "--unbuffered": "", "-u": "",
    "--kill-on-bad-exit": "", "-K": "", "--multi-prog": "", "--pty": "", "--label": "", "-l": "",
}  # fmt: skip
"""Options of srun that are ours, and the key that sets them, if there is one."""


class Resource(Settings):
    """What a job of one class asks for; an empty text leaves the choice to the scheduler.

    `cpus_per_task` 0 stands for every core of the machine (scheduler ``local`` only); `array_parallelism` is
    the most tasks of one array that run at once. An option of `sbatch` takes the place of what another key
    would write: ``mem-per-cpu`` that of `mem_gb`, ``gres`` that of `gpus_per_node`, which is then the number
    in it. Of srun's options, ``--export`` takes the place of ours, and must begin with ``ALL``.
    """

    nodes: Positive = Field(default=1, description="Nodes of a job.")
    tasks_per_node: Positive = Field(
        default=1, description="Processes on each node, usually one for each GPU."
    )
    cpus_per_task: Natural = Field(
        default=1, description="CPU cores of each process; 0 is all cores, for scheduler local only."
    )
    mem_gb: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="Memory of each node; 0 is all that the node has; left out, the scheduler decides.",
    )
    gpus_per_node: Natural = Field(default=0, description="GPUs of each node.")
    gpu_type: str = Field(
        default="", description="Slurm's name for the kind of GPU, as in a100; empty takes any."
    )
    device_name: str = Field(
        default="",
        description="Which GPU it is, as mammogan cost --device takes it: A100 80 GB, H100; for estimates.",
    )
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="Where the arithmetic is done.")
    time_min: Positive = Field(default=60, description="Time limit of a job.")
    array_parallelism: Positive = Field(default=8, description="Most tasks of one array that run at once.")
    partition: str = Field(default="", description="Slurm partition; empty leaves it to Slurm.")
    account: str = Field(default="", description="Slurm account; empty leaves it to Slurm.")
    qos: str = Field(default="", description="Slurm quality of service; empty leaves it to Slurm.")
    sbatch: dict[str, Option] = Field(
        default={},
        description="Further options of sbatch without their first hyphens, as in "
        '{ constraint = "a100", exclusive = true }; true is an option without a value, false leaves one out. '
        f"These may also stand beside the other keys: {', '.join(COMMON_OPTIONS)}.",
    )
    srun: tuple[str, ...] = Field(
        default=(), description='Further options of srun, as they are typed: ["--cpu-bind=cores"].'
    )
    setup: tuple[str, ...] = Field(
        default=(), description="Lines of shell after those of environment.setup, for jobs of this class."
    )

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, tree: Any) -> Any:
        """Move options that stand beside the keys into `sbatch`, and count the GPUs that they ask for."""
        if not isinstance(tree, dict) or not isinstance(tree.get("sbatch", {}), dict):
            return tree  # which pydantic explains
        direct = {key: value for key, value in tree.items() if key.replace("_", "-") in COMMON_OPTIONS}
        given = direct | tree.get("sbatch", {})
        tree = {key: value for key, value in tree.items() if key not in direct}
        spelled = [name.replace("_", "-") for name in given]
        if twice := sorted({name for name in spelled if spelled.count(name) > 1}):
            raise ValueError(f"sbatch: '{twice[0]}' stands there twice: give it once")
        tree["sbatch"] = dict(zip(spelled, given.values(), strict=True))
        count = _gpus_per_node(tree["sbatch"], tree.get("nodes", 1), tree.get("tasks_per_node", 1))
        if count is not None:
            tree["gpus_per_node"] = count
        return tree

    @model_validator(mode="after")
    def _own_no_option_twice(self) -> Self:
        for option in self.sbatch:
            if not re.fullmatch(r"[a-z][a-z0-9-]+", option):
                raise ValueError(f"sbatch: '{option}' is no long option of sbatch, as 'constraint' is")
            if option in KEYS_OF_OPTIONS:
                raise ValueError(f"sbatch: '{option}' has a key of its own: set {KEYS_OF_OPTIONS[option]}")
            if option in OWN_OPTIONS:
                raise ValueError(f"sbatch: '{option}' is set by MammoGAN for each job, and can't be set here")
        if self.gpu_type and not self.gpus_per_node:
            raise ValueError(f"gpu_type is '{self.gpu_type}', but gpus_per_node is '0': say how many")
        for position, word in enumerate(self.srun):
            option, _, value = word.partition("=")
            key = OWN_SRUN.get(option, OWN_SRUN.get(word[:2]) if not word.startswith("--") else None)
            if key is not None:
                use = (
                    f"has a key of its own: set {key}" if key else "is set by MammoGAN, and can't be set here"
                )
                raise ValueError(f"srun: '{word}' {use}")
            if option == "--export":
                value = value or next(iter(self.srun[position + 1 :]), "")
                if value.split(",")[0] != "ALL":
                    raise ValueError(
                        f"srun: '{word}' would keep what a job needs from it: begin with ALL, as in "
                        "--export=ALL,NAME=value"
                    )
        return self

    @property
    def ranks(self) -> int:
        """Processes of the job's process group."""
        return self.nodes * self.tasks_per_node

    @property
    def replaced(self) -> frozenset[str]:
        """Options that this class's own keys would write, and whose place an option of `sbatch` takes."""
        return frozenset(
            REPLACED[name] for name, value in self.sbatch.items() if name in REPLACED and value is not False
        )


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


def _gpus_per_node(options: dict[str, Option], nodes: Any, tasks_per_node: Any) -> int | None:
    """Count the GPUs that options of sbatch ask for on each node, or return None if they ask for none.

    They are written as ``4``, ``a100:4`` or ``a100:2,h100:2``; in ``gres`` among others, as ``gpu:a100:4``.
    """
    if not isinstance(nodes, int) or not isinstance(tasks_per_node, int):
        return None  # which pydantic explains
    per_node = {"gpus-per-node": 1.0, "gpus-per-task": float(tasks_per_node), "gpus": 1 / max(1, nodes)}
    counts = [per_node[name] * _count(str(options[name])) for name in per_node if name in options]
    if "gres" in options:
        words = [word.removeprefix("gres/") for word in str(options["gres"]).split(",")]
        mine = [word.removeprefix("gpu") for word in words if re.match(r"gpu(:|$)", word)]
        counts += [sum(_count(word.lstrip(":")) for word in mine)] if mine else []
    return round(max(counts)) if counts else None


def _count(text: str) -> int:
    """Add up ``type:count`` entries; one without a count is one GPU."""
    numbers = (entry.rpartition(":")[2].partition("(")[0] for entry in text.split(","))
    return sum(int(number) if number.isdigit() else 1 for number in numbers)
