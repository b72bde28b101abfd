"""Checks that Slurm answers on the login node: partitions, accounts, and whether a job could ever run."""

from __future__ import annotations

import getpass
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import mammogan
from mammogan.cluster import sbatch_parameters, slurm_commands
from mammogan.cluster.doctor.examined_site import Case
from mammogan.cluster.doctor.finding import Finding, ok, problem, unchecked, warning
from mammogan.cluster.doctor.slurm_facts import Facts, Machine, minutes, words
from mammogan.config.resource import Resource
from mammogan.config.run_config import shard_build
from mammogan.errors import ClusterError
from mammogan.steps.job_graph import graph

SILENT = "Slurm does not answer"


def controller(case: Case) -> Iterator[Finding]:
    """Check that Slurm's commands are here and that its controller answers."""
    if not case.has_slurm:
        yield ok("the scheduler is 'local'", "jobs are processes of this machine", "site.scheduler")
        return
    key = "site.slurm_conf" if case.site.site.slurm_conf else "site.scheduler"
    if isinstance(case.facts, str):
        remedy = "Run it on a login node of the site; `scontrol ping` should say UP there."
        yield problem("Slurm answers", case.facts, key, remedy)
        return
    config, machines = case.facts.config, case.facts.machines
    name, version = config.get("ClusterName", ""), config.get("SLURM_VERSION", "")
    yield ok("Slurm answers", f"cluster '{name}', Slurm {version}, {len(machines)} nodes", key)


def partitions(case: Case) -> Iterator[Finding]:
    """Check that the partition of each class is there, up, and lets one in."""
    if not case.has_slurm:
        return
    for table, resource in case.classes():
        key, name = f"{table}.partition", resource.partition
        claim = f"[{table}] partition '{name}' is up"
        if isinstance(case.facts, str):
            yield unchecked(claim, SILENT, key)
            continue
        fields = case.facts.partition(name)
        if fields is None:
            there = ", ".join(f"'{each}'" for each in sorted(case.facts.partitions))
            found = f"Slurm has no partition '{name}'" if name else "Slurm has no default partition"
            yield problem(claim, f"{found}; it has {there}", key, "Name one of those.")
        elif fields.get("State") != "UP":
            found = f"its state is '{fields.get('State')}'"
            yield problem(claim, found, key, "Take another partition, or ask the site's support.")
        else:
            count = sum(machine.usable for machine in case.facts.machines_of(fields["PartitionName"]))
            default = "" if name else f"the default one, '{fields['PartitionName']}', "
            yield ok(claim, f"{default}{count} of {fields.get('TotalNodes')} nodes usable", key)
            yield from _preemption(case, table, fields)


def accounts(case: Case) -> Iterator[Finding]:
    """Check account and QOS against what Slurm's accounting lets this user have."""
    named = [
        (f"{table}.{name}", name, getattr(resource, name), resource)
        for table, resource in case.classes()
        for name in ("account", "qos")
        if getattr(resource, name)
    ]
    if not case.has_slurm or not named:
        return
    allowed, why = _allowed(case.facts)
    for key, name, value, resource in named:
        claim = f"[{key.rpartition('.')[0]}] {name} '{value}' is yours"
        fields = case.facts.partition(resource.partition) if isinstance(case.facts, Facts) else None
        limit = (fields or {}).get("AllowAccounts" if name == "account" else "AllowQos", "ALL").split(",")
        if limit != ["ALL"] and value not in limit:
            found = f"partition '{resource.partition}' lets in only {_listed(limit)}"
            yield problem(
                claim, found, key, f"Take one of those, or another partition than '{resource.partition}'."
            )
        elif why:
            yield unchecked(claim, why, key)
        elif value not in allowed[name]:
            found = f"sacctmgr gives {_listed(sorted(allowed[name]))} for user '{getpass.getuser()}'"
            yield problem(claim, found, key, f"Take one of those, or ask the site's support for '{value}'.")
        else:
            yield ok(claim, "sacctmgr knows it", key)


