"""The pages of a review behind one authentication: each reviewer's own, and the owner's of their progress.

A reviewer is known by the token of a personal link, and every address of a page ends in the reviewer's
number: two reviewers who share a tablet are never taken for each other.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from mammogan.study.review.review_service import ReviewService
from mammogan.study.web.auth import TokenAuth
from mammogan.study.web.web_app import NOT_FOUND, Fields, go, make_site, page

ADMIN = "admin"


def role_of(number: int) -> str:
    """Name the role of a reviewer, counted from 1."""
    return f"reviewer-{number}"


def make(service: ReviewService, prefix: str = "") -> TokenAuth:
    """Put the pages of `service` behind authentication; `prefix` is what a proxy puts before their paths."""
    tokens = {role_of(number): token for number, token in enumerate(service.secret.reviewers, 1)}
    tokens[ADMIN] = service.secret.admin
    return make_site(Pages(service).router(), tokens, service.review.review_id, prefix)


class Pages:
    """The answers to requests at `service`; `number` in an address counts reviewers from 1."""

    def __init__(self, service: ReviewService) -> None:
        self._service = service

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter()
        for path, show in (
            ("/", self.home),
            ("/as-{number}", self.welcome),
            ("/look-{number}", self.look),
            ("/p/{name}", self.picture),
            ("/admin", self.admin),
        ):
            routes.add_api_route(path, show, methods=["GET"])
        for path, take in (
            ("/verdict-{number}", self.judge),
            ("/back-{number}", self.take_back),
            ("/finish-{number}", self.finish),
        ):
            routes.add_api_route(path, take, methods=["POST"])
        return routes

    def home(self, request: Request) -> Response:
        """Lead to the visitor's page, or ask which of several."""
        mine = self._mine(request)
        if len(mine) == 1:
            return go(f"as-{mine[0] + 1}")
        if not mine:
            return go(ADMIN)
        return self._show("review_which.html", numbers=[reviewer + 1 for reviewer in mine])

    def welcome(self, request: Request, number: int) -> Response:
        """Return what is asked, how far one is, and thanks at the end."""
        reviewer = self._reviewer(request, number)
        return self._show("review_welcome.html", number=number, state=self._service.state(reviewer))

    def look(self, request: Request, number: int) -> Response:
        """Show the picture that is due."""
        state = self._service.state(self._reviewer(request, number))
        if state["finished"]:
            return go(f"as-{number}")
        return self._show(
            "review_look.html", number=number, state=state, size=self._service.image_store.index
        )

    def judge(self, request: Request, number: int, fields: Fields) -> Response:
        """Take a verdict, and answer with what follows."""
        return JSONResponse(self._service.judge(self._reviewer(request, number), fields))

    def take_back(self, request: Request, number: int, fields: Fields) -> Response:
        """Take back the latest verdict, and show its picture again."""
        return JSONResponse(self._service.take_back(self._reviewer(request, number), fields))

    def finish(self, request: Request, number: int) -> Response:
        """End the session."""
        self._service.finish(self._reviewer(request, number))
        return go(f"as-{number}")

    def picture(self, request: Request, name: str) -> Response:
        """Send a picture's grey bytes."""
        content = self._service.picture(self._mine(request), name)
        if content is None:
            raise NOT_FOUND
        return Response(content, media_type="application/octet-stream")

    def admin(self, request: Request) -> Response:
        """Show how far everybody is, and nothing of what they found."""
        if ADMIN not in request.state.roles:
            raise NOT_FOUND
        states = [self._service.state(reviewer) for reviewer in range(len(self._service.review.reviewers))]
        return self._show("review_admin.html", states=states, shared=len(self._service.plan.shared))

    def _show(self, template: str, **values: Any) -> Response:
        return page(template, review=self._service.review, **values)

    def _mine(self, request: Request) -> list[int]:
        """List the reviewers whose links this visitor has opened, from 0."""
        count = len(self._service.review.reviewers)
        return [number for number in range(count) if role_of(number + 1) in request.state.roles]

    def _reviewer(self, request: Request, number: int) -> int:
        if number - 1 not in self._mine(request):
            raise NOT_FOUND
        return number - 1
