"""What must be true: every acknowledged write in a dict, and what nobody can know for now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class State:
    """What a document must look like; a version of None is one that no answer has told."""

    text: str
    tags: Mapping[str, Any]
    weight: float
    version: int | None = None

    def is_seen_in(self, found: Mapping[str, Any]) -> bool:
        """Tell whether a document as the API shows it is this one."""
        weight = found.get("weight", self.weight)
        same = found["text"] == self.text and found["tags"] == self.tags and weight == self.weight
        return same and self.version in {None, found["version"]}


@dataclass(frozen=True, slots=True)
class Doubt:
    """A request that got no answer: all of it was done or none of it."""

    what: str
    before: Mapping[str, State | None]
    after: Mapping[str, State | None]


@dataclass(slots=True)
class Model:
    """The documents of one client, which nobody else writes."""

    states: dict[str, State | None] = field(default_factory=dict)  # None: deleted
    doubts: list[Doubt] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    _unsure: set[str] = field(default_factory=set)

    def settle(self, after: Mapping[str, State | None]) -> None:
        """Take over a write that was acknowledged."""
        self.states.update(after)
        self.touched |= set(after)

    def doubt(self, what: str, after: Mapping[str, State | None]) -> None:
        """Note a write without an answer; its documents are left alone until looked at."""
        before = {doc_id: self.states.get(doc_id) for doc_id in after}
        self.doubts.append(Doubt(what, before, after))
        self._unsure |= set(after)
        self.touched |= set(after)

    def is_sure(self, doc_id: str) -> bool:
        """Tell whether the document's state is known."""
        return doc_id not in self._unsure

    def known(self) -> list[str]:
        """Return the ids of the documents that are there for certain."""
        return [i for i, state in self.states.items() if state is not None and self.is_sure(i)]

    def resolve(self, found: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
        """Look at what became of each doubt, believe it, and return what is wrong with it."""
        faults = []
        for doubt in self.doubts:
            outcome = _outcome(doubt, found)
            if outcome is None:
                seen = {doc_id: found.get(doc_id) for doc_id in doubt.after}
                faults.append(f"{doubt.what} was done by halves: {seen}")
            else:
                self.states.update(outcome)
        self.doubts.clear()
        self._unsure.clear()
        return faults


def _outcome(
    doubt: Doubt, found: Mapping[str, Mapping[str, Any] | None]
) -> Mapping[str, State | None] | None:
    for states in (doubt.after, doubt.before):
        if all(_fits(state, found.get(doc_id)) for doc_id, state in states.items()):
            return states
    return None


def _fits(state: State | None, found: Mapping[str, Any] | None) -> bool:
    if state is None or found is None:
        return state is None and found is None
    return state.is_seen_in(found)
