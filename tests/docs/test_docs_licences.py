"""The page of licences is that of the locks, names each package's, and flags what is under the GPL."""

import re
from importlib.metadata import PackageNotFoundError

import pytest

from docs.hooks import licence_table
from docs.hooks.licence_table import PAGE, pinned, render, written

TABLE = re.compile(r"^\| ([\w.-]+) \| (\d\S*) \| (.*?) \| .*\|$", re.MULTILINE)
IDENTIFIER = re.compile(r"[A-Za-z0-9.+-]+")
AGAIN = "python -m docs.hooks.licence_table"


def parts():
    """Split the page by what asks for packages: each to its rows of name, version and licence."""
    return {
        title: TABLE.findall(text)
        for title, text in re.findall(
            r"^## Asked for: (.*)\n((?:.*\n)*?)(?=^## |\Z)", written(PAGE.read_text()) + "\n", re.M
        )
    }


def test_the_page_has_each_package_of_the_locks_with_its_version():
    listed = {name: version for rows in parts().values() for name, version, _ in rows}
    assert listed == pinned(), AGAIN


def test_each_package_has_a_licence_in_words_of_spdx():
    for rows in parts().values():
        for name, _, licence in rows:
            words = re.split(r" (?:AND|OR|WITH) ", licence.replace("(", "").replace(")", ""))
            assert all(IDENTIFIER.fullmatch(word) for word in words), (name, licence)


def test_nothing_under_the_gpl_comes_along_unasked():
    flagged = {
        title: {name for name, _, licence in rows if licence_table.FLAGGED.search(licence)}
        for title, rows in parts().items()
    }
    asked = {"`video`", "`libjpeg`", "tests", "this site", "to build"}
    assert not any(names for title, names in flagged.items() if title not in asked)
    assert flagged["`video`"] == {"imageio-ffmpeg"} and flagged["`libjpeg`"] == {"pylibjpeg-libjpeg"}
    first = written(PAGE.read_text()).split("## Asked for")[0]
    assert all(f"| {name} |" in first for names in flagged.values() for name in names)


def test_what_is_flagged_is_what_takes_rights_away():
    def flagged(licence):
        return licence_table.Row("", "a", "1", licence).flagged

    assert all(map(flagged, ("GPL-3.0-only", "AGPL-3.0-or-later", "MIT AND GPL-2.0-only", "CC-BY-NC-4.0")))
    assert not any(map(flagged, ("MIT", "LGPL-3.0-or-later", "Apache-2.0 OR BSD-3-Clause", "MPL-2.0")))


def test_the_page_is_what_the_installed_packages_say():
    try:
        rows = licence_table.rows()
    except PackageNotFoundError as error:
        pytest.skip(f"the package {error.name} of the locks is not installed")
    now = {(row.name, row.version, row.licence) for row in rows}
    assert {row for rows in parts().values() for row in rows} == now, AGAIN
    assert "## Under the GPL" in render(rows)
