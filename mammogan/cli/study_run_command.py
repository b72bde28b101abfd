"""`mammogan study new|serve|status|lock|export|pack|merge|erase`: running a reader study."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan import interruption
from mammogan.errors import ConfigError

if TYPE_CHECKING:
    from mammogan.study.web.answer_store import AnswerStore
    from mammogan.study.web.web_server import Address

Folder = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of the study.")]
Run = Annotated[
    Path | None, typer.Argument(metavar="RUN", help="Take reals and pool of this run, or name both.")
]
Real = Annotated[
    Path | None, typer.Option(help="Shard set of the reals: of its split test, or else validation.")
]
Synthetic = Annotated[Path | None, typer.Option(help="Pool of synthetic images, with shards.")]
Host = Annotated[str, typer.Option(help="0.0.0.0 lets tablets in this network in.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]
RootPath = Annotated[
    str, typer.Option(help="Path that a proxy puts in front, as /node/gpu7/8501 of Open OnDemand.")
]


def new(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder to make.")],
    run: Run = None,
    real: Real = None,
    synthetic: Synthetic = None,
    settings: Annotated[
        Path | None, typer.Option(help="TOML file: consent, contact, margin, seed, numbers; docs/study.md.")
    ] = None,
    accepted: Annotated[
        Path | None,
        typer.Option(help="JSON list of the synthetic images that may be shown, as a review writes it."),
    ] = None,
) -> None:
    """Fix a study: its pictures, plan, texts and margin, before anybody takes part."""
    from mammogan.cli.model_options import check_new, progress_of
    from mammogan.config.settings import load
    from mammogan.steps.study_images import new_study, open_sources, read_accepted
    from mammogan.study.reader.study_settings import StudyFile

    check_new(study)
    shards, pool = asked_sources(run, real, synthetic)
    file = load(StudyFile, settings) if settings else StudyFile()
    sources = open_sources(shards, pool)
    names = read_accepted(accepted) if accepted else None
    with progress_of("pictures") as on_progress:
        made = new_study(study, file, sources, names, on_progress)
    typer.echo(f"{study}: {made.study_id}, {made.pairs} pairs a participant, margin {made.margin:g}")
    if made.consent.is_rehearsal:
        typer.secho(
            "A rehearsal: name 'consent.contact' and 'consent.retain_until' in --settings before you ask "
            "anybody in earnest.",
            fg="yellow",
            err=True,
        )
    typer.echo(f"Next: mammogan study serve {study}")


def serve(
    study: Folder,
    host: Host = "127.0.0.1",
    port: Port = 8501,
    root_path: RootPath = "",
    kiosk: Annotated[
        bool, typer.Option("--kiosk", help="One device for many: it makes room for the next by itself.")
    ] = False,
) -> None:
    """Serve a study until Ctrl-C; killed at any moment, it goes on where it was when served again."""
    from mammogan.study.reader.study_service import StudyService
    from mammogan.study.reader.study_site import make
    from mammogan.study.web.web_server import listening, run

    with listening(host, port) as (listener, address):
        service = StudyService(study, kiosk=kiosk)
        try:
            links = {"Participants": ("", service.secret.reader), "Yourself": ("admin", service.secret.admin)}
            tell_links(address, links, root_path)
            run(make(service, root_path), listener)
        finally:
            service.store.close()


def status(study: Folder) -> None:
    """Tell how far a study is, also while it is served; never what people got right."""
    from rich.console import Console
    from rich.table import Table

    from mammogan.study.reader.admin_page import status as count
    from mammogan.study.reader.answer_tables import TABLES
    from mammogan.study.reader.study_folder import load_study
    from mammogan.study.web.answer_store import peek

    fixed = load_study(study)
    found = count(peek(study, TABLES))
    typer.echo(f"{fixed.title} ({fixed.study_id}, version {fixed.study_version})")
    table = Table("enrolled", "complete", "answers", "withdrawn", "minutes, median", "state")
    minutes = "" if found.median_min is None else f"{found.median_min:.1f}"
    state = f"locked {found.locked[:16]}Z" if found.locked else "open"
    counts = (len(found.participants), found.complete, found.answers, found.erased)
    table.add_row(*map(str, counts), minutes, state)
    Console().print(table)


def lock(study: Folder) -> None:
    """Take no more answers, for good: only then does an export show what was right."""
    from mammogan.study.reader.study_service import lock as close

    with _opened(study) as store, store.transaction() as transaction:
        now = close(transaction)
    typer.echo(f"{study}: {'locked' if now else 'was locked before'}")
    typer.echo(f"Next: mammogan study export {study} {study / 'export'}")


def export(
    study: Folder, out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the tables.")]
) -> None:
    """Write trials.csv, participants.csv, codebook and checksums; what was right only once it is locked."""
    from mammogan.study.reader import answer_tables
    from mammogan.study.reader.study_export import write_tables
    from mammogan.study.reader.study_folder import load_study
    from mammogan.study.web.answer_store import peek

    fixed, view = load_study(study), peek(study, answer_tables.TABLES)
    locked = answer_tables.is_locked(view)
    if locked:
        with _opened(study) as store, store.transaction() as transaction:
            transaction.add(answer_tables.UNBLINDED, where="export")
    write_tables(study, out, fixed, view)
    answers = "with what was right" if locked else "without what was right: the study is not locked"
    typer.echo(f"{out}: trials.csv, participants.csv, codebook.md, {answers}")
    if locked:
        typer.echo(f"Next: mammogan study analyse {out} {out}-analysis")


def pack(
    study: Folder, out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to make.")]
) -> None:
    """Make a folder that serves the study on a laptop without a network; `merge` brings its answers home."""
    from mammogan.study.reader.offline_pack import pack as make_pack

    with _opened(study) as store:
        numbers = make_pack(study, store, out)
    typer.echo(
        f"{out}: participants {numbers.first} to {numbers.first + numbers.count - 1}; start {out}/run.sh"
    )


def merge(
    study: Folder, packs: Annotated[list[Path], typer.Argument(metavar="PACK...", help="Packs of it.")]
) -> None:
    """Bring the answers of packs home; giving a pack again adds what is new in it, and nothing twice."""
    from mammogan.study.reader.offline_pack import merge as bring_home

    with _opened(study) as store:
        events = bring_home(study, store, packs)
    typer.echo(f"{study}: {events} new entries")


def erase(
    study: Folder, code: Annotated[str, typer.Argument(help="The participant's erasure code.")]
) -> None:
    """Erase everything of a participant, who must have shown the code; a count remains."""
    from mammogan.study.reader.study_folder import load_secret
    from mammogan.study.reader.study_service import erase as take_out

    with _opened(study) as store:
        if not take_out(store, load_secret(study), code):
            raise ConfigError(f"The code '{code}' is nobody's in this study: it may have been erased before.")
    typer.echo(f"{study}: erased. Copies, packs and exports made before are yours to delete.")


COMMANDS: tuple[tuple[Callable[..., None], str], ...] = (
    (new, "mammogan study new readers runs/first"),
    (serve, "mammogan study serve readers --host 0.0.0.0"),
    (status, "mammogan study status readers"),
    (lock, "mammogan study lock readers"),
    (export, "mammogan study export readers readers-export"),
    (pack, "mammogan study pack readers readers-pack"),
    (merge, "mammogan study merge readers readers-pack"),
    (erase, "mammogan study erase readers THE-CODE"),
)
"""Commands of a running study, each with an example."""


@contextmanager
def _opened(study: Path) -> Iterator[AnswerStore]:
    from mammogan.study.reader.answer_tables import TABLES
    from mammogan.study.reader.study_folder import load_study
    from mammogan.study.web.answer_store import AnswerStore

    load_study(study)
    store = AnswerStore(study, TABLES)
    try:
        yield store
    finally:
        store.close()


def asked_sources(run: Path | None, real: Path | None, synthetic: Path | None) -> tuple[Path, Path]:
    """Give shard set and pool, of a run or as they were named."""
    from mammogan.steps.study_images import sources_of_run

    if run is not None and (real or synthetic):
        raise ConfigError(f"The run '{run}' has reals and pool: leave out --real and --synthetic.")
    if run is not None:
        return sources_of_run(run)
    if real is None or synthetic is None:
        raise ConfigError(
            "Give a run after the folder, or --real with a shard set and --synthetic with a pool."
        )
    return real, synthetic


def tell_links(address: Address, links: Mapping[str, tuple[str, str]], root_path: str) -> None:
    """Say where the pages are, and how to come there from elsewhere; `links` are page and token by name."""
    width = max(map(len, links)) + 1
    for name, (page, token) in links.items():
        typer.echo(f"{name + ':':{width}} {address.link(token, page)}")
    if address.is_open:
        typer.echo(
            "Other devices in this network open the same links. They are plain HTTP: use a wireless network "
            "of your own."
        )
    else:
        typer.echo(f"From another computer, first:  {address.tunnel}")
    if root_path:
        typer.echo(f"Behind the proxy put its address and {root_path}/ in front of the '?'.")
    interruption.explain("No longer served; nothing that was answered is lost.")
    typer.echo("Ctrl-C ends it; nothing that was answered is lost.")
