"""Bars of progress reach their end, whatever was expected at the beginning."""

import pytest

from mammogan.cli.model_options import progress, progress_of


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Take standard error for a terminal, and give what was drawn there."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    return lambda: capsys.readouterr().err


def test_a_bar_ends_at_the_number_that_there_turn_out_to_be(terminal):
    with progress_of("pictures") as on_progress:
        for done in range(1, 8):
            on_progress(done, 7)
    assert "7/7" in terminal()


def test_a_bar_of_a_known_number_is_advanced_by_one(terminal):
    with progress("images", 3) as advance:
        for _ in range(3):
            advance()
    assert "3/3" in terminal()
