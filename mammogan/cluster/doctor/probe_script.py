"""The script that a node answers: lines of a question and its answer, in bash and in the job's Python."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from mammogan.cluster.container import is_file
from mammogan.config.resource import Resource
from mammogan.config.site import Site
from mammogan.tracking.mlflow_server import experiment_name

TOKEN, READ, ANSWER = "token", "mammogan", "answer"
LOCK = "lock"
PING, PONG = "ping", "pong"  # what a node writes, and what it is answered with: how long that takes

# The setup lines run twice: once as in the batch script, where the first failure ends the job, to tell which
# line that is; then whatever comes of them, for what is asked afterwards.
SETUP = r"""trap '' USR2  # by which Slurm tells a job that its time is nearly up
work=$(mktemp -d) || exit 1
say() { printf '%s %s\n' "$1" "$(printf '%s' "$2" | tr '\n' ' ')" >>"$work/answer"; }
deliver() {
  trap - EXIT
  for folder in @FOLDERS@; do
    cp "$work/answer" "$folder/answer.tmp" && mv "$folder/answer.tmp" "$folder/answer"
  done 2>/dev/null
  rm -rf "$work"
}
trap deliver EXIT
say node "${SLURMD_NODENAME:-$(hostname -s)}"
cat >"$work/setup" <<'MAMMOGAN_SETUP'
@SETUP@
MAMMOGAN_SETUP
(set -e; trap 'echo "$LINENO" >"$work/line"' ERR; . "$work/setup") >"$work/told" 2>&1
say setup "$? $(cat "$work/line" 2>/dev/null || echo 0) $(tail -n 2 "$work/told" | sed "s|$work/setup: ||")"
. "$work/setup" >/dev/null 2>&1
set +eu
@EXPORTS@
"""

# The other side holds a lock; flock tells by its silence that it is held here, too.
PLACES = r"""number=0
for folder in @FOLDERS@; do
  say "read.$number" "$(cat "$folder/token" 2>&1)"
  if [ -e "$folder/lock" ] && command -v flock >/dev/null; then
    if held=$(flock -n "$folder/lock" true 2>&1); then held=free; fi
    say "lock.$number" "${held:-held}"
  fi
  number=$((number + 1))
done
folders=(@FOLDERS@)
(
  began=$(date +%s%N)
  : >"${folders[0]}/ping"
  for ((tries = 0; tries < 300; tries++)); do
    [ -e "${folders[0]}/pong" ] && { say trip "$((($(date +%s%N) - began) / 1000000))e-3"; exit; }
    sleep 0.1
  done
  say trip 30
) &
trip=$!
for name in /sys/class/net/*; do printf '%s ' "${name##*/}"; done >"$work/net"
say interfaces "$(cat "$work/net")"
"""

PERMANENT = r"""if [ -d @PERMANENT@ ]; then
  say permanent yes
else
  say permanent "$(ls -ld @PERMANENT@ 2>&1)"
fi
"""

SCRATCH = r"""scratch="@SCRATCH@"
if mine=$(mktemp -d "$scratch/mammogan-doctor.XXXXXX" 2>&1); then
  rmdir "$mine"
  say scratch "yes $scratch $(df -Pk "$scratch" 2>/dev/null | awk 'END {printf "%.0f", $4 / 1048576}')"
else
  say scratch "no $scratch $(ls -ld "$scratch" 2>&1)"
fi
"""

BIND = r"""source="@SOURCE@"
if [ -e "$source" ]; then say bind.@NUMBER@ yes; else say bind.@NUMBER@ "no $source"; fi
"""

COMMAND = r"""say command "$(command -v @COMMAND@ || echo no)"
"""

PYXIS = r"""if srun --help 2>/dev/null | grep -q -e --container-image; then
  say command pyxis
else
  say command no
