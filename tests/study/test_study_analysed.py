"""From the service to the page: what participants answered is what the analysis prints."""

import csv
import json

from typer.testing import CliRunner

from mammogan.cli import app
from mammogan.study.reader.study_service import StudyService
from tests.study.made_study import make_study

DESCRIBED = ({"role": "radiologist", "board": "yes", "breast": "no", "years": "12"}, {"role": "other"}, {})


def take_part(service, number, right, stop_after=None):
    """Enrol somebody who is right in the first `right` scored pairs; give the participant's code."""
    who = service.enrol(f"form-{number}", "")
    service.describe(who, DESCRIBED[number % len(DESCRIBED)])
    service.display(who, {})
    scored = 0
    for pair in service.state(who).plan.pairs:
        if pair.trial > 0:
            service.ready(who)
            if scored == stop_after:
                break
            scored += 1
        hit = pair.trial < 0 or scored <= right
        side = pair.synthetic_side if hit else {"left": "right", "right": "left"}[pair.synthetic_side]
        service.answer(who, {"trial": str(pair.trial), "side": side, "confidence": "3", "rt_ms": "1500"})
    return who


def run(*words):
    told = CliRunner().invoke(app, ["study", *map(str, words)])
    assert told.exit_code == 0, told.exception
    return " ".join(told.output.split())


def test_a_study_is_analysed_as_it_was_answered(tmp_path):
    study, export, out = tmp_path / "study", tmp_path / "export", tmp_path / "out"
    make_study(study, {"study": {"margin": 0.2}}, images_per_view=12)
    service = StudyService(study)
    for number, right in enumerate((10, 7, 5, 3)):
        take_part(service, number, right)
    stopped = take_part(service, 4, 2, stop_after=6)
    take_part(service, 5, 0, stop_after=0)
    service.store.close()
    run("export", study, export)
    unlocked = CliRunner().invoke(app, ["study", "analyse", str(export), str(out)])
    assert "the study was not locked when this was exported" in str(unlocked.exception)
    run("lock", study)
    run("export", study, export)
    told = run("analyse", export, out)
    tree = json.loads((out / "analysis.json").read_text())
    assert tree["share_right"]["value"] == 27 / 46
    assert "58.7 % right" in told
    assert (tree["equivalence"]["margin"], tree["equivalence"]["fixed_beforehand"]) == (0.2, True)
    assert tree["study"]["incomplete"] == [{"participant": stopped, "answered": 6}]
    assert tree["study"]["enrolled_without_answer"] == 1
    assert tree["histogram"]["counts"] == [0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1]
    groups = {group["group"]: group for group in tree["groups"]}
    assert (groups["radiologists"]["readers"], groups["radiologists"]["value"]) == (2, 13 / 20)
    assert (groups["other readers"]["readers"], groups["role not said"]["readers"]) == (2, 1)
    with (out / "readers.csv").open() as stream:
        assert sorted(int(row["right"]) for row in csv.DictReader(stream)) == [2, 3, 5, 7, 10]
