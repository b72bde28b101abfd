"""Profiles load; wrong ones are answered with the key, the value and what to do."""

from __future__ import annotations

import pytest

from mammogan.config.method import Method
from mammogan.config.resource import COMMON_OPTIONS, Resource, Resources
from mammogan.config.settings import read_toml, validate
from mammogan.config.site import Site, load_site, sites
from mammogan.errors import ConfigError
from mammogan.steps.job_graph import RESOURCES


@pytest.mark.parametrize("name", sorted(sites()))
def test_every_profile_loads_under_its_own_name(name):
    assert load_site(name).site.name == name


def test_local_and_devcluster_come_with_the_package():
    assert {"local", "devcluster"} <= set(sites())


def test_classes_of_job_are_those_of_the_graph():
    assert tuple(Resources.model_fields) == RESOURCES


def test_no_table_of_a_site_is_also_a_table_of_a_method():
    assert not set(Site.model_fields) & set(Method.model_fields)


def test_unknown_site_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"no site 'devcluste'.*'devcluster'.*example-a100"):
        load_site("devcluste")


def test_a_file_of_ones_own_is_a_site(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(sites()["local"].read_text().replace('name = "local"', 'name = "own"'))
    assert load_site(str(own)).site.name == "own"


def test_overrides_change_single_keys():
    site = load_site("devcluster", ("resources.gpu_nodes.nodes=4", "tracking.uri=http://x"))
    assert (site.resources.gpu_nodes.ranks, site.tracking.uri) == (4, "http://x")


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("local", "resources.gpu_nodes.nodes=2", r"gpu_nodes.nodes is '2'.*set it to 1"),
        ("devcluster", "resources.login.cpus_per_task=0", r"cpus_per_task is '0'.*give a number"),
        ("devcluster", "resources.login.device=cuda", r"gpus_per_node is '0': ask for a GPU"),
        (
            "devcluster",
            "resources.login.time_min=2",
            r"time_min is '2', too short for site.stop_notice_s '60'",
        ),
        ("devcluster", "resources.gpu_one.tim_min=2", r"resources.gpu_one.tim_min'.*Did you mean 'time_min'"),
        (
            "devcluster",
            'resources.login.sbatch={ qos = "long" }',
            r"sbatch: 'qos' has a key of its own: set qos",
        ),
        (
            "devcluster",
            "resources.login.sbatch={ cpus_per_task = 4 }",
            r"'cpus-per-task' has a key of its own: set cpus_per_task",
        ),
        (
            "devcluster",
            'resources.login.sbatch={ array = "0-3" }',
            r"sbatch: 'array' is set by MammoGAN for each",
        ),
        (
            "devcluster",
            "resources.login.sbatch={ C = 1 }",
            r"'C' is no long option of sbatch, as 'constraint' is",
        ),
        (
            "devcluster",
            'resources.login.sbatch={ mem_per_cpu = "2G", mem-per-cpu = "4G" }',
            r"sbatch: 'mem-per-cpu' stands there twice",
        ),
        (
            "devcluster",
            'resources.login.srun=["--ntasks=4"]',
            r"srun: '--ntasks=4' has a key of its own: set tasks_per_node",
        ),
        (
            "devcluster",
            'resources.login.srun=["-o", "x"]',
            r"srun: '-o' is set by MammoGAN, and can't be set here",
        ),
        (
            "devcluster",
            'resources.login.srun=["--export", "NONE"]',
            r"srun: '--export' would keep what a job needs from it: begin with ALL",
        ),
        ("devcluster", "resources.login.gpu_type=a100", r"gpu_type is 'a100', but gpus_per_node is '0'"),
        ("devcluster", "container.command=docker", r"'docker': should be one of apptainer, .*enroot"),
        ("example-pyxis", "site.scheduler=local", r"'pyxis', which is a part of srun, .*or 'enroot'"),
        ("example-pyxis", "container.nv=true", r"nv is 'true', which is Apptainer's; pyxis makes"),
        ("devcluster", "site.scheduler=pbs", r"site.scheduler' is 'pbs'.*'local' or 'slurm'"),
    ],
)
def test_impossible_settings_are_explained(name, override, message):
    with pytest.raises(ConfigError, match=message):
        load_site(name, (override,))


@pytest.mark.parametrize("option", COMMON_OPTIONS)
@pytest.mark.parametrize("spelling", ["-", "_"])
def test_common_options_of_sbatch_may_stand_beside_the_keys(option, spelling):
    value = "gpu:1" if option == "gres" else "x"
    resource = Resource.model_validate({option.replace("-", spelling): value})
    assert resource.sbatch == {option: value}


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"gres": "gpu:a100:4"}, 4),
        ({"gres": "gpu:4"}, 4),
        ({"gres": "gpu"}, 1),
        ({"gres": "gres/gpu:v100:2,tmpdisk:100"}, 2),
        ({"gres": "lscratch:100"}, 0),
        ({"gres": "gpu:a100:1,gpu:h100:2"}, 3),
        ({"sbatch": {"gpus": "h100:8"}, "nodes": 2}, 4),
        ({"sbatch": {"gpus-per-task": 1}, "tasks_per_node": 4}, 4),
        ({"sbatch": {"gpus_per_node": "a100:2"}, "gpus_per_node": 1}, 2),
        ({"gpus_per_node": 3}, 3),
    ],
)
def test_gpus_asked_for_in_slurms_words_are_counted(given, count):
    assert Resource.model_validate(given).gpus_per_node == count


def test_a_class_of_a_run_opens_again_as_it_was():
    for name in sites():
        site = load_site(name)
        assert Site.model_validate_json(site.model_dump_json()) == site


def test_all_four_classes_are_required():
    tree = read_toml(sites()["local"])
    del tree["resources"]["gpu_one"]
    with pytest.raises(ConfigError, match=r"'resources.gpu_one' is missing"):
        validate(Site, tree, "x.toml")
