"""Both copies of what was answered hold the same, whatever moment the process is killed at."""

import errno
import fcntl
import json
import os
import signal
import sqlite3

import pytest

from mammogan.errors import ConfigError, DataError, RunFailedError
from mammogan.study.web import answer_store, event_journal
from mammogan.study.web.answer_store import DATABASE, JOURNAL, AnswerStore, Tables, peek
from mammogan.study.web.event_journal import Journal, render, whole_lines

SCHEMA = "CREATE TABLE marks (who TEXT, number INTEGER, UNIQUE (who, number))"


def apply(connection, event):
    if event["kind"] == "mark":
        connection.execute("INSERT INTO marks VALUES (?, ?)", (event["who"], event["number"]))


TABLES = Tables(lambda: SCHEMA, apply)


def mark(opened, who, number):
    with opened.transaction() as transaction:
        return transaction.add("mark", who=who, number=number)


def marks(snapshot):
    return [tuple(row) for row in snapshot.rows("SELECT who, number FROM marks ORDER BY who, number")]


def state(folder):
    """Open, and give the marks by table, by journal and by the database's own copy of the events."""
    opened = AnswerStore(folder, TABLES)
    with opened.transaction() as transaction:
        found = marks(transaction)
        lines = [row[0] for row in transaction.rows("SELECT line FROM events ORDER BY seq")]
    opened.close()
    events = whole_lines(folder / JOURNAL)[0]
    assert [render(event) for event in events] == lines
    by_journal = sorted((e["who"], e["number"]) for e in events if e["kind"] == "mark")
    assert by_journal == found == marks(peek(folder, TABLES))
    return found


def test_what_was_added_is_there_after_opening_again(tmp_path):
    opened = AnswerStore(tmp_path, TABLES)
    mark(opened, "a", 1)
    mark(opened, "b", 2)
    opened.close()
    assert state(tmp_path) == [("a", 1), ("b", 2)]


def test_the_database_keeps_a_rollback_journal_and_waits_for_the_disk(tmp_path):
    opened = AnswerStore(tmp_path, TABLES)
    with opened.transaction() as transaction:
        assert transaction.value("PRAGMA journal_mode") == "delete"
        assert transaction.value("PRAGMA synchronous") == 2
    opened.close()
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        JOURNAL: 0o600,
        DATABASE: 0o600,
        ".served": 0o600,
    }


