"""Faults planted in the sheets of a tick, each told of by its alarm; and when nothing is judged."""

import logging
import math
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mammogan.config.alarm_settings import Alarms
from mammogan.config.method import load_method
from mammogan.config.settings import validate
from mammogan.data.phantom import render
from mammogan.errors import RunFailedError
from mammogan.metrics.band_power import BandPower, cells
from mammogan.metrics.power_spectrum import side_px
from mammogan.train.alarm_policy import AlarmPolicy
from mammogan.train.alarms import WATCHES, good_ticks, judge, observe
from mammogan.train.image_faults import WATCHES as FAULTS
from tests.metrics.noise import pictures

log = logging.getLogger(__name__)
LATE = {"fade": 1.0, "progress": 1.0}


def inside(images, change):
    """Change the breast alone."""
    return np.where(images > 0, np.clip(images + change, 1, 65535), 0).astype(np.uint16)


def fine(images):
    """Give the power of the finest octave, of white 65535."""
    found = BandPower(images.shape[1:])
    found.update(images)
    return found.compute().power_O[0] * 65535**2


def striped(images, more=7):
    """Add a wave down the rows, whose power near the axes is `more` times what is there."""
    side = side_px(images.shape[1:])
    greys = np.sqrt(2 * more * fine(images) * cells(side)[0, 0]) / side
    return inside(images, greys * np.cos(2 * np.pi * 0.35 * np.arange(images.shape[1]))[:, None])


def grainy(images, more=4):
    """Add white noise of `more` times the power that the finest octave has."""
    greys = np.sqrt(more * fine(images))
    return inside(images, np.random.default_rng(9).normal(0, greys, images.shape))


def blurred(images):
    return np.stack([cv2.GaussianBlur(image, (0, 0), 1.2) for image in images])


def veiled(images, greys=12, contrast=0.4):
    return (greys * 257 + contrast * images.astype(np.float64)).astype(np.uint16)


PLANTED = {
    "nothing": (lambda images: images, set()),
    "brighter": (lambda images: inside(images, 4000), set()),
    "stripes": (striped, {"stripes"}),
    "grain": (grainy, {"grain"}),
    "blur": (blurred, {"blur"}),
    "black lifted to 6": (lambda images: np.maximum(images, 6 * 257), {"background"}),
    "black lifted to 20": (lambda images: np.maximum(images, 20 * 257), {"background"}),
    "veil of 6": (lambda images: veiled(images, 6), {"background", "veil"}),
    "veil of 20": (lambda images: veiled(images, 20), {"background", "veil"}),
    "contrast alone": (lambda images: veiled(images, 0), {"veil"}),
    "collapse": (lambda images: images[:1].repeat(len(images), axis=0), {"collapse"}),
}


def phantoms(patients):
    """Give both breasts of patients, chest wall on the left, at 160x128."""
    made = []
    for patient in patients:
        for side in "LR":
            view = render(1, patient, "CC", side, frame_scale=0.125)
            centre, width = view.detector.window
            greys = np.clip((view.pixels.astype(np.float32) - (centre - width / 2)) / width, 0, 1) * 65535
            small = cv2.resize(greys, (128, 160), interpolation=cv2.INTER_AREA)
            made.append(small[:, :: 1 if side == "L" else -1])
    return np.stack(made).astype(np.uint16)


@pytest.fixture(scope="module", params=["64x52", "160x128", "phantoms"])
def sheets(request):
    """Two sheets of different reals."""
    if request.param == "phantoms":
        return phantoms(range(8)), phantoms(range(8, 16))
    size = tuple(map(int, request.param.split("x")))
    return pictures(16, 1, *size), pictures(16, 2, *size)


def names(ticks, settings=None):
    return {alarm.name for alarm in judge(settings or Alarms(), ticks)}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_sets_off_its_alarm_alone_once_patience_ends(sheets, fault, request):
    """Logs the rows of docs/alarms.md, too."""
    change, expected = PLANTED[fault]
    tick = LATE | observe(sheets[0], change(sheets[1]))
    numbers = [watch.measure([tick]) for watch in FAULTS.values()]
    shown = " | ".join(f"{found[0]:.2g}" if found else "-" for found in numbers)
    fired = ", ".join(sorted(names([tick, tick]))) or "none"
    log.info("| %s | %s | %s | %s |", fault, request.node.callspec.params["sheets"], shown, fired)
    assert names([tick]) == set()
    assert names([tick, tick]) == expected


def test_faults_are_judged_after_the_fade_in_the_last_third_of_a_stage(sheets):
    tick = observe(sheets[0], veiled(striped(sheets[1]), 6))
    assert names([tick] * 3) == set(), "ticks of earlier versions"
    assert names([tick | {"fade": 1.0, "progress": 0.6}] * 3) == set()
    assert names([tick | {"fade": 0.9, "progress": 0.9}] * 3) == set()
    assert names([tick | {"fade": 1.0, "progress": 0.6}, tick | LATE]) == set()
    assert names([tick | LATE] * 2) >= {"background", "veil", "stripes"}


