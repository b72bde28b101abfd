"""One name, one file; one owner of a path; no private words but those of the glossary."""

import io
import re
import tokenize
from collections import Counter
from pathlib import Path

import pytest

from docs.hooks.run_folder_page import described
from mammogan.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mammogan"
MODULES = sorted(PACKAGE.rglob("*.py"))
PRIVATE = {
    "told", "tell", "said", "held", "here", "feed", "adversaries", "plant_all", "doubles", "upscale",
    "downscale", "desk", "bank", "rung", "Rung", "Ranks", "Adversaries", "Feed", "SteadyAdam", "Desk",
    "Bank", "Gate", "Lexicon",
}  # fmt: skip
"""Words of the first version that only its authors understood, as names in code."""
ALLOWED = {"tell": "a stream's position"}
DEFINED = (
    "ladder", "rung", "stage", "tick", "floor", "pool", "shard", "view", "laterality", "fade", "kimg", "node",
    "task",
)  # fmt: skip


def names_of(path):
    """Give the identifiers of a module, without its texts and comments."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}


def test_base_names_are_unique_within_the_package():
    """`errors.py` is one file: a search for a module's name finds one."""
    counts = Counter(path.name for path in MODULES if path.stem not in ("__init__", "__main__"))
    assert {name for name, count in counts.items() if count > 1} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_code_uses_the_words_of_the_field(path):
    if path.parts[-2] == "cost" or path.stem == "cost_command":  # the key of calibrations that users have
        return
    assert names_of(path) & (PRIVATE - set(ALLOWED)) == set()


def test_a_private_word_would_be_found(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("def function(told):\n    '''Say what is here.'''\n    return told  # held\n")
    assert names_of(path) & PRIVATE == {"told"}


def test_the_glossary_defines_the_words_that_stay():
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").lower()
    assert [word for word in DEFINED if not re.search(rf"\*\*[^*]*\b{word}\b", page)] == []


RUN = RunFolder(Path("RUN"))
PATHS = {
    name: value
    for name in dir(RunFolder)
    if not name.startswith("_") and isinstance(value := getattr(RUN, name), Path) and name != "root"
}
PATHS |= {
    "logs": RUN.logs("NODE"),
    "failure": RUN.failure("NODE", 7),
    "attempts": RUN.attempts("NODE", 7),
    "span": RUN.span("JOB", 7, 0),
    "marker": RUN.marker("NODE", 7),
    "progress": RUN.progress("NODE", 7),
    "stage": RUN.stage(3),
    "checkpoint": RUN.checkpoint(3, 1000),
    "rollbacks": RUN.rollbacks(3),
    "journal": RUN.journal("NODE"),
    "score": RUN.score(3, 1000),
    "image_features": RUN.image_features(),
}


def test_every_path_is_taken_into_the_comparison():
    assert set(PATHS) == {name for name in dir(RunFolder) if not name.startswith("_")} - {"root"}


@pytest.mark.parametrize("name", PATHS)
def test_every_path_of_a_run_is_on_its_page(name):
    """As it is written there, or as the folder of what is."""
    place = PATHS[name].relative_to("RUN").as_posix()
    written = (path.strip("/") for path in described())
    as_written = re.sub(r"\b3\b", "STAGE", re.sub(r"\b7\b", "TASK", place)).replace("000001000", "IMAGES")
    as_written = as_written.replace("_7_0.json", "_TASK_RESTART.json")
    assert any(page == as_written or page.startswith(f"{as_written}/") for page in written), as_written


def test_nobody_else_spells_a_path_of_a_run():
    """A file's or folder's name that is a run's own stands in `run_folder.py` alone, as a text in code."""
    own = {
        "jobs.jsonl",
        "launch.lock",
        "selection.json",
        "scores.csv",
        "rollbacks.json",
        "stages",
        "spans",
        "attempts",
    }
    found = {}
    for path in MODULES:
        if path.name == "run_folder.py":
            continue
        tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
        texts = {token.string.strip("'\"") for token in tokens if token.type == tokenize.STRING}
        if texts & own:
            found[path.relative_to(PACKAGE).as_posix()] = texts & own
    assert found == {"steps/write_report.py": {"stages"}}, "a fact's name on the report's page"