def fits(case: Case) -> Iterator[Finding]:
    """Check that a job of each class could ever run: first by the nodes, then by asking Slurm itself."""
    if not case.has_slurm:
        return
    for table, resource in case.classes():
        claim = f"[{table}] a job could run"
        if isinstance(case.facts, str):
            yield unchecked(claim, SILENT, f"{table}.partition")
            continue
        fields = case.facts.partition(resource.partition)
        if fields is None:
            yield unchecked(claim, f"there is no partition '{resource.partition}'", f"{table}.partition")
            continue
        found = list(_too_much(table, resource, fields, case.facts))
        yield from found
        if any(finding.level == "problem" for finding in found):
            continue
        refused = _refused(case, table)
        if refused:
            key, remedy = _to_blame(refused, table, resource)
            yield problem(claim, f"sbatch --test-only: {refused}", key, remedy)
        else:
            yield ok(claim, f"{_asks(resource)}: sbatch --test-only would take it", f"{table}.nodes")


def arrays(case: Case) -> Iterator[Finding]:
    """Check that Slurm allows arrays of as many tasks as shall run at once."""
    if not case.has_slurm or isinstance(case.facts, str):
        return
    largest = int(case.facts.config.get("MaxArraySize", 1001))
    for table in ("resources.cpu_array", "resources.gpu_one"):
        count, key = dict(case.classes())[table].array_parallelism, f"{table}.array_parallelism"
        claim, found = f"[{table}] {count} tasks of an array at once", f"MaxArraySize is {largest}"
        if count > largest:
            yield warning(claim, f"{found}, so that no array has as many", key, f"Give at most {largest}.")
        else:
            yield ok(claim, found, key)


def _too_much(table: str, resource: Resource, fields: dict[str, str], facts: Facts) -> Iterator[Finding]:
    """Compare what one class asks for, key by key, with what its partition has."""
    name = fields["PartitionName"]
    machines = facts.machines_of(name)
    most = min(
        len(machines), int(fields["MaxNodes"]) if fields.get("MaxNodes", "").isdigit() else len(machines)
    )
    cpus, gpus = resource.tasks_per_node * resource.cpus_per_task, resource.gpus_per_node
    cpus_key = "cpus_per_task" if resource.cpus_per_task >= resource.tasks_per_node else "tasks_per_node"
    limit_min = minutes(fields.get("MaxTime", "UNLIMITED"))
    memory_gb = max((machine.memory_mb for machine in machines), default=0) / 1024
    asked: Iterable[tuple[str, float, float, str]] = (
        ("nodes", resource.nodes, most, "nodes"),
        (cpus_key, cpus, max((machine.cpus for machine in machines), default=0), "cores on a node"),
        ("mem_gb", resource.mem_gb or 0, memory_gb, "GB on a node"),
        ("time_min", resource.time_min, limit_min, "minutes for a job"),
        ("gpus_per_node", gpus, _gpus(machines), "GPUs (gres 'gpu') on a node"),
    )
    for key, wanted, there, unit in asked:
        if wanted > there:
            claim = f"[{table}] {key} is '{getattr(resource, key)}'"
            found = f"{wanted:g} {unit}, and partition '{name}' has at most {there:g}"
            yield problem(
                claim, found, f"{table}.{key}", f"Give at most {there:g} {unit}, or another partition."
            )
    usable = sum(machine.usable for machine in machines)
    if usable < resource.nodes <= most:
        found = f"{usable} of {len(machines)} nodes of '{name}' are up: jobs wait until more are"
        yield warning(f"[{table}] {resource.nodes} nodes", found, f"{table}.nodes", "See `sinfo -R` for why.")


def _gpus(machines: Iterable[Machine]) -> int:
    return max((machine.gpus for machine in machines), default=0)


