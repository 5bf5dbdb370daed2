"""Errors of flows: whole, rebuildable, and pointing at what was meant."""

import json

import pytest

from compose.errors import Fault, FlowError, FlowTopologyError, nearest, one_of

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
