"""What can be wrong with a flow, said with file, line and the way out.

FlowError
├── FlowTopologyError        steps that cannot stand in this order
├── FlowMissingNode          a step that no flow has
├── FlowIncompleteError      a flow without a frontend or without steps
└── FlowBuildLevelMismatch   asked for something the flow has not been built for yet
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NamedTuple

#: So many names are still read; a list of more only hides what is wrong.
MAX_CHOICES = 30
#: Of a word longer than any name only its ends are repeated: a fault is read, not searched.
MAX_WORD = 80
#: ... and of a text longer than any list of choices.
MAX_TEXT = 1_000
_ENDLESS = re.compile(rf"(\S{{{MAX_WORD // 2}}})\S{{{MAX_WORD},}}(\S{{{MAX_WORD // 4}}})")


class Fault(NamedTuple):
    """One thing wrong at one place: which key, what stands there, what was expected.

    ``nearest`` is the valid name closest to what was written, "" where there is none. ``line`` and
    ``column`` count from 1; 0 means that the fault belongs to no line (a flow built in Python).
    """

    file: str
    line: int
    column: int
    key: str
    problem: str
    expected: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        key = f"{self.key}: " if self.key else ""
        expected = f"; expected {self.expected}" if self.expected else ""
        nearest = f"; did you mean {self.nearest!r}?" if self.nearest else ""
        return f"{place}: {key}{self.problem}{expected}{nearest}"


class FlowError(ValueError):
    """A flow cannot be understood; carries every fault found, in the order of the file."""

    status = 422

    def __init__(self, *faults: Fault | Iterable[Any]) -> None:
        self.faults = tuple(_readable(Fault(*fault)) for fault in faults)
        super().__init__(*self.faults)

    def __str__(self) -> str:
        if len(self.faults) == 1:
            return str(self.faults[0])
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        return f"{len(self.faults)} faults in the flow:\n{lines}"


def _readable(fault: Fault) -> Fault:
    """Return a fault with what it repeats of somebody's words cut short; twice changes nothing."""
    return fault._replace(
        file=_cut(fault.file),
        key=_cut(fault.key),
        problem=_cut(fault.problem),
        expected=_cut(fault.expected),
    )


def _cut(text: str) -> str:
    half = MAX_TEXT // 2
    text = text if len(text) <= MAX_TEXT else f"{text[:half]}…{text[-half:]}"
    return _ENDLESS.sub(r"\1…\2", text)


class FlowTopologyError(FlowError):
    """Steps were joined in a way that no router can serve."""


class FlowMissingNode(FlowError):  # noqa: N818 - GNES's users know it by this name
    """A step was named that the flow does not have."""


class FlowIncompleteError(FlowError):
    """The flow lacks what it needs to be built: a frontend, or any step at all."""


class FlowBuildLevelMismatch(FlowError):  # noqa: N818 - GNES's users know it by this name
    """The flow was asked for something that its build level does not allow."""


def nearest(name: object, valid: Iterable[str]) -> str:
    """Return the valid name closest to this one, "" when none is close.

    Case does not count: ``minilm`` is as near to ``MiniLM`` as can be.
    """
    by_folded: dict[str, str] = {}
    for choice in valid:
        by_folded.setdefault(choice.casefold(), choice)
    found = get_close_matches(str(name)[:200].casefold(), list(by_folded), n=1, cutoff=0.6)
    return by_folded[found[0]] if found else ""


def one_of(valid: Iterable[str]) -> str:
    """Return the choices as words: "a, b or c"; of very many, the first ones."""
    names = [str(name) for name in valid]
    if len(names) > MAX_CHOICES:
        return f"{', '.join(names[:MAX_CHOICES])}, ... ({len(names)} in all)"
    return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
