"""What can be told of the image before it is built: its definition, and the script that builds it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from mammogan.cluster import sbatch_parameters
from mammogan.config.site import load_site
from mammogan.errors import ClusterError
from mammogan.steps.job_graph import graph
from tests.cluster.test_golden import run as golden
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
DEFINITION = (ROOT / "Apptainer.def").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "containers" / "requirements.lock").read_text()
OFFLINE = (
    'FATAL:   While performing build: conveyor failed to get: Get "https://index.docker.io/v2/": no such host'
)


def section(name):
    return re.search(rf"^%{name}\n((?:    .*\n|\n)*)", DEFINITION, re.MULTILINE)[1]


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_argument_has_a_default_and_is_used():
    defaults = set(re.findall(r"^    (\w+)=", section("arguments"), re.MULTILINE))
    assert defaults == set(re.findall(r"{{ (\w+) }}", DEFINITION))


def test_every_argument_can_be_given_to_make_image():
    script = (ROOT / "containers" / "build").read_text()
    for name in re.findall(r"^    (\w+)=", section("arguments"), re.MULTILINE):
        assert re.search(rf"\b{name}\b", script), name


def test_what_an_installed_mammogan_needs_is_copied_into_the_image():
    copied = [line.split()[0] for line in section("files").splitlines() if line.strip()]
    assert all((ROOT / path).exists() for path in copied)
    if (ROOT / "mammogan").is_symlink():
        pytest.skip("the package is an installed wheel's, which has files in place of the links")
    links = [path for path in (ROOT / "mammogan").iterdir() if path.is_symlink()]
    wanted = [str(path.resolve().relative_to(ROOT)) for path in links]  # each where its link looks for it
    wanted += ["mammogan/__init__.py", *PROJECT["project"]["license-files"], PROJECT["project"]["readme"]]
    wanted += [".git_archival.txt"]  # with the version
    assert len(links) == 3
    assert all(line.split()[1] == f"/src/{line.split()[0]}" for line in section("files").splitlines() if line)
    for path in wanted:
        assert any(Path(path).is_relative_to(top) for top in copied), path


def test_the_lock_pins_whatever_a_job_needs():
    pinned = {normal(name) for name in re.findall(r"^([\w.-]+)==", LOCK, re.MULTILINE)}
    extras = PROJECT["project"]["optional-dependencies"]
    needs = [*PROJECT["project"]["dependencies"], *extras["launch"], *extras["data"], *extras["train"]]
    names = {normal(re.match(r"[\w.-]+", need)[0]) for need in needs} - {"mammogan"}
    assert names <= pinned
    built_by = {normal(re.match(r"[\w.-]+", need)[0]) for need in PROJECT["build-system"]["requires"]}
    assert {"torch"} | built_by <= pinned  # the build installs torch by this line, and MammoGAN by these


def test_both_bases_have_the_python_that_the_project_is_tested_with():
    assert re.search(r"BASE=python:3\.11-", DEFINITION)
    assert "sys.version_info[:2] == (3, 11)" in (ROOT / "containers" / "base.def").read_text()
    assert PROJECT["tool"]["ruff"]["target-version"] == "py311"


@pytest.fixture
def checkout(tmp_path):
    """A checkout of its own with one file that is committed and one that is not."""
    folder = tmp_path / "a checkout"
    (folder / "containers").mkdir(parents=True)
    (folder / "mammogan").mkdir()
    shutil.copy(ROOT / "containers" / "build", folder / "containers" / "build")
    (folder / "mammogan" / "__init__.py").write_text("")
    shutil.copytree(ROOT / "containers" / "host", folder / "containers" / "host")
    (folder / ".gitignore").write_text("build/\n")
    git = ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "--no-verify", "-m", "One"], check=True)
    subprocess.run([*git, "tag", "v1.2.3"], check=True)
    (folder / "mammogan" / "secret.py").write_text("")
    return folder


@pytest.fixture
def build(checkout, tmp_path):
    """Run containers/build with an apptainer that only notes what it is asked for."""

    def run(
        body='for last; do image=$before before=$last; done; { echo "$@"; find . -name "*.py"; } >"$image"',
        **given,
    ):
        fake = tmp_path / "fake-apptainer"
        fake.write_text(f"#!/bin/bash\n{body}\n")
        fake.chmod(0o755)
        environment = {
            k: v for k, v in os.environ.items() if k not in ("BASE", "BOOTSTRAP", "FLAVOUR", "IMAGE")
        }
        return subprocess.run(
            [checkout / "containers" / "build"],
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd=tmp_path,
            env=environment | {"APPTAINER": str(fake)} | given,
        )

    return run


def test_the_image_is_built_of_what_is_committed_and_named_after_it(build, checkout):
    done = build(FLAVOUR="cpu")
    assert done.returncode == 0, done.stderr
    assert "what is not committed stays out" in done.stderr
    [image] = (checkout / "build").glob("*.sif")
    commit = subprocess.check_output(["git", "-C", checkout, "rev-parse", "HEAD"], text=True)
    assert image.name == f"mammogan-1.2.3-cpu-{commit[:12]}.sif"
    asked, *files = image.read_text().splitlines()
    assert f"--build-arg COMMIT={commit.strip()}" in asked
    assert "--build-arg FLAVOUR=cpu" in asked
    assert files == ["./mammogan/__init__.py"]
    assert [path.name for path in (checkout / "build").iterdir()] == [image.name]  # nothing is left behind
    assert re.search(r"image: .*\.sif, \d+ MB in \d+ s, of commit", done.stdout)


def test_a_base_that_is_a_file_is_taken_from_there(build, tmp_path):
    (tmp_path / "base.sif").write_text("")
    assert build(BASE="base.sif", IMAGE="here.sif", PIP_ARGS="--index-url http://a/simple").returncode == 0
    asked = (tmp_path / "here.sif").read_text().splitlines()[0]
    assert f"--build-arg BASE={tmp_path / 'base.sif'} --build-arg BOOTSTRAP=localimage" in asked
    assert "--build-arg PIP_ARGS=--index-url http://a/simple" in asked


def test_docker_hub_out_of_reach_is_answered_with_what_to_do(build, tmp_path):
    (tmp_path / "old.sif").write_text("old")
    done = build(f"echo '{OFFLINE}' >&2; exit 255", IMAGE="old.sif")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("image: Docker Hub can't be reached")
    assert "BOOTSTRAP=localimage BASE=base.sif" in last
    assert (tmp_path / "old.sif").read_text() == "old"
    assert not list(tmp_path.glob("*.part"))


@pytest.fixture
def behind_a_proxy(tmp_path):
    """A host whose certificates, index, wheels and constraints are its own."""
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "only.txt").write_text("torch<3\n")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://me:secret@mirror.example.org/simple\n"
        f"constraint = {tmp_path}/only.txt\nfind-links = {tmp_path}/wheels\nquiet = 1\n"
    )
    nothing = dict.fromkeys(("PIP_CERT", "REQUESTS_CA_BUNDLE", "PIP_FIND_LINKS", "PIP_INDEX_URL"), "")
    return nothing | {"SSL_CERT_FILE": f"{tmp_path}/ca.pem", "PIP_CONFIG_FILE": f"{tmp_path}/pip.conf"}


def test_host_settings_hand_in_certificates_and_settings_of_pip(build, behind_a_proxy, tmp_path):
    body = 'echo "$@"; find containers/host -type f -exec cat {} +'
    note = f'for last; do image=$before before=$last; done; {{ {body}; }} >"$image"'
    done = build(note, HOST_SETTINGS="yes", IMAGE="m.sif", **behind_a_proxy)
    assert done.returncode == 0, done.stderr
    image = (tmp_path / "m.sif").read_text()
    # Read-only: what lies in /src is removed at the end of the build.
    [wheels] = re.findall(rf"--bind {tmp_path}/wheels:(/src/containers/host/folder\.\w+):ro ", image)
    assert f"find-links = {wheels}\n" in image
    assert "index-url = https://me:secret@mirror.example.org/simple\n" in image
    assert "constraint = /src/containers/host/only.txt\n" in image
    assert "torch<3\n" in image and "BEGIN CERTIFICATE" in image
    assert "quiet" not in image
    assert f"certificates of this machine: {tmp_path}/ca.pem (1)" in done.stdout
    assert "secret" not in done.stdout + done.stderr


def test_without_host_settings_nothing_of_the_host_goes_in(build, behind_a_proxy, tmp_path):
    note = 'for last; do image=$before before=$last; done; { echo "$@"; ls containers/host; } >"$image"'
    assert build(note, IMAGE="m.sif", **behind_a_proxy).returncode == 0
    asked, *files = (tmp_path / "m.sif").read_text().splitlines()
    assert files == ["README.md"]
    assert "--bind" not in asked


def test_a_certificate_that_the_build_does_not_know_is_answered_with_what_to_do(build):
    done = build(
        "echo 'SSLError(SSLCertVerificationError: certificate verify failed: self-signed' >&2; exit 1"
    )
    assert "make image HOST_SETTINGS=yes takes this machine's" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"HOST_SETTINGS": "1"}, "HOST_SETTINGS is '1': take yes or no"),
        (
            {"BOOTSTRAP": "localimage", "BASE": "no.sif"},
            "BASE='no.sif' is not there: make image-base BASE=base.sif",
        ),
        ({"APPTAINER": "no-such-apptainer"}, "'no-such-apptainer' is not here"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_built(build, given, message):
    done = build(**given)
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.parametrize("folder", ["/runs/a,b", "/runs/a:b"])
def test_a_path_that_apptainer_would_cut_is_refused_before_anything_is_submitted(folder):
    run = golden("example-a100")
    with pytest.raises(ClusterError, match=f"'{folder}' can't be bound .* a comma or colon. Give a folder"):
        sbatch_parameters.python(run, Path(folder), graph(run)[0])
    assert not load_site("local").container.image  # without an image, any path will do
    assert sbatch_parameters.python(golden("devcluster"), Path(folder), graph(run)[0])