class Killer:
    """Kills this process at the n-th of the calls by which anything reaches the disk."""

    def __init__(self, at):
        self.left = at

    def count(self):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(self, owner, name):
        real = getattr(owner, name)

        def wrapped(*arguments, **more):
            self.count()  # before it happens
            result = real(*arguments, **more)
            self.count()  # after
            return result

        setattr(owner, name, wrapped)

    def tear(self):
        """Let half a line be written, too."""
        real = os.pwrite

        def half(descriptor, data, offset):
            if self.left > 1:
                real(descriptor, data[: len(data) // 2], offset)
            self.count()
            return real(descriptor, data, offset)

        os.pwrite = half


def killed_at(moment, folder, work):
    """Run `work` in a process that dies at its `moment`-th step; give what it told, and whether it died."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reader)
            killer = Killer(moment)
            killer.tear()
            for owner, name in ((os, "fsync"), (os, "ftruncate"), (answer_store.Path, "replace")):
                killer.wrap(owner, name)
            opened = AnswerStore(folder, TABLES)
            opened._connection.set_trace_callback(lambda statement: killer.count())
            work(opened, lambda text: os.write(writer, f"{text}\n".encode()))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as stream:
        told = stream.read().split()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return told, os.WIFSIGNALED(status)


def test_nothing_is_lost_or_doubled_whenever_the_process_is_killed(tmp_path):
    def work(opened, told):
        for number in range(3):
            mark(opened, "a", number)
            told(number)

    moments, died = 0, True
    while died:
        moments += 1
        folder = tmp_path / str(moments)
        folder.mkdir()
        told, died = killed_at(moments, folder, work)
        found = [number for _, number in state(folder)]
        assert found == sorted(set(found))
        assert found in ([*map(int, told)], [*map(int, told), len(told)])  # one may be kept, yet untold
    assert moments > 25
    assert found == [0, 1, 2]


def test_what_was_erased_stays_away_whenever_the_process_is_killed(tmp_path):
    def work(opened, told):
        opened.erase(lambda event: event.get("who") == "a")
        told("erased")

    moments, died, outcomes = 0, True, set()
    while died:
        moments += 1
        folder = tmp_path / str(moments)
        folder.mkdir()
        opened = AnswerStore(folder, TABLES)
        for who in ("a", "b", "a"):
            mark(opened, who, len(opened.events))
        opened.close()
        told, died = killed_at(moments, folder, work)
        found = state(folder)
        assert found in ([("b", 1)], [("a", 0), ("a", 2), ("b", 1)])
        assert not told or found == [("b", 1)]
        outcomes.add(len(found))
    assert outcomes == {1, 3}


def test_erasing_leaves_no_trace_in_any_file_but_a_count(tmp_path):
    opened = AnswerStore(tmp_path, TABLES)
    for number in range(40):
        mark(opened, "jane-of-the-secret" if number % 2 else "b", number)
    assert opened.erase(lambda event: event.get("who") == "jane-of-the-secret", participants=1) == 20
    assert opened.erase(lambda event: event.get("who") == "jane-of-the-secret") == 0
    opened.close()
    for path in tmp_path.iterdir():
        assert b"jane" not in path.read_bytes(), path
    stones = [event for event in whole_lines(tmp_path / JOURNAL)[0] if event["kind"] == "erased"]
    assert [(len(stone["ids"]), stone["participants"]) for stone in stones] == [(20, 1)]


@pytest.mark.parametrize("gone", [JOURNAL, DATABASE])
def test_either_copy_is_written_anew_from_the_other(tmp_path, gone):
    opened = AnswerStore(tmp_path, TABLES)
    mark(opened, "a", 1)
    opened.close()
    (tmp_path / gone).unlink()
    assert state(tmp_path) == [("a", 1)]


def test_a_damaged_database_is_put_aside(tmp_path):
    opened = AnswerStore(tmp_path, TABLES)
    mark(opened, "a", 1)
    opened.close()
    (tmp_path / DATABASE).write_bytes(b"this is no database" * 100)
    assert state(tmp_path) == [("a", 1)]
    assert (tmp_path / f"{DATABASE}.damaged").exists()


def test_damage_in_the_middle_of_a_journal_is_told_not_mended(tmp_path):
    opened = AnswerStore(tmp_path, TABLES)
    for number in range(3):
        mark(opened, "a", number)
    opened.close()
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    (tmp_path / JOURNAL).write_bytes(lines[0] + lines[1][:20] + b"\n" + lines[2])
    with pytest.raises(DataError, match="line 2 is damaged, and whole lines follow"):
        AnswerStore(tmp_path, TABLES)
    (tmp_path / JOURNAL).unlink()
    assert [number for _, number in state(tmp_path)] == [0, 1, 2]


def test_a_tail_of_zeros_after_a_power_cut_is_cut_off(tmp_path):
    opened = AnswerStore(tmp_path, TABLES)
    mark(opened, "a", 1)
    opened.close()
    with (tmp_path / JOURNAL).open("ab") as stream:
        stream.write(bytes(300))
    assert state(tmp_path) == [("a", 1)]
    assert (tmp_path / JOURNAL).read_bytes().endswith(b"}\n")


def test_one_process_has_a_store_at_a_time_and_anybody_may_look(tmp_path):
    opened = AnswerStore(tmp_path, TABLES)
    mark(opened, "a", 1)
    with pytest.raises(ConfigError, match=f"open in another process .*process {os.getpid()}"):
        AnswerStore(tmp_path, TABLES)
    assert marks(peek(tmp_path, TABLES)) == [("a", 1)]
    opened.close()
    AnswerStore(tmp_path, TABLES).close()
    with pytest.raises(DataError, match="There is no folder"):
        AnswerStore(tmp_path / "elsewhere", TABLES)


def test_a_file_system_without_locks_serves_one_process_at_a_time_all_the_same(tmp_path, monkeypatch):
    def without(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without)
    opened = AnswerStore(tmp_path, TABLES)
    mark(opened, "a", 1)
    with pytest.raises(
        ConfigError, match=f"process {os.getpid()} .*: one at a time .*delete '.*served.owner'"
    ):
        AnswerStore(tmp_path, TABLES)
    opened.close()
    AnswerStore(tmp_path, TABLES).close()
    assert state(tmp_path) == [("a", 1)]


def test_a_database_that_cannot_be_used_now_is_not_taken_for_damaged(tmp_path, monkeypatch):
    def refuse(path, **more):
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with pytest.raises(ConfigError, match="can't be opened: database is locked"):
        AnswerStore(tmp_path, TABLES)
    assert not (tmp_path / f"{DATABASE}.damaged").exists()


def test_a_full_disk_keeps_nothing_by_half(tmp_path, monkeypatch):
    opened = AnswerStore(tmp_path, TABLES)
    mark(opened, "a", 1)
    real = os.fsync

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFailedError, match="disk or quota is full"):
        mark(opened, "a", 2)
    monkeypatch.setattr(os, "fsync", real)
    assert len(whole_lines(tmp_path / JOURNAL)[0]) == 1  # nobody who looks now sees what was refused
    mark(opened, "a", 3)
    opened.close()
    assert state(tmp_path) == [("a", 1), ("a", 3)]


def test_an_event_that_only_the_journal_took_is_in_the_tables_at_the_next_turn(tmp_path, monkeypatch):
    opened = AnswerStore(tmp_path, TABLES)
    monkeypatch.setattr(opened, "_put", lambda event: (_ for _ in ()).throw(sqlite3.OperationalError("full")))
    with pytest.raises(sqlite3.OperationalError):
        mark(opened, "a", 1)
    monkeypatch.undo()
    with opened.transaction() as transaction:
        assert marks(transaction) == [("a", 1)]
    opened.close()


def test_stores_are_joined_once_and_what_was_erased_in_one_goes_from_both(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = AnswerStore(tmp_path / "one", TABLES), AnswerStore(tmp_path / "two", TABLES)
    mark(one, "a", 1)
    mark(two, "b", 1)
    mark(two, "c", 1)
    assert one.take_over(two.events) == 2
    assert one.take_over(two.events) == 0
    two.erase(lambda event: event.get("who") == "b")
    one.take_over(two.events)
    one.close()
    two.close()
    assert state(tmp_path / "one") == [("a", 1), ("c", 1)]


def test_a_line_is_one_line_whatever_is_in_it(tmp_path):
    written = Journal(tmp_path / "j")
    event = {"id": "x-1", "kind": "note", "text": 'two\nlines\r\u2028 "ä"'}
    written.append(event)
    written.close()
    assert whole_lines(tmp_path / "j")[0] == [event]
    assert json.loads((tmp_path / "j").read_text()) == event
    assert event_journal.render(event).count("\n") == 1
