"""Builds the site: documents from outside `docs`, references and drawings from the code, links between them.

mkdocs calls the functions that begin with ``on_``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.hooks import command_reference, import_drawing, links, settings_reference  # noqa: E402
from docs.hooks.offline_check import loads_of_site  # noqa: E402

INDEX = "index.md"
OUTSIDE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "slurm/README.md": "slurm.md",
    "containers/README.md": "containers.md",
    "README.md": INDEX,
    **{
        str(path.relative_to(ROOT)): f"recipes/{path.parent.name}.md"
        for path in ROOT.glob("shards/*/README.md")
    },
}
"""Documents that stand elsewhere in the repository: their path to their page's."""
ROOMS_PLACE, LANGUAGES = (
    "<!-- rooms: made from the code -->",
    {".toml": "toml", ".py": "python", ".svg": "xml"},
)
API_OPTIONS = "    options:\n      heading_level: 2\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what does not lie in `docs`: outside documents, references, API pages, and files linked to."""
    texts = {
        page: _moved((ROOT / path).read_text(encoding="utf-8"), path, page)
        for path, page in OUTSIDE.items()
        if page != INDEX
    }
    texts["reference/settings.md"] = settings_reference.render()
    texts["reference/commands.md"] = command_reference.render()
    texts |= _api_pages()
    for path in links.documents():
        for link in links.links(path, path.read_text(encoding="utf-8")):
            texts |= _source_page(link.target)
    for page, text in texts.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links of pages in `docs` at pages of the site, and put the table of rooms where it belongs."""
    source = page.file.src_uri
    if (ROOT / "docs" / source).is_file():
        markdown = _moved(markdown, f"docs/{source}", source)
    return markdown.replace(ROOMS_PLACE, import_drawing.table()) if ROOMS_PLACE in markdown else markdown


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site that would fetch anything from elsewhere."""
    found = [f"{path}: {address}" for path, address in loads_of_site(Path(config.site_dir))]
    if found:
        raise PluginError("The site must work offline, but it loads\n" + "\n".join(found[:20]))


def _moved(text: str, document: str, page: str) -> str:
    """Rewrite the relative links of a document for the place of its page."""

    def rewrite(written: str) -> str:
        if written.startswith((*links.ELSEWHERE, "#")):
            return written
        path, hash_mark, anchor = written.partition("#")
        target = os.path.normpath(Path(document).parent / path)
        there = os.path.relpath(_page_of(target), Path(page).parent)
        return there + hash_mark + anchor

    parts = []
    at = 0
    for fence in [*links.FENCED.finditer(text), None]:
        end = fence.start() if fence else len(text)
        parts.append(
            links.LINK.sub(lambda match: f"{match[1]}[{match[2]}]({rewrite(match[3])})", text[at:end])
        )
        if fence:
            parts.append(fence[0])
            at = fence.end()
    return "".join(parts)


def _page_of(target: str) -> str:
    """Name the site's page of a file of the repository."""
    if target in OUTSIDE:
        return OUTSIDE[target]
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return f"files/{target}.md"


def _source_page(target: Path) -> dict[str, str]:
    """Show a file or folder that is no document of the site, but that a document links to."""
    name = str(target.relative_to(ROOT))
    if name in OUTSIDE or name.startswith("docs/") or not target.exists():
        return {}
    if target.is_dir():
        body = "".join(
            f"- `{path.name}`\n" for path in sorted(target.iterdir()) if path.name != "__pycache__"
        )
    else:
        body = f"````{LANGUAGES.get(target.suffix, 'text')}\n{target.read_text(encoding='utf-8')}\n````\n"
    return {f"files/{name}.md": f"# {name}\n\n{body}"}


def _api_pages() -> dict[str, str]:
    """List the modules of each room for mkdocstrings, in a page a room."""
    pages = {}
    for room in sorted(import_drawing.rooms()):
        place = ROOT / "mammogan" / room
        paths = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
        names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
        shown = [name.removesuffix(".__init__") for name in names]
        blocks = [f"::: {name}\n{API_OPTIONS}" for name in shown]
        pages[f"api/{room}.md"] = f"# `mammogan.{room}`\n\n" + "\n".join(blocks)
    rooms = "".join(f"- [`mammogan.{page[4:-3]}`]({page[4:]})\n" for page in pages)
    pages["api/index.md"] = (
        "# API\n\nEvery module, class and function with its docstring, a page a room.\n\n" + rooms
    )
    return pages
