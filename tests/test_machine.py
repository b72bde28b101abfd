"""Where Linux's own calls are absent, as on macOS, all modules import and shards are built."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from mammogan import machine
from tests.patience import PATIENCE_S

ABSENT = """
import builtins, os, select, signal, socket, sys, time
MODULES = {"fcntl", "grp", "pwd", "resource", "spwd", "syslog", "termios", "tty", "pty"}
LINUX = {
    os: '''sched_getaffinity sched_setaffinity sched_setscheduler sched_yield posix_fadvise posix_fallocate
        memfd_create eventfd splice copy_file_range pidfd_open fdatasync pipe2 getrandom getxattr setxattr
        listxattr removexattr unshare setns login_tty getresuid setresuid O_DIRECT O_TMPFILE O_PATH O_NOATIME
        O_RSYNC''',
    signal: "sigtimedwait sigwaitinfo pidfd_send_signal SIGRTMIN SIGRTMAX SIGPWR SIGPOLL SIGCLD SIGSTKFLT",
    socket: "AF_PACKET AF_NETLINK AF_VSOCK SO_PEERCRED SO_BINDTODEVICE SOCK_CLOEXEC SOCK_NONBLOCK",
    select: "epoll EPOLLIN",
    time: "CLOCK_BOOTTIME CLOCK_TAI pthread_getcpuclockid",
}
for module, names in LINUX.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

def ours():
    try:
        frame = sys._getframe(2)
    except ValueError:  # the interpreter itself
        return False
    while frame:
        room = frame.f_globals.get("__name__", "").partition(".")[0]
        if room == "mammogan":
            return True
        if room not in sys.stdlib_module_names and room not in ("__main__", "__mp_main__", "sitecustomize"):
            return False
        frame = frame.f_back
    return False

imported = builtins.__import__
def absent(name, *arguments, **words):
    if name in MODULES and ours():
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)
    return imported(name, *arguments, **words)
builtins.__import__ = absent

def no_proc(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and ours():
        if str(arguments[0]).startswith(("/proc", "/sys")):
            raise FileNotFoundError(2, "No such file or directory", arguments[0])
sys.addaudithook(no_proc)
"""
"""What a sitecustomize does to our code: other packages have fallbacks of their own for other systems."""
IMPORTS = """
import importlib, pkgutil, sys, mammogan
for module in pkgutil.walk_packages(mammogan.__path__, "mammogan."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from mammogan.machine import cores
print(cores())
"""
BUILDS = """
import multiprocessing, sys
from pathlib import Path
if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    from mammogan.config.dataset import load_recipe
    from mammogan.data.phantom import make_cohort
    from mammogan.data.shards.build_set import build
    from mammogan.data.shards.shard_plan import plan
    from mammogan.file_lock import locked
    folder = Path(sys.argv[1])
    make_cohort(folder / "files", 3, 0, workers=1, frame_scale=0.1)
    recipe = load_recipe("phantom", ("packing.top_px=[40,32]",))
    plan(folder / "set", [(recipe, folder / "files")], workers=1)
    with locked(folder / "lock"):
        build(folder / "set", workers=1)
"""


@pytest.fixture
def elsewhere(tmp_path):
    """Run a script on a system that has nothing of Linux's own, as its processes are."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(ABSENT)

    def run(script, *words):
        (tmp_path / "script.py").write_text(script)
        path = os.pathsep.join([str(tmp_path / "path"), *filter(None, sys.path)])
        command = [sys.executable, str(tmp_path / "script.py"), *map(str, words)]
        environment = os.environ | {"PYTHONPATH": path}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    return run


def test_every_module_imports_where_nothing_of_linux_is(elsewhere):
    pytest.importorskip("torch")
    done = elsewhere(IMPORTS)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) == os.cpu_count()


@pytest.mark.slow  # five seconds: spawned processes import everything again
def test_shards_are_built_by_processes_where_nothing_of_linux_is(elsewhere, tmp_path):
    done = elsewhere(BUILDS, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert list((tmp_path / "set").rglob("*.tar"))


def test_the_stand_in_takes_from_our_code_what_it_says(elsewhere):
    """A module by the name of ours meets the walls, and another's is let through."""
    lines = (
        "import os, fcntl, resource",
        "assert not hasattr(os, 'sched_getaffinity') and open('/proc/self/stat').read()",
        "ours = {'__name__': 'mammogan.some'}",
        "for walls in ('import fcntl', 'import pwd', 'open(\"/proc/self/stat\")'):",
        "    try: exec(walls, ours)",
        "    except (ImportError, FileNotFoundError): print('wall')",
    )
    done = elsewhere("\n".join(lines))
    assert done.stdout.split() == ["wall"] * 3, done.stderr


def test_a_process_is_known_by_its_command_line_with_and_without_proc(monkeypatch):
    command = [sys.executable, "-c", "print(flush=True); input()", "x" * 200, "a folder"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()  # as it starts, it has no command line yet
        assert "a folder" in machine.command_line(str(process.pid))
        monkeypatch.setattr(machine.Path, "exists", lambda path: False)
        assert "a folder" in machine.command_line(str(process.pid))
        process.communicate(b"\n")
    assert machine.command_line(str(process.pid)) == ""


def test_cores_are_those_that_this_process_may_use():
    assert machine.cores() == len(os.sched_getaffinity(0))


def test_memory_is_counted_in_the_unit_of_the_system(monkeypatch):
    now_gb = psutil.Process().memory_info().rss / 2**30
    peak_gb = machine.memory_peak_gb()
    assert now_gb * 0.9 < peak_gb < 1000 * now_gb
    monkeypatch.setattr(machine.sys, "platform", "darwin")  # which counts bytes
    assert machine.memory_peak_gb() == pytest.approx(peak_gb / 1024, rel=0.2)
    monkeypatch.setattr(machine, "resource", None)
    assert machine.memory_peak_gb() == pytest.approx(now_gb, rel=0.2)


def test_a_stricter_limit_of_memory_stays_in_force():
    lines = (
        "import resource; from mammogan.machine import limit_memory",
        "resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30)); limit_memory(4)",
        "kinds = resource.RLIMIT_DATA, resource.RLIMIT_CORE",
        "print(*(resource.getrlimit(kind)[1] >> 30 for kind in kinds))",
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", "\n".join(lines)]
    data_gb, core_gb = subprocess.check_output(command, env=environment, text=True).split()
    assert data_gb == "1" or os.geteuid() == 0  # who may raise it
    assert core_gb == "0"


def test_users_are_known_by_name_or_number(monkeypatch):
    assert machine.has_user("root") and not machine.has_user("no-such-user")
    name = machine.user_name()
    assert name.isdigit() or machine.has_user(name)
    monkeypatch.setattr(machine, "pwd", None)
    monkeypatch.setenv("LOGNAME", "ada")
    assert machine.user_name() == "ada" and not machine.has_user("root")


@pytest.mark.parametrize("path", [os.environ["PATH"], "/nonexistent"])
def test_a_process_is_ended_with_those_below_it_where_they_can_be_found(monkeypatch, path):
    command = "import subprocess; subprocess.run(['sleep', '5'])"
    parent = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE)
    monkeypatch.setenv("PATH", path)
    machine.end(parent.pid, signal.SIGKILL)
    assert parent.wait(PATIENCE_S) == -signal.SIGKILL
