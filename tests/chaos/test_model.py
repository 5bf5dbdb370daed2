"""The judge is judged: the model must notice what it is there to notice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.chaos.model import Model, State

OLD = State("old", {"a": 1}, 1.0, 3)
NEW = State("new", {}, 1.0)


def shown(state: State, version: int) -> dict[str, Any]:
    """Return a document as the API shows it."""
    return {
        "text": state.text, "tags": dict(state.tags), "weight": state.weight, "version": version,
    }  # fmt: skip


def test_a_document_is_seen_only_in_its_newest_text_tags_and_version() -> None:
    """Another text, other tags or another version is another document."""
    assert OLD.is_seen_in(shown(OLD, 3))

    assert not OLD.is_seen_in(shown(NEW, 3))
    assert not OLD.is_seen_in(shown(replace(OLD, tags={}), 3))
    assert not OLD.is_seen_in(shown(OLD, 2))


def test_a_write_without_an_answer_may_have_happened_or_not() -> None:
    """Either outcome is believed, and the documents may be written again."""
    for found, expected in ((shown(NEW, 4), NEW), (shown(OLD, 3), OLD)):
        model = Model()
        model.settle({"x": OLD})
        model.doubt("POST", {"x": NEW})
        assert not model.is_sure("x")

        faults = model.resolve({"x": found})

        assert faults == []
        assert model.is_sure("x")
        assert model.states["x"] == expected


def test_a_write_that_happened_by_halves_is_a_fault() -> None:
    """A batch is accepted whole or not at all, even if nobody heard the answer."""
    model = Model()
    model.doubt("POST", {"x": NEW, "y": NEW})

    faults = model.resolve({"x": shown(NEW, 1), "y": None})

    assert len(faults) == 1
    assert "by halves" in faults[0]


def test_a_document_that_was_deleted_in_doubt_and_lives_on_unchanged_is_no_fault() -> None:
    """A delete that nobody acknowledged may not have happened."""
    model = Model()
    model.settle({"x": OLD})
    model.doubt("DELETE", {"x": None})

    assert model.resolve({"x": shown(OLD, 3)}) == []
    assert model.known() == ["x"]
