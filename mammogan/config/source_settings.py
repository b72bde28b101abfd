"""Where view, side, patient and exclusions come from: an image's header, its path, or tables beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from mammogan.config.label_fields import LABEL_FIELDS
from mammogan.config.settings import GrownSettings, Settings, nearest


def _origin(text: str) -> str:
    """Allow a DICOM keyword, ``text:<Keyword>``, ``path:<regex>``, ``table:<column>`` and ``is:<value>``."""
    kind, colon, rest = text.partition(":")
    if kind == "path" and colon:
        _pattern(rest)
    elif not re.fullmatch(r"(text:)?[A-Z][A-Za-z0-9]+|(table|is):.+", text):
        raise ValueError(
            "an origin is a DICOM keyword, text:<DICOM keyword>, path:<regular expression>, table:<column> "
            "or is:<value>"
        )
    return text


def _key(text: str) -> str:
    """Allow an origin, or a fact that was found without the table."""
    return text if text in ("view", "laterality") else _origin(text)


def _reason(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text):
        raise ValueError("a reason is small letters and digits with hyphens between, as in 'post-surgical'")
    return text


def _keyword(text: str) -> str:
    if not re.fullmatch(r"([A-Z][A-Za-z0-9]+\.)*[A-Z][A-Za-z0-9]+", text):
        raise ValueError("an attribute is named by its DICOM keyword, as in 'PatientSex'")
    return text


def _pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


Origin = Annotated[str, AfterValidator(_origin)]
Origins = tuple[Origin, ...]
Pattern = Annotated[str, AfterValidator(_pattern)]
Key = Annotated[str, AfterValidator(_key)]
Keyword = Annotated[str, AfterValidator(_keyword)]
Reason = Annotated[str, AfterValidator(_reason)]


OWN_KEYS = {"age_band": "age", "density": "density"}
"""Labels whose origins stand in keys of ``[source]`` that are older than ``[source.labels]``."""


class Refusal(Settings):
    """A row whose `column` holds one of `values` refuses its images for `reason`; ``*`` is any value.

    With `only_flag` it marks them instead.
    """

    reason: Reason = Field(description="The reason that the ledger gives.")
    column: str = Field(description="Column of the table that is looked at.")
    values: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="Values that refuse the image; * is any value."
    )
    only_flag: bool = Field(default=False, description="Mark the image instead of refusing it.")


class Table(Settings):
    """A CSV file with metadata: `match` says for each key column which origin must equal it.

    An origin may be a column of a table above, and the facts ``view`` and ``laterality`` as known so far; a
    row whose column for ``laterality`` holds one of `both_sides` serves both. `extract` keeps of a column
    what a regular expression finds. Several rows may match: any of them may refuse, and the
    first with a value gives it. With `required` an image without a row is refused: ``not-in-table``.
    """

    file: str = Field(description="CSV file below the source's folder.")
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = Field(
        default=",", description="Character between columns."
    )
    encoding: str = Field(default="utf-8-sig", description="Text encoding of the file.")
    match: Annotated[dict[str, Key], Field(min_length=1)] = Field(
        description="For each key column, the origin that must equal it."
    )
    extract: dict[str, Pattern] = Field(
        default={}, description="Regular expressions that cut a column to the part that counts."
    )
    both_sides: tuple[str, ...] = Field(
        default=(), description="Values of the laterality column that mean both breasts."
    )
    required: bool = Field(default=False, description="Refuse an image without a row.")
    refuse: tuple[Refusal, ...] = Field(default=(), description="Rules by which rows refuse images.")


class HeaderRefusal(Settings):
    """An image is refused for `reason` if a value of the attribute `keyword` is one of `values` or `matches`.

    `keyword` is one of PS3.6, behind those of the sequences that it stands in, as in
    ``ViewCodeSequence.CodeMeaning``. A value of `values` is a whole one, whatever its case; ``*`` is any,
    and an empty text an absent attribute. `matches` is a regular expression that is searched for in each
    value. With `only_flag` the image is marked instead.
    """

    reason: Reason = Field(description="The reason that the ledger gives.")
    keyword: Keyword = Field(
        description="DICOM keyword of the attribute; inside a sequence with its keyword and a dot before."
    )
    values: tuple[str, ...] = Field(
        default=(), description="Values that refuse the image; * is any value, an empty text is none."
    )
    matches: Pattern = Field(
        default="", description="Regular expression that refuses the image if a value contains it."
    )
    only_flag: bool = Field(default=False, description="Mark the image instead of refusing it.")

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if bool(self.values) == bool(self.matches):
            raise ValueError(f"refuse '{self.reason}' needs either values or matches")
        return self

    def holds(self, found: Sequence[str]) -> bool:
        """Whether an attribute with these values, none of them empty, refuses the image."""
        if self.matches:
            return any(re.search(self.matches, value) for value in found)
        wanted = {value.strip().upper() for value in self.values}
        if not found:
            return "" in wanted
        return "*" in wanted or any(value.upper() in wanted for value in found)


class Images(Settings):
    """What PNG, PGM, TIFF and JPEG files do not say about themselves, or not reliably.

    `bits` is how many bits of a 16-bit file carry grey; `inverted` files show dense tissue dark. Colour files
    are taken where their channels are ``equal``, turned to their ``luminance``, or all refused.
    """

    bits: Annotated[int | None, Field(ge=9, le=16)] = Field(
        default=None, description="Bits of a 16-bit file that carry grey."
    )
    inverted: bool = Field(default=False, description="Dense tissue is dark in these files.")
    colour: Literal["equal", "luminance", "refuse"] = Field(
        default="equal",
        description="Colour files: accept those with equal channels, convert to luminance, or refuse all.",
    )
    spacing_mm: Annotated[float, Field(ge=0)] = Field(
        default=0, description="Distance between pixels where no origin gives it; 0 is unknown."
    )
    spacing: Origins = Field(default=(), description="Origins of the distance between pixels.")


class Source(GrownSettings):
    """The origins of facts about an image, the most trusted first: the first that gives a value is used.

    `patient_pattern` is a regular expression; what its first group (or all of it) matches is the patient. An
    empty pattern takes the whole value. `view_names` and `side_names` translate what a source says in words
    of its own, as in ``{ML = "MLO"}``. The lists are files of SOP Instance UIDs, accession numbers or paths,
    one a line; they and the tables are named relative to the source's folder.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"labels", "read_zips", "accept_list", "refuse"})

    kind: Literal["dicom", "images"] = Field(default="dicom", description="Kind of the files.")
    read_zips: bool = Field(
        default=False, description="Read the files inside zip archives, as if these were folders."
    )
    view: Origins = Field(
        default=("ViewCodeSequence", "ViewPosition", "text:SeriesDescription"),
        description="Origins of the view, the most trusted first.",
    )
    laterality: Origins = Field(
        default=(
            "ImageLaterality",
            "Laterality",
            "FrameLaterality",
            "ViewPosition",
            "text:SeriesDescription",
        ),
        description="Origins of the side, the most trusted first.",
    )
    patient: Origins = Field(
        default=("PatientID",), description="Origins of the patient's identifier, the most trusted first."
    )
    age: Origins = Field(default=("PatientAge",), description="Origins of the age; only the decade is kept.")
    density: Origins = Field(default=(), description="Origins of the BI-RADS density.")
    labels: dict[str, Origins] = Field(
        default={}, description='Origins of further labels, by name, as in { vendor = ["table:make"] }.'
    )
    patient_pattern: Pattern = Field(
        default="",
        description="Regular expression whose first group, or whole match, is the patient; empty takes the "
        "whole value.",
    )
    view_names: dict[str, str] = Field(
        default={}, description='The source\'s own words for views, as in { ML = "MLO" }.'
    )
    side_names: dict[str, Literal["L", "R"]] = Field(
        default={}, description='The source\'s own words for sides, as in { links = "L" }.'
    )
    tables: tuple[Table, ...] = ()
    refuse: tuple[HeaderRefusal, ...] = ()
    include_list: str = Field(
        default="",
        description="File that lists the only images to take: UIDs, accession numbers or paths, one a line.",
    )
    exclude_list: str = Field(
        default="",
        description="File that lists images to leave out: UIDs, accession numbers or paths, one a line.",
    )
    accept_list: str = Field(
        default="",
        description="File that lists images to accept in spite of rules: as the other lists, then a colon "
        "and the rules.",
    )
    images: Images = Images()

    @property
    def origins(self) -> tuple[str, ...]:
        """Every place that a fact or the key of a table is read from."""
        labels = (self.label_origins(name) for name in LABEL_FIELDS)
        facts = (self.view, self.laterality, self.patient, *labels, self.images.spacing)
        keys = (tuple(table.match.values()) for table in self.tables)
        return tuple(dict.fromkeys(origin for group in (*facts, *keys) for origin in group))

    def label_origins(self, name: str) -> tuple[str, ...]:
        """Origins of the label `name` of `LABEL_FIELDS`: of the recipe, else those that it always has."""
        own: dict[str, tuple[str, ...]] = {label: getattr(self, key) for label, key in OWN_KEYS.items()}
        own |= self.labels
        return own.get(name, LABEL_FIELDS[name].origins)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of tables that facts and the keys of further tables are read from."""
        return tuple(o.removeprefix("table:") for o in self.origins if o.startswith("table:"))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if unknown := [name for name in self.labels if name not in LABEL_FIELDS]:
            raise ValueError(f"labels: there is no label '{unknown[0]}'.{nearest(unknown[0], LABEL_FIELDS)}")
        if twice := [name for name in OWN_KEYS if name in self.labels]:
            raise ValueError(f"labels.{twice[0]} has a key of its own: set source.{OWN_KEYS[twice[0]]}")
        for name in ("view", "laterality", "patient"):
            if not getattr(self, name):
                raise ValueError(f"'{name}' is empty: name at least one origin, or no image can be used")
        if self.columns and not self.tables:
            raise ValueError(f"'table:{self.columns[0]}' needs a table: add one under [[source.tables]]")
        if self.tables and (bad := [o for o in self.tables[0].match.values() if o.startswith("table:")]):
            raise ValueError(
                f"'{bad[0]}' can't lead to the first table: match a keyword, path:, view or laterality"
            )
        if self.kind == "images":
            for name in ("view", "laterality", "patient"):
                if bad := [o for o in getattr(self, name) if not o.startswith(("path:", "table:", "is:"))]:
                    raise ValueError(
                        f"'{bad[0]}' stands in '{name}', but image files have no header: use path:<regular "
                        "expression>, table:<column> or is:<value>"
                    )
        return self
