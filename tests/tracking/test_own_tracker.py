"""Trackers of users, by the name of their Python."""

import sys

import pytest

from mammogan import tracking
from mammogan.errors import ConfigError

MODULE = """
class Mine:
    destination = "nowhere"
    def __init__(self, run, uri): self.run = run
    def last_sync(self): return 0.0
    def sync(self, summary): print(summary.name)

class Half:
    def last_sync(self): return 0.0
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "my_trackers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("my_trackers", None)


def test_a_tracker_of_ones_own_is_found(tmp_path):
    assert tracking.tracker("my_trackers:Mine")(tmp_path, "").destination == "nowhere"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_trackers:Half", "'my_trackers:Half' has no 'sync': a tracker follows"),
        ("my_trackers:None_", "the module 'my_trackers' has no 'None_'"),
        ("nobodys:Mine", "the module 'nobodys' can't be imported"),
        ("wandb", "there is no tracker 'wandb'. Valid: mlflow"),
    ],
)
def test_what_is_no_tracker_is_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        tracking.tracker(name)
