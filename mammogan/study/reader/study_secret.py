"""What must stay with the owner of a study, and the codes that people get and type."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Sequence

from mammogan.config.settings import Settings
from mammogan.study.web.auth import new_token, same, sealed


class Secret(Settings):
    """What must stay with the owner: `key` makes sessions, codes and picture names, tokens open the pages."""

    key: str
    reader: str
    admin: str

    @classmethod
    def new(cls, key: str = "") -> Secret:
        """Draw new tokens, and a key unless one is given."""
        return cls(key=key or new_token(), reader=new_token(), admin=new_token())

    def erasure_code(self, participant: str) -> str:
        """Return the code by which a participant can have everything erased."""
        return _code(self.key, "erase", participant)

    def invitation(self, number: int) -> str:
        """Return the invitation code of a number."""
        return _code(self.key, "invitation", number)

    def session(self, participant: str) -> str:
        """Return the cookie by which a participant's browser is known."""
        return f"{participant}.{sealed(self.key, 'session', participant)}"

    def participant(self, session: str) -> str:
        """Return the participant of a cookie, an empty text if this study did not make it."""
        who = session.partition(".")[0]
        return who if same(session, self.session(who)) else ""

    def picture(self, participant: str, trial: int, side: str) -> str:
        """Name a picture for one participant; it says nothing, and is of one length."""
        return sealed(self.key, "picture", participant, trial, side)[:24]


def normal_code(text: str) -> str:
    """Bring a code as a person types it into the form in which codes are kept."""
    return (
        "".join(text.upper().split()).replace("-", "").replace("0", "O").replace("1", "I").replace("8", "B")
    )


def same_code(one: str, other: str) -> bool:
    """Compare codes as typed, in constant time."""
    return same(normal_code(one), normal_code(other))


def which(codes: Sequence[str], typed: str) -> int | None:
    """Find a typed code among `codes`; all are compared, whichever it is."""
    found = [number for number, code in enumerate(codes) if same_code(code, typed)]
    return found[0] if found else None


def _code(key: str, *parts: object) -> str:
    """Make a code of 8 letters and digits, those that are easily mistaken left out: 40 bits."""
    digest = hashlib.sha256(sealed(key, *parts).encode()).digest()
    letters = b32encode(digest[:5]).decode()
    return f"{letters[:4]}-{letters[4:]}"
