"""The cohort on disk: reproducible, resumable, and never over something else."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from mammogan.data.phantom import cohort, make_cohort
from mammogan.errors import DataError

SMALL = 0.06


def digests(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_the_bytes_depend_neither_on_the_workers_nor_on_the_folder(tmp_path: Path) -> None:
    make_cohort(tmp_path / "one", 3, 7, workers=1, frame_scale=SMALL)
    make_cohort(tmp_path / "two", 3, 7, workers=2, frame_scale=SMALL)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_a_small_cohort_is_the_start_of_a_large_one(tmp_path: Path) -> None:
    make_cohort(tmp_path / "small", 2, 7, workers=1, frame_scale=SMALL)
    make_cohort(tmp_path / "large", 3, 7, workers=1, frame_scale=SMALL, defects=True)
    small, large = digests(tmp_path / "small"), digests(tmp_path / "large")
    del small["truth.json"]
    assert len(small) == 8
    assert small.items() < large.items()


def test_another_seed_gives_other_people_and_pictures(tmp_path: Path) -> None:
    files = []
    for seed in (1, 2):
        make_cohort(tmp_path / str(seed), 1, seed, workers=1, frame_scale=SMALL)
        files.append({path: d for path, d in digests(tmp_path / str(seed)).items() if path.endswith(".dcm")})
    assert not set(files[0]) & set(files[1])
    assert not set(files[0].values()) & set(files[1].values())


def test_asking_again_writes_nothing(tmp_path: Path) -> None:
    first = make_cohort(tmp_path, 2, 7, workers=1, frame_scale=SMALL)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = make_cohort(tmp_path, 2, 7, workers=1, frame_scale=SMALL)
    assert (first.files, first.written) == (8, 8)
    assert (again.files, again.written) == (8, 0)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_killed_run_goes_on_where_it_was_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cohort(tmp_path / "whole", 3, 7, workers=1, frame_scale=SMALL)
    real, made = cohort.make_patient, []

    def dies_in_the_second(seed: int, patient: int, frame_scale: float):
        for number, file in enumerate(real(seed, patient, frame_scale)):
            if patient == 1 and number == 2:
                raise KeyboardInterrupt
            yield file

    def counts(seed: int, patient: int, frame_scale: float):
        made.append(patient)
        return real(seed, patient, frame_scale)

    monkeypatch.setattr(cohort, "make_patient", dies_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        make_cohort(tmp_path / "killed", 3, 7, workers=1, frame_scale=SMALL)
    (tmp_path / "killed" / ".parts" / "M1~x~3.dcm.tmp").write_bytes(b"half")
    assert json.loads((tmp_path / "killed" / "truth.json").read_text())["files"] is None

    monkeypatch.setattr(cohort, "make_patient", counts)
    make_cohort(tmp_path / "killed", 3, 7, workers=1, frame_scale=SMALL)
    assert made == [1, 2]
    assert digests(tmp_path / "whole") == digests(tmp_path / "killed")


def test_a_run_killed_before_its_first_file_can_be_run_again(tmp_path: Path) -> None:
    (tmp_path / ".parts").mkdir()
    (tmp_path / ".parts" / "truth.json.tmp").write_bytes(b"{")
    assert make_cohort(tmp_path, 1, 7, workers=1, frame_scale=SMALL).written == 4
    assert not (tmp_path / ".parts").exists()


def test_a_lost_file_is_written_again(tmp_path: Path) -> None:
    make_cohort(tmp_path, 2, 7, workers=1, frame_scale=SMALL)
    before = digests(tmp_path)
    next(tmp_path.rglob("3.dcm")).unlink()
    assert make_cohort(tmp_path, 2, 7, workers=1, frame_scale=SMALL).written == 4
    assert digests(tmp_path) == before


def test_progress_counts_patients_up_to_all(tmp_path: Path) -> None:
    seen = []
    make_cohort(tmp_path, 2, 7, workers=1, frame_scale=SMALL, on_progress=lambda *counts: seen.append(counts))
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match=r"is not empty and holds no phantom cohort.*an empty folder"):
        make_cohort(tmp_path, 1, 7, workers=1, frame_scale=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_with_another_cohort_is_refused_naming_the_difference(tmp_path: Path) -> None:
    make_cohort(tmp_path, 1, 7, workers=1, frame_scale=SMALL)
    with pytest.raises(DataError, match=r"another phantom cohort \(seed 7 there, 8 asked\)"):
        make_cohort(tmp_path, 1, 8, workers=1, frame_scale=SMALL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patients": 0}, "patients '0' .* give 1 to"),
        ({"seed": -1}, "seed '-1' .* give 0 to"),
        ({"frame_scale": 2.0}, "frame scale '2.0' .* give 0.05 to 1"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, arguments: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_cohort(**{"directory": tmp_path, "patients": 1, "seed": 0, "frame_scale": SMALL, **arguments})


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is a file: name a folder"):
        make_cohort(tmp_path / "file", 1, 0)
