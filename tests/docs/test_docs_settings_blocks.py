"""Blocks of settings in the documents are TOML, with tables and keys that exist."""

import re
import tomllib

import pytest

from docs.hooks.links import ROOT, documents
from mammogan.config.dataset import Dataset
from mammogan.config.method import Method
from mammogan.config.site import Site
from mammogan.study.reader.study_settings import StudyFile
from mammogan.study.review.review_settings import ReviewFile

BLOCK = re.compile(r"^```toml\n(.*?)^```", re.DOTALL | re.MULTILINE)
OWNERS = (Method, Dataset, Site, StudyFile, ReviewFile)
BLOCKS = [
    pytest.param(block, id=f"{path.relative_to(ROOT)}: {block.splitlines()[0]}")
    for path in documents()
    for block in BLOCK.findall(path.read_text(encoding="utf-8"))
]


def unknown(block):
    """List the tables and keys of a block that no model knows; keys without a table are not looked at."""
    found = []
    for table, values in tomllib.loads(block).items():
        owners = [owner for owner in OWNERS if table in owner.model_fields]
        if isinstance(values, dict) and not owners:
            found.append(table)
        elif isinstance(values, dict):
            models = [owner.model_fields[table].annotation.model_fields for owner in owners]
            found += [f"{table}.{key}" for key in values if not any(key in model for model in models)]
    return found


@pytest.mark.parametrize("block", BLOCKS)
def test_settings_of_the_documents_exist(block):
    assert unknown(block) == []


def test_blocks_are_found():
    assert len(BLOCKS) > 5


@pytest.mark.parametrize("block", ["[losses]\na = 1", "[loss]\npenalty_wait = 1"])
def test_a_wrong_block_would_be_found(block):
    assert unknown(block)
