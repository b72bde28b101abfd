"""`mammogan sample`: one pool to the byte, by however many tasks and kills, in every format."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pydicom
import pytest

from mammogan.data.store.shard_writer import load_index
from mammogan.data.store.shard_writer import read_image as read_shard_image
from mammogan.data.synthetic.synthetic_pool import MANIFEST, PARTS, RATES, load_manifest, read_image
from mammogan.errors import ConfigError
from mammogan.files import sha256
from mammogan.steps.licence_notice import TERMS
from mammogan.train import checkpoint
from tests.cli.made import DENSITIES, done, make_run, refused

ALL = ("--format", "shards", "--format", "png", "--format", "dicom")
MAIN = "from mammogan.cli import main; main()"


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("ended") / "run")


@pytest.fixture(scope="module")
def whole(ended, tmp_path_factory):
    """The pool that one task has made in one go."""
    out = tmp_path_factory.mktemp("pools") / "whole"
    said = done("sample", ended, out, "--images", 50, "--images-per-shard", 16, *ALL)
    assert "100 of 100 images drawn now" in said and "the pool is whole" in said
    return out


def content(pool):
    """Give every file of a pool but the rates, which are the only thing that may differ."""
    files = [path for path in pool.rglob("*") if path.is_file() and RATES not in path.parts]
    return {str(path.relative_to(pool)): sha256(path) for path in files}


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def kill_after(process, pool, parts):
    """Kill -9 a process once it has left so many parts more; give whether it still ran."""
    before = len(list((pool / PARTS).glob("*.json")))
    while process.poll() is None:
        if len(list((pool / PARTS).glob("*.json"))) >= before + parts:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    return process.wait() == -signal.SIGKILL


@pytest.mark.parametrize(("tasks", "order"), [(3, (2, 0, 1)), (8, (7, 3, 0, 1, 6, 5, 4, 2))])
def test_a_pool_is_the_same_bytes_by_any_number_of_tasks_in_any_order(ended, whole, tmp_path, tasks, order):
    for task in order:
        said = done(
            "sample", ended, tmp_path, "--images", 50, "--images-per-shard", 16, *ALL,
            "--tasks", tasks, "--task", task,
        )  # fmt: skip
        assert ("the pool is whole" in said) == (task == order[-1])
    assert content(tmp_path) == content(whole)


def test_a_pool_that_was_killed_goes_on_to_the_same_bytes(ended, tmp_path):
    options = ("--images", 400, "--images-per-shard", 16, *ALL)
    done("sample", ended, tmp_path / "whole", *options)
    killed = tmp_path / "killed"
    assert kill_after(start("sample", ended, killed, *options), killed, 2)
    assert not (killed / MANIFEST).exists()
    said = done("sample", ended, killed, *options)
    drawn = int(said.split(": ")[1].split(" of ")[0])
    assert 0 < drawn <= 800 - 2 * 16
    assert content(killed) == content(tmp_path / "whole")
    assert "0 of 800 images drawn now; the pool is whole" in done("sample", ended, killed, *options)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_2000_images_by_1_3_and_8_tasks_killed_again_and_again_are_the_same_bytes(tmp_path):
    model = make_run(tmp_path / "run", "ladder.stages=4", "network.channels_max=32") / "model"
    options = ("--images", 1000, "--images-per-shard", 32, *ALL)
    done("sample", model, tmp_path / "1", *options)
    expected, dice, kills = content(tmp_path / "1"), random.Random(1), 0
    assert len(expected) == 3 + 2 * 2000 + 3 * 64  # manifest, pool, terms; PNG, DICOM; tar, index, record
    for tasks in (1, 3, 8):
        pool = tmp_path / f"killed-{tasks}"
        while not (pool / MANIFEST).exists():
            running = [
                start("sample", model, pool, *options, "--tasks", tasks, "--task", task)
                for task in dice.sample(range(tasks), tasks)
            ]
            while any(process.poll() is None for process in running):
                if kills < 3 * tasks and len(list((pool / PARTS).glob("*.json"))) > dice.randrange(64):
                    kills += kill_after(dice.choice(running), pool, 1)
                time.sleep(0.01)
            assert {process.wait() for process in running} <= {0, -signal.SIGKILL}
        assert content(pool) == expected
    assert kills >= 6


def test_the_numbers_of_a_shard_do_not_change_an_image(ended, whole, tmp_path):
    done("sample", ended, tmp_path, "--images", 9, "--first", 21, "--images-per-shard", 5, "--format", "png")
    names = [f"{view}-{i:07d}.png" for view in ("cc", "mlo") for i in range(21, 30)]
    assert sorted(path.name for path in (tmp_path / "png").iterdir()) == names
    for name in names:
        assert (tmp_path / "png" / name).read_bytes() == (whole / "png" / name).read_bytes()


def test_shards_hold_the_png_images_with_all_that_they_are_a_function_of(ended, whole):
    seen = set()
    for part in load_manifest(whole).parts:
        index = load_index(whole, part.shard)
        assert index.labels == {"view": tuple(key.split("-")[0].upper() for key in index.keys)}
        for place, key in enumerate(index.keys):
            image_HW = read_shard_image(whole, part.shard, index, place)
            assert np.array_equal(image_HW, read_image(whole / "png" / f"{key}.png"))
            seen.add(key)
    assert len(seen) == 100
    manifest = json.loads((whole / MANIFEST).read_text())
    # The command's pool and the array step's are of one checkpoint by name, too.
    digest = next(checkpoint.saved(ended, 1)).digest
    assert manifest["pool"]["checkpoint"] == digest == sha256(ended / "model" / "generator.safetensors")
    assert (manifest["pool"]["seed"], manifest["pool"]["images_per_view"]) == (1000, 50)
    rate = json.loads((whole / RATES / "00000-of-00001.json").read_text())
    assert rate["images"] == 100 and rate["images_s"] == pytest.approx(100 / rate["seconds"])
    assert (whole / TERMS).read_text() == (ended / "model" / TERMS).read_text()


def test_pairs_share_their_latent_their_shard_and_their_dicom_study(ended, whole, tmp_path):
    done("sample", ended, tmp_path, "--images", 20, "--images-per-shard", 16, "--pairs", *ALL)
    keys = [load_index(tmp_path, part.shard).keys for part in load_manifest(tmp_path).parts]
    assert [len(each) for each in keys] == [16, 16, 8]
    assert list(sum(keys, ())) == [f"{view}-{i:07d}" for i in range(20) for view in ("cc", "mlo")]
    for name in ("cc-0000003", "mlo-0000003"):
        png = f"png/{name}.png"
        assert (tmp_path / png).read_bytes() == (whole / png).read_bytes()
    cc, mlo, other = (
        pydicom.dcmread(tmp_path / "dicom" / f"{name}.dcm")
        for name in ("cc-0000003", "mlo-0000003", "cc-0000004")
    )
    assert cc.StudyInstanceUID == mlo.StudyInstanceUID != other.StudyInstanceUID
    assert cc.PatientID == mlo.PatientID != other.PatientID
    assert cc.SeriesInstanceUID != mlo.SeriesInstanceUID
    alone = [pydicom.dcmread(whole / "dicom" / f"{name}-0000003.dcm") for name in ("cc", "mlo")]
    assert alone[0].StudyInstanceUID != alone[1].StudyInstanceUID
    assert alone[0].PatientID != alone[1].PatientID


def test_view_seed_truncation_and_label_are_those_of_draw(tmp_path):
    model = make_run(tmp_path / "run", *DENSITIES, labels=((0, 1), (1, 1), (1, 2)))
    options = ("--view", "mlo", "--seed", 7, "--truncation", 0.5, "--label", "density=c")
    done("draw", model, tmp_path / "drawn", "--images", 3, *options)
    done("sample", model, tmp_path / "pool", "--images", 3, "--format", "png", *options)
    for i in range(3):
        name = f"mlo-{i:07d}.png"
        assert (tmp_path / "drawn" / name).read_bytes() == (tmp_path / "pool" / "png" / name).read_bytes()
    assert len(list((tmp_path / "pool" / "png").iterdir())) == 3


def test_a_damaged_file_is_drawn_again(ended, tmp_path):
    options = ("--images", 20, "--images-per-shard", 16, "--format", "png")
    done("sample", ended, tmp_path, *options)
    before = content(tmp_path)
    path = tmp_path / "png" / "mlo-0000001.png"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert "16 of 40 images drawn now" in done("sample", ended, tmp_path, *options)
    assert content(tmp_path) == before


def test_another_pool_is_not_overwritten(ended, whole):
    before = content(whole)
    told = refused(ConfigError, "sample", ended, whole, "--images", 50, "--seed", 3)
    assert "holds another pool" in told and "seed is '1000', not '3'" in told
    assert content(whole) == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--task", 3, "--tasks", 3), "--task '3' is not below --tasks '3'"),
        (("--format", "dcm"), "--format 'dcm': there is no such format."),
        (("--laterality", "left"), "--laterality 'left' is neither L nor R"),
        (("--pixel-mm", 0), "--pixel-mm '0' is not above 0"),
        (("--pixel-mm", "nan"), "--pixel-mm 'nan' is not above 0"),
        (("--truncation", 2), "--truncation '2' is not from 0"),
        (("--view", "CC", "--pairs"), "--pairs makes each latent as CC and as MLO"),
    ],
)
def test_what_cannot_be_sampled_is_refused_before_anything_is_written(ended, tmp_path, options, told):
    assert told in refused(ConfigError, "sample", ended, tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_a_model_of_no_views_has_shards_but_no_dicoms(tmp_path):
    plain = make_run(tmp_path / "run", 'supervision.kind="none"')
    told = refused(ConfigError, "sample", plain, tmp_path / "out", "--format", "dicom")
    assert "a mammogram's DICOM names its view, and this model knows none" in told
    assert "3 of 3 images" in done("sample", plain, tmp_path / "out", "--images", 3)
