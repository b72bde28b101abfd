"""`mammogan project` on a run whose networks are real, though nobody has trained them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mammogan.data.synthetic.synthetic_pool import read_image
from mammogan.errors import ConfigError, DataError
from mammogan.steps.licence_notice import TERMS
from mammogan.train.export_model import load
from tests.cli.made import DENSITIES, done, make_run, refused
from tests.data.conftest import make_dicom, save

QUICK = ("--steps", 20)
NAMES = {
    "PatientName": "DOE^JANE",
    "PatientID": "pid-7731",
    "StudyDate": "20190317",
    "AccessionNumber": "A-55",
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("ended") / "run")


@pytest.fixture
def mammogram(tmp_path):
    return save(make_dicom(**NAMES), tmp_path / "jane-doe" / "secret.dcm")


def test_the_picture_the_latent_and_the_losses_are_written(ended, mammogram, tmp_path):
    said = done("project", ended, mammogram, tmp_path / "out", *QUICK)
    assert "CC, error 0." in said
    out = tmp_path / "out"
    names = {"original.png", "reconstruction.png", "sheet.png", "projected.json", TERMS}
    assert {path.name for path in out.iterdir()} == names
    told = json.loads((out / "projected.json").read_text())
    assert told["labels"] == {"view": "CC"} and told["size_px"] == [10, 8]
    assert len(told["losses"]) == 4 and {len(losses) for losses in told["losses"]} == {21}
    ends = [losses[-1] for losses in told["losses"]]
    assert ends[told["best_start"]] == min(ends) == pytest.approx(told["error"] ** 2)
    assert all(losses[-1] < losses[0] for losses in told["losses"])
    latent = torch.tensor(told["latent"])[None]
    drawn = load(ended / "model").images(latent, torch.tensor([[0]]))[0, 0].add(1).mul(32767.5)
    again = read_image(out / "reconstruction.png").astype(int)
    assert np.abs(drawn.round().clamp(0, 65535).numpy() - again).max() <= 1
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.size == (3 * 8 * 32 + 2 * 2, 10 * 32)


def test_the_same_command_gives_the_same_files_and_another_seed_another_latent(ended, mammogram, tmp_path):
    runs = [done("project", ended, mammogram, tmp_path / name, *QUICK) for name in "ab"]
    assert len(set(runs)) == 2  # only the folder's name differs
    files = [{p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "ab"]
    assert files[0] == files[1]
    done("project", ended, mammogram, tmp_path / "c", *QUICK, "--seed", 1)
    one, other = (json.loads((tmp_path / name / "projected.json").read_text()) for name in "ac")
    assert one["latent"] != other["latent"]


def test_nothing_that_is_written_or_said_names_the_patient_or_the_file(ended, mammogram, tmp_path):
    said = done("project", ended, mammogram, tmp_path / "out", *QUICK)
    uid = str(make_dicom().SOPClassUID)
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir()) + said.encode()
    for word in (*NAMES.values(), "DOE", "jane", "secret", "2.25.", uid):
        assert word.encode() not in written


def test_other_labels_come_as_they_occur_with_the_view(tmp_path, mammogram):
    run = make_run(tmp_path / "run", *DENSITIES, labels=((0, 3), (1, 1)))
    done("project", run, mammogram, tmp_path / "out", *QUICK)
    told = json.loads((tmp_path / "out" / "projected.json").read_text())
    assert told["labels"] == {"view": "CC", "density": "d"}


def test_a_file_that_gives_no_picture_is_refused_with_a_way_out(ended, mammogram, tmp_path):
    out = tmp_path / "out"
    missing = tmp_path / "none.dcm"
    assert f"no file '{missing}' to be projected" in refused(DataError, "project", ended, missing, out)
    text = tmp_path / "text.dcm"
    text.write_text("no image" * 99)
    assert f"'{text}' gives no picture: 'not-dicom'." in refused(DataError, "project", ended, text, out)
    mute = save(make_dicom(ViewPosition=None), tmp_path / "mute.dcm")
    assert "'view-unknown'. Say it by --view." in refused(DataError, "project", ended, mute, out)
    assert "MLO, error" in done("project", ended, mute, tmp_path / "told", *QUICK, "--view", "mlo")
    marked = save(make_dicom(BurnedInAnnotation="YES"), tmp_path / "marked.dcm")
    assert "may name the patient" in refused(DataError, "project", ended, marked, out)
    assert not out.exists()


def test_wrong_options_and_a_full_folder_are_refused(ended, mammogram, tmp_path):
    out = tmp_path / "out"
    order = ("project", ended, mammogram, out)
    assert "--view 'ML' is neither CC nor MLO" in refused(ConfigError, *order, "--view", "ML")
    assert "--laterality 'X' is neither L nor R" in refused(ConfigError, *order, "--laterality", "x")
    said = refused(ConfigError, *order, "--recipe", "fantom")
    assert "learned from no such source. Did you mean 'phantom'?" in said
    full = ("project", ended, mammogram, tmp_path)
    assert f"'{tmp_path}' is no empty folder" in refused(ConfigError, *full)


def test_a_run_of_several_sources_asks_for_the_recipe(ended, mammogram, tmp_path):
    settings = json.loads((ended / "run.json").read_text())
    other = settings["recipes"][0] | {"dataset": settings["recipes"][0]["dataset"] | {"name": "other"}}
    run = tmp_path / "run"
    run.mkdir()
    (run / "model").symlink_to(ended / "model")
    (run / "run.json").write_text(json.dumps(settings | {"recipes": [settings["recipes"][0], other]}))
    order = ("project", run, mammogram, tmp_path / "out")
    assert "which one the files are like. Valid: other, phantom" in refused(ConfigError, *order)
    done(*order, *QUICK, "--recipe", "other")
