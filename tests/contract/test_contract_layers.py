"""What may be where: layers, third parties, Python, and what an installed package must hold."""

import ast
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from mammogan.config.dataset import recipes
from mammogan.config.site import sites

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mammogan"
MODULES = sorted(PACKAGE.rglob("*.py"))
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]

AT_IMPORT = {
    "cli": {"typer", "rich"},
    "api": {"numpy", "torch"},
    "datasets": {"numpy", "torch"},
    "export": set(),
    "cluster": {"submitit"},
    "train": {"torch", "numpy", "safetensors"},
    "nets": {"torch"},
    "losses": {"torch"},
    "metrics": {"numpy", "torch", "cv2", "scipy"},
    "data": {"pydantic", "numpy", "scipy", "cv2", "pydicom", "imagecodecs", "pebble", "PIL"},
    "study": {"numpy", "matplotlib", "jinja2", "pydantic", "fastapi", "starlette"},
    "report": {"numpy", "matplotlib", "jinja2"},
    "pages": {"numpy", "matplotlib", "jinja2"},
    "config": {"pydantic"},
    "run_records": {"pydantic"},
    "scored_images": {"pydantic"},
}
"""What a room may import from elsewhere as it is imported; rooms that are not named here: nothing."""


def test_a_room_imports_only_rooms_below_it_and_its_own_third_parties():
    # In a process of its own, for import-linter silences the loggers of the one that it runs in.
    lint = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    told = subprocess.run([sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout
    assert "7 kept, 0 broken" in told.stdout


def at_import(nodes):
    """Give the import statements that run when a module is imported, type checkers' ones left out."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from at_import(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from at_import(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_heavy_imports_stay_inside_the_functions_of_rooms_that_a_login_node_loads(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for node in at_import(ast.parse(path.read_text()).body):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
        tops = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"mammogan"}
        assert tops <= AT_IMPORT.get(room, set()), f"line {node.lineno}"


def test_the_imports_of_a_module_are_told_from_those_of_its_functions():
    code = """
import a
if TYPE_CHECKING:
    import no
else:
    import b
def function():
    import no
class C:
    import c
    def method(self):
        import no
try:
    import d
except ImportError:
    import e
"""
    assert [node.names[0].name for node in at_import(ast.parse(code).body)] == list("abcde")


@pytest.mark.parametrize("folder", ["slurm", "shards", "containers"])
def test_folders_of_facts_hold_no_python(folder):
    assert not list((ROOT / folder).rglob("*.py"))


def test_no_module_holds_a_second_subject():
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in MODULES}
    assert not {path: length for path, length in lengths.items() if length > 300}
    assert sorted(lengths.values())[len(lengths) // 2] <= 120


def test_every_file_of_the_package_that_is_not_python_is_packaged():
    globs = SETUPTOOLS["package-data"]["mammogan"]
    links = [
        path for link in PACKAGE.iterdir() if link.is_symlink() and link.is_dir() for path in link.rglob("*")
    ]
    found = [*PACKAGE.rglob("*"), *links]  # rglob follows no links
    files = [path for path in found if path.is_file() and "__pycache__" not in path.parts]
    data = [path.relative_to(PACKAGE).as_posix() for path in files if path.suffix != ".py"]
    assert [name for name in data if not any(fnmatch(name, glob) for glob in globs)] == []
    for glob in globs:
        assert any(fnmatch(name, glob) for name in data), glob


def test_every_profile_and_recipe_of_the_repository_comes_with_the_package():
    profiles = {path.stem for path in (ROOT / "slurm/profiles").glob("*.toml")}
    recipes_here = {path.parent.name for path in (ROOT / "shards").glob("*/recipe.toml")}
    assert profiles and set(sites()) == profiles
    assert recipes_here and set(recipes()) == recipes_here
