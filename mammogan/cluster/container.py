"""What stands before a job's Python: nothing, or the program that starts it inside the site's image."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from mammogan.config.site import Container, Site
from mammogan.errors import ClusterError
from mammogan.files import sha256
from mammogan.provenance import IMAGE

# The user's own packages, PYTHONPATH and working directory stay out of the image.
OWN_PACKAGES_ALONE = ("PYTHONNOUSERSITE=1", "PYTHONSAFEPATH=1", "PYTHONPATH=")


def python(site: Site, folder: Path, shards: str, writable: bool) -> str:
    """Return the words, for a shell, that start the image's Python for a run in `folder`.

    The run's folder has the same path inside and out, since submitit stores absolute paths. Of the shard set
    `shards` the image sees what is there, or if `writable` its parent, to make the set and the private folder
    beside it. Pyxis' words are options of the srun before them.

    Raises
    ------
    ClusterError
        If a path can't be bound, since it holds a comma or a colon.
    """
    container = site.container
    mounts = [_quoted(str(folder), container)]
    if writable:
        mounts.append(_quoted(str(Path(shards).parent), container))
    else:
        inside = _quoted(shards, container)
        mounts.append(f"{inside}:{inside}:ro")
    theirs = [*container.binds, *filter(None, [site.storage.scratch])]  # with variables for the shell
    mounts += [bind.replace('"', r"\"") for bind in theirs]
    before = STARTERS[container.kind](container, shlex.quote(str(folder)), mounts)
    return " ".join([*before, container.python])


def is_file(image: str) -> bool:
    """Tell whether an image is a file of a disk, rather than one of a registry: docker://x, nvcr.io#x."""
    return bool(image) and "://" not in image and "#" not in image


def variables(site: Site) -> dict[str, str]:
    """Return the variables that tell a job its image, as ``sha256sum`` names it; none without such a file."""
    path = Path(site.container.image)
    if not is_file(site.container.image) or not path.is_file():
        return {}
    state = path.stat()
    return {IMAGE: _sha256(path, state.st_size, state.st_mtime_ns)}


def _apptainer(container: Container, folder: str, mounts: Sequence[str]) -> list[str]:
    flags = [*(["--nv"] if container.nv and "--nv" not in container.flags else []), *container.flags]
    return [
        *(shlex.quote(container.command), "-s", "exec", *map(_flag, flags), "--no-home", "--pwd", folder),
        *("--env", ",".join(OWN_PACKAGES_ALONE), "--bind", f'"{",".join(mounts)}"'),
        shlex.quote(container.image),
    ]


def _pyxis(container: Container, folder: str, mounts: Sequence[str]) -> list[str]:
    both = ",".join(_both_sides(mount) for mount in mounts)
    return [
        f"--container-image={shlex.quote(container.image)}",
        *(f'--container-mounts="{both}"', f"--container-workdir={folder}", "--no-container-mount-home"),
        *map(_flag, container.flags),
        *("env", *OWN_PACKAGES_ALONE),
    ]


def _enroot(container: Container, folder: str, mounts: Sequence[str]) -> list[str]:
    return [
        *(shlex.quote(container.command), "start", *map(_flag, container.flags)),
        *(word for mount in mounts for word in ("--mount", f'"{_both_sides(mount)}"')),
        *(shlex.quote(container.image), "env", *(f"--chdir={folder}", *OWN_PACKAGES_ALONE)),
    ]


STARTERS: dict[str, Callable[[Container, str, Sequence[str]], list[str]]] = {
    "apptainer": _apptainer,
    "singularity": _apptainer,
    "pyxis": _pyxis,
    "enroot": _enroot,
}
"""By the kind of `container.command`: the words before the image's Python."""


def _both_sides(mount: str) -> str:
    """Write a bind with its target, which Pyxis and enroot ask for, and Apptainer doesn't."""
    return mount if re.search(r"(?<!\\):", mount) else f"{mount}:{mount}"


def _flag(word: str) -> str:
    """Quote a word, but for variables that the node's shell knows."""
    return word if re.fullmatch(r"[\w@%+=:,./${}-]+", word) else shlex.quote(word)


def _quoted(path: str, container: Container) -> str:
    """Write `path` as a part of a bind inside double quotes, in which nothing of it means anything."""
    if set(path) & set(",:"):
        raise ClusterError(
            f"'{path}' can't be bound into the image of container.image: {container.kind.capitalize()} ends "
            "a path at a comma or colon. Give a folder without them."
        )
    return f'"{shlex.quote(path)}"' if set(path) & set('"$`\\') else path


@functools.lru_cache
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    """Hash a file once a launch: it has gigabytes, and each of the run's batch scripts names it."""
    return sha256(path)
