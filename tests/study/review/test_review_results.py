"""What a review finds: planted rates come back, each image counts once, only clean ones are accepted."""

import csv
import json
import random
import re

import pytest
from typer.testing import CliRunner

from mammogan.cli import app
from mammogan.errors import ConfigError, DataError
from mammogan.study.review.review_page import page, write_folder
from mammogan.study.review.review_results import accepted, as_json, results
from mammogan.study.review.review_service import ReviewService
from mammogan.study.review.verdicts import TABLES
from mammogan.study.web.answer_store import peek
from tests.study.made_study import pictures
from tests.study.review.made_review import go_through, make_review


def found_in(service):
    return results(service.review, service.image_store.index, service.plan, peek(service.folder, TABLES))


def flawed(key):
    """Whether a synthetic picture has an artefact: one in four."""
    return key[0] == "s" and int(key[1:]) % 4 == 0


@pytest.fixture
def service(tmp_path):
    make_review(tmp_path / "review", pictures(images_per_view=10), overlap=20)
    opened = ReviewService(tmp_path / "review")
    yield opened
    opened.store.close()


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Two reviewers who both see what there is; the second also objects to one shared real."""
    folder = tmp_path_factory.mktemp("judged") / "review"
    make_review(folder, pictures(images_per_view=20), overlap=20)
    service = ReviewService(folder)
    strict = min(key for key in service.plan.shared if key[0] == "r" and service.plan.owners[key] == 0)
    go_through(
        service, lambda who, key: ["seam"] if flawed(key) else ["other"] if who and key == strict else []
    )
    yield service
    service.store.close()


def test_planted_rates_come_back_by_source_and_view(judged):
    overall, cc, mlo = found_in(judged).views
    assert (overall.synthetic.hits, overall.synthetic.of) == (10, 40)
    assert (overall.real.hits, overall.real.of) == (0, 40)
    assert [(row.name, row.synthetic.of, row.real.of) for row in (cc, mlo)] == [
        ("CC", 20, 20),
        ("MLO", 20, 20),
    ]
    assert overall.excess.low > 0.1


def test_an_image_that_two_have_seen_counts_once_by_its_owner(judged):
    found = found_in(judged)
    assert found.views[0].real.hits == 0  # only the second reviewer, who does not own it, objected
    own = [one.rates.real.hits for one in found.reviewers]
    assert own == [0, 1]
    ((_, _, agreed),) = found.agreements
    assert (agreed.images, agreed.first, agreed.second) == (20, 0, 1)


def test_before_the_owner_has_looked_anothers_verdict_counts(service):
    go_through(service, lambda who, key: ["seam"] if flawed(key) else [], reviewers=[1])
    found = found_in(service)
    assert not found.is_complete
    seen = set(service.plan.series[1])
    assert set(found.judged) == seen
    assert found.views[0].synthetic.hits == sum(flawed(key) for key in seen)


def test_kinds_are_counted_by_source(judged):
    rows = {row.name: (row.synthetic.hits, row.real.hits) for row in found_in(judged).kinds}
    assert rows["Grid or paste seam"] == (10, 0)
    assert rows["Checkerboard"] == (0, 0)


def test_accepted_are_the_clean_synthetics_by_their_names_in_the_pool(judged):
    index, plan, view = judged.image_store.index, judged.plan, peek(judged.folder, TABLES)
    clean = sorted(p.origin for p in index.pictures if p.source == "synthetic" and not flawed(p.key))
    assert accepted(index, plan, view) == clean
    assert len(clean) == 30


def test_one_objection_is_enough_unless_the_majority_decides(service):
    shared = sorted(key for key in service.plan.shared if key[0] == "s")
    go_through(service, lambda who, key: ["seam"] if who == 0 and key == shared[0] else [])
    origin = {p.key: p.origin for p in service.image_store.pictures}[shared[0]]
    index, view = service.image_store.index, peek(service.folder, TABLES)
    assert origin not in accepted(index, service.plan, view)
    assert origin not in accepted(index, service.plan, view, "majority")  # one of two is no minority
    assert len(accepted(index, service.plan, view)) == 19


def test_with_three_reviewers_two_outvote_one(tmp_path):
    make_review(tmp_path / "r", overlap=16, reviewers=("a", "b", "c"))
    service = ReviewService(tmp_path / "r")
    go_through(service, lambda who, key: ["seam"] if who == 0 else [])
    index, view = service.image_store.index, peek(service.folder, TABLES)
    with pytest.raises(
        DataError, match="No synthetic image was accepted: none has all its verdicts and is clean"
    ):
        accepted(index, service.plan, view)
    assert len(accepted(index, service.plan, view, "majority")) == 8
    service.store.close()


def test_an_image_that_a_reviewer_has_still_to_see_is_not_accepted(service):
    go_through(service, lambda who, key: [], reviewers=[0])
    names = accepted(service.image_store.index, service.plan, peek(service.folder, TABLES))
    own = [key for key in service.plan.series[0] if key not in service.plan.shared and key[0] == "s"]
    origins = {p.key: p.origin for p in service.image_store.pictures}
    assert names == sorted(origins[key] for key in own)


def test_the_report_says_the_same_everywhere_and_shows_synthetic_pictures_only(judged, tmp_path):
    found = found_in(judged)
    files = write_folder(found, judged.image_store, tmp_path / "out")
    assert {path.name for path in files} == {"review.json", "rates.csv", "index.html", "print.html"}
    tree, text = json.loads(as_json(found)), page(found, judged.image_store)
    assert tree["views"][0]["synthetic"]["rate"] == 0.25
    assert "Artefacts were seen on 25.0 % of synthetic images" in text
    with (tmp_path / "out" / "rates.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["artefacts"]) for row in rows if row["table"] == "views"] == [10, 0, 5, 0, 5, 0]
    assert text.count("<img") == 1  # of the seams; the real that one objected to is not shown
    assert not re.findall(r'\b(?:src|href)="(?!data:|#)', text)
    assert text.count("<b>Shows</b>") == text.count("<b>Doesn't show</b>") == 3
    assert not [p.origin for p in judged.image_store.pictures if p.origin in text or p.key in text]


def test_no_other_folder_is_overwritten(judged, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").touch()
    with pytest.raises(ConfigError, match="is neither empty nor holds older results"):
        write_folder(found_in(judged), judged.image_store, tmp_path / "mine")


def test_a_report_of_nothing_and_of_one_reviewer_can_be_read(tmp_path):
    make_review(tmp_path / "r", reviewers=("alone",))
    service = ReviewService(tmp_path / "r")
    assert "Not enough was looked at yet" in page(found_in(service), service.image_store)
    assert "Reviewers are still looking" in page(found_in(service), service.image_store)
    json.loads(as_json(found_in(service)))
    go_through(service, lambda who, key: [])
    text = page(found_in(service), service.image_store)
    assert "There was one reviewer" in text
    assert "No excess over real images is shown" in text
    service.store.close()


def test_the_commands_tell_status_report_and_accepted(judged, tmp_path):
    review, out = str(judged.folder), tmp_path / "accepted.json"

    def run(*words):
        return CliRunner().invoke(app, ["review", *words])

    assert re.search(r"first reviewer.*50.*50.*ended", run("status", review).output)
    told = run("report", review, str(tmp_path / "report"))
    assert "+25.0" in told.output
    told = run("accepted", review, str(out))
    assert "30 of 40 synthetic images. Results with them hold for such only." in " ".join(told.output.split())
    names = json.loads(out.read_text())
    assert len(names) == 30
    assert all(re.fullmatch(r"from-s\d{4}", name) for name in names)
    wrong = run("accepted", review, str(out), "--rule", "most")
    assert isinstance(wrong.exception, ConfigError)
    assert "--rule 'most': there is no such rule. " in str(wrong.exception)


def test_nobody_is_told_before_all_have_ended_unless_asked(service, tmp_path):
    go_through(service, lambda who, key: [], reviewers=[0])
    for words in (["report", str(service.folder), "x"], ["accepted", str(service.folder), "x.json"]):
        found = CliRunner().invoke(app, ["review", *words])
        assert isinstance(found.exception, ConfigError)
        assert re.search("Reviewer 2 of '.*' has not ended the session", str(found.exception))
    out = str(tmp_path / "early")
    assert CliRunner().invoke(app, ["review", "report", str(service.folder), out, "--early"]).exit_code == 0


def test_the_excess_over_reals_covers_the_truth(tmp_path):
    # A reviewer who calls 5 % of anything an artefact, and 15 % more of the synthetic images.
    from mammogan.study.review.artefact_rates import Rate, excess

    rng, hits = random.Random(5), 0
    for _ in range(400):
        real = sum(rng.random() < 0.05 for _ in range(200))
        synthetic = sum(rng.random() < 0.20 for _ in range(200))
        found = excess(Rate(synthetic, 200), Rate(real, 200))
        hits += found.low <= 0.15 <= found.high
    assert 0.92 <= hits / 400 <= 0.985
