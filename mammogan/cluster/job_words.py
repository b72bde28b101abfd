"""What Slurm's words for jobs mean: their states, and why they wait."""

from __future__ import annotations

ENDED = frozenset({
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL",
    "OUT_OF_MEMORY", "PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT",
})  # fmt: skip
"""States of jobs that are over; in any other one, known or new, a job may write still, or begin."""
WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
"""States of jobs that have not begun, or will begin anew."""
WAITS = {
    "AssocGrpGRES": "the account's GPUs are all in use",
    "AssocMaxJobsLimit": "the account runs as many jobs as it may",
    "BadConstraints": "no node can be what the job asks for: cancel it, and mend the site's profile",
    "BeginTime": "Slurm lets a job that was queued again wait for some minutes",
    "Dependency": "waits for the steps before it",
    "DependencyNeverSatisfied": "a step before it failed, so it never starts: `mammogan retry` renews it",
    "JobArrayTaskLimit": "as many tasks of its array run as array_parallelism allows",
    "JobHeldAdmin": "held by an administrator: ask them",
    "JobHeldUser": "held: `scontrol release` with its job lets it go",
    "Licenses": "a licence that it asks for is in use",
    "NodeDown": "a node that it needs is down",
    "PartitionDown": "its partition is closed",
    "PartitionNodeLimit": "asks for more nodes than its partition has or allows",
    "PartitionTimeLimit": "asks for more time than its partition allows: lower time_min",
    "Priority": "others are before it in the queue",
    "QOSGrpGRES": "the GPUs of its QOS are all in use",
    "QOSMaxGRESPerUser": "you use as many GPUs as the QOS allows",
    "QOSMaxJobsPerUserLimit": "you run as many jobs as the QOS allows",
    "ReqNodeNotAvail": "nodes that it needs are down or reserved",
    "Reservation": "waits for its reservation",
    "Resources": "next in line, and waits for nodes to become free",
}
"""What squeue's reasons mean."""


def explained(reason: str) -> str:
    """Put squeue's reason into plain words and keep its own beside them; one not known stays as it is."""
    if reason == "None":
        return ""
    words = WAITS.get(reason.partition(",")[0].strip("()"))  # ReqNodeNotAvail goes on with the nodes' names
    return f"{words} ({reason})" if words else reason
