"""Links, anchors and paths of the documents lead somewhere."""

import re

import pytest

from docs.hooks import command_reference, settings_reference
from docs.hooks.links import GENERATED, ROOT, anchors, documents, links, slug

IDS = [str(path.relative_to(ROOT)) for path in documents()]
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
TOP_FOLDERS = "mammogan|docs|slurm|shards|containers|tests"
REPOSITORY_PATH = re.compile(rf"(?:{TOP_FOLDERS})/[\w./*<>-]*[\w/*>]|[A-Z][\w-]+\.(?:md|cff|def)")
RENDER = {"settings.md": settings_reference.render(), "commands.md": command_reference.render()}


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_links_and_anchors_resolve(document):
    broken = []
    for link in links(document, document.read_text(encoding="utf-8")):
        if str(link.target.relative_to(ROOT)) in GENERATED:
            page = RENDER.get(link.target.name, "")
            if link.anchor and link.anchor not in anchors(page):
                broken.append(f"{link.path}#{link.anchor}: no such heading")
        elif not link.target.exists():
            broken.append(f"{link.path}: no such file")
        elif link.anchor and link.anchor not in anchors(link.target.read_text(encoding="utf-8")):
            broken.append(f"{link.path}#{link.anchor}: no such heading")
    assert not broken


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_paths_in_backticks_exist(document):
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    missing = [
        path
        for path in CODE.findall(text)
        if REPOSITORY_PATH.fullmatch(path) and "<" not in path and not list(ROOT.glob(path.rstrip("/")))
    ]
    assert not missing


def test_every_document_is_in_the_navigation():
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    assert not [str(page) for page in pages if str(page) not in listed]
    assert not [
        name.parent.name
        for name in ROOT.glob("shards/*/README.md")
        if f"recipes/{name.parent.name}.md" not in listed
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[a](b.md)", [("b.md", "")]),
        ("[a](b.md#c) and ![p](d.png)", [("b.md", "c"), ("d.png", "")]),
        ("[here](#place)", [("", "place")]),
        ("`[a](b.md)`", []),
        ("```\n[a](b.md)\n```\n", []),
        ("[a](https://example.org)", []),
    ],
)
def test_links_are_found(text, found):
    assert [(link.path, link.anchor) for link in links(ROOT / "README.md", text)] == found


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("What is PGGAN's, and what is not", "what-is-pggans-and-what-is-not"),
        ("`[pixels]`, `[splits]`", "pixels-splits"),
    ],
)
def test_a_heading_has_the_anchor_that_code_hosts_give_it(heading, anchor):
    assert slug(heading) == anchor


def test_a_heading_that_comes_twice_has_two_anchors():
    assert anchors("# A\n\n## A\n") == {"a", "a-1"}
