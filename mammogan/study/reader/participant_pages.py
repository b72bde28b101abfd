"""The pages of a study: each shows where its visitor is, and whoever asks for another is led there."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mammogan.study.questions import QUESTIONS
from mammogan.study.reader.answer_tables import ParticipantState
from mammogan.study.reader.study_folder import retention
from mammogan.study.reader.study_service import CLOSED, StudyService
from mammogan.study.web.auth import new_token
from mammogan.study.web.web_app import NOT_FOUND, Fields, RefusalError, go, page

DAYS_30_S = 30 * 24 * 3600
IDLE_S = 240
"""After so long without a touch a kiosk asks whether anybody is there."""
WRONG_CODE = RefusalError(
    404,
    "This code is not known",
    "Nothing was erased. Please look at the code once more; if everything of it was erased before, it is not "
    "known any more.",
    link="withdraw",
    label="Enter it again",
)


class Pages:
    """The answers to a participant's requests at `service`."""

    def __init__(self, service: StudyService) -> None:
        self._service = service
        self._cookie = f"reading-{sha256(service.study.study_id.encode()).hexdigest()[:8]}"

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter()
        gets: dict[str, Callable[..., Any]] = {
            "/": self.home,
            "/withdraw": self.withdraw,
            "/erased": self.erased,
            "/p/{name}": self.picture,
        }
        for path, show in gets.items():
            routes.add_api_route(path, show, methods=["GET"])
        for name in ("consent", "questions", "display", "ready", "pair", "thanks"):
            routes.add_api_route(f"/{name}", self.where_one_is, methods=["GET"])
        posts: dict[str, Callable[..., Any]] = {
            "/consent": self.agree,
            "/questions": self.describe,
            "/display": self.display,
            "/ready": self.ready,
            "/answer": self.answer,
            "/withdraw": self.erase,
            "/leave": self.leave,
        }
        for path, take in posts.items():
            routes.add_api_route(path, take, methods=["POST"])
        return routes

    def home(self, request: Request) -> Response:
        """Lead to where the visitor is."""
        return go(self._due(request)[0])

    def where_one_is(self, request: Request) -> Response:
        """Show the page that is due, under no other address than its own."""
        due, state = self._due(request)
        if request.url.path != f"/{due}":
            return go(due)
        if self._service.is_locked and due != "thanks":
            raise CLOSED
        return self._show(due, **getattr(self, f"_{due}")(state))

    def agree(self, request: Request, fields: Fields) -> Response:
        """Enrol who has agreed."""
        due, _ = self._due(request)
        if due != "consent":
            return go(due)
        if fields.get("agree") != "yes":
            raise RefusalError(400, "Your consent is needed", "Without it we may not keep your answers.")
        who = self._service.enrol(fields.get("form") or new_token(), fields.get("code", ""))
        answer = go("./")
        lifetime = None if self._service.kiosk else DAYS_30_S
        answer.set_cookie(
            self._cookie,
            self._service.secret.session(who),
            lifetime,
            httponly=True,
            samesite="lax",
            path=None,
        )
        return answer

    def describe(self, request: Request, fields: Fields) -> Response:
        """Take the answers to the questions about oneself."""
        self._service.describe(self._who(request), fields)
        return go("./")

    def display(self, request: Request, fields: Fields) -> Response:
        """Take what is seen of the steps of grey."""
        self._service.display(self._who(request), fields)
        return go("./")

    def ready(self, request: Request, fields: Fields) -> Response:
        """Take that practice is over."""
        self._service.ready(self._who(request))
        return go("pair")

    def answer(self, request: Request, fields: Fields) -> Response:
        """Take the answer to a pair, and lead to the next."""
        self._service.answer(self._who(request), fields)
        return go(self._due(request)[0])

    def picture(self, request: Request, name: str) -> Response:
        """Send a picture's grey bytes."""
        content = self._service.picture(self._who(request), name)
        if content is None:
            raise NOT_FOUND
        return Response(content, media_type="application/octet-stream")

    def withdraw(self) -> Response:
        """Ask for the code of whoever wants everything erased."""
        return self._show("withdraw")

    def erase(self, fields: Fields) -> Response:
        """Erase everything of a code."""
        if not self._service.erase(fields.get("code", "")):
            raise WRONG_CODE
        return self._left("erased")

    def erased(self) -> Response:
        """Return that all is gone."""
        return self._show("erased")

    def leave(self) -> Response:
        """Make room for the next participant on this device."""
        return self._left("./")

    def _who(self, request: Request) -> str:
        return self._service.secret.participant(request.cookies.get(self._cookie, ""))

    def _due(self, request: Request) -> tuple[str, ParticipantState | None]:
        state = self._service.state(self._who(request))
        return (state.page if state else "consent"), state

    def _left(self, to: str) -> Response:
        answer = go(to)
        answer.delete_cookie(self._cookie, path=None)  # type: ignore[arg-type] # the folder, as it was set
        return answer

    def _show(self, name: str, **values: Any) -> Response:
        kiosk = self._service.kiosk
        return page(f"reader_{name}.html", study=self._service.study, idle_s=IDLE_S if kiosk else 0, **values)

    def _consent(self, state: None) -> dict[str, Any]:
        consent = self._service.study.consent
        return {
            "form": new_token(),
            "until": retention(consent.retain_until),
            "sha256": self._service.study.consent_sha256,
        }

    def _questions(self, state: ParticipantState) -> dict[str, Any]:
        return {"questions": QUESTIONS.values(), "code": self._code(state)}

    def _display(self, state: ParticipantState) -> dict[str, Any]:
        return {"steps": [round(255 * step / 17) for step in range(18)]}

    def _ready(self, state: ParticipantState) -> dict[str, Any]:
        return {}

    def _pair(self, state: ParticipantState) -> dict[str, Any]:
        """Return of the current pair what does not depend on which picture is which."""
        who, pairs = state.row["participant"], state.pairs
        return {
            "trial": pairs[0].trial,
            "practice": sum(pair.trial < 0 for pair in state.plan.pairs),
            "now": self._service.names(who, pairs[0]),
            "next": self._service.names(who, pairs[1]) if len(pairs) > 1 else {"left": "", "right": ""},
            "size": self._service.image_store.index,
        }

    def _thanks(self, state: ParticipantState) -> dict[str, Any]:
        return {"code": self._code(state)}

    def _code(self, state: ParticipantState) -> str:
        return self._service.secret.erasure_code(state.row["participant"])
