"""Every path of a run's folder, by name; docs/run-folder.md says what is in each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RUN_JSON = "run.json"


@dataclass(frozen=True)
class RunFolder:
    """The paths below `root`; whether anything is there is another question.

    Everybody who reads or writes in a run asks here, and nobody else spells a path.
    """

    root: Path

    @property
    def settings(self) -> Path:
        """Method, recipes and site as they were merged at launch."""
        return self.root / RUN_JSON

    # What the scheduler's side keeps

    @property
    def ledger(self) -> Path:
        """One line a submission."""
        return self.root / "jobs.jsonl"

    @property
    def launch_lock(self) -> Path:
        """Held by the one launcher; its process id."""
        return self.root / "launch.lock"

    def logs(self, node: str) -> Path:
        """Folder of a node's logs and batch scripts, which submitit fills."""
        return self.root / "logs" / node

    def failure(self, node: str, task: int) -> Path:
        """Why the newest attempt of a task failed, in the words of the rank that failed first."""
        return self.root / "failures" / f"{node}-{task}.json"

    def attempts(self, node: str, task: int) -> Path:
        """List of the failed attempts of a task, a line each, written by the batch script."""
        return self.root / "attempts" / f"{node}-{task}.log"

    @property
    def spans(self) -> Path:
        """Folder of when each job ran, a file a start."""
        return self.root / "spans"

    def span(self, job_id: str, task: int, restart: int) -> Path:
        """When one start of one job's task ran."""
        return self.spans / f"{job_id}_{task}_{restart}.json"

    @property
    def stop_requests(self) -> Path:
        """Folder of files whose presence asks a job to save and leave."""
        return self.root / "stop"

    # What the steps say of themselves

    def marker(self, node: str, task: int) -> Path:
        """Mark of a task that is done, with size and SHA-256 of the files that it made."""
        return self.root / "done" / node / f"{task}.json"

    def progress(self, node: str, task: int) -> Path:
        """How far a running task is."""
        return self.root / "progress" / f"{node}-{task}.json"

    # What is learned

    def stage(self, stage: int) -> Path:
        """Folder of a stage's checkpoints."""
        return self.root / "stages" / str(stage)

    def checkpoint(self, stage: int, images: int) -> Path:
        """Folder of the checkpoint of `stage` after `images` real images of it."""
        return self.stage(stage) / f"{images:09d}"

    def rollbacks(self, stage: int) -> Path:
        """List of the times that a stage went back to an earlier tick."""
        return self.stage(stage) / "rollbacks.json"

    @property
    def tracking(self) -> Path:
        """Folder of the journals that trackers are told from."""
        return self.root / "tracking"

    @property
    def tracking_state(self) -> Path:
        """Which trackers are behind, and what they found changed on their side."""
        return self.tracking / "state.json"

    def journal(self, source: str) -> Path:
        """Journal of one node."""
        return self.tracking / f"{source}.jsonl"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's event files, a folder a stage."""
        return self.root / "tensorboard"

    # What is made of it

    def score(self, stage: int, images: int) -> Path:
        """Sliced Wasserstein distances of one checkpoint."""
        return self.root / "scores" / str(stage) / f"{images:09d}.json"

    @property
    def real_sets(self) -> Path:
        """Folder of the reals' patches, where they can't be kept beside the shard set."""
        return self.root / "scores" / "reals"

    @property
    def choice(self) -> Path:
        """Which checkpoint was chosen, and by how much."""
        return self.root / "selection.json"

    @property
    def scores_table(self) -> Path:
        """All scores, as CSV."""
        return self.root / "scores.csv"

    @property
    def model(self) -> Path:
        """Folder of the chosen generator."""
        return self.root / "model"

    @property
    def samples(self) -> Path:
        """Folder of the pool that was drawn from it."""
        return self.root / "samples"

    def image_features(self, extractor: str = "") -> Path:
        """Folder of what was measured of single images; `extractor` names a user's own network."""
        return self.root / (f"assess-{extractor}" if extractor else "assess")

    @property
    def report(self) -> Path:
        """Folder of the page of measures and its tables."""
        return self.root / "report"

    @property
    def anomaly_scores(self) -> Path:
        """Folder of the held-out reals' own scores, that a new image is ranked among."""
        return self.root / "outliers"
