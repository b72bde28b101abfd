"""Checks that a node answers, through its probe: setup, network, disks, binds, container, Python, GPUs.

Their claims don't say on which node: what is found alike on several is told once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import metadata

from mammogan.cluster.doctor import file_system_checks
from mammogan.cluster.doctor.examined_site import Case
from mammogan.cluster.doctor.finding import Finding, ok, problem, unchecked, warning
from mammogan.cluster.doctor.node_probe import Probe
from mammogan.cluster.doctor.probe_script import READ, sources
from mammogan.config.site import Container

BUILD = "Build an image that runs on these nodes (containers/README.md), and name it."
NO_JOBS = "--no-jobs leaves out what only a node can tell"
INTERFACES = ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME")

Answered = Callable[[Case, Probe], Iterator[Finding]]


def probes(case: Case) -> Iterator[Finding]:
    """Check that a job of each partition starts, and that its answer comes back."""
    if not case.probes:
        yield unchecked("a job starts and its answer comes back", NO_JOBS)
    for probe in case.probes:
        key = f"{probe.classes[0]}.partition" if probe.classes else ""
        claim = f"{probe.place} answers"
        if probe.died:
            remedy = "Start it in a folder that the nodes share, and set storage.permanent to one."
            yield problem(claim, probe.failure, key, remedy)
        elif probe.failure:
            yield unchecked(claim, probe.failure, key)
        else:
            yield ok(claim, f"for {', '.join(f'[{name}]' for name in probe.classes)}", key)


def setup(case: Case, probe: Probe) -> Iterator[Finding]:
    """Check that the lines of shell at a batch script's head succeed."""
    mine = case.site.resources.of(probe.classes[0].partition(".")[2]).setup
    shell = "\n".join(case.site.environment.setup).splitlines()
    both = [*shell, *"\n".join(mine).splitlines()]
    if not both:
        return
    code, number, words = (probe.answers.get("setup", "") + "  ").split(" ", 2)
    key = f"{probe.classes[0]}.setup" if mine and int(number or 0) > len(shell) else "environment.setup"
    if code == "0":
        yield ok(key, "succeed", key)
    elif code:
        at = f"line '{both[int(number) - 1]}' ends" if 0 < int(number) <= len(both) else "they end"
        remedy = "Correct it; try it on a node with srun --pty bash."
        yield problem(key, f"{at} with code {code}: {words.strip()}", key, remedy)


def network(case: Case, probe: Probe) -> Iterator[Finding]:
    """Check that the network interfaces that NCCL and Gloo are told to use exist."""
    if "interfaces" not in probe.answers:
        return
    there = probe.answers["interfaces"].split()
    for name in INTERFACES:
        value = case.site.environment.variables.get(name, "")
        if not value:
            continue
        claim, key = f"{name} '{value}'", f"environment.variables.{name}"
        missing = [word for word in value.lstrip("^=").split(",") if not _matches(name, value, word, there)]
        if value.startswith("^") or not missing:
            yield ok(claim, f"interfaces {', '.join(there)}", key)
        else:
            found = f"no interface '{missing[0]}'; there are {', '.join(there)}"
            yield problem(claim, found, key, "Name the fastest that all nodes have, or leave it out.")


def scratch(case: Case, probe: Probe) -> Iterator[Finding]:
    """Check that the scratch folder exists on the node and takes a file."""
    name, key = case.site.storage.scratch, "storage.scratch"
    word, _, rest = probe.answers.get("scratch", "").partition(" ")
    claim = f"scratch '{name}'"
    if word == "yes":
        yield ok(claim, f"'{rest.rpartition(' ')[0]}', {rest.rpartition(' ')[2]} GB free", key)
    elif word == "no":
        folder, _, words = rest.partition(" ")
        remedy = "Name a folder that every node has, as /tmp, or ''."
        yield problem(claim, f"'{folder}' takes no file: {words}", key, remedy)


def shared(case: Case, probe: Probe) -> Iterator[Finding]:
    """Check that the kept folder shows the node what was written here, and the other way round."""
    name, key = case.site.storage.permanent, "storage.permanent"
    if not name:
        return
    claim = f"the kept folder '{name}'"
    remedy = "Name a folder on a disk that all nodes share."
    if probe.answers.get("permanent") != "yes":
        found = f"no such folder there: {probe.answers.get('permanent', '')}".rstrip(": ")
        yield problem(claim, found, key, remedy)
    elif f"read.{name.rstrip('/')}" not in probe.answers:
        yield unchecked(claim, "nothing could be written there on this machine", key)
    elif probe.answers[f"read.{name.rstrip('/')}"] != READ:
        yield problem(claim, "does not show there what was written here", key, remedy)
    elif f"back.{name.rstrip('/')}" not in probe.answers:
        yield problem(claim, "does not show here what was written there", key, remedy)
    else:
        yield ok(claim, "is shared: read there what was written here, and back", key)
        yield from file_system_checks.on_a_node(name, probe)


def binds(case: Case, probe: Probe) -> Iterator[Finding]:
    """Check that the folders to be bound into the container are on the node."""
    for number, source in enumerate(sources(case.site)):
        word, _, found = probe.answers.get(f"bind.{number}", "").partition(" ")
        claim = f"the bind '{source}'"
        if word == "yes":
            yield ok(claim, "is there", "container.binds")
        elif word == "no":
            remedy = "Leave it out, or have it made: a missing one stops every container."
            yield problem(claim, f"'{found}' does not exist", "container.binds", remedy)