fi
"""

IMAGE = r"""if [ -e @IMAGE@ ]; then say image yes; else say image no; fi
"""

CUDA = r"""say gpus "$(nvidia-smi -L 2>/dev/null | wc -l)"
"""

PYTHON = r"""export PYTHONSAFEPATH=1
timeout 240 @PYTHON@ -c @PROGRAM@ @ARGUMENTS@ >>"$work/python" 2>"$work/words"
code=$?
say python "$code $( (grep -v '^in\.' "$work/python"; cat "$work/words") | tail -n 2)"
grep '^in\.' "$work/python" >>"$work/answer"
wait $trip
exit 0
"""

# Runs in the image, where no more is sure to be than Python.
PROGRAM = """
import importlib.metadata, os, sys
uri, cuda, experiment = sys.argv[1:4]
def say(*words):  # in one piece: ranks write at the same time
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
say("in.python", "%d.%d" % sys.version_info[:2])
for name in ("mammogan", "submitit", "torch"):
    try:
        say("in." + name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        say("in." + name, "no")
if uri.startswith("http"):
    import urllib.request
    try:
        urllib.request.urlopen(uri.rstrip("/") + "/health", timeout=5).read()
        try:
            from mammogan.tracking.mlflow_access import refusal
        except ImportError:  # an older one
            refusal = lambda *_: None
        say("in.tracking", refusal(uri, experiment) or "yes")
    except Exception as error:
        say("in.tracking", error)
elif uri.startswith("sqlite:///"):
    folder = os.path.dirname(uri[len("sqlite:///"):]) or "."
    say("in.tracking", "yes" if os.access(folder, os.W_OK) else f"'{folder}' can't be written")
if cuda == "yes":
    import torch
    say("in.cuda", torch.cuda.device_count(), torch.version.cuda)
    if not torch.cuda.device_count():
        try:
            torch.cuda.init()
        except Exception as error:
            say("in.cuda_reason", " ".join(str(error).split()))
"""


def script(site: Site, frame: tuple[str, str], folders: Sequence[Path], resource: Resource) -> str:
    """Write the script for jobs of a class; each of `folders` gets the answer.

    `frame` is of the class's batch scripts: their options, and the words that start a job's Python.
    """
    storage, container = site.storage, site.container
    head, python = frame
    exports = [f"export {name}={shlex.quote(value)}" for name, value in site.environment.variables.items()]
    cuda = "yes" if resource.device == "cuda" else "no"
    arguments = shlex.join([site.tracking.uri, cuda, experiment_name(site.tracking.experiment)])
    binds = (_fill(BIND, SOURCE=source, NUMBER=str(number)) for number, source in enumerate(sources(site)))
    runs_it = PYXIS if container.kind == "pyxis" else _fill(COMMAND, COMMAND=shlex.quote(container.command))
    parts = [
        f"{head}\n",
        _fill(
            SETUP,
            FOLDERS=shlex.join(map(str, folders)),
            SETUP="\n".join([*site.environment.setup, *resource.setup]),
            EXPORTS="\n".join(exports),
        ),
        _fill(PLACES, FOLDERS=shlex.join(map(str, folders))),
        _fill(PERMANENT, PERMANENT=shlex.quote(storage.permanent)) if storage.permanent else "",
        _fill(SCRATCH, SCRATCH=storage.scratch) if storage.scratch else "",
        *(binds if container.image else ()),
        runs_it if container.image else "",
        _fill(IMAGE, IMAGE=shlex.quote(container.image)) if is_file(container.image) else "",
        CUDA if resource.device == "cuda" else "",
        _fill(PYTHON, PYTHON=python, PROGRAM=shlex.quote(PROGRAM), ARGUMENTS=arguments),
    ]
    return "".join(parts)


def sources(site: Site) -> list[str]:
    """List the host's side of the binds, each of which is ``source:target:options``."""
    return [part.split(":")[0] for bind in site.container.binds for part in bind.split(",")]


def _fill(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
