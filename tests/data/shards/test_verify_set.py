import shutil

import pytest

from mammogan.data.shards.verify_set import verify
from mammogan.data.store import private_folder
from mammogan.errors import DataError


@pytest.fixture
def copied(built, tmp_path):
    shutil.copytree(built, tmp_path / "set")
    shutil.copytree(private_folder.folder(built), tmp_path / "set.private")
    return tmp_path / "set"


def test_a_sound_set_has_no_problems(copied):
    assert verify(copied) == []


def test_a_flipped_bit_is_found(copied):
    path = copied / "80x64" / "train-00000.tar"
    content = bytearray(path.read_bytes())
    content[700] ^= 1
    path.write_bytes(content)
    assert verify(copied) == ["'80x64/train-00000.tar' is damaged: its SHA-256 is not the manifest's."]


def test_missing_short_and_foreign_files_are_each_named(copied):
    (copied / "5x4" / "train-00000.index.json").unlink()
    short = copied / "10x8" / "train-00000.tar"
    short.write_bytes(short.read_bytes()[:-512])
    (copied / "10x8" / "train-00099.tar").write_bytes(b"")
    problems = verify(copied)
    assert len(problems) == 3
    assert any("'5x4/train-00000.index.json' is missing" in problem for problem in problems)
    assert any("'10x8/train-00000.tar' is cut short" in problem for problem in problems)
    assert any("'10x8/train-00099.tar' does not belong to the set" in problem for problem in problems)


def test_a_patient_in_two_splits_is_found_and_not_named(copied):
    for path in (private_folder.folder(copied) / "plan").iterdir():
        lines = list(private_folder.read_lines(path))
        private_folder.write_lines(path, [line | {"patient": "0" * 32} for line in lines])
    assert verify(copied) == ["A patient (leak 1) is in several splits: train, validation."]


def test_a_manifest_that_was_changed_together_with_its_shards_is_found(copied):
    manifest = copied / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"skewness"', '"skewness" '))
    assert verify(copied) == ["'manifest.json' was changed since the set was built."]


def test_a_changed_plan_is_found(copied):
    plan = copied / "plan.json"
    plan.write_text(plan.read_text().replace('"white_percentile": 99.9', '"white_percentile": 99.8'))
    assert verify(copied) == ["'plan.json' was changed: it is not the plan that the shards were built from."]


def test_a_planned_set_can_not_be_verified(planned):
    with pytest.raises(DataError, match="planned, not built"):
        verify(planned)
