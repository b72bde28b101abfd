"""A command says at a terminal what it loads before it loads it: no second passes in silence."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from mammogan.cli import loading_notice

CHILD = """
import io, json, sys
from mammogan.cli import main
from mammogan.cli.loading_notice import NAMES

class Terminal(io.BytesIO):
    loaded = None
    def isatty(self):
        return True
    def write(self, data):
        if data and self.loaded is None:
            whole = [name for name in NAMES if hasattr(sys.modules.get(name), "__version__")]
            self.loaded = [bytes(data).decode(), whole]
        return super().write(data)

terminal = Terminal()
sys.stdout = sys.stderr = io.TextIOWrapper(terminal, encoding="utf-8", write_through=True)
try:
    main()
finally:
    print(json.dumps([*terminal.loaded, terminal.getvalue().decode()]), file=sys.__stdout__, flush=True)
"""


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("shards", "verify", "no-such-set"), "Loading"),
        pytest.param(("phantom", "."), "Loading", marks=pytest.mark.slow),
        pytest.param(("draw", "no-such-run", "out"), "Loading", marks=pytest.mark.slow),
        pytest.param(("sync", "no-such-run"), "Error", marks=pytest.mark.slow),
        pytest.param(("quickstart", "no-such-folder"), "Error", marks=pytest.mark.slow),
    ],
)
def test_nothing_large_is_loaded_before_the_first_word(tmp_path, words, what):
    (tmp_path / "foreign").touch()
    command = [sys.executable, "-c", CHILD, *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    first, loaded, everything = json.loads(done.stdout.splitlines()[-1])
    assert what in first and loaded == []
    assert "Error: " in everything.rpartition(loading_notice.ERASE_LINE)[2]  # nothing else is left standing


def test_where_no_one_watches_nothing_is_said():
    before = list(sys.meta_path)
    loading_notice.install(io.StringIO())
    assert sys.meta_path == before
