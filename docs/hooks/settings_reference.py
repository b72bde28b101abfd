"""The settings reference, from the pydantic models: every key with type, default, unit and meaning."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mammogan.config.dataset import Dataset
from mammogan.config.method import Method
from mammogan.config.settings import Settings
from mammogan.config.site import Site

OWNERS: dict[str, tuple[type[Settings], str]] = {
    "Method": (
        Method,
        "What is learned. A TOML file given to `--method`; with the recipes it identifies a run.",
    ),
    "Recipe": (
        Dataset,
        "How the images of one source are read, screened and packed. See [Recipes](../recipes.md).",
    ),
    "Site": (Site, "Where and how jobs run; never what is learned. See [Sites](../slurm.md)."),
}
UNITS = {
    "px": "pixels",
    "mm": "millimetres",
    "kimg": "thousand images",
    "gb": "GB",
    "min": "minutes",
    "s": "seconds",
    "deg": "degrees",
}
PLAIN = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
MANY = {
    "whole number": "whole numbers",
    "number": "numbers",
    "text": "texts",
    "true or false": "true or false",
}
NO_DEFAULT = "none: must be given"
HEAD = """# Settings

Every key that a TOML file may hold, generated from the code. A key belongs to one owner: the method, the
recipe or the site. Write it into the file, or change it for one launch with `--set table.key=value`. Sizes
are height first, then width. An unknown key or a wrong value is refused, with the file, the key and the
nearest valid one.
"""


@dataclass(frozen=True)
class Key:
    """One key: its dotted table, its name, and what the model's schema says of it."""

    table: str
    name: str
    kind: str
    default: str
    unit: str
    meaning: str


def keys(owner: type[Settings]) -> Iterator[Key]:
    """List the keys of `owner` in the order of the model, those of nested tables included."""
    schema = owner.model_json_schema()
    yield from _table(schema, schema.get("$defs", {}), "")


def tables(owner: type[Settings]) -> dict[str, str]:
    """Map each table of `owner`, by its dotted name, to what its model says it is for."""
    schema = owner.model_json_schema()
    found: dict[str, str] = {}
    _described(schema, schema.get("$defs", {}), "", found)
    return found


def render() -> str:
    """Write the page of all settings, as Markdown."""
    lines = [HEAD]
    for title, (owner, intention) in OWNERS.items():
        lines += [f"## {title}", "", intention, ""]
        by_table: dict[str, list[Key]] = {}
        for key in keys(owner):
            by_table.setdefault(key.table, []).append(key)
        purposes = tables(owner)
        alike: dict[tuple[str, ...], list[str]] = {}
        for table, members in by_table.items():
            alike.setdefault((purposes[table], *map(_row, members)), []).append(table)
        for (purpose, *rows), names in alike.items():
            lines += ["### " + ", ".join(f"`[{name}]`" for name in names), "", first_paragraph(purpose), ""]
            lines += ["| key | type | default | unit | meaning |", "|---|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def first_paragraph(docstring: str) -> str:
    """Return the first paragraph of a docstring on one line, with Markdown's code marks."""
    return _markdown(" ".join(docstring.partition("\n\n")[0].split()))


def _row(key: Key) -> str:
    cells = (f"`{key.name}`", key.kind, key.default, key.unit, _markdown(key.meaning))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _markdown(text: str) -> str:
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def _table(schema: Mapping[str, Any], definitions: Mapping[str, Any], table: str) -> Iterator[Key]:
    required = schema.get("required", ())
    for name, part in schema["properties"].items():
        inner, many = _inner(part, definitions)
        if inner:
            yield from _table(inner, definitions, _below(table, name, many))
            continue
        default = NO_DEFAULT if name in required else _toml(part.get("default"))
        yield Key(table, name, _kind(part, definitions), default, _unit(name), part.get("description", ""))


def _described(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], table: str, found: dict[str, str]
) -> None:
    found[table] = schema.get("description", "")
    for name, part in schema["properties"].items():
        inner, many = _inner(part, definitions)
        if inner:
            _described(inner, definitions, _below(table, name, many), found)


def _below(table: str, name: str, many: bool) -> str:
    path = f"{table.strip('[]')}.{name}" if table else name
    return f"[{path}]" if many else path


def _inner(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, bool]:
    """Return the schema of the table that `part` holds, if it holds one or a list of them."""
    many = part.get("type") == "array" and "$ref" in part.get("items", {})
    reference = part["items"]["$ref"] if many else part.get("$ref", "")
    found = definitions.get(str(reference).rpartition("/")[2])
    return (found, many) if found and "properties" in found else (None, False)


def _kind(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Say the type of a value in plain words."""
    if "$ref" in part:
        return _kind(definitions[part["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in part:
        kinds = [_kind(one, definitions) for one in part["anyOf"] if one.get("type") != "null"]
        optional = any(one.get("type") == "null" for one in part["anyOf"])
        return " or ".join(dict.fromkeys(kinds)) + (", may be left out" if optional else "")
    if "enum" in part or "const" in part:
        return "one of " + ", ".join(f"`{_plain(value)}`" for value in part.get("enum", [part.get("const")]))
    if part.get("type") == "array":
        return _list(part, definitions)
    if part.get("type") == "object":
        return f"table of names, each with a {_kind(part['additionalProperties'], definitions)}"
    return PLAIN[part["type"]] + _bounds(part)


def _list(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "prefixItems" in part:
        kinds = [_kind(one, definitions) for one in part["prefixItems"]]
        word, _, bounds = kinds[0].partition(",")
        return f"{len(kinds)} {MANY.get(word, word)}" + (f", each{bounds}" if bounds else "")
    inner = _kind(part["items"], definitions)
    word, _, bounds = inner.partition(",")
    if inner.startswith("one of "):
        return "list of " + inner.removeprefix("one of ")
    return f"list of {MANY.get(word, word)}" + (f", each{bounds}" if bounds else "")


def _bounds(part: Mapping[str, Any]) -> str:
    low, above = part.get("minimum"), part.get("exclusiveMinimum")
    high, below = part.get("maximum"), part.get("exclusiveMaximum")
    said = []
    if low is not None and high is not None:
        said.append(f"from {low:g} to {high:g}")
    else:
        said += [f"at least {low:g}"] if low is not None else []
        said += [f"at most {high:g}"] if high is not None else []
    said += [f"above {above:g}"] if above is not None else []
    said += [f"below {below:g}"] if below is not None else []
    said += [f"a multiple of {part['multipleOf']}"] if "multipleOf" in part else []
    return ", " + ", ".join(said) if said else ""


def _unit(name: str) -> str:
    return UNITS.get(name.rpartition("_")[2], "") if "_" in name else ""


def _toml(value: Any) -> str:
    if value is None:
        return "left out"
    return f"`{_plain(value, quote=True)}`"


def _plain(value: Any, *, quote: bool = False) -> str:
    if isinstance(value, str) and not quote:
        return value
    return json.dumps(value, ensure_ascii=False)
