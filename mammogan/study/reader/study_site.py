"""The study as a site: participants' pages and the admin's behind one authentication."""

from __future__ import annotations

from mammogan.study.reader import admin_page
from mammogan.study.reader.participant_pages import Pages
from mammogan.study.reader.study_service import StudyService
from mammogan.study.web.auth import TokenAuth
from mammogan.study.web.web_app import make_site


def make(service: StudyService, prefix: str = "") -> TokenAuth:
    """Put the pages of `service` behind authentication; `prefix` is what a proxy puts before their paths."""
    routes = Pages(service).router()
    routes.include_router(admin_page.router(service))
    tokens = {"reader": service.secret.reader, "admin": service.secret.admin}
    return make_site(routes, tokens, service.study.study_id, prefix)
