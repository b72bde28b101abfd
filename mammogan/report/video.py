"""Videos: frames into MP4, GIF or animated PNG, and what a frame may need on the way there.

Shape suffixes: H x W pixels.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from mammogan.errors import ConfigError, DataError, RunFailedError
from mammogan.files import replacing
from mammogan.pages.image_sheet import sheet

Frame = NDArray[np.uint8]
Pixel = TypeVar("Pixel", np.uint8, np.uint16)
HEIGHT_PX = 320
"""Height that small images are shown at: a power of two times the base (5) of the methods that come along."""
CAPTION_PX = 28
INK, CARD = 0, 255
LOSS = 14
"""x264's constant rate factor for MP4, from 0 to 51: low enough that grain survives."""
MAX_GIF_FPS = 50
"""GIF counts in hundredths of a second, and what is shown for one only, browsers show for ten."""


def _ffmpeg() -> str:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):  # it is not installed, or came without its program
        found = os.environ.get("IMAGEIO_FFMPEG_EXE") or shutil.which("ffmpeg")
    if not found:
        raise ConfigError(
            "MP4 videos need ffmpeg, which is not installed: `pip install 'mammogan[video]'` brings one "
            "(under the GPL). Or end the video's name in .gif or .png."
        )
    return found


def _write_mp4(stream: BinaryIO, frames: Iterator[Frame], fps: float) -> None:
    """Hand the frames one by one to ffmpeg; it holds a few of them."""
    ffmpeg, first = _ffmpeg(), even(next(frames))
    height, width = first.shape
    size = ("-video_size", f"{width}x{height}", "-framerate", str(fps))
    source = ("-f", "rawvideo", "-pix_fmt", "gray", *size, "-i", "-")
    wanted = ("-c:v", "libx264", "-crf", str(LOSS), "-pix_fmt", "yuv420p", "-movflags", "+faststart")
    with TemporaryDirectory() as folder:  # ffmpeg goes back to the beginning of its file, and wants a name
        video, log = Path(folder) / "video.mp4", Path(folder) / "log"
        with log.open("wb") as errors:
            command = [ffmpeg, "-v", "error", *source, *wanted, str(video)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors)
        assert process.stdin
        with suppress(BrokenPipeError), process, process.stdin:
            for frame_HW in chain([first], map(even, frames)):
                process.stdin.write(np.ascontiguousarray(frame_HW).data)
        if process.returncode:
            why = log.read_text(errors="replace").strip() or f"it ended with code {process.returncode}"
            raise RunFailedError(f"'{ffmpeg}' could not make the video: {why}")
        with video.open("rb") as made:
            shutil.copyfileobj(made, stream)


def _write_pillow(kind: str) -> Callable[[BinaryIO, Iterator[Frame], float], None]:
    def write(stream: BinaryIO, frames: Iterator[Frame], fps: float) -> None:
        from PIL import Image

        first, *more = [Image.fromarray(frame_HW) for frame_HW in frames]  # PNG would exhaust an iterator
        first.save(stream, format=kind, save_all=True, append_images=more, duration=1000 / fps, loop=0)

    return write


WRITERS: dict[str, Callable[[BinaryIO, Iterator[Frame], float], None]] = {
    ".mp4": _write_mp4,
    ".gif": _write_pillow("GIF"),
    ".png": _write_pillow("PNG"),
    ".apng": _write_pillow("PNG"),
}
"""How the kinds of videos are written, by the ending of the file's name; the last three play for ever."""


def check(path: Path, fps: float) -> None:
    """See that a video of this name can be written, before hours are spent on its frames.

    Raises
    ------
    ConfigError
        If the name ends in none of `WRITERS`, the kind can't be so fast, or there is no ffmpeg for it.
    """
    kind = path.suffix.lower()
    if kind not in WRITERS:
        raise ConfigError(f"'{path}': there are no videos of the kind '{kind}'. Valid: {', '.join(WRITERS)}.")
    if kind == ".gif" and fps > MAX_GIF_FPS:
        raise ConfigError(f"--fps '{fps:g}': a GIF shows at most {MAX_GIF_FPS} frames a second.")
    if kind == ".mp4":
        _ffmpeg()


def write_video(path: Path, frames: Iterable[Frame], fps: float) -> None:
    """Write frames of one size, uint8 (H, W), as a video; its kind follows from the name.

    MP4 streams and loses a little, and wants even sides: the last row or column is repeated for that. GIF and
    PNG keep every grey, and hold all frames in memory meanwhile.

    Raises
    ------
    ConfigError
        As `check`.
    RunFailedError
        If ffmpeg fails.
    """
    check(path, fps)
    with replacing(path) as stream:
        WRITERS[path.suffix.lower()](stream, iter(frames), fps)


def even(frame_HW: Frame) -> Frame:
    """Make both sides even by repeating the last row or column."""
    height, width = frame_HW.shape
    return np.pad(frame_HW, ((0, height % 2), (0, width % 2)), mode="edge")


def doublings(height_px: int, most_px: int) -> int:
    """Count how often a height is doubled, or halved if negative, to be the largest up to `most_px`."""
    if height_px <= most_px:
        return (most_px // height_px).bit_length() - 1
    count = 0
    while height_px > most_px and height_px % 2 == 0:
        height_px, count = height_px // 2, count - 1
    return count


def rescaled(image_HW: NDArray[Pixel], count: int) -> NDArray[Pixel]:
    """Double an image `count` times by repeating pixels, or halve it, if negative, by their means."""
    if count >= 0:
        return image_HW.repeat(1 << count, 0).repeat(1 << count, 1)
    side, (height, width) = 1 << -count, image_HW.shape
    blocks = image_HW[: height - height % side, : width - width % side]
    means_HW = blocks.reshape(height // side, side, width // side, side).mean((1, 3)).round()
    return np.asarray(means_HW, dtype=image_HW.dtype)


def side_by_side(
    views: Sequence[Iterable[NDArray[np.uint16]]], columns: int, height_px: int | None
) -> Iterator[Frame]:
    """Lay out the frames (N, H, W) of videos that run together, N cells with one image of each.

    Images are brought to the largest height up to `height_px` by doublings or halvings; without it, those of
    less than `HEIGHT_PX` are enlarged.
    """
    for moment in zip(*views, strict=True):
        images = [image_HW for cell in zip(*moment, strict=True) for image_HW in cell]
        count = doublings(len(images[0]), height_px or max(HEIGHT_PX, len(images[0])))
        frame_HW = sheet([rescaled(image_HW, count) for image_HW in images], columns * len(views))
        yield (frame_HW >> 8).astype(np.uint8)


def captioned(frame_HW: Frame, text: str) -> Frame:
    """Add a line of text below a frame."""
    from PIL import Image, ImageDraw, ImageFont

    caption = Image.new("L", (frame_HW.shape[1], CAPTION_PX), CARD)
    font = ImageFont.load_default(size=CAPTION_PX * 0.6)
    ImageDraw.Draw(caption).text((8, CAPTION_PX / 2), text, fill=INK, font=font, anchor="lm")
    return np.concatenate([frame_HW, np.asarray(caption)])


def read_frame(path: Path) -> Frame:
    """Read a greyscale picture of 8 bits, (H, W).

    Raises
    ------
    DataError
        If it is missing or damaged.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("L"))
    except (OSError, SyntaxError) as error:  # Pillow's word for a broken PNG
        raise DataError(
            f"The picture '{path}' is missing or damaged: {error}. Remove its line from the journal beside "
            "the folder 'pictures' to leave it out of the video."
        ) from None
