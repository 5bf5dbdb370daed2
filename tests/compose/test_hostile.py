"""Flows from anybody: refused, or drawn, within a second and a bounded amount of memory."""

import time
import tracemalloc

import pytest

from compose.errors import FlowError
from compose.load import parse_flow
from compose.planning import plan_of
from compose.reading import MAX_FAULTS
from compose.render.targets import TARGETS, render

MANY = "services:\n" + "- name: Encoder\n  uses: MiniLM\n" * 900
HOSTILE = {
    "two thousand unknown services": "services:\n" + "- name: Encodr\n" * 2_000,
    "a thousand unknown keys": "services: []\n" + "".join(f"ke{n}: 1\n" for n in range(1_500)),
    "a thousand unknown components": "services:\n" + "- {name: Encoder, uses: MinLM}\n" * 1_500,
    "a thousand unknown needs": "services:\n" + "- {name: Encoder, needs: x}\n" * 1_500,
    "options without end": "services:\n- name: Indexer\n  with: {"
    + ", ".join(f"o{n}: 1" for n in range(1_500))
    + "}\n",
    "more processes than any cluster": "services:\n" + "- {name: Encoder, replicas: 1024}\n" * 100,
    "a pipeline of pipelines": "services:\n- name: Encoder\n  uses: " + "[" * 20 + "]" * 20,
    "an empty name": 'name: ""\nservices: []',
    "a name of nothing": "name: '---'\nservices: []",
    "a name as long as the file": "name: " + "x" * 60_000 + "\nservices: []",
    "yaml in a string in a string": "services:\n- {name: Encoder, yaml_path: '!A {x: "
    + "[" * 5_000
    + "'}\n",
    "much yaml in strings": "services:\n"
    + ("- {name: Encoder, yaml_path: '!A {x: " + "[" * 90 + "]" * 90 + "}'}\n") * 270,
    "a plug-in": "services:\n- {name: Encoder, uses: X, py_path: /etc/passwd}\n",
    "a dotted path": "services:\n- {name: Encoder, uses: os.system, with: {command: ls}}\n",
    "an object": "services:\n- {name: Encoder, yaml_path: !!python/object/apply:os.system [ls]}\n",
}


def _refused(text: str) -> None:
    with pytest.raises(FlowError) as caught:
        parse_flow(text)
    assert len(caught.value.faults) <= MAX_FAULTS
    assert len(str(caught.value)) < 50_000


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_flows_are_refused_soon(text: str) -> None:
    """One error, with no more faults than a person reads, in less than a second of work."""
    parse_flow("services: []")  # the catalog is read once, whoever comes first
    started = time.process_time()

    _refused(text)

    assert time.process_time() - started < 1


@pytest.mark.parametrize("name", ["options without end", "a name as long as the file"])
def test_hostile_flows_take_no_memory_to_speak_of(name: str) -> None:
    """Nothing is built before it is counted."""
    tracemalloc.start()

    _refused(HOSTILE[name])

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50e6


@pytest.mark.parametrize("target", TARGETS)
def test_the_largest_flow_is_rendered_in_bounded_time(target: str) -> None:
    """A flow of the most processes there may be can still be drawn and written out."""
    flow = parse_flow(
        "services:\n- {name: Preprocessor, replicas: 1024}\n- {name: Encoder, replicas: 1024}\n"
        "- {name: Indexer, shards: 512, replicas: 2}\n"
    )
    started = time.process_time()

    text = render(flow, target)

    assert time.process_time() - started < 5
    assert len(text) < 20_000_000


def test_a_long_chain_of_steps_is_planned_in_bounded_time() -> None:
    """Nine hundred encoders one after another are odd, but no attack."""
    started = time.process_time()

    plan = plan_of(parse_flow(MANY))

    assert len(plan.stages) == 900
    assert time.process_time() - started < 5
