"""The generator in MLflow's registry loads where no MammoGAN is, and those of before still load."""

import json
import re
import subprocess
import sys
import sysconfig
import tarfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammogan.errors import DataError
from mammogan.steps import mlflow_pyfunc, tracking_sync
from mammogan.tracking import ModelPackage, RunSummary
from mammogan.tracking.mlflow_sync import MlflowTracker, default_uri
from tests.cli.made import make_run

FIXTURE = Path(__file__).parents[1] / "fixtures" / "mlflow-model-0.1.0.tar.xz"
ROWS = {"view": ["CC", "MLO"], "seed": [3, 3], "number": [0, 7]}
STRANGER = """
import json, sys
uri, places, missing, rows = sys.argv[1], *map(json.loads, sys.argv[2:])
sys.path += places  # third parties; without -S their .pth files would lead to this checkout

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, NotInstalled())
import mlflow, pandas
mlflow.set_tracking_uri(uri)
model = mlflow.pyfunc.load_model("models:/mammogan-tour@chosen")
images = model.predict(pandas.DataFrame(rows))
ours = [module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "mammogan"]
print("RESULT", json.dumps({"images": images, "ours": ours, "path": sys.path}))
"""


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """Log the model of a run as its last step does; give the run."""
    folder = tmp_path_factory.mktemp("mlflow")
    run = make_run(folder / "run")
    model = ModelPackage(
        run / "model",
        tracking_sync.LOADER,
        tracking_sync.INPUTS,
        "mammogan-tour",
        tracking_sync.code(),
        tracking_sync.PACKAGES,
    )
    MlflowTracker(run, "").sync(RunSummary("tour", {}, {}, {}, ended=True, model=model))
    return run


@pytest.fixture(scope="module")
def carried(logged):
    """What lies in the model's folder of code before anybody has imported it."""
    return [path for path in (folder_of(logged) / "code").rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def stranger(logged, carried, tmp_path_factory):
    """What a process gets of the model that has neither this checkout nor any package but what it pins."""
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    words = (default_uri(logged), *map(json.dumps, (places, not_pinned(), ROWS)))
    program = [sys.executable, "-I", "-S", "-c", STRANGER, *words]
    told = subprocess.run(
        program, cwd=tmp_path_factory.mktemp("elsewhere"), capture_output=True, text=True, check=False
    )
    found = re.search(r"^RESULT (.*)$", told.stdout, re.MULTILINE)
    assert found, told.stdout + told.stderr
    return json.loads(found[1])


def not_pinned():
    """List the modules that are installed here, and that installing the model's pins would not bring."""
    needed, left = set(), ["mlflow", *tracking_sync.PACKAGES]
    while left:
        name = normal(left.pop())
        if name not in needed:
            needed.add(name)
            try:
                wanted = metadata.requires(name) or []
            except metadata.PackageNotFoundError:  # of another platform
                continue
            left += [re.match("[A-Za-z0-9._-]+", each)[0] for each in wanted if "extra ==" not in each]
    owners = metadata.packages_distributions().items()
    found = [top for top, names in owners if not {normal(name) for name in names} & needed]
    assert {"pydicom", "deepspeed", "webdataset"} & {*found} and "torch" not in found
    return [top for top in found if top != "mammogan"]


def normal(name):
    return re.sub("[-_.]+", "-", name).lower()


def folder_of(run):
    (folder,) = (run.parent / "mlartifacts").glob("models/*/artifacts")
    return folder


def test_a_process_without_mammogan_draws_with_the_code_that_the_model_carries(logged, stranger):
    folder = folder_of(logged) / "code" / "mammogan"
    assert str(folder / "__init__.py") in stranger["ours"]
    assert all(Path(file).is_relative_to(folder) for file in stranger["ours"])
    assert str(Path(__file__).parents[2]) not in stranger["path"]
    images = np.array(stranger["images"])
    assert images.shape == (2, 10, 8)
    own = mlflow_pyfunc.GeneratorModel(logged / "model").predict(pd.DataFrame(ROWS))
    np.testing.assert_array_equal(images, own)


def test_the_code_is_whole_and_has_no_leavings(logged, carried):
    assert not [path for path in carried if path.is_symlink() or path.suffix == ".pyc"]
    names = {str(path.relative_to(folder_of(logged) / "code" / "mammogan")) for path in carried}
    # The first is a link in the checkout, and the file itself there.
    assert names >= {"recipes/phantom/recipe.toml", "py.typed", "steps/mlflow_pyfunc.py"}


def test_only_public_packages_are_pinned(logged):
    pins = (folder_of(logged) / "requirements.txt").read_text().split()
    names = [pin.partition("==")[0] for pin in pins]
    assert "mammogan" not in " ".join(pins)
    assert set(tracking_sync.PACKAGES) < {*names, "mlflow"}
    assert all(re.fullmatch(r"[a-z_-]+==[0-9.]+", pin) for pin in pins), pins


def test_a_model_that_version_0_1_0_logged_loads_and_draws_the_same(tmp_path):
    import mlflow

    with tarfile.open(FIXTURE) as packed:
        packed.extractall(tmp_path, filter="data")
    assert "loader_module: mammogan.steps.served" in (tmp_path / "model" / "MLmodel").read_text()
    expected = json.loads((tmp_path / "model" / "expected.json").read_text())
    images = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(pd.DataFrame(expected["rows"]))
    np.testing.assert_allclose(images, expected["images"], atol=1)  # greys of 65535


def test_a_view_that_is_none_is_refused(logged):
    model = mlflow_pyfunc.GeneratorModel(logged / "model")
    with pytest.raises(DataError, match="There is no view 'LM': give one of CC, MLO"):
        model.predict(pd.DataFrame({"view": ["LM"], "seed": [1], "number": [0]}))
