"""The tree that says how a score came to be, drawn for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text
from rich.tree import Tree

#: Operands of one node that are drawn; a long document has hundreds of chunks.
MOST_OPERANDS = 12
_OWN = frozenset({"value", "name", "doc", "operands", "params"})


def tree_of(node: Mapping[str, Any]) -> Tree:
    """Return the drawing of an explanation: each node's value, name, parameters and meaning."""
    tree = Tree(_label(node), guide_style="dim")
    _grow(tree, node.get("operands") or ())
    return tree


def _grow(tree: Tree, operands: Sequence[Mapping[str, Any]]) -> None:
    for operand in operands[:MOST_OPERANDS]:
        _grow(tree.add(_label(operand)), operand.get("operands") or ())
    hidden = len(operands) - MOST_OPERANDS
    if hidden > 0:
        tree.add(Text(f"... and {hidden} more (--json shows all)", "dim"))


def _label(node: Mapping[str, Any]) -> Text:
    label = Text.assemble(
        (f"{node['value']:.6g}", "cyan"), " ", (str(node["name"]), "bold"), *_details(node)
    )
    if node.get("doc"):
        label.append(f"  {node['doc']}", "dim")
    return label


def _details(node: Mapping[str, Any]) -> Iterator[str]:
    """Yield what else is known of a node, such as the chunk's position or the rank."""
    extras = {key: value for key, value in node.items() if key not in _OWN}
    for key, value in {**extras, **(node.get("params") or {})}.items():
        if value is not None and not isinstance(value, list | dict):
            yield f" {key.replace('_', ' ')} {value}"
