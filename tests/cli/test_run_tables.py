"""How a run's state looks in a narrow terminal."""

from rich.console import Console

from mammogan.cli.run_tables import nodes_table
from mammogan.cluster.run_state import NodeState
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
