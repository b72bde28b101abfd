"""A site: routes behind authentication, static files from memory, and pages instead of bare errors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib import resources
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from mammogan.errors import MammoganError
from mammogan.pages.html_helpers import render
from mammogan.study.web.auth import TokenAuth

log = logging.getLogger(__name__)
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""Kinds of static files."""
MAX_FORM_BYTES = 64 * 1024


class RefusalError(Exception):
    """What a visitor asked for can't be done; shown as a page that says why, and where to go on.

    `link` is relative to the page's folder; an empty one shows none.
    """

    def __init__(self, status: int, title: str, text: str, link: str = "./", label: str = "Go on") -> None:
        super().__init__(title)
        self.status, self.page = status, {"title": title, "text": text, "link": link, "label": label}


NOT_FOUND = RefusalError(404, "There is nothing here", "The address may have been cut short.")
BROKEN = RefusalError(
    500,
    "Something went wrong on our side",
    "What you have confirmed so far is kept. Go on to try again; if this page comes back, please tell "
    "whoever runs the study.",
)
UNREADABLE = RefusalError(400, "That could not be read", "Nothing was changed. Please try once more.")


async def _fields(request: Request) -> dict[str, str]:
    """Read a form as text fields; of several of one name the last, and no files."""
    if int(request.headers.get("content-length") or 0) > MAX_FORM_BYTES:
        raise UNREADABLE
    async with request.form(max_files=0, max_fields=100) as form:
        return {key: value for key, value in form.multi_items() if isinstance(value, str)}


Fields = Annotated[dict[str, str], Depends(_fields)]
"""The fields of a posted form, as an argument of a route."""


def page(template: str, http_status: int = 200, **values: Any) -> HTMLResponse:
    """Answer with a template filled in."""
    return HTMLResponse(render(template, **values), http_status)


def go(to: str) -> RedirectResponse:
    """Answer a form by the page that follows; `to` is relative, so that any prefix in front stays."""
    return RedirectResponse(to, 303)


def make_site(routes: APIRouter, tokens: Mapping[str, str], name: str, prefix: str = "") -> TokenAuth:
    """Put authentication before routes; `tokens`, `name` and `prefix` as for `TokenAuth`.

    Routes lie flat, none has a slash in it but those of pictures: all links are relative to one folder.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.include_router(routes)
    files = _static_files()

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in files:
            raise NOT_FOUND
        return Response(files[name], media_type=TYPES[PurePath(name).suffix])

    def refused(request: Request, error: Exception) -> HTMLResponse:
        if isinstance(error, MammoganError):
            log.error("%s %s: %s", request.method, request.url.path, error)
        refusal = error if isinstance(error, RefusalError) else _refusal_of(error)
        return page("refusal.html", refusal.status, **refusal.page)

    for kind in (RefusalError, HTTPException, RequestValidationError, MammoganError, Exception):
        app.add_exception_handler(kind, refused)
    return TokenAuth(app, tokens, name, prefix)


def _refusal_of(error: Exception) -> RefusalError:
    if isinstance(error, HTTPException):
        return NOT_FOUND if error.status_code in (404, 405) else UNREADABLE
    return UNREADABLE if isinstance(error, RequestValidationError) else BROKEN


def _static_files() -> dict[str, bytes]:
    folder = resources.files("mammogan.study").joinpath("static")
    return {item.name: item.read_bytes() for item in folder.iterdir() if PurePath(item.name).suffix in TYPES}
