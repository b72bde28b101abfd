"""The card's numbers: measures with intervals, rates of artefacts, and hours."""

import re

import pytest

from mammogan.errors import ConfigError, DataError
from mammogan.files import sha256
from mammogan.metrics.comparison.measure import Interval, Measure
from mammogan.run_folder import RunFolder
from mammogan.steps.report_measures import Report
from mammogan.study.review.review_service import ReviewService
from tests.cli.made import done, make_run, refused
from tests.study.made_study import pictures
from tests.study.review.made_review import go_through, make_review


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def card_of(*arguments):
    done("export", *arguments)
    return (arguments[1] / "README.md").read_text()


def test_measures_of_the_report_stand_with_interval_and_what_reals_are_to_each_other(run, tmp_path):
    measure = Measure(
        "joint", "c2st_auc", "features", "CC", 0.75, Interval(0.74, 0.71, 0.79), Interval(0.5, 0.45, 0.56)
    )
    nan = float("nan")
    other = Measure("swd", "swd_image", "mean", "MLO", 120.0, Interval(nan, nan, nan))
    about = {"held_out": "test"}
    Report(about, [measure, other], skipped=["MLO: too few images"]).write(RunFolder(run).report)
    card = card_of(run, tmp_path / "out")
    assert "held-out reals (split `test`)" in card and "Not measured: MLO: too few images" in card
    (row,) = re.findall(r"^\| CC \|.*", card, re.MULTILINE)
    assert [cell.strip() for cell in row.split("|")][1:-1] == [
        "CC", "classifier's area (C2ST)", "all features", "0.75", "0.71 to 0.79", "0.45 to 0.56", "0, 0",
    ]  # fmt: skip
    assert "| MLO | SWD, whole image | mean | 120 |  |  |" in card


def test_rates_of_artefacts_come_from_a_finished_review_of_this_very_model(run, tmp_path):
    make_review(tmp_path / "review", pictures(images_per_view=10))
    asked = ("export", run, tmp_path / "out", "--review", tmp_path / "review")
    assert "Reviewer 1" in refused(ConfigError, *asked)
    service = ReviewService(tmp_path / "review")
    go_through(service, lambda who, key: ["seam"] if key[0] == "s" and int(key[1:]) % 4 == 0 else [])
    service.store.close()
    own = sha256(run / "model" / "generator.safetensors")[:12]
    message = refused(DataError, *asked)
    assert f"The review is of the model '0123456789ab', and '{run / 'model'}' is '{own}'" in message
    record = tmp_path / "review" / "review.json"
    record.write_text(record.read_text().replace("0123456789ab", own))
    card = card_of(run, tmp_path / "out", "--review", tmp_path / "review")
    (row,) = re.findall(r"^\| all views \|.*", card, re.MULTILINE)
    assert re.search(r"\d+ of \d+\) \| 0.0 \(0.0 to", row)
