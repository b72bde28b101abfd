"""What codes, positions, free text and tables call views and sides."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

SCHEMES = ("SCT", "SRT", "SNM3", "99SDM")
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
    "399192008": "XCCL", "R-1024A": "XCCL", "Y-X1770": "XCCL",
    "399101009": "XCCM", "R-1024B": "XCCM", "Y-X1771": "XCCM",
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
# What a compact View Position (0018,5101) appends to its view: MLOID, CCM, "ML-S", CCSpot; the longest first.
MODIFIER_LETTERS = {
    "SPOT": "spot-compression", "SPT": "spot-compression", "MAG": "magnification", "TAN": "tangential",
    "IMF": "infra-mammary-fold", "ID": "implant-displaced", "CV": "cleavage", "AT": "axillary-tail",
    "AX": "axillary-tissue", "NP": "nipple-in-profile", "AC": "anterior-compression",
    "RL": "rolled", "RM": "rolled", "RI": "rolled", "RS": "rolled",
    "M": "magnification", "S": "spot-compression",
}  # fmt: skip
# Of these, ACR MQCM 1999 sets two before the view: MMLO, SCC.
_BEFORE = "SPOT|SPT|MAG|M|S"
SIDES = {
    "L": "L", "LEFT": "L", "LINKS": "L", "GAUCHE": "L", "IZQUIERDA": "L", "IZQUIERDO": "L", "IZQ": "L",
    "ESQUERDA": "L", "ESQUERDO": "L", "SINISTRA": "L", "SINISTRO": "L", "VANSTER": "L",
    "R": "R", "RIGHT": "R", "RECHTS": "R", "DROITE": "R", "DROIT": "R", "DERECHA": "R", "DERECHO": "R",
    "DIREITA": "R", "DIREITO": "R", "DESTRA": "R", "DESTRO": "R", "HOGER": "R",
}  # fmt: skip
NO_SIDE = ("U", "UNPAIRED", "UNKNOWN", "NONE", "N/A")
"""What an attribute for a side says where it says nothing; B, for both, says something."""
NOTHING = frozenset({
    "none", "no", "n", "na", "n a", "nil", "null", "0", "not applicable", "no contrast", "none given",
    "without", "unknown", "no modifier", "ohne", "kein", "keine", "keines", "aucun", "sans", "neant", "non",
    "ninguno", "ninguna", "sin contraste", "nenhum", "sem contraste", "nessuno", "nessuna", "geen", "ingen",
    "inget",
})  # fmt: skip
"""What stands in an attribute instead of leaving it out."""
# Longest first: XCCL is no XCC with an L behind it, LMO no left MO.
VIEWS = ("XCCL", "XCCM", "XCC", "SIO", "ISO", "LMO", "MLO", "LM", "ML", "CC", "FB")
_VIEWS, _LETTERS, _SIDES = "|".join(VIEWS), "|".join(MODIFIER_LETTERS), "LEFT|RIGHT|L|R"
_AFTER = rf"(?P<after>([ _-]?({_LETTERS}))*)"
_COMPACT = (
    re.compile(rf"(?P<view>{_VIEWS}){_AFTER}"),
    re.compile(rf"(?P<side>{_SIDES})[ _-]?(?P<view>{_VIEWS}){_AFTER}"),
    re.compile(rf"(?P<view>{_VIEWS})(?P<after>)[ _-](?P<side>{_SIDES})"),
    re.compile(rf"((?P<side>{_SIDES})[ _-]?)?(?P<before>{_BEFORE})[ _-]?(?P<view>{_VIEWS}){_AFTER}"),
)
_GLUED = re.compile(
    r"(?P<before>spot|spt|mag|tan|cv|id|impl?|implant|roll|rolled)?(?P<side>left|right|l|r)?"
    r"(?P<view>xccl|xccm|xcc|mlo|cc)(?P<rest>l|r|[^\W\d_]{3,}\d?)?"
)
"""A view with whole words before or behind it: LMLOIMPLANT, MAGLMLO, XCCLL."""
_OBLIQUE = r"(?:obli[cq]\w*|schrag\w*|schuin\w*|sned\w*)"
_ML, _LM, _CC = r"medio ?lateral\w*", r"latero ?medial\w*", r"[ck]ran[ie]o ?[ck]aud\w*"
_WORDS = (
    ("XCCL", rf"exag\w* (?:{_CC}|cc) lat\w*|{_CC} exag\w* lat\w*"),
    ("XCCM", rf"exag\w* (?:{_CC}|cc) med\w*|{_CC} exag\w* med\w*"),
    ("XCC", rf"exag\w* {_CC}|{_CC} exag\w*"),
    ("LMO", rf"{_LM} ?{_OBLIQUE}|{_OBLIQUE} {_LM}"),
    ("MLO", rf"{_ML} ?{_OBLIQUE}|{_OBLIQUE} {_ML}"),
    ("LM", _LM),
    ("ML", _ML),
    ("CC", _CC),
    ("FB", r"[ck]audo ?[ck]ran\w*"),
)
"""Views in words, in the languages of the big archives: cranio-caudal, oblicua mediolateral, kraniokaudal."""
_NAMED = re.compile("|".join(rf"(?P<{view}>\b(?:{pattern})\b)" for view, pattern in _WORDS))
_STROKES = str.maketrans({"™": " ", "®": " ", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d"})


@dataclass(frozen=True)
class Said:
    """What a text says about a view; what it doesn't say is empty."""

    view: str = ""
    side: str = ""
    modifiers: tuple[str, ...] = ()


