"""Words planted wherever a file can carry one: none may come out anywhere but in the private folder."""

import os
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from mammogan.data.store import private_folder
from tests.data.conftest import half_disc, make_dicom, save
from tests.patience import PATIENCE_S
from tests.train.conftest import TINY

MAMMOGAN = (sys.executable, "-m", "mammogan")
PLANTED = {
    "UI": "1.2.826.0.1.7310777.313", "DA": "19031217", "DT": "19031217031337", "TM": "031337.313377",
    "IS": "731077731", "DS": "7310777.31", "AE": "ZQCANARY", "CS": "ZQCANARY",
    **dict.fromkeys(("LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"), "Zqcanary"),
}  # fmt: skip
WORDS = (b"zqcanary", b"7310777", b"19031217", b"031337.313377")
# What the picture and its screening depend on; a word there would only have the file refused.
NEEDED = {
    "SpecificCharacterSet", "SOPClassUID", "Modality", "ImageType", "PresentationIntentType", "ViewPosition",
    "ImageLaterality", "PhotometricInterpretation", "WindowCenter", "WindowWidth", "RescaleSlope",
    "RescaleIntercept", "VOILUTFunction", "NumberOfFrames", "ImagerPixelSpacing", "ContrastBolusAgent",
    "EstimatedRadiographicMagnificationFactor", "ContrastBolusAgentSequence", "PartialViewCodeSequence",
    "ViewCodeSequence", "ViewModifierCodeSequence", "ModalityLUTSequence", "VOILUTSequence",
}  # fmt: skip
RECIPE = """
[dataset]
name = "hospital"
title = "A hospital's export"
licence = "unknown"
[source]
density = ["table:density"]
age = ["table:age"]
include_list = "list.txt"
[[source.tables]]
file = "table.csv"
match = {accession = "AccessionNumber"}
refuse = [{reason = "post-surgical", column = "finding", values = ["surgery"]}]
[screening]
smallest_px = [256, 192]
"""
SCANS = """
[dataset]
name = "scans"
title = "Scanned films"
licence = "unknown"
[source]
kind = "images"
view = ["path:_(CC|MLO)"]
laterality = ["path:_([LR])_"]
patient = ["path:^[^_]+"]
[screening]
sop_classes = ["SecondaryCaptureImageStorage"]
intents = [""]
smallest_px = [256, 192]
[pixels]
fallback = "stored-range"
"""
SMALL = [
    part
    for setting in ("packing.top_px=[10,8]", "splits.train=0.5", "splits.validation=0.5")
    for part in ("--set", setting)
]


