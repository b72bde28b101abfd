"""What a user reads who has written a wrong setting."""

import pytest
from pydantic import ValidationError, model_validator

from mammogan.config.settings import (
    Settings,
    canonical_json,
    load,
    nearest,
    parse_override,
    read_toml,
    validate,
)
from mammogan.errors import ConfigError


class Inner(Settings):
    width_px: int = 4
    heights: tuple[int, ...] = (1, 2)
    ratio: float = 0.5


class Outer(Settings):
    name: str
    inner: Inner = Inner()
    by_name: dict[str, Inner] = {}  # noqa: RUF012 - pydantic copies defaults

    @model_validator(mode="after")
    def _rule(self):
        if self.name == "inner":
            raise ValueError("name and inner must differ")
        return self


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "some.toml"
    path.write_text('name = "x"\n[inner]\nwidth_px = 8\n')
    return path


def test_settings_are_read_and_frozen(file):
    settings = load(Outer, file)
    assert settings.inner.width_px == 8
    with pytest.raises(ValidationError, match="frozen"):
        settings.inner.width_px = 9


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "inner.widht_px=1",
            r"unknown key 'inner.widht_px'\. Did you mean 'width_px'\? Valid: heights, ratio, w",
        ),
        ("iner.width_px=1", r"unknown key 'iner'\. Did you mean 'inner'\? Valid: by_name, inner, name\.$"),
        ("by_name.a.with_px=1", r"unknown key 'by_name.a.with_px'\. Did you mean 'width_px'\?"),
        ("inner.zzz=1", r"unknown key 'inner.zzz'\. Valid: heights, ratio, width_px\.$"),
        ("inner.width_px=wide", r"key 'inner.width_px' is 'wide': input should be a valid integer"),
        ("inner.heights=16", r"key 'inner.heights' is '16': should be a list in brackets, as in \[8, 16\]"),
        ("inner.ratio=inf", r"key 'inner.ratio' is 'inf': input should be a finite number\.$"),
        ("by_name.a=1", r"key 'by_name.a' is '1': should be a table of keys\.$"),
    ],
)
def test_a_wrong_setting_is_answered_with_file_key_and_what_is_valid(file, override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(Outer, file, [override])
    assert str(caught.value).startswith(f"{file} --set {override}: ")


def test_a_rule_of_a_whole_table_is_told_without_the_table(file):
    with pytest.raises(ConfigError) as caught:
        validate(Outer, {"name": "inner"}, "some.toml")
    assert str(caught.value) == "some.toml: name and inner must differ."


def test_every_mistake_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        validate(Outer, {"inner": {"width_px": "w", "depth": 1}}, "some.toml")
    message = str(caught.value)
    assert "key 'name' is missing" in message
    assert "key 'inner.width_px' is 'w'" in message
    assert "unknown key 'inner.depth'" in message


def test_overrides_win_in_their_order_and_reach_tables_that_the_file_lacks(file):
    settings = load(Outer, file, ["inner.width_px=5", "inner.width_px=6", "by_name.a.width_px=7"])
    assert (settings.inner.width_px, settings.by_name["a"].width_px) == (6, 7)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=16", 16),
        ("a.b = 1e-3", 0.001),
        ("a.b=[1, 2]", [1, 2]),
        ("a.b=true", True),
        ('a.b="16"', "16"),
        ("a.b=12:00:00x", "12:00:00x"),
        ("a.b=plain text", "plain text"),
        ("a.b=x=y", "x=y"),
        ("a.b=", ""),
    ],
)
def test_the_value_of_an_override_is_toml_and_else_text(text, value):
    assert parse_override(text) == (["a", "b"], value)


@pytest.mark.parametrize("text", ["a.b", "b=1", "=1", ".b=1", "a.=1", ""])
def test_an_override_of_another_form_is_refused(text):
    with pytest.raises(ConfigError, match=r"--set '.*' is not of the form table.key=value, as in "):
        parse_override(text)


def test_an_override_below_a_value_is_refused(file):
    with pytest.raises(ConfigError, match=r"--set 'name.x=1': 'name' is a value, not a table"):
        load(Outer, file, ["name.x=1"])


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no settings file '.*none\.toml'"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"settings file '.*' can't be read: Is a directory"):
        read_toml(tmp_path)
    for content in (b"a = \n", b"\xff\xfe"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(ConfigError, match=r"'.*bad\.toml' is not valid TOML: "):
            read_toml(tmp_path / "bad.toml")


def test_nearest_lists_all_even_where_none_is_near():
    assert nearest("q", ["b", "a"]) == " Valid: a, b."


def test_json_to_be_hashed_does_not_depend_on_order():
    assert canonical_json({"b": 1, "a": [1.0, "ä"]}) == canonical_json({"a": [1.0, "ä"], "b": 1})
