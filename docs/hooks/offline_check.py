"""What a built page would fetch from elsewhere when it is opened: there must be nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

REMOTE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
LOADING_RELATIONS = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
}
LOADING_ATTRIBUTES = {
    ("script", "src"), ("img", "src"), ("img", "srcset"), ("source", "src"), ("source", "srcset"),
    ("iframe", "src"), ("embed", "src"), ("object", "data"), ("video", "src"), ("video", "poster"),
    ("audio", "src"), ("track", "src"), ("use", "href"), ("image", "href"), ("image", "xlink:href"),
    ("input", "src"), ("body", "background"),
}  # fmt: skip
STYLE_LOADS = re.compile(
    r"""(?:@import\s*(?:url\()?|url\()\s*["']?\s*((?:https?:)?//[^"')\s]+)""", re.IGNORECASE
)


class _Loads(HTMLParser):
    """Collects the addresses that a browser loads by itself; links that a reader must click are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.in_style = tag == "style"
        wanted = {name for element, name in LOADING_ATTRIBUTES if element == tag}
        if tag == "link" and LOADING_RELATIONS & set(given.get("rel", "").lower().split()):
            wanted.add("href")
        for name in wanted & given.keys():
            places = given[name].split(",") if name == "srcset" else [given[name]]
            self.found += [place.strip() for place in places if REMOTE.match(place.strip())]
        self.found += STYLE_LOADS.findall(given.get("style", ""))

    def handle_data(self, data: str) -> None:
        if self.in_style:
            self.found += STYLE_LOADS.findall(data)

    def handle_endtag(self, tag: str) -> None:
        self.in_style = False


def loads(text: str, suffix: str) -> list[str]:
    """List the foreign addresses that a page (``.html``) or style sheet (``.css``) loads by itself."""
    if suffix == ".css":
        return STYLE_LOADS.findall(text)
    parser = _Loads()
    parser.feed(text)
    return parser.found


def loads_of_site(folder: Path) -> Iterator[tuple[Path, str]]:
    """List what each page and style sheet of a built site loads from elsewhere."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".html", ".css", ".svg"):
            for address in loads(path.read_text(encoding="utf-8"), path.suffix):
                yield path, address