def python(case: Case, probe: Probe) -> Iterator[Finding]:
    """Check that a job's Python starts there, and agrees with this one: jobs travel as pickles."""
    name, answers = case.site.container.image, probe.answers
    key = "container.image" if name else "environment.setup"
    what = "the image's Python" if name else "this Python"
    if name and answers.get("command") == "no":
        yield _without_command(what, case.site.container)
        return
    if name and answers.get("image") == "no":
        remedy = "Put it on a disk that all nodes share, as below storage.permanent."
        yield problem(what, f"no file '{name}' there", key, remedy)
        return
    if any(
        answers.get(f"bind.{number}", "").startswith("no ") for number, _ in enumerate(sources(case.site))
    ):
        yield unchecked(what, "a bind is missing", key)
        return
    code, _, words = answers.get("python", "").partition(" ")
    if "in.python" not in answers:
        if code:
            remedy = BUILD if name else "Install MammoGAN on a disk that all nodes share."
            yield problem(what, f"does not start (exit code {code}): {words}", key, remedy)
        else:
            yield unchecked(what, "the setup lines ended the job", key)
        return
    yield from _versions(what, answers, key)


def gpus(case: Case, probe: Probe) -> Iterator[Finding]:
    """Check that PyTorch sees a GPU where a class's device is CUDA."""
    wanting = [key for key in probe.classes if case.site.resources.of(key.partition(".")[2]).device == "cuda"]
    if not wanting or probe.answers.get("in.torch", "no") == "no":
        return
    key = f"{wanting[0]}.device"
    claim = f"[{wanting[0]}] device 'cuda'"
    count, _, version = probe.answers.get("in.cuda", "0 ").partition(" ")
    if count != "0":
        yield ok(claim, f"PyTorch for CUDA {version} sees {count}", key)
        return
    driver = f"nvidia-smi lists {probe.answers.get('gpus', '0')}"
    reason = probe.answers.get("in.cuda_reason", "").rstrip(".")
    none = f"PyTorch sees no GPU{f' ({reason})' if reason else ''}"
    if version == "None":
        found, remedy = (
            f"PyTorch is built without CUDA; {driver}",
            "Build the image for GPUs (containers/README.md).",
        )
    elif case.site.container.image and case.site.container.without_driver:
        key, found = "container.nv", f"{none}; {driver}; container.nv is false"
        remedy = "Set it to true: the driver gets into the image."
    else:
        found, remedy = (
            f"{none}; {driver}",
            "Set device to 'cpu', or take a partition with GPUs.",
        )
    yield problem(claim, found, key, remedy)


def tracking(case: Case, probe: Probe) -> Iterator[Finding]:
    """Check that the tracking server answers a node, since the steps of a run tell it."""
    uri, key = case.site.tracking.uri, "tracking.uri"
    answer = probe.answers.get("in.tracking", "")
    claim = f"tracking '{uri}'"
    if answer == "yes":
        yield ok(claim, "answers", key)
    elif answer:
        remedy = "Jobs go on without it; `mammogan sync` tells it afterwards from this machine."
        yield warning(claim, answer, key, remedy)


ON_A_NODE: dict[str, Answered] = {
    "setup": setup,
    "network": network,
    "scratch": scratch,
    "shared": shared,
    "binds": binds,
    "python": python,
    "gpus": gpus,
    "reach": tracking,
}


def _without_command(what: str, container: Container) -> Finding:
    if container.kind == "pyxis":
        found = "its srun has no option --container-image: Pyxis is not installed there"
        return problem(what, found, "container.command", "Set it to what the site has, as 'apptainer'.")
    remedy = f"Load it in environment.setup, as 'module load {container.kind}', or have it installed."
    where = (
        f"no file '{container.command}'"
        if "/" in container.command
        else (f"there is no '{container.command}' on its PATH")
    )
    return problem(what, where, "environment.setup", remedy)


def _versions(what: str, answers: dict[str, str], key: str) -> Iterator[Finding]:
    own_version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if answers["in.python"] != own_version:
        found = f"Python {answers['in.python']}, and {own_version} here: pickles crash between them"
        yield problem(
            what,
            found,
            key,
            f"Launch with Python {answers['in.python']}, or build the image on {own_version}.",
        )
    versions = {name: answers.get(f"in.{name}", "no") for name in ("mammogan", "submitit", "torch")}
    if missing := [name for name, there in versions.items() if there == "no"]:
        remedy = BUILD if key == "container.image" else "Install 'mammogan[launch,train]' in it."
        yield problem(what, f"has no {' and no '.join(missing)}", key, remedy)
        return
    for name, there in versions.items():
        mine = _version(name)
        if mine and mine.split("+")[0] != there.split("+")[0]:
            found = f"has {name} {there}, and here it is {mine}"
            yield warning(what, found, key, "Install the same version on both sides.")
    if answers["in.python"] == own_version:
        yield ok(what, f"Python {own_version}, {', '.join(map(' '.join, versions.items()))}", key)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _matches(variable: str, value: str, word: str, there: list[str]) -> bool:
    """Tell whether an interface is meant by `word`: NCCL takes prefixes, but for ``=``; Gloo whole names."""
    if variable.startswith("GLOO") or value.startswith("="):
        return word in there
    return any(name.startswith(word) for name in there)
