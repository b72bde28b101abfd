"""The built site works without a network, and nothing in it is broken."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from docs.hooks.links import ROOT
from docs.hooks.offline_check import loads, loads_of_site


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://example.org/a.js"></script>',
        '<link rel="stylesheet" href="//example.org/a.css">',
        '<link rel="preconnect" href="https://fonts.example.org" crossorigin>',
        '<img srcset="a.png 1x, https://example.org/b.png 2x">',
        '<style>@import "https://example.org/a.css";</style>',
        '<p style="background: url(https://example.org/a.png)">',
        '<svg><image href="http://example.org/a.png"/></svg>',
        '<iframe src="https://example.org"></iframe>',
    ],
)
def test_what_a_browser_would_load_by_itself_is_found(text):
    assert len(loads(text, ".html")) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://example.org">a link that a reader may click</a>',
        '<link rel="canonical" href="https://example.org">',
        '<script src="assets/a.js"></script>',
        "<p>https://example.org in a text</p>",
        '<img src="data:image/png;base64,AAAA">',
    ],
)
def test_links_and_local_files_are_no_load(text):
    assert loads(text, ".html") == []


def test_style_sheets_are_read():
    assert loads("a{background:url('https://example.org/a.png')}", ".css") == ["https://example.org/a.png"]
    assert loads("a{background:url(data:image/png;base64,AA)} b{c:url(../d.png)}", ".css") == []


def test_the_site_builds_without_a_warning_and_loads_nothing(tmp_path):
    if find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed here: make docs installs it")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        tmp_path / "site",
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "site"
    assert not list(loads_of_site(site))
    for page in ("index", "architecture", "reference/settings", "reference/commands", "api/train", "slurm"):
        assert (site / f"{page}.html").exists(), page
    assert (site / "search" / "search_index.js").exists()  # what a search reads from a disk
