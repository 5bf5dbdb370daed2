"""A flow as a mermaid graph, for READMEs and everything else that draws mermaid."""

import re
from zlib import crc32

from compose.flow import Flow
from compose.render.drawing import COLOURS, Box, draw

_RESERVED = frozenset(
    {"end", "graph", "flowchart", "subgraph", "class", "classdef", "click", "style", "default"}
)
_SAFE = re.compile(r"[^\w .:/@+-]")


def mermaid(flow: Flow, *, left_right: bool = False) -> str:
    """Return the mermaid text of a flow, from the top down or from left to right."""
    drawing = draw(flow)
    lines = [f"graph {'LR' if left_right else 'TD'}"]
    lines += [f"  {_box(box)}" for box in drawing.boxes]
    lines += [
        f"  {_id(arrow.source)} -->|{arrow.label}| {_id(arrow.target)}" for arrow in drawing.arrows
    ]
    used = {box.kind for box in drawing.boxes}
    lines += [
        f"  classDef {kind} fill:{fill},stroke:{line},color:#1c1c1c"
        for kind, (fill, line) in COLOURS.items()
        if kind in used
    ]
    return "\n".join(lines) + "\n"


def _box(box: Box) -> str:
    """Return one node; routers are round, as GNES drew them."""
    text = "<br>".join(map(_text, box.lines))
    opening, closing = ('(("', '"))') if box.is_router else ('["', '"]')
    return f"{_id(box.id)}{opening}{text}{closing}:::{box.kind}"


def _id(name: str) -> str:
    """Return a name that mermaid takes for nothing else: no hyphens, none of its own words."""
    if "-" not in name and name.lower() not in _RESERVED:
        return name
    return f"{name.replace('-', '_')}_{crc32(name.encode()):x}"


def _text(words: str) -> str:
    """Return text that mermaid can only show: what could mean something is written as a code."""
    return _SAFE.sub(lambda found: f"#{ord(found.group())};", words[:60])
