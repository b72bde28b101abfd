"""Programs on PATH that answer as Slurm does at sites of several kinds; jobs.json and site.json say what.

Jobs never run. A site may rewrite comments, hide others' jobs, keep accounts, be silent or hang, or lose the
answer of sbatch.
"""

# Started by the dozen: what takes time to import is left out.
import json
import os
import re
import sys

PROGRAMS = ("squeue", "scontrol", "sbatch", "scancel", "srun")
FIELDS = {"i": "id", "T": "state", "r": "reason", "S": "start", "u": "user", "j": "name", "o": "command"}
INVALID = "slurm_load_jobs error: Invalid job id specified"
OVER = ("CANCELLED", "COMPLETED", "FAILED")


def read(path):
    with open(path) as file:  # noqa: PTH123
        return json.load(file)


def write(path, content):
    with open(path, "w") as file:  # noqa: PTH123
        json.dump(content, file)


class FakeSlurm:
    """The site, seen from a test."""

    def __init__(self, folder, user):
        self.folder, self.user = folder, user
        folder.mkdir()
        write(folder / "site.json", {"user": user, "cluster": "here", "private": "none"})
        write(folder / "jobs.json", [])
        for name in PROGRAMS:
            self.add(name)

    def add(self, name):
        path = self.folder / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {__file__} {self.folder} {name} "$@"\n')
        path.chmod(0o755)

    def change(self, **facts):
        """Change the site."""
        write(self.folder / "site.json", read(self.folder / "site.json") | facts)

    def take(self, job_id, name, command, comment, tasks):
        """Put a job into the queue."""
        job = {"id": job_id, "name": name, "command": str(command), "comment": comment, "tasks": tasks}
        job |= {"state": "PENDING", "reason": "Priority", "start": "N/A", "user": self.user}
        write(self.folder / "jobs.json", [*self.jobs, job])

    def update(self, job_id=None, **facts):
        """Change one job, or all."""
        chosen = [job | facts if job_id in (None, job["id"]) else job for job in self.jobs]
        write(self.folder / "jobs.json", chosen)

    def forget(self):
        write(self.folder / "jobs.json", [])

    @property
    def jobs(self):
        return read(self.folder / "jobs.json")

    @property
    def live(self):
        return [job for job in self.jobs if job["state"] not in OVER]

    @property
    def calls(self):
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []


def out(*words):
    sys.stdout.write(" ".join(words) + "\n")


def fail(words):
    sys.exit(words)


def expanded(job):
    """Give the tasks of an array each for itself."""
    for index in range(job["tasks"]):
        yield job | ({"id": f"{job['id']}_{index}"} if job["tasks"] > 1 else {})


def squeue(site, jobs, words):
    options = dict(zip(words, [*words[1:], ""], strict=True))
    ids, users = options.get("-j"), options.get("-u")
    if ids:
        jobs = [job for job in jobs if job["id"] in ids.split(",")]
        if not jobs and "," not in ids:
            fail(INVALID)
    if options.get("-t") != "all":
        jobs = [job for job in jobs if job["state"] not in OVER]
    if users:
        jobs = [job for job in jobs if job["user"] in users.split(",")]
    for each in (task for job in jobs for task in expanded(job)):
        if "-O" in options:
            out(f"{each['id']:<64}{each.get('restarts', 0):<16}")
        else:
            letters = re.findall("%(.)", options["-o"])
            out("|".join(each[FIELDS.get(letter, "comment")] for letter in letters))


def scontrol(site, jobs, words):
    if words[-1] == "config":
        out(f"ClusterName             = {site['cluster']}\nMaxArraySize            = 1001")
        out(f"PrivateData             = {site['private']}")
        return
    job = next((job for job in jobs if job["id"] == words[-1].split("_")[0]), None)
    if job is None:
        fail(INVALID)
    out(f"JobId={job['id']} JobState={job['state']} Reason=None ExitCode=0:0")


def sbatch(site, jobs, words):
    if "--test-only" in words:
        return
    with open(words[-1]) as file:  # noqa: PTH123
        options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", file.read(), re.MULTILINE))
    if "refuses" in site:
        fail(f"sbatch: error: Batch job submission failed: {site['refuses']}")
    array = re.match(r"0-(\d+)", options.get("array", ""))
    job = {
        "id": str(max([100, *(int(job["id"]) for job in jobs)]) + 1),
        "state": "PENDING",
        "reason": "Priority",
        "start": "N/A",
        "user": site["user"],
        "name": options["job-name"],
        "command": site.get("command", words[-1]),
        "comment": site.get("comment", options.get("comment", "").strip("'")),
        "tasks": 1 + int(array[1]) if array else 1,
    }
    write("jobs.json", [*jobs, job])
    if lost := site.get("lost", 0):
        write("site.json", site | {"lost": lost - 1})
        fail("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
    out("Submitted batch job", job["id"])


def scancel(site, jobs, ids):
    for job in jobs:
        if job["id"] in [job_id.split("_")[0] for job_id in ids]:
            if job["user"] != site["user"]:
                fail(f"scancel: error: Kill job error on job id {job['id']}: Access/permission denied")
            job["state"] = "CANCELLED"
    write("jobs.json", jobs)


def sacct(site, jobs, words):
    asked = words[words.index("-j") + 1].split(",")
    for line in site["accounts"]:
        if re.split(r"[_|]", line)[0] in asked:
            out(line)


def main(folder, name, *words):
    os.chdir(folder)
    with open("calls", "a") as calls:  # noqa: PTH123
        calls.write(f"{name} {' '.join(words)}\n")
    site = read("site.json")
    if name in site.get("hangs", ()):
        os.execv("/bin/sleep", ["sleep", "60"])
    if silent := site.get("silent"):
        if silent is not True:  # so many times
            write("site.json", site | {"silent": silent - 1})
        fail("slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
    jobs = read("jobs.json")
    if name in ("squeue", "scontrol"):
        jobs = [job for job in jobs if site["private"] == "none" or job["user"] == site["user"]]
    globals()[name](site, jobs, list(words))


if __name__ == "__main__":
    main(*sys.argv[1:])
