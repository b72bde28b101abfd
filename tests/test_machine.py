"""Where Linux's own calls are absent, as on macOS, everything imports; cores and processes are known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from mammogan import machine
from tests.patience import PATIENCE_S

ABSENT = """
import os, pkgutil, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "fcntl":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
sys.meta_path.insert(0, Absent())
sys.modules.pop("fcntl", None)
del os.sched_getaffinity
import importlib, mammogan
for module in pkgutil.walk_packages(mammogan.__path__, "mammogan."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from mammogan.machine import cores
print(cores())
"""


def test_every_module_imports_without_fcntl_and_affinity():
    done = subprocess.run([sys.executable, "-c", ABSENT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) == os.cpu_count()


def test_a_process_is_known_by_its_command_line_with_and_without_proc(monkeypatch):
    with subprocess.Popen([sys.executable, "-c", "input()", "a folder"], stdin=subprocess.PIPE) as process:
        assert "a folder" in machine.command_line(str(process.pid))
        monkeypatch.setattr(machine.Path, "exists", lambda path: False)
        assert "a folder" in machine.command_line(str(process.pid))
        process.communicate(b"\n")
    assert machine.command_line(str(process.pid)) == ""


def test_cores_are_those_that_this_process_may_use():
    assert machine.cores() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("path", [os.environ["PATH"], "/nonexistent"])
def test_a_process_is_ended_with_those_below_it_where_they_can_be_found(monkeypatch, path):
    command = "import subprocess; subprocess.run(['sleep', '5'])"
    parent = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE)
    monkeypatch.setenv("PATH", path)
    machine.end(parent.pid, signal.SIGKILL)
    assert parent.wait(PATIENCE_S) == -signal.SIGKILL
