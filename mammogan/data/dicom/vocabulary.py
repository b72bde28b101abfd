"""What codes, positions, free text and tables call views and sides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

SCHEMES = ("SCT", "SRT", "SNM3")
"""SNOMED in the spellings that vendors write; a code of another scheme says nothing."""
# View Code Sequence (0054,0220), PS3.16 CID 4014.
VIEW_CODES = {
    "399162004": "CC", "R-10242": "CC",
    "399368009": "MLO", "R-10226": "MLO",
    "399260004": "ML", "R-10224": "ML",
    "399352003": "LM", "R-10228": "LM",
    "399099002": "LMO", "R-10230": "LMO",
    "399196006": "FB", "R-10244": "FB",
    "399188001": "SIO", "R-102D0": "SIO",
    "441555000": "ISO", "R-40AAA": "ISO",
    "399192008": "XCCL", "R-1024A": "XCCL",
    "399101009": "XCCM", "R-1024B": "XCCM",
    "399265004": "XCC",
    "127457009": "SPECIMEN", "G-8310": "SPECIMEN",
}  # fmt: skip
# View Modifier Code Sequence (0054,0222), CID 4015.
MODIFIER_CODES = {
    "399163009": "magnification", "R-102D6": "magnification",
    "399055006": "spot-compression", "R-102D7": "spot-compression",
    "399209000": "implant-displaced", "R-102D5": "implant-displaced",
    "399110001": "tangential", "R-102C2": "tangential",
    "399161006": "cleavage", "R-102D2": "cleavage",
    "399011000": "axillary-tail", "R-102D1": "axillary-tail",
    "442580003": "axillary-tissue", "R-40AB2": "axillary-tissue",
    "399197002": "rolled", "R-102D3": "rolled", "399226006": "rolled", "R-102D4": "rolled",
    "415670009": "rolled", "R-102C9": "rolled", "414493004": "rolled", "R-102CA": "rolled",
    "442581004": "nipple-in-profile", "R-40AB3": "nipple-in-profile",
    "441752004": "anterior-compression", "P2-00161": "anterior-compression",
    "442593008": "infra-mammary-fold", "R-40ABE": "infra-mammary-fold",
}  # fmt: skip
# What a compact View Position (0018,5101) appends to its view: MLOID, CCM, "ML-S".
MODIFIER_LETTERS = {
    "ID": "implant-displaced", "M": "magnification", "S": "spot-compression", "CV": "cleavage",
    "AT": "axillary-tail", "TAN": "tangential", "NP": "nipple-in-profile", "AC": "anterior-compression",
    "IMF": "infra-mammary-fold", "RL": "rolled", "RM": "rolled", "RI": "rolled", "RS": "rolled",
}  # fmt: skip
SIDES = {"L": "L", "LEFT": "L", "R": "R", "RIGHT": "R"}
# Longest first: XCCL is no XCC with an L behind it, LMO no left MO.
VIEWS = ("XCCL", "XCCM", "XCC", "SIO", "ISO", "LMO", "MLO", "LM", "ML", "CC", "FB")
_VIEWS, _LETTERS = "|".join(VIEWS), "|".join(MODIFIER_LETTERS)
_COMPACT = (
    re.compile(rf"(?P<view>{_VIEWS})(?P<letters>([ _-]?({_LETTERS}))*)"),
    re.compile(rf"(?P<side>LEFT|RIGHT|L|R)[ _-]?(?P<view>{_VIEWS})(?P<letters>([ _-]?({_LETTERS}))*)"),
    re.compile(rf"(?P<view>{_VIEWS})(?P<letters>)[ _-](?P<side>LEFT|RIGHT|L|R)"),
)


@dataclass(frozen=True)
class Said:
    """What a text says about a view; what it doesn't say is empty."""

    view: str = ""
    side: str = ""
    modifiers: tuple[str, ...] = ()


def position(text: str) -> Said:
    """Read a View Position (0018,5101) with the sides and modifiers that vendors write into it."""
    text = text.upper()
    for form in _COMPACT:
        if found := form.fullmatch(text):
            parts = found.groupdict()
            letters = re.findall(_LETTERS, parts["letters"])
            return Said(
                parts["view"],
                SIDES.get(parts.get("side", ""), ""),
                tuple(MODIFIER_LETTERS[x] for x in letters),
            )
    return Said(view=text)


def free_text(text: str) -> Said:
    """Look for one view and one side among the words of a description; two of a kind say nothing."""
    words = [position(word) for word in re.findall(r"[A-Z0-9]+", text.upper())]
    views = {word.view for word in words if word.view in VIEWS}
    sides = {word.side or SIDES.get(word.view, "") for word in words} - {""}
    return Said(
        views.pop() if len(views) == 1 else "",
        sides.pop() if len(sides) == 1 else "",
        tuple(dict.fromkeys(modifier for word in words for modifier in word.modifiers)),
    )


def translated(text: str, names: Mapping[str, str]) -> str:
    """Put a source's own word into ours; case and blanks don't matter."""
    own = {name.strip().upper(): meaning for name, meaning in names.items()}
    return own.get(text.strip().upper(), text.strip())


def side(text: str) -> str:
    """Name the side L or R where the text is one; else what it says."""
    return SIDES.get(text.upper(), text.upper())


def plain(text: str) -> str:
    """Strip a value of a table to what it means: blanks around it, and the ``.0`` of a whole number."""
    text = text.strip()
    return re.sub(r"^(-?\d+)\.0+$", r"\1", text) if text.endswith(".0") else text