@lru_cache(maxsize=1 << 14)
def normalised(text: str) -> str:
    """Give the words of a text without case, accents and punctuation: hyphen and underscore are blanks."""
    letters = unicodedata.normalize("NFKD", _declared(text).casefold().translate(_STROKES))
    return " ".join(re.findall(r"[^\W_]+|\+", "".join(x for x in letters if not unicodedata.combining(x))))


def _declared(text: str) -> str:
    """Undo what becomes of UTF-8 in a file without Specific Character Set (0008,0005): ``prothÃ¨se``."""
    try:
        return text.encode("latin-1").decode() if "Ã" in text else text
    except UnicodeError:
        return text


@lru_cache(maxsize=1 << 14)
def position(text: str) -> Said:
    """Read a View Position (0018,5101) with the sides and modifiers that vendors write into it."""
    text = text.upper()
    for form in _COMPACT:
        if found := form.fullmatch(text):
            parts = {name: part or "" for name, part in found.groupdict().items()}
            letters = re.findall(_LETTERS, parts.get("before", "") + " " + parts["after"])
            return Said(
                parts["view"],
                SIDES.get(parts.get("side", ""), ""),
                tuple(dict.fromkeys(MODIFIER_LETTERS[x] for x in letters)),
            )
    return free_text(text) if _NAMED.search(normalised(text)) else Said(view=text)


def free_text(text: str) -> Said:
    """Look for one view and one side among the words of a description; two of a kind say nothing."""
    words = [position(word) for word in _abbreviated(text).upper().split()]
    views = {word.view for word in words if word.view in VIEWS}
    sides = {word.side or SIDES.get(word.view, "") for word in words} - {""}
    return Said(
        views.pop() if len(views) == 1 else "",
        sides.pop() if len(sides) == 1 else "",
        tuple(dict.fromkeys(modifier for word in words for modifier in word.modifiers)),
    )


def spelt_out(text: str) -> str:
    """Give the words of a text as `normalised`, and write out what is glued to a screening view or beside it.

    ``LMLOID`` and ``L MLO ID`` become ``l mlo implant displaced``, ``CCSpot`` ``cc spot compression``.
    Letters that stand alone count only behind a view and before nothing but their like: "MLO at 45 degrees"
    is no axillary tail.
    """
    words, behind = [], False
    all_words = _abbreviated(text).split()
    for place, word in enumerate(all_words):
        seen = position(word)
        if seen.view in ("CC", "MLO", "XCCL", "XCCM", "XCC"):
            behind = True
            words += [seen.side.lower(), seen.view.lower(), *(_spelt(one) for one in seen.modifiers)]
        elif behind and len(word) > 1 and all(map(_is_letters, all_words[place:])):
            words.append(_spelt(MODIFIER_LETTERS[word.upper()]) if word.upper() in MODIFIER_LETTERS else word)
        elif glued := _GLUED.fullmatch(word):
            words += [part or "" for part in glued.groups()]
        else:
            words.append(word)
    return " ".join(filter(None, words))


def _is_letters(word: str) -> bool:
    return word.upper() in MODIFIER_LETTERS or word.upper() in SIDES or (word.isdigit() and len(word) < 3)


def _spelt(modifier: str) -> str:
    return modifier.replace("-", " ")


def _abbreviated(text: str) -> str:
    """Put views that are named in words into their abbreviations."""
    return _NAMED.sub(lambda found: str(found.lastgroup).lower(), normalised(text))


def translated(text: str, names: Mapping[str, str]) -> str:
    """Put a source's own word into ours; case and blanks don't matter."""
    own = {name.strip().upper(): meaning for name, meaning in names.items()}
    return own.get(text.strip().upper(), text.strip())


def side(text: str) -> str:
    """Name the side L or R where the text is one; else what it says."""
    return SIDES.get(normalised(text).upper(), text.upper())


def plain(text: str) -> str:
    """Strip a value of a table to what it means: blanks around it, and the ``.0`` of a whole number."""
    text = text.strip()
    return re.sub(r"^(-?\d+)\.0+$", r"\1", text) if text.endswith(".0") else text
