"""What version 0.1 has left on disk opens and goes on: a shard set, a stopped training, a finished run.

``tests/fixtures/version-0.1.tar.xz`` was written by commit 130cf6f: phantoms of 6 patients at 10x8, stage 1
stopped after 40 of its 96 images, the records of the same run when it was finished, and the averaged
generator of that end.
"""

import json
import tarfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mammogan import schedule, steps
from mammogan.cluster import job_spans, submission_ledger
from mammogan.config.run_config import Run, claim
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.shards.verify_set import verify
from mammogan.run_folder import RunFolder
from mammogan.steps import markers
from mammogan.steps.select_checkpoint import read_choice, scores
from mammogan.train import checkpoint

ARCHIVE = Path(__file__).parent / "fixtures" / "version-0.1.tar.xz"


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Unpack what was left, where its paths lead to."""
    folder = tmp_path_factory.mktemp("version 0.1")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    folder /= "version-0.1"
    for run in (folder / "run", folder / "finished"):
        path = RunFolder(run).settings
        tree = json.loads(path.read_text())
        path.write_text(json.dumps(tree | {"shards": str(folder / "shards")}))
    return folder


def test_its_shard_set_opens_and_is_what_it_was(left):
    assert verify(left / "shards") == []
    shard_set = ShardSet(left / "shards")
    assert shard_set.identity == Run.load(left / "run").data_identity
    assert set(shard_set.reader(10, 8, "train").labels) == {
        *("view", "laterality", "vendor", "age_band", "density"),
    }


def test_its_run_keeps_its_id_and_may_be_launched_again(left):
    run = Run.load(left / "run")
    assert run.run_id == "28a4644ab5eb"
    assert (run.method.loss.penalty, run.method.network.kind) == ("two-sided", "pggan")
    claim(left / "run", run)


def test_its_training_goes_on_to_the_same_end(left):
    """Between two ticks, so that the sums of its losses are taken over; to the bit on the same machine."""
    steps.run(left / "run", "train-1")
    end = checkpoint.at(left / "run", 1, 96)
    expected, found = load_file(left / "expected" / "average.safetensors"), end.tensors("average")
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-5)
    ticks = end.facts["ticks"]
    assert [tick["images"] for tick in ticks] == [16, 32, 48, 64, 80, 96]
    assert all({"critic/drift", "critic/penalty", "generator/label"} <= set(tick) for tick in ticks)


def test_its_records_open(left):
    run = left / "finished"
    stages = schedule.plan(Run.load(run).method)
    found = [score for stage in stages for score in scores(run, stage)]
    assert len(found) == 4 and all(score.breast and score.schema_version == 1 for score in found)
    assert read_choice(run).images in {score.images for score in found if score.stage == 1}
    records = submission_ledger.read(run)
    assert {record.node for record in records} >= {"train-0", "report"}
    spans = job_spans.read(run)
    assert len(spans) == len(records) and all(span.ended for span in spans)
    nodes = {node.name: node for node in steps.graph(Run.load(run))}
    assert steps.progress(run, nodes["train-1"]).done == 96
    assert markers.holds(run, "score-1", 0)
