"""A study served by a process of its own, which can be killed and started again on the same port."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.patience import PATIENCE_S

PROGRAM = "from mammogan.cli import main; main()"


class Served:
    """`mammogan study serve` of a folder, as a context."""

    def __init__(self, folder, *options, port=None, command="study"):
        self.folder, self.options, self.command = Path(folder), options, command
        self.port = port or free_port()
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    @property
    def tokens(self):
        return json.loads((self.folder / "secret.json").read_text())

    def start(self):
        words = [self.command, "serve", self.folder, "--port", self.port, *self.options]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.process.kill()
        raise AssertionError(self.process.communicate()[0])

    def kill(self):
        """Kill it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def stop(self):
        """End it in good order; give what it said."""
        self.process.terminate()
        return self.process.communicate(timeout=PATIENCE_S)[0]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
