"""Every setting has one owner, and every file of settings that we ship is valid."""

from itertools import combinations
from pathlib import Path

import pytest
from pydantic import BaseModel

from mammogan.config.dataset import Dataset, load_recipe, recipes
from mammogan.config.method import Method, load_method, methods
from mammogan.config.site import Site, load_site, sites

ROOT = Path(__file__).parents[2]
OWNERS = (Method, Dataset, Site)


def keys(model, prefix=""):
    """List the dotted keys of a model's values."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys(inner, f"{prefix}{name}.")
        else:
            yield prefix + name


@pytest.mark.parametrize(("one", "other"), list(combinations(OWNERS, 2)))
def test_no_table_and_no_key_has_two_owners(one, other):
    assert not set(one.model_fields) & set(other.model_fields)
    assert not set(keys(one)) & set(keys(other))


def test_the_keys_are_those_that_a_user_writes():
    assert {"schedule.batch", "loss.penalty_weight"} <= set(keys(Method))
    assert "packing.samples_per_shard" in set(keys(Dataset))
    assert "resources.gpu_nodes.time_min" in set(keys(Site))


@pytest.mark.parametrize("owner", OWNERS)
def test_every_table_says_what_it_is_for(owner):
    for name, field in owner.model_fields.items():
        assert (field.annotation.__doc__ or "").strip(), name


@pytest.mark.parametrize(
    "path", sorted((ROOT / "slurm" / "profiles").glob("*.toml")), ids=lambda path: path.stem
)
def test_every_profile_loads(path):
    assert path.stem in sites()
    assert load_site(path.stem).site.name == path.stem


@pytest.mark.parametrize(
    "path", sorted((ROOT / "shards").glob("*/recipe.toml")), ids=lambda path: path.parent.name
)
def test_every_recipe_loads_and_has_a_card(path):
    assert path.parent.name in recipes()
    assert load_recipe(path.parent.name).dataset.name == path.parent.name
    assert len(path.with_name("README.md").read_text()) > 200


@pytest.mark.parametrize(
    "path", sorted((ROOT / "mammogan" / "methods").glob("*.toml")), ids=lambda path: path.stem
)
def test_every_method_loads(path):
    assert path.stem in methods()
    assert load_method(path.stem).method.name == path.stem
