"""What `make quality` is made of besides its judge: images, schedules, contenders, tables, guard."""

import argparse
import json
import re
import sys

import cv2
import numpy as np
import pytest

from mammogan import schedule
from mammogan.config.label_fields import UNKNOWN
from mammogan.config.method import methods
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.errors import DataError
from tests.bench.quality import contenders, guard, images, pace, sheets, tables
from tests.bench.quality.__main__ import options_of
from tests.bench.quality.contenders import Contender, Job
from tests.bench.quality.pace import Pace
from tests.bench.quality.small_shards import base_px, write_shards
from tests.bench.quality.tables import Judged
from tests.bench.quality.train_ours import method_for

PACES = [Pace((4 << s, 4 << s), 3.0 * 3**s, 2.0 * 3**s) for s in range(5)]
COPY = "import numpy,sys; n=numpy.load(sys.argv[1])['train']; numpy.save(sys.argv[2]+'/fakes.npy', n)"


@pytest.fixture
def sets():
    random = np.random.default_rng(0)
    train, held_out = (random.integers(0, 256, (count, 16, 16), np.uint8) for count in (6, 3))
    return images.Sets(train, np.array([0, 1, 0, 1, UNKNOWN, 1]), held_out, "noise")


def test_the_product_reads_the_very_images_that_the_others_learn_from(tmp_path, sets):
    shards = ShardSet(write_shards(tmp_path / "shards", sets))
    for split, wanted in (("train", sets.train_NHW), ("validation", sets.held_out_NHW)):
        reader = shards.reader(16, 16, split)
        assert np.array_equal(reader.read(np.arange(len(reader))), wanted.astype(np.uint16) * 257)
    assert shards.reader(16, 16, "train").views_N.tolist() == sets.views_N.tolist()
    coarse_NHW = shards.reader(4, 4, "train").read(np.arange(6))
    means_NHW = sets.train_NHW.reshape(6, 4, 4, 4, 4).mean((2, 4))
    np.testing.assert_allclose(coarse_NHW / 257, means_NHW, atol=0.01)
    assert shards.held_out(16, 16) == "validation"


def test_the_ladder_begins_at_four_pixels():
    assert (base_px((64, 64)), base_px((80, 64))) == ((4, 4), (5, 4))
    with pytest.raises(ValueError, match="'60x64' is no 4 px"):
        base_px((60, 64))


def test_an_image_keeps_its_aspect_and_its_chest_wall_at_the_left():
    fitted = images.fit(np.full((160, 128), 200.0), (64, 64))
    assert (fitted[:, :51] == 200).all() and not fitted[:, 51:].any()
    flat = images.fit(np.full((10, 40), 90.0), (64, 64))
    assert (flat[24:40] == 90).all() and not flat[:24].any() and not flat[40:].any()


def test_files_are_held_out_by_patient_mirrored_and_counted(tmp_path):
    image = np.zeros((40, 32), np.uint16)
    image[:, 16:] = 4095
    for patient in range(10):
        for number in range(2):
            cv2.imwrite(str(tmp_path / f"p{patient}_{number}.png"), image - patient * (image > 0))
    (tmp_path / "broken.png").write_bytes(b"none")
    found = images.from_files(tmp_path, (80, 64))
    assert len(found.train_NHW) == 14 and len(found.held_out_NHW) == 6
    assert not set(found.train_NHW[:, 40, 0]) - {255, 254} and not found.train_NHW[:, :, 40:].any()
    assert "10 patients; 20 were mirrored" in found.about and "1 can't be read" in found.about
    assert set(found.views_N) == {UNKNOWN}


def test_a_folder_of_nothing_or_of_one_patient_is_refused(tmp_path):
    with pytest.raises(DataError, match="is no shard set and holds 0 images"):
        images.load(str(tmp_path), (64, 64), tmp_path, 1, print)
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"one_{number}.png"), np.full((8, 8), 9, np.uint8))
    with pytest.raises(DataError, match="All 2 images are of one patient, 'one'"):
        images.from_files(tmp_path, (64, 64))


