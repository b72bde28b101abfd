"""Following a log: what is added, what replaces it, and the file of a new attempt."""

from __future__ import annotations

import pytest

from mammogan.cli import log_follow
from mammogan.cli.log_follow import followed


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Follow a log while given steps are done one after the other, and give all that was printed."""

    def follow(*steps, lines=0):
        todo, name = list(steps), ["a.log"]

        def sleep(_):
            if todo:
                new = todo.pop(0)(tmp_path)
                name[:] = [new] if isinstance(new, str) else name

        monkeypatch.setattr(log_follow.time, "sleep", sleep)
        return "".join(followed(lambda: tmp_path / name[0], lambda: bool(todo), lines, ask_s=0))

    return follow


def append(text, name="a.log"):
    def write(folder):
        with (folder / name).open("a") as file:
            file.write(text)

    return write


def test_a_log_that_is_not_there_yet_is_waited_for_and_then_followed(script, tmp_path):
    told = script(lambda _: None, append("one\n"), append("two\n"), append("end\n"))
    assert told == f"==> {tmp_path / 'a.log'} <==\none\ntwo\nend\n"


def test_only_the_last_lines_of_what_was_there_are_given(script, tmp_path):
    (tmp_path / "a.log").write_text("1\n2\n3\n4\n")
    assert script(append("5\n"), lines=2).endswith("<==\n3\n4\n5\n")
    (tmp_path / "a.log").write_text("1\n2\n")
    assert script(lines=9).endswith("<==\n1\n2\n")


def test_a_log_that_is_cut_short_or_replaced_is_read_from_its_start(script, tmp_path):
    (tmp_path / "a.log").write_text("the first attempt\n")

    def replace(folder):
        (folder / "b").write_text("the second attempt, longer\n")
        (folder / "b").rename(folder / "a.log")

    cut = script(lambda folder: (folder / "a.log").write_text("new\n"), append("more\n"))
    assert cut.endswith("the first attempt\nnew\nmore\n")
    assert script(replace, append("more\n")).endswith("the second attempt, longer\nmore\n")


def test_the_log_of_a_new_job_is_announced_and_read_whole(script, tmp_path):
    (tmp_path / "a.log").write_text("old\n")
    told = script(append("x\ny\nz\n", "b.log"), lambda _: "b.log", append("more\n", "b.log"), lines=1)
    assert told.endswith(f"old\n==> {tmp_path / 'b.log'} <==\nx\ny\nz\nmore\n")


def test_a_letter_that_is_half_written_is_waited_for(script, tmp_path):
    (tmp_path / "a.log").write_bytes("ä".encode()[:1])
    assert script(lambda folder: (folder / "a.log").write_bytes("ä\n".encode())).endswith("<==\nä\n")
