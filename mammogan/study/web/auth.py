"""Authentication by tokens, a path prefix, and the headers of every answer, which let nothing out."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mammogan.pages.html_helpers import render

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer: a browser keeps nothing, and asks nobody else for anything."""
OPEN = "/static/"
"""What anybody may have: the looks of the page that refuses."""


def new_token() -> str:
    """Draw a token that nobody guesses."""
    return secrets.token_urlsafe(24)


def sealed(secret: str, *parts: object) -> str:
    """Derive from a secret what can't be derived without it, 43 letters that a URL may hold."""
    from base64 import urlsafe_b64encode

    text = "/".join(map(str, parts)).encode()
    return urlsafe_b64encode(hmac.digest(secret.encode(), text, sha256)).decode().rstrip("=")


def same(one: str, other: str) -> bool:
    """Compare two texts in a time that does not depend on how far they agree."""
    return hmac.compare_digest(one.encode(), other.encode())


class TokenAuth:
    """Lets in whoever has come by a link with a token once, and remembers that in a cookie.

    Parameters
    ----------
    app
        What is behind. Its ``request.state.roles`` are the names of the tokens that the visitor has shown.
    tokens
        Role to token.
    name
        Of the site; cookies of two sites on one machine differ by it, for browsers ignore ports.
    prefix
        Path under which a proxy offers the site, whether it takes it off or leaves it on.
    """

    def __init__(self, app: ASGIApp, tokens: Mapping[str, str], name: str, prefix: str = "") -> None:
        self._app, self._tokens = app, dict(tokens)
        self._cookie = f"mg-{sha256(name.encode()).hexdigest()[:8]}"
        self._prefix = "/" + prefix.strip("/") if prefix.strip("/") else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                had = [pair for pair in message["headers"] if pair[0].decode().title() not in HEADERS]
                ours = [(key.lower().encode(), value.encode()) for key, value in HEADERS.items()]
                message = {**message, "headers": [*had, *ours]}
            await send(message)

        path = scope["path"]
        if self._prefix and path == self._prefix:  # links on the page are relative to the folder
            await RedirectResponse(path.rpartition("/")[2] + "/", 307)(scope, receive, with_headers)
            return
        if self._prefix and path.startswith(self._prefix + "/"):
            path = path[len(self._prefix) :]
        cookies = self._cookies(scope)
        roles = [role for role in self._tokens if same(cookies.get(self._key(role), ""), self._seal(role))]
        inner = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        inner["state"] = {**scope.get("state", {}), "roles": frozenset(roles)}
        await (self._refusal(inner, path, roles) or self._app)(inner, receive, with_headers)

    def _refusal(self, scope: Scope, path: str, roles: Sequence[str]) -> Response | None:
        """Return the answer of who may not go further, or has just shown a token."""
        headers = dict(scope["headers"])
        offered = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if offered and scope["method"] == "GET":
            for role, token in self._tokens.items():
                if same(offered, token):
                    answer = RedirectResponse(path.rpartition("/")[2] or "./", 303)
                    # Without a path of its own the cookie holds for the folder, whatever prefix that has.
                    answer.set_cookie(
                        self._key(role), self._seal(role), httponly=True, samesite="lax", path=None
                    )
                    return answer
        if not roles and not path.startswith(OPEN):
            return HTMLResponse(render("closed.html"), 403)
        if scope["method"] == "POST" and headers.get(b"sec-fetch-site", b"") == b"cross-site":
            return HTMLResponse(render("closed.html"), 403)
        return None

    def _key(self, role: str) -> str:
        return f"{self._cookie}-{role}"

    def _seal(self, role: str) -> str:
        return sealed(self._tokens[role], "cookie", role)

    @staticmethod
    def _cookies(scope: Mapping[str, Any]) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, value in scope["headers"]:
            if key == b"cookie":
                try:
                    found |= {
                        name: morsel.value for name, morsel in SimpleCookie(value.decode("latin-1")).items()
                    }
                except CookieError:
                    continue
        return found
