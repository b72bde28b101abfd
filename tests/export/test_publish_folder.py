"""Publishing: what the hub is sent, and what never goes there."""

import base64
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mammogan.config.dataset import NO_RELEASE
from mammogan.errors import ConfigError, DataError
from tests.cli.made import done, make_run, refused


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("publish")
    done("export", make_run(folder / "run"), folder / "out")
    return folder / "out"


class Hub(BaseHTTPRequestHandler):
    """Answers as the Hugging Face Hub does to whoever pushes small files."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.seen.append((self.path, self.headers["Authorization"], body))
        answer = {"url": "https://huggingface.co/a/b", "name": "a/b"}
        if "/preupload/" in self.path:
            files = json.loads(body)["files"]
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            answer = {"files": [{"path": file["path"], **modes} for file in files]}
        if "/commit/" in self.path:
            answer = {"commitUrl": "https://huggingface.co/a/b/commit/1", "commitOid": "1", "success": True}
        self.answer(answer)

    def do_GET(self):
        self.answer({"id": "a/b", "sha": "0", "siblings": [], "private": True})

    def answer(self, tree):
        content = json.dumps(tree).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub(monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    server = HTTPServer(("127.0.0.1", 0), Hub)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("public", [False, True])
def test_every_file_arrives_in_a_repository_that_is_private_unless_public(exported, hub, public):
    said = done("publish", exported, "a/b", *(["--public"] if public else []))
    assert f"{exported} is now at https://huggingface.co/a/b/commit/1" in said
    created = next(json.loads(body) for path, _, body in hub.seen if path == "/api/repos/create")
    assert created["name"] == "b" and created["organization"] == "a"
    assert created.get("private", not public) is (not public) or created["visibility"] == "public"
    assert {authorization for _, authorization, _ in hub.seen} == {"Bearer hf_secret"}
    (commit,) = (body for path, _, body in hub.seen if "/commit/" in path)
    lines = [json.loads(line) for line in commit.splitlines()]
    sent = {
        line["value"]["path"]: base64.b64decode(line["value"]["content"])
        for line in lines
        if line["key"] == "file"
    }
    assert sent == {path.name: path.read_bytes() for path in exported.iterdir()}


def test_without_network_the_folder_stays(exported, hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    message = refused(DataError, "publish", exported, "a/b")
    assert "'a/b' could not be pushed: " in message and "stays as it is: `hf upload a/b" in message
    assert {path.name: path.read_bytes() for path in exported.iterdir()} == before


def test_without_the_package_or_a_name_or_an_export_it_says_what_is_missing(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "needs the package 'huggingface_hub': pip install" in refused(
        ConfigError, "publish", exported, "a/b"
    )
    assert "'ab' is no name on the hub" in refused(ConfigError, "publish", exported, "ab")
    assert "is no exported model: there is no 'TERMS.txt' in it" in refused(
        DataError, "publish", tmp_path, "a/b"
    )


def test_without_a_token_it_tells_how_to_log_in(exported, hub, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    assert "You are not logged in to the hub: `hf auth login`" in refused(
        ConfigError, "publish", exported, "a/b"
    )
    assert hub.seen == []


@pytest.fixture
def forbidden(exported, tmp_path):
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "TERMS.txt").write_text(f"embed: EMBED. Licence: theirs. {NO_RELEASE}\n")
    return tmp_path


def test_what_the_terms_forbid_is_never_pushed(forbidden):
    assert "must not be passed on, by the terms of the images" in refused(
        ConfigError, "publish", forbidden, "a/b"
    )


def test_what_somebody_permitted_is_pushed(forbidden, hub):
    config = json.loads((forbidden / "config.json").read_text())
    (forbidden / "config.json").write_text(json.dumps({**config, "permission": "The owner, 1 May"}))
    done("publish", forbidden, "a/b")
    assert hub.seen
