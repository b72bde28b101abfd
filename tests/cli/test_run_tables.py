"""How a run's state looks in a narrow terminal."""

import io

from rich.console import Console

from mammogan.cli.log_follow import last_message
from mammogan.cli.run_tables import fitting, live, nodes_table
from mammogan.cluster.run_state import NodeState
from mammogan.run_records import Progress
from mammogan.steps.job_graph import Node

REASON = (
    "None of the 24 planned images passed: 21 metal; 3 paddle. Look at them with: "
    "mammogan shards show set --rejects. Then mend the recipe's [screening]."
)


def test_a_long_reason_is_told_whole_and_squeezes_no_other_column():
    node = Node("finalise", "finalise", None, 1, "login", ())
    state = NodeState(node, "failed", ("failed",), {0: "17"}, REASON, None)
    console = Console(width=80, record=True)
    console.print(nodes_table([state]))
    told = console.export_text()
    assert "finalise  failed  0/1    17" in told
    lines = [line[28:].strip() for line in told.splitlines()[1:]]
    assert " ".join(lines) == REASON


def node(name, state, tasks=1, progress=None):
    return NodeState(
        Node(name, name.partition("-")[0], None, tasks, "login", ()),
        state,
        (state,) * tasks,
        {0: "17"},
        "",
        progress,
    )


def test_of_a_long_run_a_short_terminal_shows_what_is_at_work_and_what_comes_next():
    states = [node(f"train-{i}", "done") for i in range(8)]
    states += [node("train-8", "running"), node("score-8", "failed"), node("select", "waiting")]
    assert fitting(states, 11) == states
    shown = [state.node.name for state in fitting(states, 5)]
    assert shown == ["train-6", "train-7", "train-8", "score-8", "select"]
    assert [state.node.name for state in fitting(states, 2)] == ["train-8", "score-8"]


def drawn(updates, *, terminal, height=40, message=lambda _: ""):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=80, height=height, color_system=None)
    states = live(updates, {"train-0", "select"}, console, message=message)
    assert [state.state for state in states] == ["done", "done"]
    return out.getvalue()


HALF = Progress(done=1500, total=3000, unit="images", rate_s=10.0, left_s=150.0, note="10 images/s")
UPDATES = (
    (node("train-0", "running", progress=HALF), node("select", "waiting")),
    (node("train-0", "running", progress=HALF), node("select", "waiting")),
    (node("train-0", "done"), node("select", "done")),
)


def test_a_terminal_shows_progress_time_left_and_the_newest_tick_and_keeps_the_last_table():
    text = drawn(UPDATES, terminal=True, message=lambda state: f"tick of {state.node.name}")
    assert "━━━━━      1500/3000 images, 2 min left" in text
    assert "train-0  tick of train-0" in text
    last = text[text.rindex("step ") :]
    assert "running" not in last and last.count("done") == 2 and "tick" not in last


def test_elsewhere_there_is_a_line_an_event_and_none_while_nothing_happens():
    text = drawn(UPDATES, terminal=False)
    assert [line.split() for line in text.splitlines()] == [
        ["train-0", "running", "0/1"],
        ["train-0", "done", "1/1"],
        ["select", "done", "1/1"],
    ]


def test_the_newest_message_of_a_log_is_that_of_a_job_and_no_others(tmp_path):
    log = tmp_path / "log"
    assert last_message(log) == ""
    log.write_text(
        "submitit INFO (2026-11-30 10:48:06,140) - Starting\n"
        "2026-11-30 10:48:06,697 INFO train-2 task 0 starts as rank 0 of 1\n"
        "2026-11-30 10:48:21,829 INFO 20x16 0.192 of 0.416 kimg; 8 s left\n"
        "  warnings.warn('something')\n2026-11-30 10:48:2"
    )
    assert last_message(log) == "10:48:21 20x16 0.192 of 0.416 kimg; 8 s left"
