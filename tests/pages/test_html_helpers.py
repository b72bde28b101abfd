"""Folders of results: whole or not at all, and nothing else is overwritten."""

import pytest

from mammogan.errors import ConfigError
from mammogan.pages.html_helpers import between, p_is, p_value, percent, publish, table


def test_results_replace_older_ones_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    assert publish(out, "mark", {"mark": "1", "stale": "x"}) == [out / "mark", out / "stale"]
    publish(out, "mark", {"mark": "2"})
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("mark", "2")]
    (out / "mark").rename(out / "mine")
    with pytest.raises(ConfigError, match=r"is neither empty nor holds older results \(it has no mark\)"):
        publish(out, "mark", {"mark": "3"})
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(ConfigError, match="give another folder"):
        publish(tmp_path / "out", "mark", {})


@pytest.mark.parametrize(
    ("p", "told"), [(None, "–"), (0.0004, "< 0.001"), (0.0123, "0.012"), (0.456, "0.46"), (0.9996, "> 0.999")]
)
def test_a_p_is_told_as_far_as_it_says_anything(p, told):
    assert p_value(p) == told
    assert p_is(p) == (f"p {told}" if told[0] in "<>" else f"p = {told}")


def test_shares_are_told_as_percentages():
    assert (percent(0.1234), percent(0.5, 0), between(0.1, 0.25)) == ("12.3 %", "50 %", "10.0 to 25.0 %")


def test_a_table_has_its_columns_in_order():
    assert table({"a": "", "b": ""}, [{"b": 2, "a": "x,y"}]) == 'a,b\n"x,y",2\n'
