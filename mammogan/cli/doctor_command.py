"""`mammogan doctor`: hold a site's profile, or this installation, against what is really there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammogan.errors import ClusterError

if TYPE_CHECKING:
    from collections import Counter

    from mammogan.cluster.doctor.finding import Finding
    from mammogan.cluster.doctor.profile_lines import Profile

MARKS = {
    "ok": "[green]✓[/]",
    "warning": "[yellow]![/]",
    "problem": "[bold red]✗[/]",
    "unchecked": "[dim]–[/]",
}


def doctor(
    site: Annotated[
        str | None, typer.Option(help="A site's name, or a TOML file; without it, this installation.")
    ] = None,
    check: Annotated[
        list[str] | None, typer.Option(help="Only this check, as scratch or fits; repeatable.")
    ] = None,
    jobs: Annotated[bool, typer.Option(help="Submit a job a partition that looks at a node.")] = True,
    patience: Annotated[int, typer.Option(min=1, help="Seconds that those may wait in the queue.")] = 300,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Try and time training on this machine's GPU, in so many --minutes.")
    ] = False,
    device: Annotated[
        str, typer.Option(help="With --gpu: cuda:0, or cpu to try the checks themselves with tiny networks.")
    ] = "",
    minutes: Annotated[float, typer.Option(min=0.1, help="With --gpu: begin no check after so many.")] = 3.8,
    out: Annotated[Path, typer.Option(help="With --gpu: folder for what is found.")] = Path("gpu-checks"),
) -> None:
    """Check each claim of a site's profile where it can be checked, and say what to do.

    ✓ is so, ! runs but not as meant, ✗ would fail, – could not be looked into.
    """
    if gpu:
        from mammogan.cli.gpu_command import check_gpu

        check_gpu(out, device, minutes)
        return
    if site is None:
        from mammogan.cluster.doctor import installation_checks

        examined = show(installation_checks.examine())
        _judge(examined, "this installation")
        return
    from mammogan.cluster.doctor import Case, Profile, examine, load

    profile, loaded = Profile.find(site), load(site)
    findings = loaded if isinstance(loaded, list) else examine(Case(loaded, jobs, patience), check or ())
    _judge(show(findings, profile), f"the profile '{profile.path}'")


def show(findings: Iterable[Finding], profile: Profile | None = None) -> Counter[str]:
    """Print findings as they come, and count them by level."""
    from collections import Counter

    from rich.console import Console
    from rich.markup import escape

    console, levels = Console(highlight=False, soft_wrap=True), Counter[str]()
    for finding in findings:
        levels[finding.level] += 1
        console.print(f"{MARKS[finding.level]} {escape(f'{finding.claim}: {finding.found}')}")
        if not finding.remedy:
            continue
        if profile is not None:
            console.print(f"    [cyan]{escape(profile.where(finding.key))}[/]")
        console.print(f"    {escape(finding.remedy)}")
    return levels


def _judge(levels: Counter[str], what: str) -> None:
    """Sum up.

    Raises
    ------
    ClusterError
        If there is a problem.
    """
    words = {"ok": "true", "warning": "to look at", "unchecked": "not checked"}
    rest = ", ".join(f"{levels[level]} {word}" for level, word in words.items() if levels[level])
    count = levels["problem"]
    if count:
        raise ClusterError(
            f"{count} problem{'s' if count > 1 else ''} with {what} (besides: {rest or 'nothing'}): mend "
            "what is marked ✗, and give the same command again."
        )
    typer.echo(f"\nNo problem with {what}: {rest}.")
