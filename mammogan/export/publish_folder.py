"""An exported folder on the Hugging Face Hub, if the terms of the images let it go there."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mammogan.errors import ConfigError, DataError
from mammogan.export.model_card import CARD
from mammogan.export.model_formats import CONFIG, PERMISSION
from mammogan.export.release_terms import check_release
from mammogan.steps.licence_notice import TERMS

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def publish(folder: Path, repository: str, public: bool = False) -> str:
    """Push `folder` to `repository`, ``organisation/name``; returns its address.

    Raises
    ------
    ConfigError
        If terms forbid it, the name is none, or package or token are missing.
    DataError
        If the folder was not exported, or the hub can't be reached or refuses; the folder stays as it is.
    """
    for name in (TERMS, CARD, CONFIG):
        if not (folder / name).is_file():
            raise DataError(
                f"'{folder}' is no exported model: there is no '{name}' in it. `mammogan export MODEL "
                f"{folder}` writes one."
            )
    if not REPOSITORY.fullmatch(repository):
        raise ConfigError(f"'{repository}' is no name on the hub: it is of the form ORGANISATION/NAME.")
    permission = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get(PERMISSION, "")
    check_release((folder / TERMS).read_text(encoding="utf-8"), permission, str(folder))
    stays = (
        f"The folder '{folder}' stays as it is: `hf upload {repository} {folder}` pushes it from anywhere."
    )
    try:
        from huggingface_hub import HfApi, get_token
    except ModuleNotFoundError:
        raise ConfigError(
            f"To publish needs the package 'huggingface_hub': pip install 'mammogan[export]'. {stays}"
        ) from None
    if get_token() is None:
        raise ConfigError(
            "You are not logged in to the hub: `hf auth login`, or set HF_TOKEN to a token that may write. "
            f"{stays}"
        )
    try:
        hub = HfApi()
        hub.create_repo(repository, private=not public, exist_ok=True)
        found = hub.upload_folder(repo_id=repository, folder_path=folder, commit_message="Export of MammoGAN")
    except Exception as error:  # noqa: BLE001 - the hub's library has some dozen kinds
        raise DataError(f"'{repository}' could not be pushed: {error}. {stays}") from None
    return str(found)
