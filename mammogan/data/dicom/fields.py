"""Reading one fact of one image from where a recipe says it stands, in its order of trust."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pydicom import uid
from pydicom.datadict import keyword_dict
from pydicom.dataset import Dataset as Dicom
from pydicom.multival import MultiValue

from mammogan.config.label_fields import LABEL_FIELDS, VIEWS, LabelField
from mammogan.config.settings import nearest
from mammogan.config.source_settings import Source
from mammogan.data.dicom import vocabulary
from mammogan.data.dicom.vocabulary import Said
from mammogan.errors import ConfigError

Columns = Callable[[str], str]
"""The value of a column in the rows of tables that belong to the image."""
FRAME_LATERALITY = "FrameLaterality"  # (0020,9072), nested; the others stand at the top


class Origins:
    """The places that one image's facts are read from; `path` is relative to the source's folder."""

    def __init__(self, source: Source, dicom: Dicom, path: str, columns: Columns = lambda column: "") -> None:
        self._source, self._dicom, self._path, self._columns = source, dicom, path, columns

    def text(self, origin: str) -> str:
        """Give what stands at `origin`, as text; empty if nothing does."""
        kind, colon, rest = origin.partition(":")
        if not colon:
            return text(self._dicom, origin)
        if kind == "path":
            return searched(rest, self._path)
        if kind == "is":
            return rest
        return self._columns(rest) if kind == "table" else text(self._dicom, rest)

    def first(self, origins: Sequence[str]) -> str:
        """Give what the first of `origins` says that says anything."""
        return next(filter(None, map(self.text, origins)), "")

    def view(self) -> tuple[Said, bool]:
        """Give view and modifiers, and say if two origins disagree about a screening view."""
        stated = [found for found in map(self._view, self._source.view) if found.view]
        classes = {found.view if found.view in VIEWS else "other" for found in stated}
        modifiers = dict.fromkeys(modifier for found in stated for modifier in found.modifiers)
        return Said(stated[0].view if stated else "", "", tuple(modifiers)), len(classes) > 1

    def laterality(self) -> tuple[str, bool]:
        """Give the side, and say if two origins disagree about it."""
        sides = map(self._side, self._source.laterality)
        stated = [side for side in sides if side and side not in vocabulary.NO_SIDE]
        return stated[0] if stated else "", {"L", "R"} <= {*stated}

    def patient(self) -> str:
        """Give what is the same in all images of one patient."""
        pattern = self._source.patient_pattern
        found = self.first(self._source.patient)
        return searched(pattern, found) if pattern else found

    def labels(self) -> dict[str, str]:
        """Return every label of `LABEL_FIELDS`, each from its first origin that says something."""
        return {name: self._label(name, field) for name, field in LABEL_FIELDS.items()}

    def key(self, origin: str) -> str:
        """Give what a column of a table must equal: a fact, or the text at `origin`."""
        if origin == "view":
            return self.view()[0].view
        return self.laterality()[0] if origin == "laterality" else self.text(origin)

    def refused(self) -> Iterator[tuple[str, bool]]:
        """Give the reason of every ``[[source.refuse]]`` that holds, and whether it only marks the image."""
        for rule in self._source.refuse:
            *sequences, keyword = rule.keyword.split(".")
            found = [value for item in items(self._dicom, *sequences) for value in texts(item, keyword)]
            if rule.holds([value for value in found if value]):
                yield rule.reason, rule.only_flag

    def _label(self, name: str, field: LabelField) -> str:
        stated = (field.parse(self.text(origin)) for origin in self._source.label_origins(name))
        return next(filter(None, stated), field.missing)

    def _view(self, origin: str) -> Said:
        if origin == "ViewCodeSequence":
            return Said(view=next(_coded_views(self._dicom), ""))
        found = vocabulary.translated(self.text(origin), self._source.view_names)
        return vocabulary.free_text(found) if origin.startswith("text:") else vocabulary.position(found)

    def _side(self, origin: str) -> str:
        if origin == FRAME_LATERALITY:
            frames = items(self._dicom, "SharedFunctionalGroupsSequence", "FrameAnatomySequence")
            return next(filter(None, (vocabulary.side(text(frame, origin)) for frame in frames)), "")
        found = vocabulary.translated(self.text(origin), self._source.side_names)
        if origin.startswith("text:"):
            return vocabulary.free_text(found).side
        if origin == "ViewPosition":  # a view first of all: its silence about the side says nothing
            return vocabulary.position(found).side
        return vocabulary.side(found)


def check(source: Source) -> None:
    """Refuse origins that name no DICOM keyword.

    Raises
    ------
    ConfigError
        With the keyword and the nearest one there is.
    """
    for origin in source.origins:
        keyword = origin.removeprefix("text:")
        if ":" not in keyword and keyword not in (*keyword_dict, "view", "laterality"):
            close = nearest(keyword, keyword_dict).partition(" Valid:")[0]
            raise ConfigError(
                f"[source]: '{origin}' names no DICOM attribute.{close} Allowed are the keywords of PS3.6, "
                "as in 'ViewPosition', and text:, path:, table: and is:."
            )
    for rule in source.refuse:
        for keyword in rule.keyword.split("."):
            if keyword not in keyword_dict:
                close = nearest(keyword, keyword_dict).partition(" Valid:")[0]
                raise ConfigError(
                    f"[[source.refuse]] '{rule.reason}': '{keyword}' names no DICOM attribute.{close} "
                    "Allowed are keywords of PS3.6, as in 'PatientSex', with a dot after that of a sequence."
                )


def check_classes(names: Iterable[str]) -> None:
    """Refuse SOP classes that DICOM does not know by that keyword; none at all is an empty text.

    Raises
    ------
    ConfigError
        With the name and the nearest one there is.
    """
    known = {
        name for name, value in vars(uid).items() if isinstance(value, uid.UID) and value.type == "SOP Class"
    }
    for name in names:
        if name and name not in known:
            close = nearest(name, known).partition(" Valid:")[0]
            raise ConfigError(
                f"[screening]: '{name}' in 'sop_classes' is no SOP class.{close} Allowed are the keywords of "
                "PS3.6, as in 'DigitalMammographyXRayImageStorageForPresentation', and '' for none."
            )


def texts(dicom: Dicom, keyword: str) -> list[str]:
    """List the values of an attribute, stripped; absent ones are an empty list."""
    value: Any = dicom.get(keyword)
    if value is None:
        return []
    values = value if isinstance(value, (MultiValue, list, tuple)) else [value]
    return [str(part).strip() for part in values]


def text(dicom: Dicom, keyword: str) -> str:
    """Give the values of an attribute as one text."""
    return " ".join(texts(dicom, keyword)).strip()


def number(dicom: Dicom, keyword: str) -> float:
    """Give the first value of an attribute; 0 if it is absent or no number."""
    try:
        found = float(texts(dicom, keyword)[0])
    except (IndexError, ValueError):
        return 0.0
    return found if math.isfinite(found) else 0.0


def numbers(dicom: Dicom, keyword: str) -> tuple[float, ...]:
    """Give the values of an attribute; none if it is absent, or one of them is no number."""
    try:
        found = tuple(map(float, texts(dicom, keyword)))
    except ValueError:
        return ()
    return found if all(map(math.isfinite, found)) else ()


def unreadable(dicom: Dicom, keyword: str) -> bool:
    """Tell a value that is no number, as ``1,85``, from an absent one."""
    return bool(text(dicom, keyword)) and not numbers(dicom, keyword)


def yes(dicom: Dicom, keyword: str) -> bool:
    """Whether an attribute that says YES or NO says yes, however it is spelt."""
    return text(dicom, keyword).upper() in ("YES", "Y", "TRUE")


def coded(dicom: Dicom, *keywords: str) -> Iterator[tuple[str, str]]:
    """Give code and meaning of the items of a code sequence that say anything."""
    for item in items(dicom, *keywords):
        value, meaning = text(item, "CodeValue"), text(item, "CodeMeaning")
        if (value or meaning) and not {
            vocabulary.normalised(x) for x in (value, meaning)
        } & vocabulary.NOTHING:
            yield value, meaning


def items(dicom: Dicom, *keywords: str) -> Iterator[Dicom]:
    """Walk down nested sequences."""
    if not keywords:
        yield dicom
        return
    for item in dicom.get(keywords[0]) or ():
        yield from items(item, *keywords[1:])


def searched(pattern: str, value: str) -> str:
    """Give the first group, or all, of what `pattern` finds in `value`; empty if it finds nothing."""
    match = re.search(pattern, value)
    return (match[1] if match.re.groups else match[0]) or "" if match else ""


def _coded_views(dicom: Dicom) -> Iterator[str]:
    """Name the views by code; what the code's meaning says in words counts for nothing."""
    for item in items(dicom, "ViewCodeSequence"):
        if text(item, "CodingSchemeDesignator") in vocabulary.SCHEMES:
            yield vocabulary.VIEW_CODES.get(text(item, "CodeValue"), "other")
