"""Planning needs no more memory for more files."""

import os
import subprocess
import sys

import pytest

from tests.data.conftest import make_dicom, save

PLAN = """
import re, sys
from pathlib import Path
from mammogan.config.dataset import load_recipe
from mammogan.data.shards.shard_plan import plan
made = plan(Path(sys.argv[1]), [(load_recipe("phantom"), Path(sys.argv[2]))], workers=0)
peak_kb = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(sum(shard.samples for shard in made.shards), int(peak_kb) // 1024)
"""
MORE_FILES = int(os.environ.get("MAMMOGAN_MEMORY_FILES", "100000"))


def peak_mb(folder, files):
    """Plan so many headers, four a patient, in a process of its own; give its peak memory.

    What getrusage says of it begins with the peak of the process that started it.
    """
    made = make_dicom(
        PatientID="p0000000", SOPInstanceUID="1.2.30000000", Rows=3328, Columns=2560, PixelData=b"\0\0"
    )
    template = save(made, folder / "template").read_bytes()
    for number in range(files):
        content = template.replace(b"p0000000", b"p%07d" % (number // 4))
        content = content.replace(b"1.2.30000000", b"1.2.3%07d" % (number + 1_000_000))
        path = folder / "files" / str(number // 1000) / f"{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    command = [sys.executable, "-c", PLAN, folder / "set", folder / "files"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    planned, peak = map(int, done.stdout.split())
    assert planned == files
    return peak


@pytest.mark.parametrize(
    "more", [3000, *(pytest.param(n, marks=pytest.mark.slow) for n in (10_000, MORE_FILES))]
)
@pytest.mark.timeout(1800)
def test_planning_more_files_takes_no_more_memory(tmp_path, more, capsys):
    few, many = peak_mb(tmp_path / "few", 1000), peak_mb(tmp_path / "many", more)
    with capsys.disabled():
        sys.stdout.write(f"\npeak memory of planning: 1000 files {few} MB, {more} files {many} MB\n")
    assert many - few < 15
