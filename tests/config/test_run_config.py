"""A run is what is learned from what; where it runs may change."""

import json

import pytest

from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.config.run_config import Run, claim, load, merge, shard_build
from mammogan.config.site import load_site
from mammogan.errors import ConfigError


def make(tmp_path, *, method=(), recipe=(), site=("local", ()), data="d1", shards="shards"):
    return merge(
        load_method("tour", method),
        (load_recipe("phantom", recipe),),
        load_site(*site),
        tmp_path / shards,
        data,
        "0.1.0",
    )


def test_what_is_written_is_what_is_read(tmp_path):
    run = make(tmp_path, method=("optimiser.learning_rate=0.001",))
    claim(tmp_path / "run", run)
    assert Run.load(tmp_path / "run") == run


def test_the_id_follows_from_method_recipes_and_data_alone(tmp_path):
    first = make(tmp_path)
    assert make(tmp_path, site=("local", ("site.requeues=3",))).run_id == first.run_id
    assert make(tmp_path, site=("devcluster", ())).run_id == first.run_id
    assert make(tmp_path, shards="elsewhere").run_id == first.run_id
    others = [
        make(tmp_path, method=("method.seed=1",)),
        make(tmp_path, recipe=("splits.train=0.7", "splits.validation=0.3")),
        make(tmp_path, data="d2"),
    ]
    assert len({first.run_id, *(other.run_id for other in others)}) == 4


def test_the_id_does_not_depend_on_the_spelling_of_a_number(tmp_path):
    spelled = [make(tmp_path, method=(f"optimiser.learning_rate={text}",)) for text in ("0.001", "1e-3")]
    assert spelled[0].run_id == spelled[1].run_id
    assert make(tmp_path, method=("ema.half_life_kimg=1.0",)).run_id == make(tmp_path).run_id


def test_the_path_of_the_shards_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert make(tmp_path.relative_to(tmp_path)).shards == str(tmp_path / "shards")


def test_a_folder_takes_the_same_run_again_and_at_another_site(tmp_path):
    folder = tmp_path / "run"
    claim(folder, make(tmp_path))
    before = (folder / "run.json").stat().st_mtime_ns
    claim(folder, make(tmp_path))
    assert (folder / "run.json").stat().st_mtime_ns == before
    claim(folder, make(tmp_path, site=("devcluster", ())))
    assert Run.load(folder).site.site.name == "devcluster"


def test_a_folder_refuses_another_run_and_stays_as_it_is(tmp_path):
    folder, first = tmp_path / "run", make(tmp_path)
    claim(folder, first)
    with pytest.raises(ConfigError, match=rf"holds run '{first.run_id}' \(tour\).*another folder, or go on"):
        claim(folder, make(tmp_path, method=("method.seed=1",)))
    assert Run.load(folder) == first


def test_a_run_of_an_earlier_version_goes_on_under_its_own_id(tmp_path):
    """Whose hash is another one, for it knew fewer keys."""
    folder = tmp_path / "run"
    claim(folder, make(tmp_path))
    tree = json.loads((folder / "run.json").read_text()) | {"run_id": "0123456789ab"}
    assert "penalty" not in tree["method"]["loss"], "a key that version 0.1 did not know, at its default"
    (folder / "run.json").write_text(json.dumps(tree))
    claim(folder, make(tmp_path))
    assert Run.load(folder).run_id == "0123456789ab"
    with pytest.raises(ConfigError, match="holds run '0123456789ab'"):
        claim(folder, make(tmp_path, method=("loss.penalty=r2",)))


def test_a_folder_without_a_run_is_answered_with_how_one_is_made(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "none", tmp_path / "file"):
        with pytest.raises(ConfigError, match=r"is not a run: it has no run.json\. `mammogan launch "):
            Run.load(folder)


@pytest.mark.parametrize("content", [b"{", b"", b"\xff", b"[]", b"17"])
def test_a_damaged_run_is_named(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"run\.json' is damaged: .*launch again with the same settings"):
        Run.load(tmp_path)


def test_a_run_of_another_schema_names_the_version_that_wrote_it(tmp_path):
    claim(tmp_path, make(tmp_path))
    path = tmp_path / "run.json"
    tree = json.loads(path.read_text()) | {"schema_version": 99, "mammogan": "9.9.9"}
    path.write_text(json.dumps(tree))
    with pytest.raises(ConfigError, match=r"schema_version '99', and this MammoGAN reads 1: use.*'9\.9\.9'"):
        Run.load(tmp_path)


def test_an_edited_run_with_a_wrong_key_is_answered_as_a_settings_file(tmp_path):
    claim(tmp_path, make(tmp_path))
    path = tmp_path / "run.json"
    tree = json.loads(path.read_text())
    tree["method"]["ema"]["decai"] = 1
    path.write_text(json.dumps(tree))
    with pytest.raises(
        ConfigError, match=r"run\.json: unknown key 'method.ema.decai'\. Did you mean 'decay'"
    ):
        Run.load(tmp_path)


def test_a_shard_sets_folder_is_answered_with_that_of_its_jobs(tmp_path):
    (tmp_path / "set.private" / "jobs").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"is not a run: .*build these shards are in '.*set.private/jobs'"):
        load(tmp_path / "set")


def test_a_build_of_shards_is_read_as_such_and_is_no_training_run(tmp_path):
    launched = shard_build(tmp_path / "set", 3, load_site("local"), "0")
    claim(tmp_path / "jobs", launched)
    assert load(tmp_path / "jobs") == launched
    with pytest.raises(ConfigError, match=r"is no training run: its jobs build the shards"):
        Run.load(tmp_path / "jobs")
    with pytest.raises(ConfigError, match=r"holds run '\w+' \(a build of shards\), and this launch is of"):
        claim(tmp_path / "jobs", shard_build(tmp_path / "other", 3, load_site("local"), "0"))
