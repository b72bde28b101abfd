"""What is in the image, and what of the host does not get into it."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess

import pytest

from mammogan.cluster import sbatch_parameters
from mammogan.config.run_config import Run
from mammogan.config.site import load_site
from mammogan.steps.job_graph import graph
from tests.cluster.test_golden import METHOD
from tests.container.conftest import PACKAGES, ROOT
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.container
VERSIONS = "from importlib.metadata import distributions as d; [print(x.name, x.version) for x in d()]"


def test_the_image_knows_its_version_though_it_was_built_without_git(image):
    version = image.run("mammogan", "--version")
    assert version == image.labels()["org.opencontainers.image.version"]
    assert version == image.python("import importlib.metadata as m; print(m.version('mammogan'))")
    assert version != "0+unknown"


def test_every_package_has_the_version_of_the_lock(image):
    def normal(name):
        return re.sub(r"[-_.]+", "-", name).lower()

    lock = (ROOT / "containers" / "requirements.lock").read_text()
    pinned = {
        normal(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", lock, re.MULTILINE)
    }
    inside = dict(line.split() for line in image.python(VERSIONS).splitlines())
    inside = {normal(name): version.removesuffix("+cpu") for name, version in inside.items()}
    assert {name: inside.get(name) for name in pinned} == pinned


def test_labels_say_what_was_built(image):
    labels = image.labels()
    commit = labels["org.opencontainers.image.revision"]
    kept = subprocess.run(
        ["git", "-C", ROOT, "show", f"{commit}:containers/requirements.lock"],
        check=False,
        capture_output=True,
    )
    if not kept.returncode:  # else another checkout's
        assert labels["mammogan.lock.sha256"] == hashlib.sha256(kept.stdout).hexdigest()
    assert re.fullmatch("[0-9a-f]{40}", commit)
    cuda = image.python("import torch; print(torch.version.cuda)")
    assert (labels["mammogan.flavour"], cuda == "None") in (("cpu", True), ("gpu", False))


@pytest.fixture
def home(tmp_path):
    """A home whose user's own packages hold another torch, as a working directory and a PYTHONPATH do."""
    site = tmp_path / ".local" / "lib" / "python3.11" / "site-packages"
    for folder in (site, tmp_path / "path", tmp_path / "here"):
        (folder / "torch").mkdir(parents=True)
        (folder / "torch" / "__init__.py").write_text("raise SystemExit('not the torch of the image')")
        (folder / "mammogan").mkdir()
        (folder / "mammogan" / "__init__.py").write_text("raise SystemExit('not the code of the image')")
    return tmp_path


LEAKS = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "CUDA_HOME",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CC",
)
KEPT = {
    "RANK": "3",
    "SLURM_PROCID": "3",
    "SLURM_JOB_ID": "7",
    "CUDA_VISIBLE_DEVICES": "1",
    "MAMMOGAN_CPUS": "2",
}


def test_nothing_of_the_host_stands_in_for_what_is_in_the_image(image, home):
    program = (
        "import mammogan, os, sys, torch\n"
        "print(torch.__file__, mammogan.__file__, sys.path, dict(os.environ))"
    )
    host = os.environ | {name: str(home / "path") for name in LEAKS} | KEPT | {"LANG": "xx_XX.UTF-8"}
    said = image.python(program, options=("--home", str(home)), env=host, cwd=home / "here")
    torch, code, rest = said.split(maxsplit=2)
    assert torch == f"{PACKAGES}/torch/__init__.py"
    assert code == f"{PACKAGES}/mammogan/__init__.py"
    paths, variables = map(eval, rest.replace("] {", "]\n{", 1).splitlines())
    assert not [path for path in paths if path.startswith(str(home)) or path == ""]
    assert not [name for name in LEAKS if str(home) in variables.get(name, "")]
    assert {name: variables[name] for name in KEPT} == KEPT


def test_certificates_are_those_of_the_image(image):
    host = os.environ | dict.fromkeys(
        ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"), "/no/such/place"
    )
    program = (
        "import os, requests, ssl; ssl.create_default_context(); print(os.environ['REQUESTS_CA_BUNDLE'])"
    )
    assert image.python(program, env=host) == "/etc/ssl/certs/ca-certificates.crt"
    said = image.python("import ssl; print(len(ssl.create_default_context().get_ca_certs()))", env=host)
    assert int(said) > 50


ODD = ("with space", "it's", 'a "quote"', "the $HOME", "back`tick")


@pytest.mark.parametrize("shell", [True, False], ids=["in a batch script", "without a shell"])
@pytest.mark.parametrize("odd", ODD)
def test_prefix_starts_the_image_whatever_is_in_the_paths(image, tmp_path, odd, shell):
    """submitit pastes it into a batch script, and splits it itself where there is no scheduler."""
    top = tmp_path / odd
    for name in ("run", "shards", "more"):
        (top / name).mkdir(parents=True)
    named = top / "image.sif"
    named.symlink_to(image.path)
    more = str(top / "more")
    theirs = () if set(odd) & set("$`") else (f"{more}:/more",)  # a bind of the site's may hold variables
    site = load_site("example-a100").model_copy(
        update={
            "container": load_site("local").container.model_copy(
                update={"image": str(named), "binds": theirs}
            )
        }
    )
    storage = site.storage.model_copy(update={"scratch": ""})
    run = Run(
        schema_version=1,
        run_id="0123456789ab",
        mammogan="0",
        shards=str(top / "shards"),
        shard_tasks=1,
        data_identity="",
        method=METHOD,
        recipes=(),
        site=site.model_copy(update={"storage": storage}),
    )
    node = next(node for node in graph(run) if node.step == "train")
    program = (
        "import os, pathlib, sys; run, shards, more = sys.argv[1:]; assert os.getcwd() == run\n"
        "pathlib.Path(run, 'written').touch(); assert not more or os.path.isdir(more)\n"
        "try: pathlib.Path(shards, 'written').touch()\nexcept OSError: print('as it should be')"
    )
    words = ["-c", program, str(top / "run"), str(top / "shards"), "/more" if theirs else ""]
    prefix = sbatch_parameters.python(run, top / "run", node)
    command = ["bash", "-c", f"{prefix} {shlex.join(words)}"] if shell else [*shlex.split(prefix), *words]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd="/",
        env=os.environ | {"APPTAINER_NO_MOUNT": "tmp"},
    )
    assert done.stdout.strip() == "as it should be", done.stderr
    assert (top / "run" / "written").exists()
    assert not (top / "shards" / "written").exists()


def test_development_bind_puts_a_checkout_over_the_baked_code(image, tmp_path):
    shutil.copytree(ROOT / "mammogan", tmp_path / "mammogan", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "mammogan" / "_version.py").write_text('__version__ = "9.9.9"\n')
    bind = f"{tmp_path / 'mammogan'}:{PACKAGES}/mammogan:ro"
    assert image.run("mammogan", "--version", options=("--bind", bind)) == "9.9.9"
    assert bind.split(":", 1)[1] in (ROOT / "containers" / "README.md").read_text()
    assert "example-a100" in image.python("from mammogan.config.site import sites; print(*sites())")
