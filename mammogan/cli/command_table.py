"""Every command by group, with a line and an example: what `mammogan --help` shows without loading any."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """A command: its name, ``module:function`` in this room, what it does in a line, and how it is typed."""

    name: str
    place: str
    summary: str
    example: str


GROUPS: dict[str, tuple[Entry, ...]] = {
    "Start": (
        Entry(
            "quickstart",
            "quickstart_command:quickstart",
            "From a folder of pictures to a model and samples, within minutes.",
            "mammogan quickstart my-pictures --minutes 30",
        ),
    ),
    "Data": (
        Entry(
            "phantom",
            "phantom_command:phantom",
            "Write computed mammograms as DICOM files, to try things on.",
            "mammogan phantom dicoms --patients 60",
        ),
        Entry(
            "shards",
            "shards_command:app",
            "Screen images, and pack them for training: plan, build, show, ...",
            "mammogan shards plan shards --from phantom=dicoms",
        ),
    ),
    "Train": (
        Entry(
            "launch",
            "launch_command:launch",
            "Start a run, or go on with it.",
            "mammogan launch runs/first --method small --data shards",
        ),
        Entry(
            "status",
            "status_command:status",
            "Draw where a run stands, how fast it is and what it has used.",
            "mammogan status runs/first --watch",
        ),
        Entry(
            "logs",
            "run_commands:logs",
            "Print the end of a step's log.",
            "mammogan logs runs/first train-3 --follow",
        ),
        Entry(
            "cancel",
            "run_commands:cancel",
            "Cancel all jobs of a run; what is done stays.",
            "mammogan cancel runs/first",
        ),
        Entry(
            "retry",
            "retry_command:retry",
            "Try again what failed or was cancelled, and what waits for it.",
            "mammogan retry runs/first",
        ),
        Entry(
            "step",
            "run_commands:step",
            "Do one step of a run here and now.",
            "mammogan step runs/first select",
        ),
        Entry(
            "graph",
            "graph_command:graph",
            "Draw a run's job graph.",
            "mammogan graph runs/first",
        ),
        Entry(
            "cost",
            "cost_command:cost",
            "Reckon what a run will cost: time, GPU-hours, storage.",
            "mammogan cost --method mammogan --images 450000 --site example-a100",
        ),
    ),
    "Look": (
        Entry(
            "draw",
            "draw_command:draw",
            "Draw 16-bit PNGs of a model, and a sheet of them.",
            "mammogan draw runs/first drawn --images 16 --view CC",
        ),
        Entry(
            "video",
            "draw_command:video",
            "Render a walk through the latent space, or a training.",
            "mammogan video runs/first walk.png --seconds 4",
        ),
        Entry(
            "sample",
            "sample_command:sample",
            "Draw a pool in bulk: shards, PNGs, DICOM files.",
            "mammogan sample runs/first pool --images 10000",
        ),
        Entry(
            "project",
            "project_command:project",
            "Find the latent that draws a real image best.",
            "mammogan project runs/first real.dcm projected --view CC",
        ),
        Entry(
            "export",
            "export_command:export",
            "Write a model for other tools, with its card and terms.",
            "mammogan export runs/first exported --format huggingface",
        ),
        Entry(
            "publish",
            "publish_command:publish",
            "Push an exported model to the Hugging Face Hub.",
            "mammogan publish exported my-group/mammograms",
        ),
    ),
    "Judge": (
        Entry(
            "report",
            "report_command:report",
            "Compare a run's synthetics with reals, as a page.",
            "mammogan report runs/first",
        ),
        Entry(
            "screen",
            "screen_command:screen",
            "List a pool's images outside the range of the reals.",
            "mammogan screen runs/first pool",
        ),
        Entry(
            "outlier",
            "outlier_command:outlier",
            "Rank new files among held-out reals.",
            "mammogan outlier runs/first new-files ranked",
        ),
        Entry(
            "review",
            "review_command:app",
            "Look for artefacts, blinded: new, serve, report, ...",
            "mammogan review new artefacts runs/first",
        ),
    ),
    "Study": (
        Entry(
            "study",
            "study_command:app",
            "Ask readers which images are synthetic: new, serve, analyse, ...",
            "mammogan study new readers runs/first",
        ),
    ),
    "Site": (
        Entry(
            "doctor",
            "doctor_command:doctor",
            "Check a site's profile where it can be checked.",
            "mammogan doctor --site local",
        ),
        Entry(
            "sync",
            "sync_command:sync",
            "Bring the site's trackers (MLflow) up to date with a run.",
            "mammogan sync runs/first",
        ),
        Entry(
            "ui",
            "ui_command:ui",
            "Open MLflow's table of training runs.",
            "mammogan ui runs/first",
        ),
    ),
}
"""Groups in the order of the work, each with its commands."""

ENTRIES = {entry.name: entry for entries in GROUPS.values() for entry in entries}
