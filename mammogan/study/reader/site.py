"""The study as a site: participants' pages and the admin's behind one gate."""

from __future__ import annotations

from mammogan.study.reader import admin
from mammogan.study.reader.desk import Desk
from mammogan.study.reader.routes import Pages
from mammogan.study.web.app import make_site
from mammogan.study.web.gate import Gate


def make(desk: Desk, prefix: str = "") -> Gate:
    """Put the pages of `desk` behind its gate; `prefix` is what a proxy puts in front of their paths."""
    routes = Pages(desk).router()
    routes.include_router(admin.router(desk))
    tokens = {"reader": desk.secret.reader, "admin": desk.secret.admin}
    return make_site(routes, tokens, desk.study.study_id, prefix)
