"""Links between the documents: where they stand, what they point to, and the anchors that a page has."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATTERNS = ("*.md", "docs/**/*.md", "slurm/**/*.md", "containers/**/*.md", "shards/**/*.md")
FENCED = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
GENERATED = ("docs/reference/settings.md", "docs/reference/commands.md", "docs/api/index.md")
"""Pages that only the built site has."""
ELSEWHERE = ("http://", "https://", "mailto:")


@dataclass(frozen=True)
class Link:
    """A relative link: the document that it stands in, the path as written, and the anchor, if any."""

    document: Path
    path: str
    anchor: str

    @property
    def target(self) -> Path:
        """The file or folder that the link points to."""
        return Path(os.path.normpath(self.document.parent / self.path)) if self.path else self.document


def documents() -> list[Path]:
    """List the documents of the repository, each once."""
    return sorted({path for pattern in PATTERNS for path in ROOT.glob(pattern)})


def links(document: Path, text: str) -> Iterator[Link]:
    """List the relative links of `text`, code left out."""
    for _, _, written in LINK.findall(without_code(text)):
        if not written.startswith(ELSEWHERE):
            path, _, anchor = written.partition("#")
            yield Link(document, path, anchor)


def without_code(text: str) -> str:
    """Blank fenced blocks and code marks, in which nothing is a link."""
    return CODE.sub("", FENCED.sub("", text))


def anchors(text: str) -> set[str]:
    """List the anchors of a document's headings, as code hosts and the site's `slug` make them."""
    found: dict[str, int] = {}
    names = set()
    for heading in HEADING.findall(FENCED.sub("", text)):
        name = slug(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading))
        names.add(f"{name}-{found[name]}" if name in found else name)
        found[name] = found.get(name, 0) + 1
    return names


def slug(heading: str, separator: str = "-") -> str:
    """Turn a heading into its anchor: small letters, no punctuation, a hyphen for each space."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)
