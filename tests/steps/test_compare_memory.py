"""The report at full size: what is held does not grow with the number of images."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_images_of_1280_by_1024_are_measured_and_5000_of_each_source_compared_in_bounded_memory():
    told = subprocess.run(
        [sys.executable, "-m", "tests.bench.assess", "8", "5000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    measuring, comparing = (float(peak) for peak in re.findall(r"peak ([\d.]+) GB", told))
    assert measuring < 1.0, told
    assert comparing < 2.5, told
