"""Frozen settings read from TOML; what is wrong is answered with file, key and the nearest valid one."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from mammogan.errors import ConfigError

Tree = dict[str, Any]
Model = TypeVar("Model", bound="Settings")
Entry = TypeVar("Entry")

Positive = Annotated[int, Field(gt=0)]
Natural = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]

PLAINER = {
    "tuple_type": 'should be a list in brackets, as in [8, 16] or ["MG"]',
    "model_type": "should be a table of keys",
}
"""What pydantic says of its own types, in the words of TOML."""


class Settings(BaseModel):
    """A table of settings: immutable, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GrownSettings(Settings):
    """Settings with keys that earlier versions did not know: `ADDED`, which are not written at their default.

    So what is computed from settings, as the identity of a shard set, stays what it was.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset()

    def customary(self, name: str) -> object:
        """Return what a setting of `ADDED` is where nobody sets it."""
        return type(self).model_fields[name].default

    @model_serializer(mode="wrap")
    def _omit_added(self, handler: SerializerFunctionWrapHandler) -> Tree:
        tree: Tree = handler(self)
        kept = {name for name in self.ADDED if getattr(self, name) != self.customary(name)}
        return {name: value for name, value in tree.items() if name not in self.ADDED or name in kept}


def entry(values: Sequence[Entry], stage: int) -> Entry:
    """Return a list's entry for `stage`, from 0; the last one serves all later stages."""
    return values[min(stage, len(values) - 1)]


def read_toml(path: Path) -> Tree:
    """Parse a TOML file.

    Raises
    ------
    ConfigError
        If the file is missing or is not TOML; the message names the file and the line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no settings file '{path}'.") from None
    except OSError as error:
        raise ConfigError(f"The settings file '{path}' can't be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is not valid TOML: {error}.") from None


def validate(model: type[Model], tree: Mapping[str, Any], where: str) -> Model:
    """Turn a tree of plain values into `model`; `where` names the file in messages.

    Raises
    ------
    ConfigError
        With file, key, the value found and what is allowed: every mistake of the tree at once.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        lines = [_explain(model, problem) for problem in error.errors()]
        raise ConfigError(f"{where}: " + "\n".join(lines)) from None


def packaged(folder: str, pattern: str) -> list[Path]:
    """List the files that come with the package in its `folder`, by a glob, in order of their names."""
    return sorted(Path(str(resources.files("mammogan") / folder)).glob(pattern))


def first_problem(error: ValidationError) -> str:
    """Return the first thing that is wrong with a record that this package wrote: its key, and why."""
    first = error.errors()[0]
    return f"'{'.'.join(map(str, first['loc'])) or 'the whole file'}': {first['msg']}"


def load(model: type[Model], path: Path, overrides: Iterable[str] = ()) -> Model:
    """Read `path` as `model`, after `overrides` of the form ``table.key=value``."""
    tree, where = read_toml(path), str(path)
    for text in overrides:
        override(tree, text)
        where += f" --set {text}"
    return validate(model, tree, where)


def load_named(
    model: type[Model], kind: str, name: str, known: Mapping[str, Path], overrides: Iterable[str] = ()
) -> Model:
    """Load the `kind` of settings called `name` among the `known` ones, or from the user's own TOML file.

    Raises
    ------
    ConfigError
        If there is none of that name, or it holds a wrong key or value.
    """
    if name in known:
        return load(model, known[name], overrides)
    if Path(name).suffix == ".toml":
        return load(model, Path(name), overrides)
    hint = nearest(name, known) if known else f" This installation comes without a {kind}."
    raise ConfigError(f"There is no {kind} '{name}'.{hint} Or give the path of a TOML file.")


def override(tree: Tree, text: str) -> None:
    """Set one ``table.key=value`` in `tree`, in place.

    Raises
    ------
    ConfigError
        If the text is not of that form, or what it calls a table is a value.
    """
    keys, value = parse_override(text)
    for depth, key in enumerate(keys[:-1], 1):
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise ConfigError(
                f"--set '{text}': '{'.'.join(keys[:depth])}' is a value, not a table of values."
            )
    tree[keys[-1]] = value


def parse_override(text: str) -> tuple[list[str], Any]:
    """Split ``table.key=value``; the value is read as TOML, and as text where it is not TOML."""
    key, equals, raw = text.partition("=")
    keys = key.strip().split(".")
    if not equals or len(keys) < 2 or not all(keys):
        raise ConfigError(f"--set '{text}' is not of the form table.key=value, as in scoring.images=4096.")
    try:
        return keys, tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return keys, raw.strip()


def nearest(word: str, words: Iterable[str]) -> str:
    """Say which of `words` was probably meant, and list them all."""
    words = sorted(words)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"{hint} Valid: {', '.join(words)}."


def split_settings(texts: Iterable[str], *owners: type[Settings]) -> dict[type[Settings], list[str]]:
    """Give each of several models those ``table.key=value`` overrides whose table is its own.

    Raises
    ------
    ConfigError
        If a table is nobody's.
    """
    sets: dict[type[Settings], list[str]] = {owner: [] for owner in owners}
    tables = {table: owner for owner in owners for table in owner.model_fields}
    for text in texts:
        table = parse_override(text)[0][0]
        if table not in tables:
            raise ConfigError(f"--set '{text}': there is no table '{table}'.{nearest(table, tables)}")
        sets[tables[table]].append(text)
    return sets


def canonical_json(value: Any) -> str:
    """Render `value` as JSON with one spelling only, so that it can be hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _explain(model: type[BaseModel], problem: Mapping[str, Any]) -> str:
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}'.{nearest(location[-1], _fields_at(model, location[:-1]))}"
    if problem["type"] == "missing":
        return f"key '{key}' is missing."
    message = PLAINER.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    message = message[:1].lower() + message[1:] + "."
    if isinstance(problem["input"], Mapping):  # a rule that binds several keys of a table
        return f"{key}: {message}" if key else message
    return f"key '{key}' is '{problem['input']}': {message}"


def _fields_at(model: type[BaseModel], location: list[str]) -> list[str]:
    """List the keys of the table at `location`, through mappings of tables where there are any."""
    annotation: Any = model
    for part in location:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = annotation.model_fields[part].annotation
        else:  # dict[str, Table], list[Table] or tuple[Table, ...]
            inner = [part for part in getattr(annotation, "__args__", ()) if part is not Ellipsis]
            annotation = inner[-1] if inner else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [field.alias or name for name, field in annotation.model_fields.items()]
    arguments = [a for a in getattr(annotation, "__args__", ()) if isinstance(a, type)]
    tables = [a for a in arguments if issubclass(a, BaseModel)]
    return list(tables[-1].model_fields) if tables else []
