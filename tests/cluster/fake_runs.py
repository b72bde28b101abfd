"""Stub runs on the fake Slurm."""

from __future__ import annotations

import json
import time

from mammogan.cluster import submission_ledger, submit
from mammogan.cluster.run_state import Watcher
from mammogan.cluster.slurm_commands import job_name
from mammogan.run_records import Span
from mammogan.steps.job_graph import graph


class Runs:
    """A stub run on it."""

    def __init__(self, stub, folder, slurm):
        self.stub, self.folder, self.slurm = stub, folder, slurm
        self.run = stub.make_run(folder, "devcluster")
        self.nodes = graph(self.run)[:4]

    def submitted(self):
        """Have the jobs 101 to 104 in ledger and queue, as a launch leaves them."""
        for job_id, node in enumerate(self.nodes, 101):
            command = self.folder / "logs" / node.name / "submission.sh"
            name = job_name(self.run.run_id, node.name)
            self.slurm.take(str(job_id), name, command, str(self.folder), node.tasks)
            tasks = tuple(range(node.tasks))
            submission_ledger.append(self.folder, node.name, str(job_id), tasks, "slurm", "here")

    def submit(self):
        return [record.node for record in submit.submit(self.folder, self.nodes)]

    def state(self, name="train-0"):
        return next(state for state in Watcher(self.folder).read() if state.node.name == name)

    def ledger(self):
        return [record.node for record in submission_ledger.read(self.folder)]

    def done(self, *names):
        for name in names:
            path = self.stub.output(self.folder, name)
            path.parent.mkdir(exist_ok=True)
            path.touch()

    def by(self, user, **more):
        """Make the ledger one that another user wrote."""
        path = self.folder / "jobs.jsonl"
        lines = [json.loads(line) | {"user": user} | more for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def span(self, job_id, node, **changes):
        now = time.time()
        facts = {"restart": 0, "began": now - 90, "seen": now, "ended": False, "ranks": 1, "gpus": 0}
        span = Span.model_validate(facts | {"node": node, "task": 0, "job_id": job_id} | changes)
        path = self.folder / "spans" / f"{job_id}_0_0.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(span.line)
