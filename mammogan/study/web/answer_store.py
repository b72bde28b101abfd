"""What people answer, kept twice: an fsynced journal of events, and an SQLite database that follows it.

An event goes into the journal first, then into the database, then its sender gets an answer. Whatever moment
the process is killed at, the next start makes both the same again: no event is lost that was confirmed, and
none is there twice. The database can be deleted: it is written anew from the journal, and so is that from it.

SQLite keeps its rollback journal (DELETE, synchronous FULL): the write-ahead log needs shared memory, which
network file systems don't have. One process serves a folder; a lock file holds others off.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mammogan.errors import ConfigError, DataError
from mammogan.file_lock import LockedError, locked, sqlite_uri
from mammogan.study.web.event_journal import ERASED, Event, Journal, render, whole_lines

JOURNAL, DATABASE, LOCK = "journal.jsonl", "answers.db", ".served"
_EVENTS = (
    "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, line TEXT NOT NULL)"
)


@dataclass(frozen=True)
class Tables:
    """The tables that a store's events are put into.

    Attributes
    ----------
    schema
        Gives the statements that make them.
    apply
        Puts one event into them: a pure function of tables and event, for it is replayed. It never refuses;
        what is not allowed is found out before an event is added.
    """

    schema: Callable[[], str]
    apply: Callable[[sqlite3.Connection, Event], None]


class Snapshot:
    """Reading the tables."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row of a query, if any."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def value(self, sql: str, *values: Any) -> Any:
        """Return the first value of a query's first row, or None."""
        found = self.row(sql, *values)
        return found[0] if found else None


class Transaction(Snapshot):
    """A transaction on the store, during which nobody else changes it."""

    def __init__(self, store: AnswerStore, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._store = store

    def add(self, kind: str, **facts: Any) -> Event:
        """Keep an event of now; when this returns it is on the disk twice."""
        return self._store._add({"kind": kind, "t": now(), **facts})


class AnswerStore:
    """The store in `folder`, opened by the one process that serves it; both copies are reconciled here.

    Raises
    ------
    ConfigError
        If another process has it open.
    DataError
        If the journal is damaged in its middle.
    """

    def __init__(self, folder: Path, tables: Tables) -> None:
        self.folder, self._tables = folder, tables
        self._mutex = threading.RLock()
        self._lock = _locked(folder)
        try:
            self._journal = Journal(folder / JOURNAL)
            self._connection = _connect(folder / DATABASE)
            self._origin = secrets.token_hex(6)
            self._count, self._behind = 0, False
            self._reconcile()
        except BaseException:
            self._lock.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Read and write without anybody else writing meanwhile: what is decided holds when it is stored."""
        with self._mutex:
            if self._behind:  # a full disk let the journal have an event that the database has not
                self._rebuild(self._journal.events)
            yield Transaction(self, self._connection)

    @property
    def events(self) -> Sequence[Event]:
        """All events, in their order."""
        return tuple(self._journal.events)

    def erase(self, which: Callable[[Event], bool], **facts: Any) -> int:
        """Take events out of both copies for good; only an event that counts them is left."""
        with self._mutex:
            gone = [event["id"] for event in self._journal.events if which(event)]
            if not gone:
                return 0
            stone = self._signed({"kind": ERASED, "t": now(), "ids": gone, **facts})
            self._become([*(event for event in self._journal.events if event["id"] not in set(gone)), stone])
            return len(gone)

    def take_over(self, events: Iterable[Event]) -> int:
        """Add events of another store, those that this one lacks; what was erased there is erased in both."""
        with self._mutex:
            merged = _merged(self._journal.events, list(events))
            new = len({event["id"] for event in merged} - {event["id"] for event in self._journal.events})
            if merged != self._journal.events:
                self._become(merged)
            return new

    def close(self) -> None:
        """Close both, and let others in."""
        with self._mutex:
            self._connection.close()
            self._journal.close()
            self._lock.close()

    def _signed(self, event: Event) -> Event:
        self._count += 1
        return {"id": f"{self._origin}-{self._count}", **event}

    def _add(self, event: Event) -> Event:
        event = self._signed(event)
        self._journal.append(event)
        self._behind = True
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._put(event)
        self._behind = False
        return event

    def _put(self, event: Event) -> None:
        self._connection.execute("INSERT INTO events (id, line) VALUES (?, ?)", (event["id"], render(event)))
        self._tables.apply(self._connection, event)

    def _reconcile(self) -> None:
        self._connection.execute(_EVENTS)
        lines = self._connection.execute("SELECT line FROM events ORDER BY seq").fetchall()
        had = [json.loads(line) for (line,) in lines]
        merged = _merged(self._journal.events, had)
        if merged != self._journal.events:
            self._journal.rewrite(merged)
        self._rebuild(merged)  # a thousand events take milliseconds, and tables of another version go

    def _become(self, events: list[Event]) -> None:
        self._journal.rewrite(events)
        self._rebuild(events)

    def _rebuild(self, events: Iterable[Event]) -> None:
        self._behind = True
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            _clear(self._connection)
            self._connection.execute(_EVENTS)
            _create(self._connection, self._tables.schema())
            for event in events:
                self._put(event)
        self._behind = False


def peek(folder: Path, tables: Tables) -> Snapshot:
    """Look at a store from its journal alone, whether it is being served or not; nothing is written."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    _create(connection, tables.schema())
    for event in whole_lines(folder / JOURNAL)[0]:
        tables.apply(connection, event)
    return Snapshot(connection)


def now() -> str:
    """Return the time as it is written down: UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _merged(first: list[Event], second: list[Event]) -> list[Event]:
    """Join two lists of events: none twice, and none that either lists as erased."""
    unique = {event["id"]: event for event in (*first, *second)}
    erased = {gone for event in unique.values() if event["kind"] == ERASED for gone in event["ids"]}
    return [event for id_, event in unique.items() if id_ not in erased]


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return _opened(path)
    except sqlite3.OperationalError as error:  # locked, or a full disk: nothing is damaged
        raise ConfigError(
            f"The database '{path}' can't be opened: {error}. It needs a file system with locks and some "
            "free space; move the folder to one. Nothing that was answered is lost."
        ) from None
    except sqlite3.DatabaseError:  # damaged: the journal holds all of it
        path.replace(path.with_name(f"{path.name}.damaged"))
        return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    options: dict[str, Any] = {"timeout": 30, "isolation_level": None, "check_same_thread": False}
    connection: sqlite3.Connection = sqlite3.connect(sqlite_uri(path), uri=True, **options)
    connection.row_factory = sqlite3.Row
    for pragma in ("journal_mode=DELETE", "synchronous=FULL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
        connection.close()
        raise sqlite3.DatabaseError("damaged")
    return connection


def _create(connection: sqlite3.Connection, schema: str) -> None:
    for statement in filter(str.strip, schema.split(";")):  # executescript would commit what is open
        connection.execute(statement)


def _clear(connection: sqlite3.Connection) -> None:
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (name,) in names:
        connection.execute(f'DROP TABLE "{name}"')


def _locked(folder: Path) -> ExitStack:
    if not folder.is_dir():
        raise DataError(f"There is no folder '{folder}'.")
    lock = ExitStack()
    try:
        lock.enter_context(locked(folder / LOCK, 0o600))
    except LockedError as error:
        raise ConfigError(
            f"'{folder}' is open in another process ({error.who}): one at a time may write "
            f"there. Use its page, or stop it first.{error.way_out}"
        ) from None
    return lock
