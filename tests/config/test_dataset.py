import pytest

from mammogan.config.dataset import Dataset, Packing, load_recipe, recipes
from mammogan.config.method import Method
from mammogan.config.site import Site
from mammogan.errors import ConfigError


def test_every_recipe_of_the_checkout_loads_under_its_folders_name():
    found = recipes()
    assert set(found) == {
        "phantom", "folder", "cbis-ddsm", "inbreast", "vindr-mammo", "cmmd", "embed", "rsna", "omi-db",
        "images",
    }  # fmt: skip
    for name in found:
        recipe = load_recipe(name)
        assert recipe.dataset.name == name
        assert recipe.dataset.licence
        assert recipe.dataset.conditions
        card = (found[name].parent / "README.md").read_text(encoding="utf-8")
        assert card.startswith(f"# {name}: ")
        assert f"--from {name}=" in card


def test_a_recipe_can_be_given_by_its_path(tmp_path):
    path = tmp_path / "ours.toml"
    path.write_text('[dataset]\nname = "ours"\ntitle = "Ours"\nlicence = "none"\n')
    assert load_recipe(path).dataset.name == "ours"
    assert load_recipe(str(path), ["splits.train=0.5", "splits.validation=0.5"]).splits.validation == 0.5


def test_recipe_method_and_site_share_no_table():
    tables = [set(model.model_fields) for model in (Dataset, Method, Site)]
    assert not tables[0] & tables[1]
    assert not tables[0] & tables[2]


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"no recipe 'fantom'.*Did you mean 'phantom'.*path of a TOML file"):
        load_recipe("fantom")


def test_without_a_checkout_the_answer_is_to_give_a_path(monkeypatch):
    monkeypatch.setattr("mammogan.config.dataset.recipes", dict)
    with pytest.raises(ConfigError, match=r"comes without a recipe\. Or give the path"):
        load_recipe("phantom")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("screening.modality=1", "unknown key 'screening.modality'.*Did you mean 'modalities'"),
        ("splits.train=0.9", "add up to 1.1, not to 1"),
        ("packing.top_px=[1280,1000]", "never gives top_px"),
        ("source.patient_pattern=(", "not a regular expression"),
        (
            'source.view=["viewposition"]',
            "key 'source.view.0' is 'viewposition': an origin is a DICOM keyword",
        ),
        ('source.view=["path:("]', r"'source.view.0' is 'path:\(': not a regular expression"),
        ("source.view=[]", "source: 'view' is empty: name at least one origin"),
        ('source.density=["table:ACR"]', r"'table:ACR' needs a table: add one under \[\[source.tables\]\]"),
        ('source.tables=[{file="a.csv", match={id="table:b"}}]', "'table:b' can't lead to the first table"),
        ('source.tables=[{fil="a.csv"}]', "unknown key 'source.tables.0.fil'.*Did you mean 'file'"),
        (
            'source.tables=[{file="a.csv", match={id="view"}, '
            'refuse=[{reason="Bad one", column="c", values=["1"]}]}]',
            "a reason is small letters and digits with hyphens between, as in 'post-surgical'",
        ),
        ('source.side_names={links="X"}', "side_names.links"),
        ("source.images.bits=17", "source.images.bits"),
        ('screening.only_flag=["implnt-like"]', "'screening.only_flag.0' is 'implnt-like': input should be"),
        ('screening.view_modifiers=["roled"]', "'screening.view_modifiers.0' is 'roled': .*'rolled'"),
        ('screening.modalities="MG"', r'should be a list in brackets, as in \[8, 16\] or \["MG"\]'),
        ("screening.breast_area=[0.9, 0.1]", r"breast_area is \[0.9, 0.1\]: the smallest share comes first"),
        ("screening.largest_px=[64, 512]", r"is larger than largest_px \[64, 512\]"),
    ],
)
def test_a_wrong_value_is_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe("phantom", [override])


def test_the_ladder_has_nine_rungs():
    assert Packing().resolutions[0] == (5, 4)
    assert Packing().resolutions[-1] == (1280, 1024)
    assert len(Packing().resolutions) == 9


def test_every_recipe_has_a_card():
    for name, path in recipes().items():
        assert (path.parent / "README.md").is_file(), name
