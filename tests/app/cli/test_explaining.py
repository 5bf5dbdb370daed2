"""Explanations drawn for a terminal."""

import io
from typing import Any

from rich.console import Console

from app.cli.explaining import MOST_OPERANDS, tree_of

LEAF = {"value": 0.35, "name": "chunk", "doc": "relevance times weight", "position": 3, "span": [0]}


def drawn(tree: dict[str, Any]) -> list[str]:
    """Return the lines of the drawing."""
    console = Console(file=io.StringIO(), width=200)
    console.print(tree_of(tree))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_each_node_says_its_value_name_details_and_meaning() -> None:
    """The root first, operands below it, parameters beside the name."""
    tree = {
        "value": 0.7000004, "name": "sum", "doc": "the sum [of] all", "params": {"mode": "sum"},
        "operands": [LEAF, {**LEAF, "operands": [{"value": 1, "name": "weight", "doc": ""}]}],
    }  # fmt: skip

    assert drawn(tree) == [
        "0.7 sum mode sum  the sum [of] all",
        "├── 0.35 chunk position 3  relevance times weight",
        "└── 0.35 chunk position 3  relevance times weight",
        "    └── 1 weight",
    ]


def test_of_very_many_operands_the_first_are_drawn() -> None:
    """The rest is counted, and the way to see it named."""
    lines = drawn({"value": 1.0, "name": "sum", "doc": "", "operands": [LEAF] * 100})

    assert len(lines) == MOST_OPERANDS + 2
    assert lines[-1] == f"└── ... and {100 - MOST_OPERANDS} more (--json shows all)"
