"""Whatever is done to DICOM files: no crash, no hang, and every one of them is counted."""

import random
from collections import Counter

import imagecodecs
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2KLossless, RLELossless

from mammogan.config.dataset import load_recipe
from mammogan.data.dicom.decode import decode
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.shards.build_set import build
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.verify_set import verify
from tests.data.conftest import half_disc, make_dicom, save
from tests.data.forms import compressed
from tests.data.fuzz import SETTINGS, batch, originals, process
from tests.data.mutants import CHANGES, deflated

FILES = 300


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CHANGES)
def test_no_kind_of_mutation_is_idle(tmp_path, name):
    plain = save(make_dicom(), tmp_path / "a.dcm").read_bytes()
    encapsulated = make_dicom()
    encapsulated.compress(RLELossless)
    original = save(encapsulated, tmp_path / "b.dcm").read_bytes() if name == "fragments" else plain
    changed = {CHANGES[name](random.Random(seed), original) for seed in range(40)}
    assert len(changed - {original}) > 1


@pytest.mark.filterwarnings("ignore")
def test_every_mutant_has_one_outcome_and_the_set_is_sound(tmp_path, request):
    try:
        real = request.getfixturevalue("real")
    except pytest.skip.Exception:
        real = None
    made = batch(tmp_path / "batch", FILES, 1, originals(tmp_path / "phantoms", real))
    ends = process(tmp_path / "batch", made)
    assert ends.total() == FILES
    assert ends["accepted", ""] > FILES / 20
    assert len(ends) > 10
    assert not [reason for _, reason in ends if reason in ("time-limit", "decoder-crashed")]


def test_a_shard_of_which_only_duplicates_are_left_has_no_files(tmp_path):
    for name in "abc":
        save(make_dicom(PatientID=name), tmp_path / "files" / f"{name}.dcm")
    recipe = load_recipe(
        "phantom", (*SETTINGS, "packing.samples_per_shard=1", "splits.train=1", "splits.validation=0")
    )
    plan(tmp_path / "set", [(recipe, tmp_path / "files")], workers=0)
    made = build(tmp_path / "set", workers=0)
    assert made.tallies[0].refused == {"duplicate-pixels": 2}
    assert {file.samples for file in made.files} == {1}
    assert verify(tmp_path / "set") == []
    assert build(tmp_path / "set", workers=0) == made


def test_a_file_that_inflates_to_more_than_memory_is_given_up(tmp_path):
    good, bomb = (tmp_path / "files" / name for name in ("good.dcm", "bomb.dcm"))
    bomb.write_bytes(deflated(save(make_dicom(), good).read_bytes(), more_mb=8192))
    plan(tmp_path / "set", [(load_recipe("phantom", SETTINGS), good.parent)], workers=2)
    made = build(tmp_path / "set", workers=2)
    assert made.tallies[0].unreadable == {"memory-limit": 1}
    assert made.images == 1


def test_zeros_in_the_place_of_a_header_are_given_up_and_behind_the_pixels_ignored(tmp_path):
    zeros = bytes(32 << 20)
    path = save(make_dicom(), tmp_path / "files" / "good.dcm")
    path.write_bytes(path.read_bytes() + zeros)
    start = path.read_bytes().index(b"\x10\x00\x20\x00LO")
    other = save(make_dicom(PatientID="other"), tmp_path / "files" / "zeros.dcm")
    other.write_bytes(other.read_bytes()[:start] + zeros)
    plan(tmp_path / "set", [(load_recipe("phantom", SETTINGS), tmp_path / "files")], workers=0)
    made = build(tmp_path / "set", workers=0)
    assert made.tallies[0].unreadable == {"broken-header": 1}
    assert made.images == 1


def test_a_decoder_that_complains_and_goes_on_is_heeded(capfd):
    """OpenJPH stops in the middle of such streams, and imagecodecs gives what there is of the picture."""
    pixels = half_disc()
    frame = bytearray(imagecodecs.htj2k_encode(pixels, reversible=True))
    made = compressed(make_dicom(pixels), HTJ2KLossless, pixels)
    ends = Counter()
    for seed in range(20):
        rng, damaged = random.Random(seed), bytearray(frame)
        for _ in range(16):
            damaged[rng.randrange(200, len(frame) - 70)] ^= 1 << rng.randrange(8)
        made.PixelData = encapsulate([bytes(damaged) + bytes(len(damaged) % 2)])
        try:
            decode(made)
        except UnreadableError as error:
            ends[str(error)] += 1
    assert ends["damaged"] > 5
    assert "Exception ignored" not in capfd.readouterr().err
