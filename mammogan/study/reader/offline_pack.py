"""A study to take along: a folder that serves it on a laptop, and its answers brought home."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from mammogan import __version__
from mammogan.errors import ConfigError, DataError
from mammogan.files import replacing_folder, write
from mammogan.study.reader import answer_tables
from mammogan.study.reader.answer_tables import is_locked
from mammogan.study.reader.study_folder import (
    CODES,
    PACK,
    SECRET,
    STUDY,
    SUMS,
    Numbers,
    load_secret,
    load_study,
)
from mammogan.study.reader.study_secret import Secret
from mammogan.study.web.answer_store import JOURNAL, AnswerStore
from mammogan.study.web.event_journal import ERASED, Event, whole_lines
from mammogan.study.web.image_store import INDEX, PIXELS

NEEDS = ("typer", "rich", "pydantic", "numpy", "fastapi", "uvicorn", "python-multipart", "jinja2")
"""What serving takes; nothing that decodes or trains."""
BROUGHT_HOME = (
    answer_tables.ENROLLED,
    answer_tables.DESCRIBED,
    answer_tables.DISPLAYED,
    answer_tables.READY,
    answer_tables.ANSWERED,
    ERASED,
)
RUN = """#!/bin/sh
# Serves this study: on this computer, or to tablets in its own wireless network with: ./run.sh --host 0.0.0.0
set -e
cd "$(dirname "$0")"
if [ ! -x venv/bin/python ]; then
  echo "Setting up once; this needs the internet, or a folder 'wheels' beside this script."
  python3 -m venv venv
  if [ -d wheels ]; then venv/bin/pip install --quiet --no-index --find-links wheels -r requirements.txt
  else venv/bin/pip install --quiet -r requirements.txt; fi
fi
PYTHONPATH=app exec venv/bin/python -c 'from mammogan.cli import main; main()' study serve study --kiosk "$@"
"""


def pack(folder: Path, store: AnswerStore, out: Path) -> Numbers:
    """Write a pack of the study in `folder` to the new folder `out`; its participants get numbers of its own.

    Raises
    ------
    ConfigError
        If `out` is there already, the study is locked, or is itself a pack.
    """
    if out.exists():
        raise ConfigError(f"'{out}' is there already: a pack may hold answers, and is never written over.")
    if (folder / PACK).exists():
        raise ConfigError(f"'{folder}' is itself a pack: make packs of the study that it came from.")
    with store.transaction() as transaction:
        if is_locked(transaction):
            raise ConfigError(f"The study '{folder}' is locked: nobody can take part any more.")
        packs = transaction.value("SELECT count(*) FROM marks WHERE kind = ?", answer_tables.PACKED)
        own = Numbers()
        numbers = Numbers(first=own.count * (packs + 1), count=own.count)
        # First the event: numbers that were given out are never given again, whatever becomes of the folder.
        transaction.add(answer_tables.PACKED, first=numbers.first)
    with replacing_folder(out) as made:
        made.chmod(0o700)
        study = made / "study"
        study.mkdir()
        for name in (STUDY, SUMS, INDEX, PIXELS, CODES):
            if (folder / name).exists():
                shutil.copy2(folder / name, study / name)
        write(study / SECRET, Secret.new(load_secret(folder).key).model_dump_json(indent=1), 0o600)
        write(study / PACK, numbers.model_dump_json() + "\n")
        _write_app(made)
    return numbers


def merge(folder: Path, store: AnswerStore, packs: Iterable[Path]) -> int:
    """Bring the answers of packs home, each once however often; give how many events are new.

    Raises
    ------
    ConfigError
        If the study is locked.
    DataError
        If a folder is no pack, or of another study.
    """
    with store.transaction() as transaction:
        if is_locked(transaction):
            raise ConfigError(f"The study '{folder}' is locked: merge before locking.")
        mine, found = load_study(folder), list[Event]()
        for path in packs:
            place = path / "study" if (path / "study" / STUDY).exists() else path
            if load_study(place) != mine:
                raise DataError(
                    f"'{path}' is of the study '{load_study(place).study_id}', or of another version of it, "
                    f"and '{folder}' is '{mine.study_id}': merge it into its own."
                )
            if not (place / PACK).exists():
                raise DataError(f"'{path}' is a study, not a pack of one: it has no {PACK}.")
            found += [event for event in whole_lines(place / JOURNAL)[0] if event["kind"] in BROUGHT_HOME]
        return store.take_over(found)


def _write_app(out: Path) -> None:
    """Copy this program beside the study, and list what it needs at the versions that are installed."""
    source = Path(__file__).parents[2]
    app = out / "app" / "mammogan"
    shutil.copytree(source, app, ignore=shutil.ignore_patterns("__pycache__"))
    write(app / "_version.py", f'__version__ = "{__version__}"\n')  # its answers say which program took them
    pins = [f"{name}=={metadata.version(name)}" for name in NEEDS]
    write(out / "requirements.txt", "\n".join([*pins, ""]))
    write(out / "run.sh", RUN, 0o755)
    python = ".".join(map(str, sys.version_info[:2]))
    write(
        out / "README.txt",
        f"A reader study to take along. Needs Python {python} or newer.\n\n"
        "  ./run.sh                    on this computer\n"
        "  ./run.sh --host 0.0.0.0     to tablets in this computer's own wireless network\n\n"
        "The first start sets itself up from the internet. For a computer that never has one:\n"
        "  pip download -r requirements.txt -d wheels\n"
        "on a computer of the same kind, and put the folder 'wheels' here.\n\n"
        "The folder 'study' holds patients' images and answers: keep it on an encrypted disk, bring it\n"
        "home, and delete it once `mammogan study merge STUDY THIS-FOLDER` was run there.\n",
    )
