"""The job graph as a tree and as diagrams."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from rich.console import Console

from mammogan.cli.graph_command import _tree, graph
from mammogan.cli.graph_drawing import DIAGRAMS, Box, dot, mermaid, svg
from mammogan.errors import ConfigError

BOXES = (
    Box("finalise", 1, "cpu_array", (), "done", 1),
    Box("train-0", 1, "gpu_nodes", ("finalise",), "done", 1),
    Box("score-0", 4, "gpu_one", ("train-0",), "failed", 3),
    Box("train-1", 1, "gpu_nodes", ("train-0",), "running"),
    Box("score-1", 4, "gpu_one", ("train-1",), "queued"),
    Box("select", 1, "login", ("score-0", "score-1"), "blocked"),
)


def test_the_tree_hangs_each_step_below_the_last_that_it_waits_for():
    console = Console(width=80, record=True)
    console.print(_tree(BOXES))
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    indents = {line.strip(" │├└─").split()[0]: len(line) - len(line.lstrip(" │├└─")) for line in lines}
    assert indents["train-0"] < indents["score-0"] == indents["train-1"] < indents["score-1"]
    assert "select login, and score-0  blocked" in lines[-1]
    assert any("score-0 x 4 gpu_one  failed 3/4" in line for line in lines)


def test_mermaid_has_every_arrow_and_a_class_for_every_state():
    text = mermaid(BOXES)
    assert text.startswith("flowchart TD\n")
    for box in BOXES:
        assert all(f"  {need} --> {box.name}\n" in text for need in box.needs)
    assert "  class finalise,train-0 done\n" in text
    assert "class" not in mermaid([Box("list", 1, "login", ())])


def test_dot_has_every_node_and_arrow():
    text = dot(BOXES)
    assert text.count("->") == 6
    assert '"score-0" [label="score-0 x 4\\ngpu_one, failed 3/4"' in text


def test_svg_is_well_formed_and_no_two_boxes_share_a_place():
    root = ElementTree.fromstring(svg(BOXES))
    boxes = [(r.get("x"), r.get("y")) for r in root.iter("{http://www.w3.org/2000/svg}rect") if r.get("x")]
    assert len(set(boxes)) == len(BOXES)


def test_wrong_choices_are_explained():
    with pytest.raises(ConfigError, match=r"--format 'png' is none of: text, mermaid, dot, svg"):
        graph(form="png")
    with pytest.raises(ConfigError, match="Give either a run's folder, or --method and --data"):
        graph(None, None, None, "local", "text")
    assert set(DIAGRAMS) == {"mermaid", "dot", "svg"}