# Slurm's words, the options that they may mean, and what to do.
BLAMED = (
    ("feature|constraint", ("constraint",), "`sinfo -o '%N %f'` lists what nodes have: name one of those."),
    ("reservation", ("reservation",), "`scontrol show reservation` lists those that there are."),
    ("licen[cs]e", ("licenses",), "`scontrol show licenses` lists those that there are."),
    ("node name", ("nodelist", "exclude"), "`sinfo -N` lists the names of nodes."),
    ("gres|generic resource", ("gres", "gpus", "gpus-per-node", "gpus-per-task"),
     "`sinfo -o '%N %G'` lists the GPUs of nodes, with their types: name one of those."),
    ("memory", ("mem", "mem-per-cpu", "mem-per-gpu"), "Ask for less, or in the way that the site wants it."),
    ("qos", (), "Take another QOS, or ask the site's support."),
    ("account", (), "Take another account, or ask the site's support."),
)  # fmt: skip
OWN_KEYS = {"gres": "gpu_type", "memory": "mem_gb", "qos": "qos", "account": "account"}
AT_ONCE = "No node has all of it at once: ask for less, or name another partition."


def _to_blame(words: str, table: str, resource: Resource) -> tuple[str, str]:
    """Say which key Slurm's `words` of a refusal mean, and what to do; else the partition."""
    for pattern, options, remedy in BLAMED:
        if re.search(pattern, words, re.IGNORECASE):
            given = [option for option in options if option in resource.sbatch]
            own = OWN_KEYS.get(pattern.partition("|")[0])
            if given or own:
                return f"{table}.sbatch.{given[0]}" if given else f"{table}.{own}", remedy
    asked = [name for name in ("constraint", "gres", "nodelist", "mem-per-cpu") if name in resource.sbatch]
    if resource.gpu_type and not asked:
        return f"{table}.gpu_type", "`sinfo -o '%N %G'` lists the types of GPUs: name one of those."
    return (f"{table}.sbatch.{asked[0]}" if asked else f"{table}.partition"), AT_ONCE


def _refused(case: Case, table: str) -> str:
    """Let Slurm check the batch script of a class; give its words if it could never run."""
    folder = Path(tempfile.gettempdir())
    build = shard_build(folder, 1, case.site, mammogan.__version__)
    node = replace(graph(build)[0], resource=table.partition(".")[2])
    with tempfile.NamedTemporaryFile("w", suffix=".sbatch") as file:
        file.write(sbatch_parameters.batch(build, folder, node, 1))
        file.flush()
        try:
            slurm_commands.preflight(Path(file.name), case.site.environment.variables)
        except ClusterError as error:
            return words(error)
    return ""


def _preemption(case: Case, table: str, fields: dict[str, str]) -> Iterator[Finding]:
    grace = fields.get("GraceTime", "0")
    notice_s, seconds = case.site.site.stop_notice_s, int(grace) if grace.isdigit() else 0
    if fields.get("PreemptMode", "OFF") != "OFF" and seconds < notice_s:
        found = f"jobs may be preempted, with {seconds} s of GraceTime: what was not saved is done again"
        claim = f"[{table}] {notice_s} s to save before a job must stop"
        remedy = "Take a partition that is not preempted, or save more often (schedule.tick_kimg)."
        yield warning(claim, found, "site.stop_notice_s", remedy)


def _allowed(facts: Facts | str) -> tuple[dict[str, set[str]], str]:
    """List the user's accounts and QOS; or say why they are not known."""
    if isinstance(facts, str):
        return {}, SILENT
    storage = facts.config.get("AccountingStorageType", "")
    if not storage or storage.endswith("none"):
        return {}, "this Slurm keeps no accounts, and takes any name"
    try:
        lines = slurm_commands.ask(
            "sacctmgr", "-nP", "show", "assoc", f"user={getpass.getuser()}", "format=account,qos"
        ).splitlines()
    except ClusterError as error:
        return {}, str(error)
    pairs = [line.split("|") for line in lines if "|" in line]
    return {
        "account": {pair[0] for pair in pairs},
        "qos": {qos for pair in pairs for qos in pair[1].split(",") if qos},
    }, ""


def _asks(resource: Resource) -> str:
    memory = f", {resource.mem_gb:g} GB" if resource.mem_gb else ""
    gpus = f", {resource.gpus_per_node} GPUs" if resource.gpus_per_node else ""
    cores = f"{resource.nodes} x {resource.tasks_per_node} x {resource.cpus_per_task} cores"
    return f"{cores}{memory}{gpus}, {resource.time_min} min"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
