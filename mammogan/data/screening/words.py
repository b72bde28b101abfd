"""What descriptions say in words: the table ``words.toml``, and the search for its phrases in texts."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import groupby
from typing import Any

from mammogan.data.dicom.vocabulary import normalised, spelt_out

KINDS = {
    "StudyDescription": "study",
    "RequestedProcedureDescription": "study",
    "PerformedProcedureStepDescription": "step",
    "ProtocolName": "step",
    "AcquisitionProtocolName": "step",
    "AcquisitionProtocolDescription": "step",
    "SeriesDescription": "series",
    "AcquisitionDeviceProcessingDescription": "processing",
    "AcquisitionDeviceProcessingCode": "processing",
    "ViewPosition": "view",
    "PaddleDescription": "paddle",
    "DerivationDescription": "derivation",
}
"""The attributes whose words are read, each of a kind; ``words.toml`` says what is asked of which kind."""
USUAL = ("study", "step", "series", "processing", "view", "paddle")
ABBREVIATED = ("step", "series", "view", "processing")
"""Kinds of text that concern one view, in which MLOID, CC-S and RL are no chance."""
OVERLOOKED, OWN = "overlooked", "own"
"""Meanings of phrases that say nothing, and of those that are not of the table but a recipe's."""
MOST_WORDS = 1 << 16
"""Of an archive that are remembered."""
Texts = tuple[tuple[str, str], ...]
"""Attributes by keyword, and what they say."""


@dataclass(frozen=True)
class Word:
    """A phrase of the table, what it means, and the attribute (PS3.6 keyword) that it was found in."""

    attribute: str
    meaning: str
    text: str

    def __str__(self) -> str:
        """Say where what was found, for people."""
        return f"'{self.text}' in {self.attribute}"


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    file = resources.files("mammogan") / "data" / "screening" / "words.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def meanings() -> frozenset[str]:
    """Name every meaning that the table has phrases for."""
    return frozenset(group["meaning"] for group in _table()["words"]) - {OVERLOOKED}


def attributes(*wanted: str) -> tuple[str, ...]:
    """List the attributes that are asked for any of these meanings."""
    asked = {
        kind
        for group in _table()["words"]
        if group["meaning"] in wanted
        for kind in group.get("asked", USUAL)
    }
    return tuple(keyword for keyword, kind in KINDS.items() if kind in asked)


@lru_cache(maxsize=64)
def words(texts: Texts, overlooked: tuple[str, ...] = ()) -> tuple[Word, ...]:
    """Find the phrases of the table in the attributes that are asked for them, but for those `overlooked`."""
    return tuple(
        Word(keyword, meaning, found)
        for keyword, text in texts
        for meaning, found in _found(KINDS[keyword], text, overlooked)
    )


def own_words(texts: Texts, wanted: Iterable[str], overlooked: tuple[str, ...] = ()) -> Iterator[Word]:
    """Find a recipe's own words, anywhere in the texts; what is to be overlooked is taken out first."""
    parts = [normalised(word) or word.lower() for word in wanted]
    for keyword, text in texts if parts else ():
        left = _without_overlooked(KINDS[keyword], text, overlooked)
        yield from (Word(keyword, OWN, part) for part in parts if part in left)


def nobodys_name(name: str) -> Iterator[Word]:
    """Find in a Patient's Name (0010,0010) what no person is called by.

    Words that are surnames, too, count where nothing beside them is a name.
    """
    plain, table = normalised(name), _table()["names"]
    beside = {*table["beside"]}
    technical = all(word in beside or word.isdigit() or len(word) == 1 for word in plain.split())
    for group in ("alone", "surnames") if technical else ("alone",):
        for meaning, phrases in table[group].items():
            pattern = "|".join(map(_phrase, phrases))
            if found := re.search(f"(?<= )(?:{pattern})(?= )", f" {plain} "):
                yield Word("PatientName", meaning, found[0])