def test_a_set_beside_itself_has_ratios_of_1(sheets):
    seen = observe(sheets[0], sheets[0])
    ratios = [seen[name] for name in seen if "power" in name or "anisotropy" in name or "share" in name]
    assert len(ratios) >= 4 and ratios == pytest.approx([1] * len(ratios))
    assert seen["alarm/background_fake"] == seen["alarm/background_real"] == 0
    assert seen["alarm/contrast_fake"] == seen["alarm/contrast_real"] > 0


def test_contrast_is_the_deviation_of_pixels_from_minus_1_to_1():
    halves = np.zeros((2, 10, 8), np.uint16)
    halves[:, :5] = 65535
    seen = observe(halves, halves // 2)
    assert (seen["alarm/contrast_real"], seen["alarm/contrast_fake"]) == pytest.approx((1, 0.5), rel=1e-4)


@pytest.mark.parametrize("size", [(5, 4), (10, 8), (64, 52)])
def test_what_can_not_be_measured_is_not_told_of(size):
    black = np.zeros((16, *size), np.uint16)
    seen = observe(black, black)
    assert all(map(math.isfinite, seen.values()))
    assert not any("power" in name or "anisotropy" in name for name in seen)
    assert names([LATE | seen] * 2) <= {"reals"}


def test_a_few_images_say_nothing_about_power(sheets):
    assert "alarm/fine_power" not in observe(sheets[0][:6], sheets[1][:6])


def test_messages_say_what_is_seen_and_what_to_do():
    tick = LATE | {
        "alarm/background_real": 0.1,
        "alarm/background_fake": 6.4,
        "alarm/deviation_real": 0.263,
        "alarm/deviation_fake": 0.068,
        "alarm/contrast_real": 0.4,
        "alarm/contrast_fake": 0.3,
        "alarm/anisotropy_2-4px": 7.5,
        "alarm/anisotropy_4-8px": 7.8,
        "alarm/fine_power": 3.6,
        "alarm/fine_share": 0.2,
    }
    said = " ".join(alarm.message for alarm in judge(Alarms(), [tick, tick]))
    for part in (
        "lighter than that of reals, in greys of 255, by '6.3', and alarms.background.bound allows no",
        "washed out; their deviation, as a part of the reals', is '0.259', and alarms.veil.bound allows",
        "at periods of 4-8 pixels, as a multiple of the reals', is '7.8', and alarms.stripes.bound",
        "have grain; their finest power, as a multiple of the reals', is '3.6', and alarms.grain.bound",
        "blurred; the finest power's share of all, as a part of the reals', is '0.2', and alarms.blur.bound",
    ):
        assert part in said


@pytest.mark.parametrize("action", ["stop", "roll-back"])
def test_faults_of_images_are_logged_and_neither_stop_a_stage_nor_make_it_go_back(tmp_path, caplog, action):
    skipped = {"critic/skipped": 0.0, "generator/skipped": 0.0}
    tick = LATE | skipped | {"images": 64, "alarm/anisotropy_2-4px": 7.5}
    group = SimpleNamespace(is_main=True, broadcast=float, barrier=lambda: None)
    policy = AlarmPolicy(tmp_path, Alarms(action=action), SimpleNamespace(index=3), group, 0)
    heard = policy.judge([tick, tick])
    assert [(alarm.name, alarm.acts, alarm.ticks) for alarm in heard] == [("stripes", False, 2)]
    with caplog.at_level(logging.WARNING):
        policy.act(tick, 64, heard, [tick, tick])
    assert "stage 3 after 64 images: Alarm 'stripes'" in caplog.text
    assert policy.may_go_back_to([tick, tick]) == 64 and good_ticks(heard, [tick, tick]) == 2
    acting = [tick | {"critic/penalty": 99.0}] * 2
    if action == "stop":
        with pytest.raises(RunFailedError, match="Alarm 'penalty'") as error:
            policy.act(tick, 64, policy.judge(acting), acting)
        assert "stripes" not in str(error.value)


def test_settings_of_before_are_written_as_they_were_and_new_ones_are_kept():
    dumped = Alarms().model_dump(mode="json")
    assert not set(FAULTS) & set(dumped) and set(WATCHES) - set(FAULTS) <= set(dumped)
    changed = validate(Alarms, {"stripes": {"bound": 9.0}}, "ours.toml").model_dump(mode="json")
    assert changed["stripes"] == {"bound": 9.0, "patience": 2} and "grain" not in changed
    method = load_method("tour", ("alarms.blur.patience=0",)).model_dump(mode="json")
    assert method["alarms"]["blur"]["patience"] == 0 and "veil" not in method["alarms"]
