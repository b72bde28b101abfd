"""The citation and the list of changes agree, and dates are in order."""

import re
from datetime import date

import yaml

from docs.hooks.links import ROOT

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
CHANGES = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_citation_is_of_the_newest_version_in_the_list_of_changes():
    version, day = re.search(r"^## \[(\d+\.\d+\.\d+)\] - (\S+)$", CHANGES, re.MULTILINE).groups()
    assert (str(CITATION["version"]), str(CITATION["date-released"])) == (version, day)


def test_the_citation_names_what_a_citation_needs():
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["authors"] == [{"name": "MammoGAN developers"}]
    assert all(reference["authors"] and reference["title"] for reference in CITATION["references"])
    assert "1807.03401" in CITATION["references"][0]["url"]
    assert CITATION["references"][1]["start"] == "e190181"


def test_changes_stand_under_dates_the_newest_first():
    days = [
        date.fromisoformat(day) for day in re.findall(r"^## .*?(\d{4}-\d\d-\d\d)$", CHANGES, re.MULTILINE)
    ]
    assert len(days) > 1
    assert days == sorted(days, reverse=True)
