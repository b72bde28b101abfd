"""Processes of their own that need not load PyTorch and DeepSpeed anew, which takes 4 s of CPU each time.

Each is forked from a server that has loaded them and does nothing else. From there on it is a process as any
other, with its own environment, signals and exit code; only what is registered to run at exit does not run.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from multiprocessing.context import ForkServerContext
from pathlib import Path

LOADED = ["deepspeed", "mammogan.steps.train_stage", "mammogan.train.training_loop", "mammogan.train.engines"]
_server: list[ForkServerContext] = []


def _become(program: str, arguments: list[str], environment: dict[str, str], said: str) -> None:
    """Be what ``python -c PROGRAM ARGUMENTS`` would be, with both outputs in the file `said`."""
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    output = os.open(said, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    sys.argv = ["-c", *arguments]
    exec(program, {"__name__": "__main__"})


class Forked:
    """A process as `subprocess.Popen` gives one, as far as tests need it; what it printed is one text."""

    def __init__(self, program: str, *arguments: object, environment: dict[str, str]) -> None:
        if not _server:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(LOADED)
            _server.append(context)
        handle, name = tempfile.mkstemp(prefix="forked-")
        os.close(handle)
        self._said = Path(name)
        given = (program, [str(argument) for argument in arguments], dict(environment), name)
        self._process = _server[0].Process(target=_become, args=given, daemon=True)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(["forked"], timeout or 0)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[None, str]:
        """Wait for its end; give None and what it printed, to be taken apart as that of a `Popen`."""
        self.wait(timeout)
        text = self._said.read_text()
        self._said.unlink()
        return None, text
