"""Checks that this machine answers: the image's file, the kept folder, the tracking server."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from mammogan.cluster.doctor import file_system_checks
from mammogan.cluster.doctor.examined_site import Case
from mammogan.cluster.doctor.finding import Finding, ok, problem, unchecked
from mammogan.errors import ConfigError
from mammogan.tracking import TRACKERS, mlflow_access
from mammogan.tracking.mlflow_server import experiment_name

BUILD = "Build it (containers/README.md), or correct the path."
SIF_MAGIC, SIF_MAGIC_AT = b"SIF_MAGIC", 32


def image(case: Case) -> Iterator[Finding]:
    """Check that the image is there and is one, by its first bytes."""
    name, key = case.site.container.image, "container.image"
    if not name:
        yield ok("jobs run without a container", "the image is empty: they use the launching Python", key)
        return
    claim, path = f"the image '{name}'", Path(name)
    if not path.exists():
        yield problem(claim, "there is no such file", key, BUILD)
    elif path.is_dir():
        if (path / ".singularity.d").is_dir():
            yield ok(claim, "an unpacked image", key)
        else:
            yield problem(claim, "a folder without '.singularity.d', thus no image", key, BUILD)
    else:
        try:
            with path.open("rb") as stream:
                head = stream.read(SIF_MAGIC_AT + len(SIF_MAGIC))
        except OSError as error:
            yield problem(claim, f"can't be read: {error.strerror}", key, f"chmod a+r '{name}'")
            return
        if head[SIF_MAGIC_AT:] == SIF_MAGIC or head.startswith(b"hsqs"):
            yield ok(claim, f"{path.stat().st_size / 1e9:.1f} GB", key)
        else:
            yield problem(claim, f"no Apptainer image: it begins with {head[:16]!r}", key, BUILD)


def permanent(case: Case) -> Iterator[Finding]:
    """Check that the kept folder is one, that this user may write to it, and what its file system can."""
    name, key = case.site.storage.permanent, "storage.permanent"
    claim = f"the kept folder '{name}' on this machine"
    if not name:
        yield unchecked("a kept folder that all nodes share", "storage.permanent is empty", key)
    elif not Path(name).exists():
        yield problem(claim, "there is no such folder", key, f"mkdir -p '{name}', or name the one you have.")
    elif not Path(name).is_dir():
        yield problem(claim, "it is a file", key, "Name a folder.")
    elif not os.access(name, os.W_OK | os.X_OK):
        yield problem(claim, "you may not write there", key, "Name a folder of your own.")
    else:
        yield ok(claim, "is there, and you may write", key)
        yield from file_system_checks.on_this_machine(Path(name))


def tracking(case: Case) -> Iterator[Finding]:
    """Check that the trackers exist, and that MLflow's server answers here, or its file may be written."""
    uri, key = case.site.tracking.uri, "tracking.uri"
    try:
        mlflow_access.check_no_secrets(uri, case.site.environment.variables)
    except ConfigError as error:
        secret = str(error).split()[0]
        found, _, remedy = str(error).partition(". ")
        yield problem("the profile has no secrets", found, secret, remedy)
    trackers = case.site.tracking.trackers
    if unknown := [name for name in trackers if name not in TRACKERS]:
        remedy = f"Valid: {', '.join(TRACKERS)}."
        yield problem(f"tracker '{unknown[0]}'", "there is no such tracker", "tracking.trackers", remedy)
    if uri != "off" and "mlflow" not in trackers:
        yield ok("tracking", f"by {', '.join(trackers) or 'nothing but journals'}", "tracking.trackers")
        return
    claim = f"tracking '{uri}' from this machine"
    if not uri:
        yield ok("tracking", "an SQLite file beside the run's folder", key)
    elif uri == "off":
        yield ok("tracking", "off", key)
    elif uri.startswith(("http://", "https://")):
        try:
            with urllib.request.urlopen(uri.rstrip("/") + "/health", timeout=5) as answer:  # noqa: S310
                yield ok(claim, f"answers {answer.status}", key)
            name = experiment_name(case.site.tracking.experiment)
            if why := mlflow_access.refusal(uri, name):
                found, _, remedy = str(why).partition("). ")
                yield problem(f"tracking to the experiment '{name}'", f"{found})", key, remedy)
            else:
                yield ok(f"tracking to the experiment '{name}'", "is permitted", "tracking.experiment")
        except (OSError, ValueError) as error:
            yield problem(claim, f"does not answer: {error}", key, _what_to_do(error))
    elif uri.startswith("sqlite:///"):
        folder = Path(uri.removeprefix("sqlite:///")).parent
        if folder.is_dir() and os.access(folder, os.W_OK):
            yield ok(claim, f"'{folder}' may be written", key)
        else:
            yield problem(claim, f"'{folder}' is no folder to write to", key, f"mkdir -p '{folder}'")
    else:
        yield unchecked(claim, "only http(s), sqlite and 'off' are known here", key)


def _what_to_do(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError) and error.code == 403:
        return "Start the server with --allowed-hosts and the name in the URI, port included."
    return "Start it, correct the URI, or set it to 'off'; `mammogan sync` tells it later what was noted."
