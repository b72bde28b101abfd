"""The image that jobs run in, told to them by the SHA-256 of its file."""

from __future__ import annotations

import functools
from pathlib import Path

from mammogan.config.site import Site
from mammogan.files import sha256
from mammogan.provenance import IMAGE


def variables(site: Site) -> dict[str, str]:
    """Variables that tell a job its image, as ``sha256sum`` names it; none where there is no such file."""
    path = Path(site.container.image)
    if not site.container.image or not path.is_file():
        return {}
    state = path.stat()
    return {IMAGE: _sha256(path, state.st_size, state.st_mtime_ns)}


@functools.lru_cache
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    """Hash a file once a launch: it has gigabytes, and each of the run's batch scripts names it."""
    return sha256(path)
