"""Who one is for an MLflow server, and what to do when it refuses; by the standard library alone.

MLflow itself reads the same variables and the same file: in a container without the home folder only the
former arrive, which is why jobs are given the file's content as variables. Nothing of it is ever written.
"""

from __future__ import annotations

import base64
import configparser
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammogan.errors import ConfigError

USERNAME, PASSWORD, TOKEN = (f"MLFLOW_TRACKING_{name}" for name in ("USERNAME", "PASSWORD", "TOKEN"))
SECRET = re.compile(r"MLFLOW_\w*(PASSWORD|TOKEN|SECRET)\w*$")
HOW = (
    f"Set {USERNAME} and {PASSWORD}, or {TOKEN}, where you launch, or write the first two into "
    "~/.mlflow/credentials; jobs are given them"
)
HOSTS = "Start the server with --allowed-hosts and the name in the URI, port included"


def credentials(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that MLflow's own file of credentials stands for; none that are set already."""
    if environ.get(TOKEN) or (environ.get(USERNAME) and environ.get(PASSWORD)):
        return {}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(Path("~/.mlflow/credentials").expanduser(), encoding="utf-8")
        section = parser["mlflow"]
    except (KeyError, OSError, RuntimeError, configparser.Error, UnicodeDecodeError):
        return {}
    values = {name: section.get(name.lower(), "") for name in (USERNAME, PASSWORD)}
    return {name: value for name, value in values.items() if value and not environ.get(name)}


def ask(uri: str, call: str, body: Mapping[str, str] | None = None, **values: str) -> dict[str, Any]:
    """Ask a server for something by its REST interface, as its user; with a `body` tell it something.

    Raises
    ------
    OSError
        If it can't be reached; `urllib.error.HTTPError` if it refuses.
    """
    query = f"?{urllib.parse.urlencode(values)}" if values else ""
    parts = urllib.parse.urlsplit(uri)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    request = urllib.request.Request(  # noqa: S310
        f"{address}/api/2.0/mlflow/{call}{query}",
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json", **_header(parts)},
    )
    patience_s = float(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT") or 10)
    with urllib.request.urlopen(request, timeout=patience_s) as reply:  # noqa: S310
        found: dict[str, Any] = json.loads(reply.read() or b"{}")
    return found


def refusal(uri: str, experiment: str) -> ConfigError | None:
    """Try whether a server lets this user write to an experiment; return what it says if it doesn't.

    It is asked to set a tag without a key, which it refuses to those who may, too, but for another reason.

    Raises
    ------
    OSError
        If it doesn't answer at all.
    """
    try:
        found = ask(uri, "experiments/get-by-name", experiment_name=experiment)["experiment"]
        ask(uri, "experiments/set-experiment-tag", {"experiment_id": found["experiment_id"]})
    except urllib.error.HTTPError as error:
        text = error.read().decode("utf-8", "replace")
        return explained(error.code, text, uri, experiment)
    return None


def explained(status: int, text: str, uri: str, experiment: str, model: str = "") -> ConfigError | None:
    """Return what to do about a refusal by its HTTP status and text; None if it is none."""
    server = without_secrets(uri)
    user = os.environ.get(USERNAME) or credentials().get(USERNAME, "")
    whom = f" as user '{user}'" if user else ""
    if status == 401:
        why = (
            f"refuses these credentials{whom}" if whom or os.environ.get(TOKEN) else "wants to know who asks"
        )
        return ConfigError(f"The MLflow server '{server}' (tracking.uri) {why} (401). {HOW}.")
    if status != 403:
        return None
    if "Host header" in text:
        return ConfigError(f"The MLflow server '{server}' (tracking.uri) refuses its name (403). {HOSTS}.")
    what, key = (model, "model") if model else (experiment, "experiment")
    kind = "registered model" if model else "experiment"
    return ConfigError(
        f"The MLflow server '{server}' (tracking.uri){whom} gives no permission to write to the {kind} "
        f"'{what}' (403). Ask its owner or an administrator for the permission EDIT on it, or name another "
        f"in tracking.{key}."
    )


def status_of(error: BaseException) -> int:
    """Return the HTTP status that an error of MLflow, or of requests below it, stands for; 0 for none."""
    if hasattr(error, "get_http_status_code"):
        return int(error.get_http_status_code())
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)


def without_secrets(uri: str) -> str:
    """Return a URI without the name and password that it may hold."""
    parts = urllib.parse.urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return parts._replace(netloc=f"***@{parts.netloc.rpartition('@')[2]}").geturl()


def check_no_secrets(uri: str, variables: Mapping[str, str]) -> None:
    """See that a profile holds no password: it would stand in run.json, batch scripts and logs.

    Raises
    ------
    ConfigError
        With the key that does.
    """
    if uri.startswith("http") and urllib.parse.urlsplit(uri).password:
        raise ConfigError(
            f"tracking.uri '{without_secrets(uri)}' holds a password, which everyone could read in run.json "
            f"and logs. Take it out. {HOW}."
        )
    if found := [name for name, value in variables.items() if SECRET.match(name) and value]:
        raise ConfigError(
            f"environment.variables.{found[0]} of the site's profile is a secret, which everyone could read "
            f"in run.json and batch scripts. Take it out. {HOW}."
        )


def _header(parts: urllib.parse.SplitResult) -> dict[str, str]:
    given = {
        **credentials(),
        **{name: os.environ[name] for name in (USERNAME, PASSWORD, TOKEN) if name in os.environ},
    }
    name = given.get(USERNAME) or urllib.parse.unquote(parts.username or "")
    word = given.get(PASSWORD) or urllib.parse.unquote(parts.password or "")
    if name and word:
        return {"Authorization": "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()}
    return {"Authorization": f"Bearer {given[TOKEN]}"} if given.get(TOKEN) else {}