def test_a_schedule_is_scaled_by_one_factor_to_the_budget():
    method = method_for("small", (64, 64), 3, ())
    factors = pace.fit(method, PACES, 500, [], 0.5)
    assert len(set(factors)) == 1
    stages = schedule.plan(pace.lengths(method, factors))
    spent_s = sum(
        each.seconds(stage) + 0.5 * len(stage.saves()) for each, stage in zip(PACES, stages, strict=True)
    )
    assert spent_s == pytest.approx(500, rel=0.02)
    for before, after in zip(schedule.plan(method)[2:], stages[2:], strict=True):
        assert after.fade_images / after.images == pytest.approx(before.fade_images / before.images, abs=0.02)
        assert after.images / before.images == pytest.approx(factors[0], rel=0.05)


def test_what_is_behind_stays_as_it_was_trained():
    method = method_for("small", (64, 64), 3, ())
    first = pace.fit(method, PACES, 300, [], 0)
    later = pace.fit(method, PACES, 100, first[:3], 0)
    assert later[:3] == first[:3] and later[3] < first[3]
    plans = [schedule.plan(pace.lengths(method, factors)) for factors in (first, later)]
    assert plans[0][:3] == plans[1][:3]


def test_a_method_fits_the_size_and_takes_settings_of_ones_own():
    method = method_for("small", (80, 64), 7, ("loss.penalty_every=8",))
    assert method.ladder.base_px == (5, 4) and method.ladder.stages == 5
    assert (method.method.seed, method.loss.penalty_every, method.scoring.checkpoints) == (7, 8, 1)


def test_contenders_are_understood(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "own.toml").write_bytes(methods()["small"].read_bytes())
    assert contenders.ours("small").name == "small" and contenders.ours("small").share == 1
    quarter = contenders.ours("small@0.25")
    assert (quarter.name, quarter.command[-1], quarter.share) == ("small@0.25", "small", 0.25)
    named = contenders.ours("q=my/own.toml@0.5,ema.ramp=0.1")
    assert (named.name, named.share) == ("q", 0.5) and "my/own.toml" in named.command
    found = contenders.ours("r1=my/own.toml,loss.objective=hinge;ladder.base_px=[4,4]")
    assert found.name == "r1"
    assert found.command[-6:] == (
        "--method", "my/own.toml", "--set", "loss.objective=hinge", "--set", "ladder.base_px=[4,4]",
    )  # fmt: skip
    for text in ("=small", "a=", "a=small,loss", "a/b=small"):
        with pytest.raises(ValueError, match=re.escape(text.split("=")[0] or text)):
            contenders.ours(text)
    with pytest.raises(argparse.ArgumentTypeError, match=r"unknown key 'ema\.ramps'"):
        contenders.ours("a=small,ema.ramps=1")
    with pytest.raises(ValueError, match=r"is not 'name=command"):
        contenders.other("a=train {data}")


def test_pro_gan_says_why_it_is_absent(tmp_path):
    assert "square images only" in contenders.pro_gan((80, 64), None)[1]
    assert "not installed" in contenders.pro_gan((64, 64), tmp_path)[1]
    (tmp_path / "pro_gan_pytorch").mkdir()
    assert contenders.pro_gan((64, 64), tmp_path)[0].name == "pro-gan-pth"


@pytest.fixture
def job(tmp_path, sets):
    sets.save(tmp_path / "data.npz")
    return Job(tmp_path / "data.npz", sets.digest, 5, 6, tmp_path / "work", "")


def test_a_command_is_a_contender_and_what_is_trained_is_not_trained_again(job, sets):
    once = Contender("copy", (sys.executable, "-c", COPY, "{data}", "{out}"))
    first = contenders.run(once, 1, job)
    assert first["cpu_s"] == first["process_cpu_s"] > 0 and first["seed"] == 1
    (path,) = contenders.fakes(once, 1, job).values()
    assert np.array_equal(np.load(path), sets.train_NHW)
    assert contenders.run(once, 1, job) == first
    longer = Job(job.data, job.digest, 6, job.count, job.folder, "")
    assert contenders.run(once, 1, longer)["key"] != first["key"]