def planted_everywhere(number):
    """Give a mammogram with a word in every element that takes one, nested and private ones included."""
    made = make_dicom(half_disc() + np.uint16(number))
    item = Dataset()
    for (vr, _, _, _, keyword), tag in ((facts, Tag(tag)) for tag, facts in DicomDictionary.items()):
        if vr in PLANTED and keyword and keyword not in NEEDED and 2 < tag.group < 0xFFFE:
            setattr(made, keyword, PLANTED[vr])
            if tag.group in (0x0008, 0x0010, 0x0018, 0x0040):
                setattr(item, keyword, PLANTED[vr])
    for vr, _, _, _, keyword in DicomDictionary.values():
        if vr == "SQ" and keyword and keyword not in NEEDED:
            inner, outer = Dataset(), Dataset()
            inner.CodeMeaning = outer.CodeMeaning = outer.TextValue = PLANTED["LO"]
            outer.ConceptNameCodeSequence = [inner]
            setattr(made, keyword, [outer])
    icon = make_dicom(np.frombuffer(b"Zqcanary" * 8, np.uint8).reshape(8, 8))
    made.IconImageSequence, made.RequestAttributesSequence = [icon], [item]
    for group in (0x0009, 0x07A3, 0x7FE1):
        block = made.private_block(group, "Zqcanary", create=True)
        block.add_new(0x01, "LO", "Zqcanary")
        block.add_new(0x02, "UN", b"Zqcanary")
        block.add_new(0x03, "SQ", [icon])
    for element, vr in ((0x0022, "LO"), (0x1500, "LO")):
        made.add_new((0x6000, element), vr, "Zqcanary")
    made.SOPInstanceUID = f"{PLANTED['UI']}.{number}"
    made.AccessionNumber, made.PatientID = f"Zqcanary{number}", f"Zqcanary-{number}"
    made.file_meta.SourceApplicationEntityTitle = "ZQCANARY"
    return made


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An export and scans, in folders of harmless names."""
    root = tmp_path_factory.mktemp("archive")
    folder = root / "export" / "Zqcanary^Zqcanary" / "19031217"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(4):
            save(planted_everywhere(number), folder / f"Zqcanary {number}.dcm")
    (folder / "Zqcanary.dcm").write_bytes((folder / "Zqcanary 0.dcm").read_bytes()[:3000])
    (folder / "Zqcanary.txt").write_text("Zqcanary")
    (folder / "Zqcanary.lnk").symlink_to(folder / "nowhere Zqcanary")
    rows = [f"Zqcanary{n},{'b' if n else 'Zqcanary'},Zqcanary,Zqcanary" for n in range(4)]
    (root / "export" / "table.csv").write_text("\n".join(["accession,density,age,finding", *rows]))
    (root / "export" / "list.txt").write_text("\n".join(f"{PLANTED['UI']}.{n}" for n in range(4)))
    text = PngInfo()
    text.add_text("Author", "Zqcanary")
    text.add_itxt("Zqcanary", "19031217")
    for number in range(2):
        path = root / "scans" / f"Zqcanary-{number}_L_CC.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray((half_disc(level=2500 + number) >> 4).astype(np.uint8)).save(path, pnginfo=text)
    (root / "export.toml").write_text(RECIPE)
    (root / "scans.toml").write_text(SCANS)
    sources = [f"{root / name}.toml={root / name}" for name in ("export", "scans")]
    return [part for source in sources for part in ("--from", source)]


def mammogan(*words, code=0):
    """Run the command line; give all that it said."""
    done = subprocess.run(
        [*MAMMOGAN, *map(str, words)],
        env=os.environ | {"COLUMNS": "300"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == code, done.stdout.decode()
    return done.stdout


def leaks(said, folder):
    """Find planted words in what was said, and in every name and file of `folder` that is not private."""
    found = [("said", word) for word in WORDS if word in said.lower()]
    for path in folder.rglob("*"):
        place = path.relative_to(folder)
        if not any(part.endswith(".private") for part in place.parts):
            content = path.read_bytes().lower() if path.is_file() else b""
            found += [
                (place, word) for word in WORDS if word in content or word in str(place).lower().encode()
            ]
    return found


@pytest.fixture(scope="module")
def planned(tmp_path_factory, archive):
    folder = tmp_path_factory.mktemp("planned")
    said = mammogan("shards", "plan", folder / "set", *archive, *SMALL, "--workers", 2)
    assert b"Planned at most 6 images" in said, said.decode()
    return folder, said


@pytest.fixture
def copied(planned, tmp_path):
    """Give the planned set anew; its plan knows the same files."""
    for name in ("set", "set.private"):
        subprocess.run(["cp", "-a", planned[0] / name, tmp_path / name], check=True)
    return tmp_path


@pytest.fixture
def lost(copied):
    """A planned file that is not there while the test runs."""
    line = next(
        private_folder.read_lines(private_folder.folder(copied / "set") / "plan" / "train-00000.jsonl")
    )
    path = Path(line["path"])
    kept = path.rename(path.with_suffix(".kept"))
    yield path
    kept.rename(path)


def test_the_words_are_planted(archive):
    content = next(Path(archive[1].partition("=")[2]).rglob("* 0.dcm")).read_bytes().lower()
    assert all(content.count(word) > 5 for word in WORDS)
    assert content.count(b"zqcanary") > 1000


def test_a_build_on_worker_processes_lets_nothing_out(planned, copied):
    said = planned[1] + mammogan("shards", "build", copied / "set", "--workers", 2)
    said += mammogan("shards", "verify", copied / "set")
    said += mammogan("shards", "show", copied / "set", "--out", copied / "sheet.png")
    assert b"6 images in every rung" in said
    assert leaks(said, copied) == []
    ledger = (private_folder.folder(copied / "set") / "ledger.jsonl").read_bytes()
    assert b"Zqcanary" in ledger, "the private folder is where it belongs"


def test_the_private_folder_is_closed_and_its_key_secret(copied):
    mammogan("shards", "build", copied / "set", "--workers", 0)
    secret = private_folder.folder(copied / "set")
    for path in (secret, *secret.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert len(bytes.fromhex((secret / "key").read_text())) == 32
    keys = [line["key"] for line in private_folder.read_lines(secret / "ledger.jsonl")]
    assert len(keys) == 11 and all(keys), "every file has one, duplicates that of the first"
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in keys)


def test_a_lost_source_is_told_without_its_name(copied, lost):
    said = mammogan("shards", "build", copied / "set", "--workers", 2, code=2)
    assert b"can't be read any more" in said
    assert leaks(said, copied) == []


@pytest.mark.parametrize("change", ["column", "head", "list", "row"])
def test_a_broken_table_is_told_without_its_cells(tmp_path, archive, change):
    export = Path(archive[1].partition("=")[2])
    copy = tmp_path / "export"
    subprocess.run(["cp", "-a", export, copy], check=True)
    table = (copy / "table.csv").read_text()
    if change == "column":
        (copy / "table.csv").write_text(table.replace("density", "dense"))
    elif change == "head":
        (copy / "table.csv").write_text(table.partition("\n")[2])
    elif change == "list":
        (copy / "list.txt").unlink()
    else:
        (copy / "table.csv").write_text(table + "\nZqcanary,Zqcanary")
    words = ("--from", f"{export}.toml={copy}", *SMALL)
    said = mammogan("shards", "plan", tmp_path / "work" / "set", *words, code=2)
    assert any(told in said for told in (b"Mend", b"can't be read", b"no table has such a column"))
    assert leaks(said, tmp_path / "work") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk to fill")
def test_a_full_disk_is_told_without_names(tmp_path, archive):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", disk], check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    try:
        said = mammogan("shards", "build", disk / "set", *archive, *SMALL, "--workers", 0, code=1)
        assert b"disk or quota is full" in b" ".join(said.split())
        assert leaks(said, disk) == []
    finally:
        subprocess.run(["umount", disk], check=True)


def launch(folder, *more, code=0):
    settings = (*TINY, f"tracking.uri=sqlite:///{folder / 'mlflow.db'}")
    words = [part for setting in settings for part in ("--set", setting)]
    words += ["--until", "finalise", folder / "run", "--data", folder / "set"]
    return mammogan("launch", "--method", "tour", *words, *more, code=code)


def test_jobs_that_fail_and_crash_and_their_tracking_let_nothing_out(copied, lost):
    said = launch(copied, code=1)
    said += mammogan("step", copied / "run", "shards", code=2)
    assert said.count(b"can't be read any more") > 1
    plan = private_folder.folder(copied / "set") / "plan" / "train-00000.jsonl"
    content = plan.read_bytes()
    plan.write_bytes(content[:-50])
    said += launch(copied, code=1)
    assert any(b"Traceback" in path.read_bytes() for path in (copied / "run").rglob("*.out"))
    plan.write_bytes(content)
    lost.with_suffix(".kept").rename(lost)
    said += launch(copied)
    lost.rename(lost.with_suffix(".kept"))
    said += mammogan("sync", copied / "run")
    assert (copied / "mlflow.db").stat().st_size > 10_000
    assert leaks(said, copied) == []