@lru_cache(maxsize=1 << 14)
def _found(kind: str, text: str, overlooked: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    search, prepared, found, end = _search(kind, overlooked), _prepared(kind, text), [], 0
    for word in re.finditer("[^ ]+", prepared):
        if word.start() >= end and search.may_begin(word[0]):
            meaning, phrase, end = search.at(prepared, word.start())
            if meaning != OVERLOOKED:
                found.append((meaning, phrase))
    return tuple(found)


@lru_cache(maxsize=1 << 14)
def _without_overlooked(kind: str, text: str, overlooked: tuple[str, ...]) -> str:
    """Give the words of a text, without the phrases that are to be overlooked."""
    plain = f" {normalised(text)} "
    return _overlooked(kind, overlooked).sub(" ", plain)


def _prepared(kind: str, text: str) -> str:
    return f" {spelt_out(text) if kind in ABBREVIATED else normalised(text)} "


def _phrase(phrase: str) -> str:
    """Make a phrase a pattern; the head of ``words.toml`` explains its signs."""
    filler = "|".join((*_table()["fillers"]["words"], r"\d+"))
    parts = (" ?".join(map(_pattern, part.split())) for part in phrase.split(" ... "))
    return f" (?:(?:{filler}) ){{0,4}}?".join(parts)


def _pattern(word: str) -> str:
    either = re.escape(word).replace(r"\*", "[^ ]*").replace(r"\|", "|")
    return f"(?:{either})" if "|" in word else either


def _beginning(phrase: str) -> str:
    """Make a pattern for a word in which a phrase begins; more of the phrase may be glued to it."""
    first, *rest = map(_pattern, phrase.partition(" ... ")[0].split())
    return first + "".join(f"(?:{word}" for word in rest) + ")?" * len(rest)


def _longest_first(phrases: Iterable[str]) -> list[str]:
    return sorted(phrases, key=lambda phrase: (-len(phrase.split()), -len(phrase), phrase))


def _phrases(kind: str, overlooked: tuple[str, ...]) -> dict[str, str]:
    """Map each phrase that texts of this kind are asked for to its meaning; what is overlooked goes first."""
    found: dict[str, str] = {}
    own = {"meaning": OVERLOOKED, "own": [normalised(phrase) for phrase in overlooked]}
    for group in (*_table()["words"], own):
        if kind in group.get("asked", USUAL):
            for language, phrases in group.items():
                if language not in ("meaning", "asked"):
                    found |= {phrase: group["meaning"] for phrase in phrases if phrase}
    return found


class _Search:
    """A search for all phrases of one kind of text: of those that begin at a word, the longest is found."""

    def __init__(self, phrases: Mapping[str, str]) -> None:
        denials = _table()["negations"]
        no, between = ("|".join(map(_phrase, _longest_first(denials[key]))) for key in ("words", "between"))
        runs = [
            (meaning, "|".join(map(_phrase, run)))
            for meaning, run in groupby(_longest_first(phrases), phrases.__getitem__)
        ]
        groups = "|".join(f"(?P<g{number}>{run})" for number, (_, run) in enumerate(runs))
        self._phrases = re.compile(f"(?:{groups})(?= )")
        self._meanings = {f"g{number}": meaning for number, (meaning, _) in enumerate(runs)}
        self._denials = [re.compile(f"(?:{no}) {more}") for more in ("", f"(?:{between}) ")]
        self._beginnings = re.compile("|".join(map(_beginning, (*phrases, *denials["words"]))))
        self._may_begin: dict[str, bool] = {}

    def may_begin(self, word: str) -> bool:
        """Tell whether a phrase could begin with this word: few do, and archives repeat their words."""
        if word not in self._may_begin:
            if len(self._may_begin) > MOST_WORDS:
                self._may_begin.clear()
            self._may_begin[word] = self._beginnings.fullmatch(word) is not None
        return self._may_begin[word]

    def at(self, text: str, start: int) -> tuple[str, str, int]:
        """Give meaning, phrase and end of what stands at `start`; what is denied there is overlooked."""
        if match := self._phrases.match(text, start):
            return self._meanings[str(match.lastgroup)], match[0], match.end()
        for denial in self._denials:
            if (no := denial.match(text, start)) and (match := self._phrases.match(text, no.end())):
                return OVERLOOKED, match[0], match.end()
        return OVERLOOKED, "", start


@lru_cache(maxsize=64)
def _search(kind: str, overlooked: tuple[str, ...]) -> _Search:
    return _Search(_phrases(kind, overlooked))


@lru_cache(maxsize=64)
def _overlooked(kind: str, overlooked: tuple[str, ...]) -> re.Pattern[str]:
    phrases = [phrase for phrase, meaning in _phrases(kind, overlooked).items() if meaning == OVERLOOKED]
    return re.compile(rf"(?<= )(?:{'|'.join(map(_phrase, _longest_first(phrases))) or '(?!)'})(?= )")