def test_a_contender_that_fails_says_where_it_has_written_why(job):
    broken = Contender(
        "broken", (sys.executable, "-c", "raise SystemExit('no more wishes')", "{data}", "{out}")
    )
    with pytest.raises(RuntimeError, match=r"it ended with 1: no more wishes \(see .*log\)"):
        contenders.run(broken, 1, job)
    assert not (job.folder / "broken" / "1" / contenders.RESULT).exists()


def judged():
    names = ["swd", *(f"{a}_{b}" for a in tables.PAIRS for b in ("pca", "net")), "mmd_net", *tables.STRIPES]
    names += ["finest_power", "background"]
    measures = {f"{name}{kind}": 0.5 for name in names for kind in ("", "_sd", "_floor", "_floor_sd")}
    stages = [{"height_px": 4, "width_px": 4, "fade_s_per_kimg": 0.0, "stable_s_per_kimg": 2.5}]
    training = {"cpu_s": 139.6, "kimg": 5.71, "stages": stages}
    return Judged("nsb", 2, training, measures | {"swd_above_floor": 12.34, "background": float("nan")})


def test_the_table_has_a_row_of_training_reals_and_one_a_contender():
    head, _, reals, row = tables.table([judged()])
    assert head.count("|") == reals.count("|") == row.count("|")
    assert "| nsb | 2 | 140 | 5.7 | 12.3 ±" in row and row.endswith("| - |")
    assert reals.startswith("| training reals |  |  |  | 0.0 ± 0.5 |")
    assert list(tables.paces([judged()]))[-1] == "| nsb | 0 / 2.5 |"


def test_the_result_is_written_between_the_pages_markers(tmp_path, monkeypatch):
    page = tmp_path / "quality.md"
    page.write_text(f"before\n{tables.BEGIN}old\n{tables.END}after\n")
    monkeypatch.setattr(tables, "PAGE", page)
    tables.write_page(["new", "lines"])
    assert page.read_text() == f"before\n{tables.BEGIN}new\nlines\n{tables.END}after\n"


def test_the_guard_tells_what_has_become_slower_by_more_than_a_quarter():
    before = {"small 5x4": {"fade": 0.0, "stable": 10.0}, "small 10x8": {"fade": 20.0, "stable": 20.0}}
    now = {"small 5x4": {"fade": 0.0, "stable": 12.4}, "small 10x8": {"fade": 26.0, "stable": 19.0}}
    (line,) = guard.compare(now, before)
    assert line.startswith("small 10x8, fade: 26 loops a kimg, 1.30 times the baseline's 20;")
    (missing,) = guard.compare({"small 5x4": now["small 5x4"]}, before)
    assert missing.startswith("small 10x8 is in the baseline and wasn't measured")


def test_the_guards_baseline_has_every_rung_of_every_guarded_method():
    rungs = json.loads(guard.BASELINE.read_text())["loops_per_kimg"]
    for name, size_px in guard.METHODS.items():
        for stage in schedule.plan(method_for(name, size_px, 1, ())):
            phases = rungs[f"{name} {stage.height_px}x{stage.width_px}"]
            assert phases["stable"] > 0 and ("fade" in phases) == (stage.index > 0)


def test_a_sheet_has_everybodys_first_images_at_the_same_place():
    numbered_NHW = np.arange(40, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 3), np.uint8)
    strip = sheets.strip(numbered_NHW)
    assert strip.shape == (4, 3 * sheets.COLUMNS)
    assert strip[0, ::3].tolist() == list(range(14)) and strip[2, ::3].tolist() == list(range(14, 28))
    assert not sheets.strip(numbered_NHW[:1])[2:].any()


def test_the_command_line_names_sizes_seeds_and_contenders():
    contender = "a=small,ema.ramp=1;loss.drift_weight=2"
    options = options_of(["--sizes", "64x64,80x64", "--seeds", "3", "--contender", contender])
    assert options.sizes == [(64, 64), (80, 64)] and options.seeds == [3]
    assert [contender.name for contender in options.contender] == ["a"]
