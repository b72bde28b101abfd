"""The folder beside a shard set that links it to patients: secret key, catalogue, ledger. It never travels.

`<set>.private` may be read by its owner only. Whatever stands in the set itself is derived from identifiers
by HMAC-SHA256 under the secret key, so that nobody who guesses an identifier can check the guess.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mammogan.errors import DataError
from mammogan.files import write


@dataclass(frozen=True)
class Entry:
    """What became of one file: `outcome` is accepted, refused or unreadable; `patient` is a pseudonym."""

    path: str
    recipe: int
    outcome: str
    reason: str = ""
    key: str = ""
    patient: str = ""


def folder(shardset: Path) -> Path:
    """Name the private folder of a set."""
    return shardset.resolve().with_name(f"{shardset.resolve().name}.private")


def create(shardset: Path) -> Path:
    """Make the private folder, closed to everybody else."""
    path = folder(shardset)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def secret_key(shardset: Path, key_file: Path | None) -> bytes:
    """Take the key from `key_file`, from an earlier plan of this set, or draw a new one.

    Raises
    ------
    DataError
        If the file holds no key of at least 32 hexadecimal digits.
    """
    own = folder(shardset) / "key"
    path = key_file or (own if own.exists() else None)
    if path is None:
        return secrets.token_bytes(32)
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


def write_entries(path: Path, entries: Iterable[Entry]) -> None:
    """Write one JSON line a file."""
    write(path, "".join(json.dumps(asdict(entry)) + "\n" for entry in entries), mode=0o600)


def read_entries(shardset: Path) -> Iterator[Entry]:
    """Read the catalogue that `plan` wrote.

    Raises
    ------
    DataError
        If it is not there.
    """
    path = folder(shardset) / "catalogue.jsonl"
    if not path.exists():
        raise DataError(
            f"'{path}' is missing: only it knows which file each image of '{shardset}' comes from. "
            "Plan the set again where its sources are."
        )
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Entry(**json.loads(line))
