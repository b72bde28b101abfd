"""Screening a pool by the reals and the critic of the run that it is of."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mammogan.cli import app
from mammogan.config.label_fields import VIEWS
from mammogan.config.run_config import Run
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.synthetic.pool_writer import write_parts
from mammogan.data.synthetic.synthetic_pool import DicomForm, Image, Pool, claim, finish
from mammogan.errors import ConfigError, DataError
from mammogan.run_folder import RunFolder
from mammogan.steps.screen_pool import FILE_NAME, screen_pool
from mammogan.train import checkpoint
from mammogan.train.accelerator import local_device
from mammogan.train.critic_score import Judge
from tests.steps import scored


@pytest.fixture(scope="module")
def run(undisturbed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("screened") / "run"
    shutil.copytree(undisturbed, folder)
    last = next(checkpoint.saved(folder, 1))
    scored.choice(scored.score(last.images, 20.0, stage=1)).write(RunFolder(folder).choice)
    return folder


@pytest.fixture(scope="module")
def validation(run):
    reader = ShardSet(run_of(run)).reader(10, 8, "validation")
    return {
        view: list(reader.read((reader.views_N == number).nonzero()[0])) for number, view in enumerate(VIEWS)
    }


def run_of(folder):
    return Path(Run.load(folder).shards)


def make_pool(folder, run, images, **named):
    """Make a pool of given images, so many of each view, as if the run's model had drawn them."""
    digest = next(checkpoint.saved(run, 1)).digest
    settings = {"checkpoint": digest, "seed": 1, "views": VIEWS, "height_px": 10, "width_px": 8, **named}
    pool = Pool(images_per_view=len(images["CC"]), **settings)
    claim(folder, pool)
    drawn = ((part, Image(view, i, images[view][i])) for part in pool.parts for view, i in part.order)
    write_parts(folder, pool, drawn, lambda: None)
    assert finish(folder, pool)
    return folder


def test_a_pool_of_the_held_out_reals_is_flagged_as_often_as_they_are(run, validation, tmp_path):
    pool = make_pool(tmp_path / "pool", run, validation)
    for found in screen_pool(run, pool, 0.05):
        assert found.images == len(validation[found.view])
        assert found.flagged / found.images == pytest.approx(found.null)


def test_planted_artefacts_are_named_with_their_measures_and_nothing_is_taken_away(run, validation, tmp_path):
    bad = {view: [images[0], np.full((10, 8), 9, np.uint16)] for view, images in validation.items()}
    bad["CC"].append(np.full((10, 8), 65535, np.uint16))
    bad["MLO"].append((np.indices((10, 8)).sum(axis=0) % 2 * 65535).astype(np.uint16))
    pool = make_pool(tmp_path / "pool", run, bad)
    before = {path: path.read_bytes() for path in pool.rglob("*") if path.is_file()}
    seen = []
    found = {each.view: each for each in screen_pool(run, pool, 0.0, lambda: seen.append(1))}
    assert len(seen) == 6
    assert found["CC"].flagged >= 2 and found["MLO"].flagged >= 2
    report = json.loads((pool / FILE_NAME).read_text())
    flagged = report["views"]["CC"]["flagged"] | report["views"]["MLO"]["flagged"]
    assert {"cc-0000001", "cc-0000002", "mlo-0000001", "mlo-0000002"} <= set(flagged)
    assert "power-finest" in flagged["mlo-0000002"]
    assert flagged["cc-0000001"]["skewness"] is None  # a flat image has none
    for view in report["views"].values():
        assert set(view["ranges"]) >= {"mean", "sd", "power-finest", "critic"}
        assert view["images"] == 3 and view["training_reals"] > 0
    assert {path: path.read_bytes() for path in before} == before


def test_the_command_tells_shares_beside_those_of_held_out_reals(run, validation, tmp_path):
    pool = make_pool(tmp_path / "pool", run, validation)
    told = CliRunner().invoke(app, ["screen", str(run), str(pool), "--tail", "0.05"])
    assert told.exit_code == 0, (told.output, told.exception)
    assert "held-out reals" in " ".join(told.output.split()) and "nothing was taken away" in told.output
    wrong = CliRunner().invoke(app, ["screen", str(run), str(pool), "--tail", "0.5"])
    assert "--tail '0.5' is not from 0 to below 0.5" in str(wrong.exception)


def test_a_score_does_not_depend_on_the_images_beside_it(run, validation):
    source, method = next(checkpoint.saved(run, 1)), Run.load(run).method
    companions = np.stack(validation["CC"][:5])
    judge = Judge(method, source, companions, 0, local_device())
    images = [*validation["CC"], *validation["MLO"]] * 2
    together = list(judge.scores(images))
    alone = [next(judge.scores([image])) for image in images]
    assert together == pytest.approx(alone, rel=1e-4, abs=1e-5)
    assert len(set(np.round(together, 4))) > 2


def test_a_pool_of_another_checkpoint_or_without_shards_is_refused(run, validation, tmp_path):
    other = make_pool(tmp_path / "other", run, validation, checkpoint="d" * 64)
    with pytest.raises(ConfigError, match="was drawn from checkpoint 'dddd"):
        screen_pool(run, other, 0.001)
    dicoms = make_pool(tmp_path / "dicoms", run, validation, formats=("dicom",), dicom=DicomForm(pixel_mm=1))
    with pytest.raises(ConfigError, match="has no shards: sample it with --format shards"):
        screen_pool(run, dicoms, 0.001)
    with pytest.raises(DataError, match="holds no whole pool"):
        screen_pool(run, tmp_path / "none", 0.001)
