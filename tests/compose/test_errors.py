"""Errors of flows: whole, rebuildable, and pointing at what was meant."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from compose.api import Flow
from compose.errors import Fault, FlowError, FlowTopologyError, nearest, one_of
from compose.load import parse_flow
from compose.source import MAX_CHARACTERS

FAULT = Fault("a.yml", 3, 5, "uses", "'X' is unknown", "an encoder", "Y")


@pytest.mark.parametrize("error", [FlowError(FAULT), FlowTopologyError(FAULT, FAULT)])
def test_errors_are_rebuilt_from_their_arguments(error: FlowError) -> None:
    """Celery sends class and arguments as JSON and calls the class with them again."""
    again = type(error)(*json.loads(json.dumps(error.args)))

    assert (again.faults, str(again)) == (error.faults, str(error))


def test_one_fault_is_one_line_and_several_are_a_list() -> None:
    """The text is made to be read in a terminal."""
    line = "a.yml:3:5: uses: 'X' is unknown; expected an encoder; did you mean 'Y'?"

    assert str(FlowError(FAULT)) == line
    assert str(FlowError(FAULT, FAULT)) == f"2 faults in the flow:\n  {line}\n  {line}"


def test_a_fault_of_no_line_names_only_its_flow() -> None:
    """A flow made in Python has no lines."""
    assert str(Fault("flow", 0, 0, "a", "follows itself")) == "flow: a: follows itself"


@pytest.mark.parametrize(
    ("word", "found"),
    [("MINILM", "MiniLM"), ("encodr", "Encoder"), ("zebra", ""), (3, ""), ("x" * 9_999, "")],
)
def test_the_nearest_name_is_found_whatever_its_case(word: object, found: str) -> None:
    """What is far from everything gets no suggestion."""
    assert nearest(word, ["MiniLM", "minilm", "Encoder"]) == found


def test_choices_are_listed_as_people_list_them() -> None:
    """Commas, and an "or" before the last."""
    assert [one_of(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "", "a", "a or b", "a, b or c",
    ]  # fmt: skip


MEGABYTE = "x" * 1_000_000
LARGEST = "x" * (MAX_CHARACTERS - 100)
WORDS = "a b " * (len(LARGEST) // 4)
ENDLESS: dict[str, Callable[[], object]] = {
    "a file of one key": lambda: parse_flow(f"? {MEGABYTE}\n: 1\nservices: []"),
    "a key as long as a file may be": lambda: parse_flow(f"? {LARGEST}\n: 1\nservices: []"),
    "a key of many words": lambda: parse_flow(f"? {WORDS}\n: 1\nservices: []"),
    "a component of many words": lambda: parse_flow(
        f"services:\n- {{name: Encoder, uses: '{WORDS}'}}"
    ),
    "an option": lambda: parse_flow(f"services:\n- name: Encoder\n  with: {{? '{WORDS}' : 1}}"),
    "a key in Python": lambda: Flow().add("Encoder", **dict[str, Any]({MEGABYTE: 1})),
    "a service in Python": lambda: Flow().add(MEGABYTE),
    "a step in Python": lambda: Flow().remove(MEGABYTE),
    "a flow's name": lambda: Flow(name=MEGABYTE).remove("nobody"),
}


@pytest.mark.parametrize("make", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_fault_of_endless_words_can_be_read_and_is_found_soon(make: Callable[[], object]) -> None:
    """Of what is as long as a megabyte a fault repeats the ends; it costs less than a second."""
    started = time.process_time()

    with pytest.raises(FlowError) as caught:
        make()

    assert time.process_time() - started < 1
    assert 20 < len(str(caught.value)) < 2_500
    assert type(caught.value)(*caught.value.args).faults == caught.value.faults


def test_what_a_person_writes_is_repeated_whole() -> None:
    """Long names and lists of many choices are not cut."""
    fault = FAULT._replace(key="x" * 120, expected=one_of(["a-name-of-20-letters"] * 30))

    assert FlowError(fault).faults == (fault,)
