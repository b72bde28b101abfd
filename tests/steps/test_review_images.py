"""From a pool to a review, and from its verdicts to the images to go on with."""

import json

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from mammogan.cli import app
from mammogan.config.dataset import load_recipe
from mammogan.data.shards.shard_reader import ImageReader
from mammogan.data.store.image_encoding import decode_png
from mammogan.data.synthetic.pool_writer import write_parts
from mammogan.data.synthetic.synthetic_pool import DicomForm, Image, Pool, claim, finish, load_manifest
from mammogan.errors import ConfigError, DataError
from mammogan.files import write
from mammogan.steps.licence_notice import TERMS
from mammogan.steps.review_images import export_accepted, new_review
from mammogan.steps.study_images import Sources, read_accepted
from mammogan.study.review.review_service import ReviewService
from mammogan.study.review.review_settings import ReviewFile
from tests.study.made_study import SIZE, VIEWS, breast
from tests.study.review.made_review import go_through

CHECKPOINT = "0123456789abcdef"


def make_pool(folder, images=5, formats=("shards",), seed=0):
    """Make a pool of drawn breasts."""
    dicom = DicomForm(pixel_mm=1.0) if "dicom" in formats else None
    pool = Pool(
        checkpoint=CHECKPOINT, seed=seed, views=VIEWS, images_per_view=images, images_per_shard=4,
        height_px=SIZE[0], width_px=SIZE[1], formats=formats, dicom=dicom,
    )  # fmt: skip
    drawn = (
        (part, Image(view, number, drawing(seed, view, number)))
        for part in pool.parts
        for view, number in part.order
    )
    claim(folder, pool)
    write(folder / TERMS, "Terms of the images.\n")
    write_parts(folder, pool, drawn, lambda: None)
    assert finish(folder, pool)
    return folder


def drawing(seed, view, number):
    return breast(1000 * seed + 2 * number + VIEWS.index(view))


def rung_of(pool):
    return ImageReader(pool, [part.shard for part in load_manifest(pool).parts])


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return make_pool(tmp_path_factory.mktemp("pools") / "pool")


@pytest.fixture(scope="module")
def sources(pool, tmp_path_factory):
    """Give two pools as reals and synthetics."""
    reals = make_pool(tmp_path_factory.mktemp("reals") / "pool", seed=9)
    return Sources(rung_of(reals), rung_of(pool), "test", CHECKPOINT[:12], load_recipe("phantom"))


@pytest.fixture
def judged(sources, tmp_path):
    """Review all images; every picture with an even number in its pool's name has a seam."""
    settings = ReviewFile.model_validate({"review": {"overlap": 4}})
    new_review(tmp_path / "review", settings, sources)
    service = ReviewService(tmp_path / "review")
    origins = {picture.key: picture.origin for picture in service.image_store.pictures}
    go_through(service, lambda who, key: ["seam"] if int(origins[key][-1]) % 2 == 0 else [])
    service.store.close()
    return tmp_path / "review"


def run(*words):
    return CliRunner().invoke(app, [*map(str, words)])


def test_a_review_has_as_many_of_both_sources_and_tells_whence(sources, tmp_path):
    steps = []
    settings = ReviewFile.model_validate({"review": {"images_per_view": 3}})
    made = new_review(tmp_path / "review", settings, sources, lambda done, total: steps.append((done, total)))
    service = ReviewService(tmp_path / "review")
    kinds = [(picture.source, picture.view) for picture in service.image_store.pictures]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        (source, view): 3 for source in ("real", "synthetic") for view in VIEWS
    }
    assert (made.model_id, made.split) == (CHECKPOINT[:12], "test")
    assert steps == [(n, 12) for n in range(1, 13)]
    assert (tmp_path / "review").stat().st_mode & 0o077 == 0
    service.store.close()


def test_the_accepted_list_is_what_a_study_takes(judged, tmp_path):
    told = run("review", "accepted", judged, tmp_path / "accepted.json")
    assert told.exit_code == 0, told.output
    names = {f"{view.lower()}-{number:07d}" for view in VIEWS for number in (1, 3)}
    assert read_accepted(tmp_path / "accepted.json") == names


@pytest.mark.parametrize("formats", [("shards",), ("png",), ("shards", "png", "dicom")])
def test_accepted_images_are_exported_bit_for_bit_with_terms_and_condition(judged, formats, tmp_path):
    pool, out = make_pool(tmp_path / "pool", formats=formats), tmp_path / "out"
    told = run("review", "export", judged, pool, out)
    assert told.exit_code == 0, told.output
    names = json.loads((out / "accepted.json").read_text())
    assert len(names) == 4
    for name in names:
        view, number = name.split("-")
        expected = drawing(0, view.upper(), int(number))
        np.testing.assert_array_equal(decode_png((out / "png" / f"{name}.png").read_bytes()), expected)
        if "dicom" in formats:
            assert pydicom.dcmread(out / "dicom" / f"{name}.dcm").pixel_array.shape == SIZE
    assert {path.name for path in (out / "png").iterdir()} == {f"{name}.png" for name in names}
    assert (out / "dicom").exists() == ("dicom" in formats)
    assert (out / TERMS).read_text() == "Terms of the images.\n"
    assert "holds for such images only" in " ".join((out / "README.txt").read_text().split())


def test_another_pool_is_refused_and_a_missing_image_named(pool, tmp_path):
    with pytest.raises(
        ConfigError, match="was drawn from checkpoint '0123456789ab', and the review is of 'feed'"
    ):
        export_accepted(["cc-0000001"], "feed", pool, tmp_path / "out")
    with pytest.raises(DataError, match="has no image 'cc-0000099': give the pool that was reviewed"):
        export_accepted(["cc-0000099"], CHECKPOINT[:12], pool, tmp_path / "out")
    pngs = make_pool(tmp_path / "pngs", formats=("png",))
    with pytest.raises(DataError, match="has no image 'cc-0000099'"):
        export_accepted(["cc-0000099"], CHECKPOINT[:12], pngs, tmp_path / "out")
    (pngs / "png" / "cc-0000001.png").unlink()
    with pytest.raises(DataError, match=r"cc-0000001.png' is missing: sample the pool again"):
        export_accepted(["cc-0000001"], CHECKPOINT[:12], pngs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_review_needs_both_sources_named(tmp_path):
    for words, told in (
        ([], "Give a run after the folder, or --real with a shard set and --synthetic with a pool"),
        (["r", "--real", "s"], "The run 'r' has reals and pool: leave out --real"),
    ):
        found = run("review", "new", tmp_path / "review", *words)
        assert isinstance(found.exception, ConfigError)
        assert told in str(found.exception)
