"""YAML text to nodes that know their line; hostile text is refused early and cheaply.

Only plain data comes out. GNES's ``!ClassName`` tags are kept as words; any tag that would make
Python objects is refused. Size, depth, nodes and aliases are bounded before anything is built, so
an anchor bomb, a thousand brackets or a huge file costs milliseconds.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from compose.errors import Fault, FlowError

#: A flow of a hundred services is about 10 kB; ruamel reads 64 kB in well under half a second.
MAX_CHARACTERS = 64 * 1024
MAX_DEPTH = 24
#: Nodes counted with every alias written out, so that nested anchors cannot multiply.
MAX_NODES = 8_000
MAX_ALIASES = 64

_INT = re.compile(r"[-+]?[0-9]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,4})?")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}")
_OCTAL = re.compile(r"0o[0-7]{1,21}")
_BRACKET = re.compile(r"[\[\]{}]")
_MAX_BRACKETS = 4 * MAX_DEPTH
_WORDS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
}
_CLASS_TAG = re.compile(r"![A-Za-z_][A-Za-z0-9_.]{0,99}")
_CORE_TAG = "tag:yaml.org,2002:"
_CORE_KINDS = frozenset({"str", "int", "float", "bool", "null", "seq", "map"})


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def fault(self, key: str, problem: str, *, expected: str = "", nearest: str = "") -> Fault:
        """Return a fault at this place."""
        place = (self.file, self.line, self.column)
        return Fault(*place, key, problem, expected, nearest)


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML value where it stands: a scalar, a tuple of nodes, or a mapping of nodes.

    ``tag`` is GNES's class name without its ``!``; ``keys`` says where each key of a mapping is.
    """

    value: Any
    mark: Mark
    tag: str = ""
    keys: Mapping[str, Mark] = field(default_factory=dict)

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping of nodes."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether the value is a tuple of nodes."""
        return isinstance(self.value, tuple)

    def plain(self) -> Any:
        """Return the value without places: dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value


def read_yaml(text: str, *, file: str) -> Node:
    """Return the one document of a YAML text.

    Args:
        text: the YAML, at most ``MAX_CHARACTERS`` long.
        file: what faults call it.

    Raises:
        FlowError: the text is not YAML, or larger, deeper or more entangled than a flow can be.
    """
    start = Mark(file, 1, 1)
    if len(text) > MAX_CHARACTERS:
        problem = f"the file has {len(text)} characters"
        raise FlowError(start.fault("", problem, expected=f"at most {MAX_CHARACTERS}"))
    if _opens_too_much(text):
        raise FlowError(
            start.fault("", "nested too deeply", expected=f"at most {MAX_DEPTH} levels")
        )
    try:
        return _Composer(text, file).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Mark(file, mark.line + 1, mark.column + 1) if mark else start
        problem = " ".join(str(error.problem or error.context or "no valid YAML").split())
        raise FlowError(place.fault("", f"no valid YAML: {problem}")) from None
    except (YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, FlowError):
            raise
        problem = " ".join(str(error).split())[:200]
        raise FlowError(start.fault("", f"no valid YAML: {problem}")) from None


def _opens_too_much(text: str) -> bool:
    """Whether brackets stand so deep in each other that scanning them would be slow.

    ruamel looks a thousand characters ahead at every open bracket. Brackets in quotes are counted
    too, which is why the bound is far above ``MAX_DEPTH``.
    """
    depth = 0
    for found in _BRACKET.finditer(text):
        depth += 1 if found.group() in "[{" else -1
        if depth > _MAX_BRACKETS:
            return True
    return False


class _Composer:
    """Builds nodes from the parser's events, counting as it goes."""

    def __init__(self, text: str, file: str) -> None:
        self._events: Iterator[Event] = iter(YAML(typ="safe", pure=True).parse(text))
        self._file = file
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._nodes = self._aliases = 0

    def document(self) -> Node:
        """Return the single document; an empty text is an empty mapping."""
        root: Node | None = None
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    raise FlowError(self._mark(event).fault("", "a second YAML document"))
                root = self._node(next(self._events), 0)
            elif isinstance(event, StreamEndEvent):
                break
        return Node({}, Mark(self._file, 1, 1)) if root is None else root

    def _mark(self, event: Event) -> Mark:
        mark = event.start_mark
        return Mark(self._file, mark.line + 1, mark.column + 1)

    def _refuse(self, event: Event, problem: str, expected: str) -> FlowError:
        return FlowError(self._mark(event).fault("", problem, expected=expected))

    def _count(self, event: Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self._refuse(event, "too many values", f"at most {MAX_NODES}, aliases included")

    def _node(self, event: Event, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._refuse(event, "nested too deeply", f"at most {MAX_DEPTH} levels")
        if isinstance(event, AliasEvent):
            return self._alias(event)
        assert isinstance(event, NodeEvent)  # noqa: S101 - the parser's grammar leaves no other
        before = self._nodes
        self._count(event, 1)
        node = self._content(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = (node, self._nodes - before)
        return node

    def _alias(self, event: AliasEvent) -> Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise self._refuse(event, "too many aliases", f"at most {MAX_ALIASES}")
        if event.anchor not in self._anchors:
            problem = f"alias *{event.anchor} stands before, or inside, its anchor"
            raise self._refuse(event, problem, "an anchor that is complete")
        node, nodes = self._anchors[event.anchor]
        self._count(event, nodes)
        return node

    def _content(self, event: NodeEvent, depth: int) -> Node:
        tag = self._tag(event)
        if isinstance(event, ScalarEvent):
            return Node(self._scalar(event), self._mark(event), tag)
        if isinstance(event, SequenceStartEvent):
            items = []
            while not isinstance(item := next(self._events), SequenceEndEvent):
                items.append(self._node(item, depth + 1))
            return Node(tuple(items), self._mark(event), tag)
        assert isinstance(event, MappingStartEvent)  # noqa: S101 - the parser's grammar again
        return self._mapping(event, tag, depth)

    def _mapping(self, event: MappingStartEvent, tag: str, depth: int) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, Mark] = {}
        merged: list[Node] = []
        while not isinstance(key_event := next(self._events), MappingEndEvent):
            key = self._node(key_event, depth + 1)
            if key.is_mapping or key.is_list:
                raise self._refuse(key_event, "a key that is no word", "a plain word")
            name, node = str(key.value), self._node(next(self._events), depth + 1)
            if name == "<<":
                merged.extend(node.value if node.is_list else [node])
                continue
            if name in values:
                problem = f"key {name!r} stands twice in one mapping"
                raise FlowError(key.mark.fault(name, problem, expected="each key once"))
            values[name], keys[name] = node, key.mark
        for base in merged:
            if not base.is_mapping:
                raise FlowError(base.mark.fault("<<", "merges no mapping", expected="a mapping"))
            values = {**base.value, **values}
            keys = {**base.keys, **keys}
        return Node(values, self._mark(event), tag, keys)

    def _tag(self, event: NodeEvent) -> str:
        tag = str(getattr(event, "tag", None) or "")
        if not tag or tag == "!":
            return ""
        if tag.removeprefix(_CORE_TAG) in _CORE_KINDS:
            return ""
        if not _CLASS_TAG.fullmatch(tag):
            shown = tag.replace(_CORE_TAG, "!!")[:80]
            expected = "a component's class, as in !FaissIndexer"
            raise self._refuse(event, f"tag {shown} is refused", expected)
        return tag[1:]

    @staticmethod
    def _scalar(event: ScalarEvent) -> Any:
        plain = event.style is None or event.style == ""
        text = str(event.value)
        explicit = str(event.tag or "").removeprefix(_CORE_TAG)
        return text if not plain or explicit == "str" else typed(text)


def typed(text: str) -> Any:
    """Return what a bare word means in YAML 1.2: None, bool, int, float or the word itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _HEX.fullmatch(text) or _OCTAL.fullmatch(text):
        return int(text, 0)
    return text
