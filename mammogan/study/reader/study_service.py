"""The service that participants use: who may do what at which moment, and what is kept of it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from mammogan import __version__
from mammogan.study.form_fields import number, one_of, plain_text
from mammogan.study.questions import QUESTIONS
from mammogan.study.reader import answer_tables
from mammogan.study.reader.answer_tables import ParticipantState, is_locked, next_number, participant_state
from mammogan.study.reader.reading_plan import SIDES, Pair
from mammogan.study.reader.study_folder import load_numbers, load_secret, load_study
from mammogan.study.reader.study_secret import Secret, which
from mammogan.study.web.answer_store import AnswerStore, Transaction
from mammogan.study.web.auth import same
from mammogan.study.web.image_store import ImageStore
from mammogan.study.web.web_app import RefusalError

SEEN = ("yes", "no", "unsure")
BOUNDS = {
    "rt_ms": 10**9,
    "hidden_ms": 10**9,
    "wl_changes": 10**5,
    "max_zoom_l": 100,
    "max_zoom_r": 100,
    "dpr": 20,
}
"""The most that a browser may report; what is more, or no number, is dropped: no answer is lost by it."""
CLOSED = RefusalError(
    409,
    "The study is closed",
    "It takes no more answers. Thank you for your interest; what you have confirmed before counts.",
    link="",
)
FULL = RefusalError(409, "The study is full", "All places are taken. Thank you for your interest.", link="")
ANOTHER = RefusalError(
    409,
    "This pair is over",
    "Your answer to it is already kept, or another page of yours is further on. Nothing was changed.",
    link="pair",
    label="Show the current pair",
)


class StudyService:
    """A study that is being served from `folder`.

    Raises
    ------
    DataError
        If the folder is no study, or its pictures are missing, or not those that it began with.
    ConfigError
        If another process serves it.
    """

    def __init__(self, folder: Path, *, kiosk: bool = False) -> None:
        self.folder, self.kiosk = folder, kiosk
        self.study, self.secret, self._numbers = load_study(folder), load_secret(folder), load_numbers(folder)
        self.image_store = ImageStore(folder)
        self._plans = self.study.plans(self.image_store.index)
        self._records = {picture.key: number for number, picture in enumerate(self.image_store.pictures)}
        self._invitations = [self.secret.invitation(number) for number in range(self.study.codes)]
        self.store = AnswerStore(folder, answer_tables.TABLES)

    def state(self, participant: str) -> ParticipantState | None:
        """Return where a participant is; None if there is no such participant."""
        with self.store.transaction() as transaction:
            return participant_state(transaction, participant) if participant else None

    @property
    def is_locked(self) -> bool:
        """Whether no more answers are taken."""
        with self.store.transaction() as transaction:
            return is_locked(transaction)

    def enrol(self, form: str, code: str) -> str:
        """Enrol somebody who has agreed, or find him again by the same form or invitation code.

        Raises
        ------
        RefusalError
            If the code is none of ours, or no place is left.
        """
        with self.store.transaction() as transaction:
            again = transaction.value("SELECT participant FROM participants WHERE form = ?", form)
            if again:
                return str(again)
            invitation = which(self._invitations, code) if self.study.codes else None
            if self.study.codes and invitation is None:
                raise RefusalError(
                    403,
                    "This code is not known",
                    "Please look at it once more: it has eight letters and digits, as ABCD-2345. A code that "
                    "was erased at its owner's wish is not known any more.",
                    label="Enter it again",
                )
            if invitation is not None:
                again = transaction.value(
                    "SELECT participant FROM participants WHERE invitation = ?", invitation
                )
                if again:
                    return str(again)
            if is_locked(transaction):
                raise CLOSED
            number = next_number(transaction, self._numbers.first, self._numbers.count)
            if number is None:
                raise FULL
            plan, participant = self._plans[number], secrets.token_hex(5)
            transaction.add(
                answer_tables.ENROLLED,
                participant=participant,
                number=number,
                form=form,
                invitation=invitation,
                consent_version=self.study.consent.version,
                consent_sha256=self.study.consent_sha256,
                plan=plan.model_dump(mode="json"),
                plan_hash=plan.sha256,
            )
            return participant

    def describe(self, participant: str, fields: Mapping[str, str]) -> None:
        """Store the answers to the questions about oneself, once."""
        answers = {q.name: q.from_form(fields.get(q.name, "")) for q in QUESTIONS.values()}
        self._step(participant, "questions", answer_tables.DESCRIBED, answers)

    def display(self, participant: str, fields: Mapping[str, str]) -> None:
        """Store whether the darkest and the lightest steps of grey are seen on this display."""
        seen = {name: one_of(fields.get(name, ""), SEEN) for name in ("sees_dark", "sees_light")}
        self._step(participant, "display", answer_tables.DISPLAYED, seen)

    def ready(self, participant: str) -> None:
        """Note that practice is over."""
        self._step(participant, "ready", answer_tables.READY, {})

    def answer(self, participant: str, fields: Mapping[str, str]) -> None:
        """Store the answer to the current pair; the same answer once more is the retry of a browser.

        Raises
        ------
        RefusalError
            If it is no answer, to another pair than the current one, or comes after the study was locked.
        """
        with self.store.transaction() as transaction:
            state = participant_state(transaction, participant)
            trial, side = fields.get("trial", ""), fields.get("side", "")
            if state is None or side not in SIDES or not re.fullmatch(r"-?\d{1,4}", trial):
                raise RefusalError(400, "No side was chosen", "Please choose left or right.", link="pair")
            confidence = one_of(fields.get("confidence", ""), "12345")
            if state.answered.get(int(trial)) == (side, confidence):
                return
            if is_locked(transaction):
                raise CLOSED
            if state.page != "pair" or state.pairs[0].trial != int(trial):
                raise ANOTHER
            transaction.add(
                answer_tables.ANSWERED,
                participant=participant,
                trial=int(trial),
                side=side,
                confidence=confidence,
                app_version=__version__,
                **{name: number(fields.get(name, ""), most) for name, most in BOUNDS.items()},
                device=plain_text(fields.get("device", "")),
                viewport=plain_text(fields.get("viewport", "")),
            )

    def erase(self, code: str) -> bool:
        """Erase everything of the participant with this erasure code; return whether there was one."""
        return erase(self.store, self.secret, code)

    def picture(self, participant: str, name: str) -> bytes | None:
        """Return a picture of the participant's current pair, or of the one that follows."""
        state = self.state(participant)
        for pair in state.pairs[:2] if state else []:
            for side in SIDES:
                if same(name, self.secret.picture(participant, pair.trial, side)):
                    return self.image_store.read(self._records[pair.shown(side)])
        return None

    def names(self, participant: str, pair: Pair) -> dict[str, str]:
        """Name the pictures of a pair for a participant, by side."""
        return {side: self.secret.picture(participant, pair.trial, side) for side in SIDES}

    def _step(self, participant: str, page: str, kind: str, facts: Mapping[str, str]) -> None:
        """Store a step that is taken once; a page that is sent again, or too early, changes nothing."""
        with self.store.transaction() as transaction:
            state = participant_state(transaction, participant)
            if state is None or state.page != page:
                return
            if is_locked(transaction):
                raise CLOSED
            transaction.add(kind, participant=participant, **facts)


def lock(transaction: Transaction) -> bool:
    """Close the study to answers; return whether it was open until now."""
    if is_locked(transaction):
        return False
    transaction.add(answer_tables.LOCKED, app_version=__version__)
    return True


def erase(store: AnswerStore, secret: Secret, code: str) -> bool:
    """Erase everything of the participant with this erasure code; return whether there was one."""
    with store.transaction() as transaction:
        rows = transaction.rows("SELECT participant, number FROM participants")
        found = which([secret.erasure_code(row["participant"]) for row in rows], code)
        if found is None:
            return False
        participant, number = rows[found]
        store.erase(lambda event: event.get("participant") == participant, numbers=[number])
        return True
