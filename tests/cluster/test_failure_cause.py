"""What Slurm, the container or Python wrote into a job's logs is why it failed; consequences are not."""

from __future__ import annotations

import pytest

from mammogan.cluster import failed_attempts, failure_cause
from mammogan.run_folder import RunFolder

EXITED = "srun: error: n0: task 0: Exited with exit code 255"
CANCELLED = "slurmstepd: error: *** STEP 12.0 ON n0 CANCELLED AT 2026-11-30T07:00:00 ***"
LOGGED = "2026-11-30 07:00:00,001 INFO train-0 task 0 starts as rank 0 of 2"
CAUSES = {
    "memory asked for twice": (
        ["srun: fatal: SLURM_MEM_PER_CPU, SLURM_MEM_PER_GPU, and SLURM_MEM_PER_NODE are mutually exclusive."],
        "srun: fatal: SLURM_MEM_PER_CPU, SLURM_MEM_PER_GPU, and SLURM_MEM_PER_NODE are mutually exclusive.",
    ),
    "no image": (
        [EXITED, "FATAL:   could not open image /p/m.sif: failed to retrieve path", CANCELLED],
        "could not open image /p/m.sif: failed to retrieve path",
    ),
    "memory": (
        [
            LOGGED,
            "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the tasks were OOM Killed.",
            "srun: error: n0: task 1: Out Of Memory",
            CANCELLED,
        ],
        "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the tasks were OOM Killed.",
    ),
    "time": (
        [LOGGED, CANCELLED.replace(" ***", "") + " DUE TO TIME LIMIT ***"],
        CANCELLED.replace(" ***", "") + " DUE TO TIME LIMIT ***",
    ),
    "a rank that was killed": (
        [LOGGED, CANCELLED, "srun: error: n1: task 1: Killed"],
        "n1: task 1: Killed",
    ),
    "Python's last line": (
        [
            "Traceback (most recent call last):",
            '  File "x.py", line 1, in <module>',
            "KeyError: 'a'",
            "During handling of the above exception, another exception occurred:",
            "mammogan.x.OddError: 'b' is not there",
            EXITED,
        ],
        "mammogan.x.OddError: 'b' is not there",
    ),
    "a rank's, by torch": (["[rank1]: RuntimeError: CUDA error: invalid device ordinal", EXITED],
        "RuntimeError: CUDA error: invalid device ordinal"),
    "no module": (
        ["/opt/m/bin/python3: No module named submitit.core", EXITED],
        "/opt/m/bin/python3: No module named submitit.core",
    ),
    "no Python": (
        [
            "slurmstepd: error: couldn't chdir to `/home/me': No such file: going to /tmp instead",
            "slurmstepd: error: execve(): /gone/python: No such file or directory",
            EXITED,
        ],
        "slurmstepd: error: execve(): /gone/python: No such file or directory",
    ),
    "pyxis": (
        ["slurmstepd: error: pyxis: couldn't start container", "slurmstepd: error: spank failed"],
        "error: pyxis: couldn't start container",
    ),
    "a crash": (["Fatal Python error: Segmentation fault", "srun: error: n0: task 0: Segmentation fault"],
        "Fatal Python error: Segmentation fault"),
    "a setup line": (
        ["/var/spool/slurmd/job00012/slurm_script: line 21: module: command not found"],
        "/var/spool/slurmd/job00012/slurm_script: line 21: module: command not found",
    ),
    "nothing": ([LOGGED, CANCELLED], ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CAUSES)
def test_the_line_that_tells_why_is_found_among_those_that_do_not(name):
    lines, cause = CAUSES[name]
    assert failure_cause.cause(lines) == cause


def test_lines_of_an_earlier_start_and_of_other_jobs_are_no_cause(tmp_path):
    logs = RunFolder(tmp_path).logs("train-0")
    logs.mkdir(parents=True)
    before = "mammogan: start 0 of job 12 on n0\nFATAL: the image is busy\n"
    (logs / "12_0_log.out").write_text(f"{before}mammogan: start 1 of job 12 on n0\n{EXITED}\n")
    (logs / "12_1_log.out").write_text("srun: fatal: of rank 1\n")
    (logs / "123_0_log.out").write_text("FATAL: of another job\n")
    assert failure_cause.find(tmp_path, "train-0", "12") == "srun: fatal: of rank 1"
    assert failure_cause.find(tmp_path, "train-0", "123") == "of another job"
    assert failure_cause.find(tmp_path, "train-0", "9") == ""


def test_an_attempt_that_left_no_word_is_explained_by_its_log(tmp_path):
    logs, attempts = RunFolder(tmp_path).logs("train-0"), RunFolder(tmp_path).attempts("train-0", 0)
    for folder in (logs, attempts.parent):
        folder.mkdir(parents=True)
    (logs / "12_0_log.out").write_text("FATAL: no such image\n")
    line = "job=12 at=0 rc=255 time=2026-11-30T07:00:00Z node=n0 said="
    attempts.write_text(f"{line}\n{line}\n")
    assert failed_attempts.explain(tmp_path, "train-0", 0, "12") == (
        "failed 2 times, twice after 0, so it was not tried again: no such image"
    )
    attempts.write_text(line + "srun: error: n0: task 0: Killed\n")  # as written before this version
    assert failed_attempts.explain(tmp_path, "train-0", 0, "12") == "n0: task 0: Killed"
