"""The table of `mammogan cost`: every stage, the sum, and whatever it assumes."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from mammogan.cli import app
from mammogan.cost.calibrate import Calibration, Measured
from mammogan.errors import ConfigError


def told(*words, columns=80):
    result = CliRunner().invoke(app, ["cost", *words], env={"COLUMNS": str(columns)})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_every_stage_has_a_line_that_is_cut_at_no_usual_width(columns):
    text = told("--images", "1000000", "--site", "example-a100", columns=columns)
    lines = [line.split() for line in text.splitlines()]
    assert [line[0] for line in lines if line and "x" in line[0] and line[0][0].isdigit()] == [
        f"{5 << s}x{4 << s}" for s in range(9)
    ]
    assert "…" not in text
    assert "GPU-hours of 8 ranks on: A100 80 GB, TF32" in text


def test_all_that_is_assumed_is_printed():
    text = " ".join(told("--images", "1000000", "--site", "example-a100").split())
    for words in (
        "Assumed, not measured: each rank is one A100 80 GB, TF32.",
        "40% of peak arithmetic",
        "an image in a shard takes 17%",
        "each shown 12 times",
        "20 GB/s a rank",
        "Scoring counts",
    ):
        assert words in text


def test_a_calibration_takes_the_place_of_the_data_sheet_and_marks_what_it_extrapolates(tmp_path):
    readers = (Measured(5, 4, 8, 40.0, 1.889, 0.02, 0.04), Measured(10, 8, 8, 8.0, 15.3, 0.1, 0.2))
    Calibration("CPU of somebody", "cpu", "mammogan", "fp32", readers).save(tmp_path / "c.json")
    text = told("--images", "1000", "--calibration", str(tmp_path / "c.json"))
    rows = {line.split()[0]: line for line in text.splitlines() if line}
    assert "~" not in rows["10x8"]
    assert "~" in rows["20x16"]
    assert "rank-hours of 1 rank on: CPU of somebody" in text
    assert "Extrapolated, not measured (~): from 20x16 on" in " ".join(text.split())
    assert "data sheet" not in text


def test_a_site_without_gpus_is_reckoned_on_its_cpu_and_that_is_said():
    text = " ".join(told("--images", "1000", "--site", "devcluster").split())
    assert "Cost, rank-hours of 2 ranks on: CPU, 1 core a rank" in text
    assert (
        "resources.gpu_nodes.device of the site 'devcluster' is 'cpu'; --device reckons with another." in text
    )
    assert "each core reaches 40 GFLOP/s in fp32, as one thread of AMD EPYC did" in text
    assert "A100" not in text


def test_the_images_are_asked_for():
    with pytest.raises(ConfigError, match="either --data, a shard set, or --images, a number"):
        told()
