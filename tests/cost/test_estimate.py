"""What a run will cost: by data sheet, by measurement, and what of it is extrapolated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mammogan import schedule
from mammogan.config.method import load_method
from mammogan.cost import gpu_datasheets
from mammogan.cost.calibrate import Calibration, Measured
from mammogan.cost.estimate import Data, DataSheet, Measurements, cost
from mammogan.cost.flops import work
from mammogan.errors import ConfigError

METHOD = load_method("mammogan")
STAGES = schedule.plan(METHOD)
MILLION = Data.expected(1_000_000, METHOD)
A100 = DataSheet(*gpu_datasheets.find("A100 80 GB", "fp32"))
RUNG = Measured(5, 4, 8, 4.0, work(METHOD, STAGES[0]).flops / 1e9, 0.2, 0.4)
MEASURED = Calibration("some device", "cuda", "mammogan", "fp32", (RUNG,))


def test_nine_stages_take_on_eight_a100_what_the_documented_estimate_says():
    whole = cost(METHOD, MILLION, 8, A100)
    assert whole.hours == pytest.approx(7.8, rel=0.02)  # docs/cost.md, where work is counted by torch
    assert [round(each.hours, 2) for each in whole.stages[3:]] == pytest.approx(
        [0.27, 0.58, 0.78, 0.99, 1.19, 3.90], rel=0.03, abs=0.011
    )
    assert {each.known for each in whole.stages} == {"data sheet"}
    assert whole.rank_hours >= 8 * whole.hours


def test_ten_stages_cost_more_than_nine_in_the_same_arithmetic():
    ten = load_method("mammogan-2560")
    bf16 = DataSheet(*gpu_datasheets.find("A100 80 GB, bf16", "fp32"))
    assert len(cost(ten, Data.expected(10**6, ten), 16, bf16).stages) == 10
    assert cost(ten, Data.expected(10**6, ten), 8, bf16).hours > cost(METHOD, MILLION, 8, bf16).hours


def test_a_step_of_a_rung_that_was_measured_takes_what_was_measured():
    seconds, known = Measurements(MEASURED).step_s(STAGES[0], work(METHOD, STAGES[0]), 8, 1)
    assert (seconds, known) == (pytest.approx(8 * 0.2 + 0.4), "measured")


def test_other_rungs_go_by_their_counted_work_and_say_so():
    counted = work(METHOD, STAGES[3])
    seconds, known = Measurements(MEASURED).step_s(STAGES[3], counted, 4, 1)
    assert known == "by work"
    assert seconds == pytest.approx(0.4 + 4 * 0.2 * counted.flops / work(METHOD, STAGES[0]).flops)
    several, _ = Measurements(MEASURED).step_s(STAGES[3], counted, 4, 8)
    assert several > seconds  # gradients are reduced


def test_more_images_cost_storage_and_no_time():
    few, many = (cost(METHOD, Data.expected(n, METHOD), 8, A100) for n in (10**5, 10**6))
    assert few.hours == many.hours
    assert MILLION.total_bytes == pytest.approx(10 * Data.expected(10**5, METHOD).total_bytes)
    assert 400e9 < MILLION.total_bytes < 700e9


def test_small_rungs_are_read_once_and_large_ones_for_every_image():
    data = Data.expected(1000, METHOD)
    small, large = STAGES[0], STAGES[8]
    assert data.read_bytes(small, 8) == pytest.approx(8 * 1000 * data.bytes_px[5, 4])
    assert data.read_bytes(large, 8) == pytest.approx(large.images * data.bytes_px[1280, 1024])


def test_checkpoints_are_as_large_as_they_are():
    from mammogan.train.build_networks import fresh

    method = load_method("tour")
    stage = schedule.plan(method)[-1]
    generator, critic = fresh(method, stage.index)
    numbers = [sum(p.numel() for p in net.parameters()) for net in (generator, critic)]
    # generator, its average and two moments; critic and two moments
    assert work(method, stage).checkpoint_bytes == pytest.approx(
        4 * (4 * numbers[0] + 3 * numbers[1]), rel=1e-9
    )
    assert work(method, stage).parameters == numbers[0]


def test_ranks_that_can_not_share_a_batch_and_unknown_gpus_are_explained():
    with pytest.raises(ConfigError, match=r"Stage 0 of the method 'mammogan'.*can't be split on 3 ranks"):
        cost(METHOD, MILLION, 3, A100)
    with pytest.raises(ConfigError, match=r"--device 'T4' is none .*A100 80 GB, bf16; H100, TF32"):
        gpu_datasheets.find("T4", "fp32")
    with pytest.raises(ConfigError, match=r"--device 'V100, bf16' is none"):
        gpu_datasheets.find("V100, bf16", "fp32")


def test_the_method_decides_the_arithmetic_where_the_device_leaves_it_open():
    assert gpu_datasheets.find("A100 80 GB", "bf16")[1] == "bf16"
    assert gpu_datasheets.find("a100 80 gb", "fp32")[1] == "TF32"
    assert gpu_datasheets.find("V100", "bf16")[1] == "fp32"


def test_a_calibration_is_read_as_it_was_written_and_what_is_none_is_explained(tmp_path):
    MEASURED.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == MEASURED
    (tmp_path / "d.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"d.json' is no calibration .*mammogan cost --calibrate"):
        Calibration.load(tmp_path / "d.json")
    replace(MEASURED, rungs=()).save(tmp_path / "e.json")
    with pytest.raises(ConfigError, match=r"e.json' holds no rung"):
        Calibration.load(tmp_path / "e.json")


def test_real_steps_are_measured_from_the_smallest_rung_up_until_time_is_over():
    from mammogan.cost.calibrate import calibrate

    told: list[Measured] = []
    found = calibrate(load_method("tour", ("ladder.stages=2", "engine.precision=auto")), 600, told.append)
    assert [(rung.height_px, rung.width_px) for rung in found.rungs] == [(5, 4), (10, 8)]
    assert found.rungs == tuple(told) and found.precision in ("bf16", "fp32")
    assert all(rung.images_per_s > 0 and rung.image_s > 0 and rung.step_s >= 0 for rung in found.rungs)
    assert len(calibrate(load_method("tour"), 0.001, lambda _: None).rungs) == 1


def test_the_counted_work_is_that_of_torch():
    from tests.bench import estimate

    for name, stages, overrides in (
        ("mammogan", (2, 5), ()),
        ("mammogan", (4,), ("engine.recompute=[true]",)),
        ("mammogan", (4,), ("loss.shared_fakes=true", "loss.penalty_holds_stddev=true")),
    ):
        method = load_method(name, overrides)
        for index in stages:
            one, two = (estimate._counted(method, index, n * 4, overrides) for n in (1, 2))
            image, _ = one.by_image(two, 4, 8)
            mine = work(method, schedule.plan(method)[index])
            assert mine.flops == pytest.approx(image.flops, rel=0.01)
            assert mine.traffic == pytest.approx(image.traffic, rel=0.15)
            assert mine.parameters == estimate._parameters(method, index)
