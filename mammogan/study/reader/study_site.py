"""The study as a site: participants' pages and the admin's behind one gate."""

from __future__ import annotations

from mammogan.study.reader import admin_page
from mammogan.study.reader.participant_pages import Pages
from mammogan.study.reader.study_service import Desk
from mammogan.study.web.auth import Gate
from mammogan.study.web.web_app import make_site


def make(desk: Desk, prefix: str = "") -> Gate:
    """Put the pages of `desk` behind its gate; `prefix` is what a proxy puts in front of their paths."""
    routes = Pages(desk).router()
    routes.include_router(admin_page.router(desk))
    tokens = {"reader": desk.secret.reader, "admin": desk.secret.admin}
    return make_site(routes, tokens, desk.study.study_id, prefix)
