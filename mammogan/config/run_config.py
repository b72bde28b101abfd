"""A run: method, dataset and site merged at submit time into one frozen run.json; jobs read nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mammogan.config.dataset import Dataset
from mammogan.config.method import Method
from mammogan.config.settings import Positive, Settings, canonical_json, validate
from mammogan.config.site import Site
from mammogan.errors import ConfigError
from mammogan.files import write
from mammogan.run_folder import RunFolder

SCHEMA_VERSION = 1


class Launched(Settings):
    """What every launch writes into its folder's run.json: the shards that it is about, and the site.

    `shard_tasks` is the number of array tasks that build the shards; it never changes what is built.
    """

    schema_version: int
    run_id: str
    mammogan: str
    shards: str
    shard_tasks: Positive = 1
    site: Site


class ShardBuild(Launched):
    """A launch that makes shards and nothing else; it lives in the set's private folder."""


class Run(Launched):
    """A training run.

    `run_id` is the hash of what is learned from what: method, recipes and the identity of the shard set. The
    site is not part of it, so that a run can go on elsewhere.
    """

    data_identity: str
    method: Method
    recipes: tuple[Dataset, ...]

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read the run of `folder`.

        Raises
        ------
        ConfigError
            If there is no run, or it was written by another version of the schema.
        """
        found = load(folder)
        if not isinstance(found, Run):
            raise ConfigError(f"'{folder}' is no training run: its jobs build the shards '{found.shards}'.")
        return found


def load(folder: Path) -> Launched:
    """Read what was launched in `folder`, a training run or a build of shards.

    Raises
    ------
    ConfigError
        If nothing was, or it was written by another version of the schema.
    """
    path = RunFolder(folder).settings
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        jobs = folder.with_name(f"{folder.name}.private") / "jobs"
        hint = f" The jobs that build these shards are in '{jobs}'." if jobs.exists() else ""
        raise ConfigError(
            f"'{folder}' is not a run: it has no {path.name}. `mammogan launch {folder}` makes one.{hint}"
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
    return validate(Run if "method" in tree else ShardBuild, tree, str(path))


def shard_build(shards: Path, tasks: int, site: Site, version: str) -> ShardBuild:
    """Put the launch of a build of shards together."""
    path = str(shards.resolve())
    return ShardBuild(
        schema_version=SCHEMA_VERSION,
        run_id=hashlib.sha256(path.encode()).hexdigest()[:12],
        mammogan=version,
        shards=path,
        shard_tasks=tasks,
        site=site,
    )


def merge(
    method: Method,
    recipes: tuple[Dataset, ...],
    site: Site,
    shards: Path,
    data_identity: str,
    version: str,
    shard_tasks: int = 1,
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
        shard_tasks=shard_tasks,
        data_identity=data_identity,
        method=method,
        recipes=recipes,
        site=site,
    )


def claim(folder: Path, launched: Launched) -> None:
    """Write run.json into `folder`, or find the same launch there already; only its site may change.

    Raises
    ------
    ConfigError
        If the folder holds another run.
    """
    claiming = claimed(folder, launched)
    path = RunFolder(folder).settings
    if not path.exists() or load(folder) != claiming:
        write(path, claiming.model_dump_json(indent=1) + "\n")


def claimed(folder: Path, launched: Launched) -> Launched:
    """Give what `claim` would write into `folder`.

    A run that an earlier version launched keeps its id: the hash of the same settings is another one as soon
    as a version knows one key more.

    Raises
    ------
    ConfigError
        If the folder holds another run.
    """
    if RunFolder(folder).settings.exists():
        old = load(folder)
        if _same(old, launched):
            launched = launched.model_copy(update={"run_id": old.run_id})
        if old.run_id != launched.run_id:
            raise ConfigError(
                f"'{folder}' holds {_what(old)}, and this launch is of {_what(launched)}: give another "
                "folder, or go on with the first by giving its folder alone."
            )
    return launched


def _same(old: Launched, new: Launched) -> bool:
    """Whether two launches are of the same: what is learned from what, or which shards are built."""
    if isinstance(old, Run) and isinstance(new, Run):
        learned = ("method", "recipes", "data_identity")
        return all(getattr(old, name) == getattr(new, name) for name in learned)
    return old.run_id == new.run_id


def _what(launched: Launched) -> str:
    about = launched.method.method.name if isinstance(launched, Run) else "a build of shards"
    return f"run '{launched.run_id}' ({about})"


def _damaged(path: Path, why: str) -> ConfigError:
    return ConfigError(f"'{path}' is damaged: {why}. Delete it and launch again with the same settings.")
