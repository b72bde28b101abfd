"""Videos are what their frames were: read back with Pillow and with ffmpeg."""

import re
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from mammogan import schedule
from mammogan.config.method import load_method, methods
from mammogan.errors import ConfigError, DataError, RunFailedError
from mammogan.pages.image_sheet import GAP_PX
from mammogan.report import video
from mammogan.tracking import Journal

FPS = 20


def moving(height=40, width=32, count=7):
    """Draw a bright bar that moves over a ramp of all greys."""
    ramp = np.linspace(0, 255, height * width).round().astype(np.uint8).reshape(height, width)
    frames = [ramp.copy() for _ in range(count)]
    for number, frame in enumerate(frames):
        frame[:, 3 * number : 3 * number + 3] = 255
    return frames


def decoded(path, size):
    """Decode an MP4 to greys of the full range, as a player does."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "rawvideo"]
    raw = subprocess.run([*command, "-pix_fmt", "gray", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, *size)


@pytest.mark.parametrize("name", ["video.gif", "video.png", "video.APNG"])
def test_gif_and_png_keep_every_grey_and_the_time_and_loop(tmp_path, name):
    frames = moving()
    video.write_video(tmp_path / name, iter(frames), FPS)
    with Image.open(tmp_path / name) as picture:
        assert picture.info["loop"] == 0
        for number, frame_HW in enumerate(frames):
            picture.seek(number)
            assert picture.info["duration"] == 1000 / FPS
            assert np.array_equal(np.asarray(picture.convert("L")), frame_HW)
        assert picture.n_frames == len(frames)


@pytest.mark.parametrize("size", [(40, 32), (41, 33)])
def test_mp4_keeps_frames_time_and_greys_and_makes_sides_even(tmp_path, size):
    frames = moving(*size)
    video.write_video(tmp_path / "video.mp4", frames, FPS)
    shown = decoded(tmp_path / "video.mp4", (size[0] + size[0] % 2, size[1] + size[1] % 2))
    wanted = np.stack([video.even(frame_HW) for frame_HW in frames])
    assert shown.shape == wanted.shape
    off = np.abs(shown.astype(int) - wanted)
    assert off.mean() < 2 and off.max() < 30  # black would be 16 off and white 20, were the range mistaken
    assert shown.min() < 4 and shown.max() > 251
    said = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / "video.mp4")],
        capture_output=True,
        text=True,
        check=False,
    ).stderr
    assert re.search(rf"h264.*yuv420p.*\b{FPS} fps", said)


def test_the_same_frames_give_the_same_bytes(tmp_path):
    for kind in (".mp4", ".gif", ".png"):
        for name in ("one", "two"):
            video.write_video(tmp_path / f"{name}{kind}", moving(), FPS)
        assert (tmp_path / f"one{kind}").read_bytes() == (tmp_path / f"two{kind}").read_bytes()


@pytest.mark.parametrize("kind", [".mp4", ".gif", ".png"])
def test_frames_that_fail_leave_the_old_video_and_nothing_else(tmp_path, kind):
    def frames():
        yield from moving(count=2)
        raise RuntimeError("out of frames")

    path = tmp_path / f"video{kind}"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="out of frames"):
        video.write_video(path, frames(), FPS)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_kinds_are_refused_with_the_known(tmp_path):
    with pytest.raises(ConfigError, match=r"no videos of the kind '.avi'. Valid: .mp4, .gif, .png, .apng\."):
        video.check(tmp_path / "video.avi", FPS)


def test_a_gif_that_browsers_would_slow_down_is_refused(tmp_path):
    video.check(tmp_path / "video.gif", 50)
    with pytest.raises(ConfigError, match="--fps '60': a GIF shows at most 50 frames a second"):
        video.check(tmp_path / "video.gif", 60)


def test_without_ffmpeg_mp4_is_refused_with_the_way_out_and_the_others_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ConfigError,
        match=r"`pip install 'mammogan\[video\]'` brings one \(under the GPL\). Or end .* in .gif or .png",
    ):
        video.check(tmp_path / "video.mp4", FPS)
    video.write_video(tmp_path / "video.gif", moving(), FPS)


def test_without_the_package_the_machines_own_ffmpeg_serves(tmp_path, monkeypatch):
    (tmp_path / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    video.write_video(tmp_path / "video.mp4", moving(), FPS)
    monkeypatch.undo()
    assert len(decoded(tmp_path / "video.mp4", (40, 32))) == 7


def test_without_the_package_the_environment_names_an_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", imageio_ffmpeg.get_ffmpeg_exe())
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    video.write_video(tmp_path / "video.mp4", moving(), FPS)
    assert (tmp_path / "video.mp4").stat().st_size


@pytest.mark.parametrize(
    ("does", "why"), [("echo no such codec >&2; exit 3", "no such codec"), ("exit 3", "it ended with code 3")]
)
def test_an_ffmpeg_that_fails_is_told_with_its_own_words(tmp_path, monkeypatch, does, why):
    broken = tmp_path / "broken"
    broken.write_text(f"#!/bin/sh\n{does}\n")
    broken.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(broken))
    with pytest.raises(RunFailedError, match=f"broken' could not make the video: {why}"):
        video.write_video(tmp_path / "video.mp4", moving(640, 512, count=20), FPS)
    assert not (tmp_path / "video.mp4").exists()


@pytest.mark.parametrize("most_px", [16, 160, video.HEIGHT_PX])
@pytest.mark.parametrize("name", methods())
def test_images_of_all_stages_come_to_one_size(name, most_px):
    sizes = {
        video.rescaled(
            np.zeros((stage.height_px, stage.width_px), np.uint16), video.doublings(stage.height_px, most_px)
        ).shape
        for stage in schedule.plan(load_method(name))
    }
    assert len(sizes) == 1
    assert most_px / 2 < sizes.pop()[0] <= most_px


def test_an_odd_base_is_not_halved_further():
    assert video.doublings(20, 3) == -2
    assert video.doublings(5, 3) == 0


def test_doubling_repeats_pixels_and_halving_takes_their_mean():
    image_HW = np.array([[0, 100], [200, 65535]], np.uint16)
    assert np.array_equal(video.rescaled(image_HW, 1), np.kron(image_HW, np.ones((2, 2), np.uint16)))
    assert np.array_equal(video.rescaled(video.rescaled(image_HW, 3), -3), image_HW)
    assert video.rescaled(image_HW, -1).tolist() == [[round((0 + 100 + 200 + 65535) / 4)]]
    assert video.rescaled(image_HW, -1).dtype == np.uint16


def test_videos_run_side_by_side_cell_by_cell():
    cc, mlo = (np.full((2, 3, 16, 8), grey << 8, np.uint16) for grey in (50, 90))  # 2 frames of 3 latents
    cc[:, 2], mlo[:, 2] = 150 << 8, 190 << 8
    frames = list(video.side_by_side([cc, mlo], columns=2, height_px=32))
    assert len(frames) == 2
    assert frames[0].shape == (2 * 32 + GAP_PX, 4 * 16 + 3 * GAP_PX)
    assert frames[0][0, :: 16 + GAP_PX].tolist() == [50, 90, 50, 90]
    assert frames[0][-1, :: 16 + GAP_PX].tolist() == [150, 190, 255, 255]


def test_small_images_are_enlarged_for_the_eye_and_large_ones_left():
    def height(px):
        return next(video.side_by_side([np.zeros((1, 1, px, px), np.uint16)], 1, None)).shape[0]

    assert [height(px) for px in (5, 40, 320, 640)] == [320, 320, 320, 640]


def test_a_caption_stands_below_the_untouched_frame():
    (frame_HW,) = moving(40, 400, count=1)
    one, other = (video.captioned(frame_HW, text) for text in ("stage 1    2.0 kimg", "stage 2    9.0 kimg"))
    assert np.array_equal(one[:40], frame_HW)
    assert one.shape == (40 + video.CAPTION_PX, 400)
    assert one[40:].min() < 64 and one[40:].max() == 255
    assert not np.array_equal(one, other)


def test_the_pictures_of_a_journal_are_read_as_they_were_drawn(tmp_path):
    image_HW = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Journal(tmp_path, "train-0").picture(image_HW, "samples", 1)
    path = tmp_path / "tracking/pictures/train-0/samples-000000001.png"
    off = video.read_frame(path).astype(int) - (image_HW >> 8)
    assert np.abs(off).max() <= 1  # Matplotlib, which writes it, cuts some greys to the one below


def test_a_damaged_or_missing_picture_is_told_with_the_way_out(tmp_path):
    path = tmp_path / "picture.png"
    with pytest.raises(DataError, match=r"picture.png' is missing or damaged: .*Remove its line"):
        video.read_frame(path)
    video.write_video(path, moving(count=1), FPS)
    content = bytearray(path.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"picture.png' is missing or damaged: .*Remove its line"):
        video.read_frame(path)
