"""`mammogan draw` and `mammogan video` on a run whose networks are real, though nobody has trained them."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from mammogan.cli.draw_command import PAIR_GAP_PX
from mammogan.config.run_config import Run
from mammogan.data.synthetic.synthetic_pool import read_image
from mammogan.errors import ConfigError, DataError
from mammogan.files import sha256
from mammogan.pages.image_sheet import GAP_PX, columns_for
from mammogan.report.video import CAPTION_PX
from mammogan.steps.licence_notice import TERMS, terms
from tests.cli.made import BOTH, DENSITIES, ONLY_CC, done, make_run, make_sampled_run, refused, run


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    return make_sampled_run(tmp_path_factory.mktemp("ended") / "run")


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("dense") / "run", *DENSITIES, labels=BOTH)


def frames_of(path):
    with Image.open(path) as video:
        for number in range(video.n_frames):
            video.seek(number)
            yield np.asarray(video.convert("L"))


def test_drawn_images_are_the_pools_byte_for_byte(ended, tmp_path):
    """Wherever the drawing begins, and however the pool was cut into tasks (of 4)."""
    said = done("draw", ended, tmp_path / "out", "--images", 10, "--first", 7)
    assert "20 images of CC and MLO" in said
    names = {path.name for path in (tmp_path / "out").iterdir()}
    numbers = [f"{view}-{i:07d}.png" for view in ("cc", "mlo") for i in range(7, 17)]
    assert names == {*numbers, "sheet.png", "drawn.json", TERMS}
    for name in numbers:
        pooled = ended / "samples" / "png" / name
        assert (tmp_path / "out" / name).read_bytes() == pooled.read_bytes()
    assert (tmp_path / "out" / TERMS).read_text() == (ended / "model" / TERMS).read_text()


def test_a_model_folder_serves_as_its_run_and_the_seed_decides(ended, tmp_path):
    pooled = (ended / "samples" / "png" / "mlo-0000000.png").read_bytes()
    for name, more in {"same": (), "own": ("--seed", 1000), "other": ("--seed", 1)}.items():
        done("draw", ended / "model", tmp_path / name, "--images", 1, "--view", "mlo", *more)
        image = tmp_path / name / "mlo-0000000.png"
        assert (image.read_bytes() == pooled) == (name != "other")
        assert not list((tmp_path / name).glob("cc-*"))


def test_what_was_drawn_is_noted(ended, tmp_path):
    done("draw", ended, tmp_path / "out", "--images", 2, "--truncation", 0.5, "--seed", 4, "--view", "CC")
    assert json.loads((tmp_path / "out" / "drawn.json").read_text()) == {
        "method": "tour",
        "generator.safetensors": sha256(ended / "model" / "generator.safetensors"),
        "seed": 4,
        "first": 0,
        "count": 2,
        "truncation": 0.5,
        "views": ["CC"],
        "labels": [],
    }


def test_truncation_reaches_the_images(ended, tmp_path):
    for truncation in (0, 0.5, 1):
        done("draw", ended, tmp_path / str(truncation), "--images", 3, "--truncation", truncation)
    images = {
        t: np.stack([read_image(tmp_path / str(t) / f"cc-{i:07d}.png") for i in range(3)])
        for t in (0, 0.5, 1)
    }
    assert (images[0] == images[0][0]).all()
    assert 0 < images[0.5].std(axis=0).mean() < images[1].std(axis=0).mean()


def tile(sheet_HW, top_px, left_px):
    """Cut a tile of 160 x 128 out of a sheet; its pixels were doubled four times."""
    return sheet_HW[top_px : top_px + 160 : 16, left_px : left_px + 128 : 16]


def like(tile_HW, path):
    return np.abs(tile_HW.astype(int) - (read_image(path) >> 8)).max() <= 1


def test_a_sheet_has_rows_of_a_view_and_with_pairs_both_views_of_a_latent_side_by_side(ended, tmp_path):
    for name, more in {"rows": (), "pairs": ("--pairs",)}.items():
        done("draw", ended, tmp_path / name, "--images", 9, *more)
    rows, pairs = (
        np.asarray(Image.open(tmp_path / name / "sheet.png").convert("L")) for name in ("rows", "pairs")
    )
    columns = columns_for(9, (160, 128), blocks=2)
    per_view = -(-9 // columns)
    for number in range(9):
        left = number % columns * (128 + GAP_PX)
        for view, above in (("cc", 0), ("mlo", per_view)):
            cell = tile(rows, (above + number // columns) * (160 + GAP_PX), left)
            assert like(cell, tmp_path / "rows" / f"{view}-{number:07d}.png")
    wide = 2 * 128 + GAP_PX
    columns = columns_for(9, (160, wide))
    for number in range(9):
        top, left = number // columns * (160 + PAIR_GAP_PX), number % columns * (wide + PAIR_GAP_PX)
        cc, mlo = tile(pairs, top, left), tile(pairs, top, left + 128 + GAP_PX)
        assert like(cc, tmp_path / "pairs" / f"cc-{number:07d}.png")
        assert like(mlo, tmp_path / "pairs" / f"mlo-{number:07d}.png")
    assert not np.array_equal(cc, mlo)
    assert all(1 < sheet.shape[1] / sheet.shape[0] < 2.6 for sheet in (rows, pairs))


def test_labels_change_what_is_drawn_and_stand_in_the_note(dense, tmp_path):
    for density in "bc":
        done("draw", dense, tmp_path / density, "--images", 1, "--label", f"density={density}")
    b, c = (read_image(tmp_path / density / "mlo-0000000.png") for density in "bc")
    assert not np.array_equal(b, c)
    assert json.loads((tmp_path / "b" / "drawn.json").read_text())["labels"] == ["density=b"]


def test_a_model_that_was_taught_no_views_draws_any(tmp_path):
    plain = make_run(tmp_path / "run", 'supervision.kind="none"')
    done("draw", plain, tmp_path / "out", "--images", 2)
    assert sorted(p.name for p in (tmp_path / "out").glob("any-*")) == ["any-0000000.png", "any-0000001.png"]
    assert "was not taught the view CC. It knows no views: leave out --view." in refused(
        ConfigError, "draw", plain, tmp_path / "more", "--view", "CC"
    )
    assert "was taught none but the view" in refused(
        ConfigError, "draw", plain, tmp_path / "more", "--label", "density=a"
    )


def test_a_model_of_one_view_says_so(tmp_path):
    only = make_run(tmp_path / "run", *DENSITIES, labels=ONLY_CC)
    assert "2 images of CC;" in done("draw", only, tmp_path / "out", "--images", 2)
    for view in ("MLO", "both"):
        assert f"--view '{view}': this model was not taught the view MLO. It knows: CC." in refused(
            ConfigError, "draw", only, tmp_path / "more", "--view", view
        )
    assert "--pairs shows each latent as CC and as MLO" in refused(
        ConfigError, "draw", only, tmp_path / "more", "--pairs"
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--view", "LM"], "--view 'LM': there is no such view."),
        (["--view", "mlo2"], "Valid: CC, MLO, both."),
        (["--truncation", "1.2"], "--truncation '1.2' is not from 0, the mean image, to 1"),
        (["--truncation", "nan"], "--truncation 'nan' is not from 0"),
        (["--label", "density"], "--label 'density' is not of the form FIELD=CLASS, as in density=b."),
        (["--label", "vendor=ge"], "was not taught the label 'vendor'. Valid: density."),
        (["--label", "density=d"], "was not taught the density 'd'. Valid: b, c."),
        (["--label", "view=CC"], "the view has an option of its own, --view"),
    ],
)
@pytest.mark.parametrize("verb", ["draw", "video"])
def test_what_a_model_cannot_draw_is_refused(dense, tmp_path, verb, options, told):
    out = tmp_path / ("out" if verb == "draw" else "video.gif")
    assert told in refused(ConfigError, verb, dense, out, *options)
    assert not list(tmp_path.iterdir())


def test_a_number_of_images_below_1_is_refused(ended, tmp_path):
    result = run("draw", ended, tmp_path / "out", "--images", 0)
    assert result.exit_code == 2
    told = " ".join(result.output.replace("│", "").split())
    assert "--images" in told and "greater than or equal to 1" in told


def test_a_folder_that_holds_something_is_left_alone(ended, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert f"'{tmp_path}' is no empty folder" in refused(ConfigError, "draw", ended, tmp_path)
    assert "notes.txt' is no empty folder" in refused(ConfigError, "draw", ended, tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_missing_model_is_told_with_where_one_comes_from(ended, tmp_path):
    assert f"'{tmp_path}' holds no model that can be read" in refused(
        DataError, "draw", tmp_path, tmp_path / "out"
    )
    (tmp_path / "run.json").write_bytes((ended / "run.json").read_bytes())
    told = refused(DataError, "video", tmp_path, tmp_path / "video.gif")
    assert f"The run '{tmp_path}' has no model yet" in told
    assert "mammogan video --training" in told


def test_a_model_without_its_terms_is_not_drawn_from(ended, tmp_path):
    for path in (ended / "model").iterdir():
        if path.name != TERMS:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    assert "TERMS.txt' is missing: it tells on what terms the images came" in refused(
        DataError, "draw", tmp_path, tmp_path / "out"
    )


def test_a_drawing_that_fails_leaves_nothing(ended, tmp_path, monkeypatch):
    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mammogan.pages.image_sheet.png", broken)
    assert run("draw", ended, tmp_path / "out", "--images", 2).exit_code != 0
    assert not list(tmp_path.iterdir())


def test_a_walk_shows_each_latent_in_both_views_and_closes(ended, tmp_path):
    layout = ("--rows", 2, "--columns", 3, "--height", 80)
    said = done("video", ended, tmp_path / "walk.png", "--seconds", 4, "--fps", 10, *layout)
    assert "40 frames, 4.0 s" in said
    frames = np.stack(list(frames_of(tmp_path / "walk.png"))).astype(int)
    assert frames.shape == (40, 2 * 80 + GAP_PX, 6 * 64 + 5 * GAP_PX)
    assert not np.array_equal(frames[0, :80, :64], frames[0, :80, 64 + GAP_PX : 128 + GAP_PX])
    moves = np.abs(np.roll(frames, -1, axis=0) - frames).mean(axis=(1, 2))
    assert 0 < moves[-1] < 2 * moves.mean() < np.abs(frames[20] - frames[0]).mean()
    assert (tmp_path / "walk.TERMS.txt").read_text() == (ended / "model" / TERMS).read_text()


def test_a_walk_of_one_view_in_mp4(ended, tmp_path):
    said = done(
        "video", ended / "model", tmp_path / "walk.mp4", "--seconds", 0.4, "--view", "CC", "--truncation", 0.5
    )
    assert "10 frames, 0.4 s" in said
    assert (tmp_path / "walk.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_video_of_a_training_shows_every_tick_in_order_at_one_size(ended, tmp_path):
    said = done("video", ended, tmp_path / "training.png", "--training", "--height", 40)
    assert "4 frames, 0.4 s" in said
    frames = list(frames_of(tmp_path / "training.png"))
    assert [frame.shape for frame in frames] == [(2 * 40 + CAPTION_PX, 8 * 32)] * 4
    pictures = sorted((ended / "tracking" / "pictures").rglob("samples-*.png"))
    for frame_HW, path, side in zip(frames, pictures, (8, 8, 4, 4), strict=True):
        assert np.array_equal(frame_HW[:80:side, ::side], np.asarray(Image.open(path).convert("L")))
    captions = {frame_HW[80:].tobytes() for frame_HW in frames}
    assert len(captions) == 3  # both ticks of the tiny stage 0 are at 0.0 kimg
    assert (tmp_path / "training.TERMS.txt").read_text() == terms(Run.load(ended))


def test_the_video_of_a_training_takes_as_long_as_is_asked(ended, tmp_path):
    assert "20 frames, 2.0 s" in done("video", ended, tmp_path / "t.gif", "--training", "--seconds", 2)


@pytest.mark.parametrize(
    "option", [("--view", "CC"), ("--seed", "0"), ("--truncation", "0"), ("--rows", "2")]
)
def test_the_video_of_a_training_takes_no_options_of_a_walk(ended, tmp_path, option):
    assert f"the run's ticks left: leave out {option[0]}." in refused(
        ConfigError, "video", ended, tmp_path / "t.gif", "--training", *option
    )


def test_a_run_without_ticks_and_what_is_no_run_have_no_video_of_their_training(ended, tmp_path):
    assert "is not a run" in refused(ConfigError, "video", tmp_path, tmp_path / "t.gif", "--training")
    (tmp_path / "run.json").write_bytes((ended / "run.json").read_bytes())
    assert "has drawn no sheets yet" in refused(
        DataError, "video", tmp_path, tmp_path / "t.gif", "--training"
    )


def test_the_earlier_name_of_the_command_works_and_says_the_new_one(tmp_path):
    words = ("film", tmp_path / "nowhere", tmp_path / "video.avi")
    result = run(*words)
    assert isinstance(result.exception, ConfigError)
    assert "`mammogan film` is now `mammogan video`" in result.stderr
    assert str(result.exception) == refused(ConfigError, "video", *words[1:])
    assert re.search(r"\bvideo\b", run("--help").output) and not re.search(r"\bfilm\b", run("--help").output)
    assert run("film", "--help").stdout == run("video", "--help").stdout


def test_a_video_of_no_kind_is_refused_before_anything_is_read(tmp_path):
    told = refused(ConfigError, "video", tmp_path / "nowhere", tmp_path / "video.avi")
    assert "there are no videos of the kind '.avi'. Valid: .mp4, .gif, .png, .apng." in told
