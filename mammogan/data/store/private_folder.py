"""The folder beside a shard set that links it to patients: key, file lists, ledger. It never travels.

`<set>.private` may be read by its owner only. Whatever stands in the set itself is derived from identifiers
by HMAC-SHA256 under the secret key, so that nobody who guesses an identifier can check the guess.

    key                 the secret
    sources.json        recipes and folders that the set is made from
    tables/             the sources' metadata tables, one SQLite file each
    listing/            every file found, in parts
    catalogue/          what the headers say, part by part
    refused.jsonl       files that planning left out, and why
    plan/               the images of each planned shard with their files
    built/              the record of each built shard
    ledger.jsonl        what became of every file, once all is built
"""

from __future__ import annotations

import hmac
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mammogan.errors import DataError
from mammogan.files import replacing, write

Line = dict[str, Any]


def folder(shardset: Path) -> Path:
    """Name the private folder of a set."""
    return shardset.resolve().with_name(f"{shardset.resolve().name}.private")


def create(shardset: Path, *names: str) -> Path:
    """Make the private folder, or one below it, closed to everybody else."""
    path = folder(shardset)
    for name in ("", *names):
        path = path / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    return path


def clear(shardset: Path, *names: str) -> None:
    """Remove folders or files of the private folder."""
    for name in names:
        path = folder(shardset) / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def secret_key(shardset: Path, key_file: Path | None = None) -> bytes:
    """Take the key from `key_file`, from an earlier plan of this set, or draw a new one and keep it.

    Raises
    ------
    DataError
        If the file holds no key of at least 32 hexadecimal digits.
    """
    own = folder(shardset) / "key"
    path = key_file or own
    if not path.exists() and key_file is None:
        create(shardset)
        write(own, secrets.token_hex(32) + "\n", mode=0o600)
    try:
        key = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError):
        key = b""
    if len(key) < 16:
        raise DataError(
            f"'{path}' does not hold a key: allowed are 32 or more hexadecimal digits. "
            "Make one with: python -c 'import secrets; print(secrets.token_hex())'"
        )
    return key


def pseudonym(key: bytes, kind: str, value: str) -> str:
    """Derive 32 hexadecimal digits from an identifier; they hold no dot, which would end a WebDataset key."""
    return hmac.digest(key, f"{kind}:{value}".encode(errors="surrogateescape"), "sha256").hex()[:32]


def write_lines(path: Path, lines: Iterable[Line]) -> None:
    """Write one JSON line each, for the owner's eyes only."""
    with replacing(path, 0o600) as stream:
        for line in lines:
            stream.write(json.dumps(line).encode() + b"\n")  # ASCII: a path that is no UTF-8 comes through


def read_lines(path: Path) -> Iterator[Line]:
    """Read what `write_lines` wrote.

    Raises
    ------
    DataError
        If it is not there.
    """
    if not path.exists():
        raise DataError(
            f"'{path}' is missing: only it knows which files the images come from. "
            "Put the private folder back beside the set, or plan the set again where its sources are."
        )
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
