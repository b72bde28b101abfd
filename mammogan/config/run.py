"""A run: method, dataset and site merged at submit time into one frozen run.json; jobs read nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mammogan.config.dataset import Dataset
from mammogan.config.method import Method
from mammogan.config.settings import Settings, canonical_json, validate
from mammogan.config.site import Site
from mammogan.errors import ConfigError
from mammogan.files import write

SCHEMA_VERSION = 1
FILE_NAME = "run.json"


class Run(Settings):
    """What a run's folder holds in run.json.

    `run_id` is the hash of what is learned from what: method, recipes and the identity of the shard set. The
    site is not part of it, so that a run can go on elsewhere.
    """

    schema_version: int
    run_id: str
    mammogan: str
    shards: str
    data_identity: str
    method: Method
    recipes: tuple[Dataset, ...]
    site: Site

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read the run of `folder`.

        Raises
        ------
        ConfigError
            If there is no run, or it was written by another version of the schema.
        """
        path = folder / FILE_NAME
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise ConfigError(
                f"'{folder}' is not a run: it has no {FILE_NAME}. `mammogan launch --run` makes one."
            ) from None
        except (OSError, ValueError) as error:
            raise _damaged(path, str(error)) from None
        if not isinstance(tree, dict):
            raise _damaged(path, "it holds no table")
        if tree.get("schema_version") != SCHEMA_VERSION:
            raise ConfigError(
                f"'{path}' has schema_version '{tree.get('schema_version')}', and this MammoGAN reads "
                f"{SCHEMA_VERSION}: use the version that wrote it ('{tree.get('mammogan')}'), or start a new "
                "run."
            )
        return validate(cls, tree, str(path))


def merge(
    method: Method, recipes: tuple[Dataset, ...], site: Site, shards: Path, data_identity: str, version: str
) -> Run:
    """Put a run together; its id follows from method, recipes and data alone."""
    learned = {
        "method": method.model_dump(mode="json"),
        "recipes": [recipe.model_dump(mode="json") for recipe in recipes],
        "data": data_identity,
    }
    return Run(
        schema_version=SCHEMA_VERSION,
        run_id=hashlib.sha256(canonical_json(learned).encode()).hexdigest()[:12],
        mammogan=version,
        shards=str(shards.resolve()),
        data_identity=data_identity,
        method=method,
        recipes=recipes,
        site=site,
    )


def claim(folder: Path, run: Run) -> None:
    """Write run.json into `folder`, or find the same run there already; only its site may change.

    Raises
    ------
    ConfigError
        If the folder holds another run.
    """
    if (folder / FILE_NAME).exists():
        old = Run.load(folder)
        if old.run_id != run.run_id:
            raise ConfigError(
                f"'{folder}' holds run '{old.run_id}' ({old.method.method.name}), and this method and data "
                f"make run '{run.run_id}' ({run.method.method.name}): give another folder to --run, or "
                "launch with the settings of the first."
            )
        if old == run:
            return
    write(folder / FILE_NAME, run.model_dump_json(indent=1) + "\n")


def _damaged(path: Path, why: str) -> ConfigError:
    return ConfigError(f"'{path}' is damaged: {why}. Delete it and launch again with the same settings.")
