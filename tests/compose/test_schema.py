"""The JSON Schema for editors: what it accepts and what it underlines."""

from pathlib import Path

import jsonschema
import pytest

from compose.keys import BRANCHES, STEP, names
from compose.schema import flow_schema
from compose.source import read_yaml

FLOWS = sorted(Path("flows").glob("*.yml"))
SCHEMA = flow_schema()


def _accepts(text: str) -> bool:
    document = read_yaml(text, file="flow.yml").plain()
    return not list(jsonschema.Draft7Validator(SCHEMA).iter_errors(document))


def test_it_is_a_schema() -> None:
    """Draft 7, by its own rules."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.name)
def test_every_flow_of_the_house_is_accepted(path: Path) -> None:
    """The examples have no underlined word."""
    assert _accepts(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "services: []",
        "services:\n- name: Encoder\n  uses: [MiniLM, {uses: PCA, with: {output_dim: 3}}]",
        "services:\n- - name: Indexer\n    with: {dim: $DIM}\n  - name: Indexer",
        "services:\n- {name: Encoder, text: MiniLM, image: {uses: X}}",
        "services:\n- {name: Indexer, uses: hnsw, with: {m: 8, metric: ip}, shards: 2}",
    ],
)
def test_what_is_right_is_accepted(text: str) -> None:
    """Inline components, pipelines, branches, variables, options."""
    assert _accepts(text)


@pytest.mark.parametrize(
    "text",
    [
        "name: x",
        "services:\n- name: Encodr",
        "services:\n- {name: Encoder, replica: 2}",
        "services:\n- {name: Encoder, replicas: 0}",
        "services:\n- {name: Encoder, shards: 2}",
        "services:\n- {name: Indexer, text: bm25}",
        "services:\n- {name: Indexer, income: pul}",
        "services:\n- {name: Indexer, uses: hnsw, with: {mm: 8}}",
        "services:\n- {name: Indexer, uses: hnsw, with: {m: many}}",
        "services:\n- {name: Indexer, uses: hnsw, with: {metric: cosin}}",
        "services: []\nworkers: {indx: 2}",
    ],
)
def test_what_is_wrong_is_underlined(text: str) -> None:
    """Unknown keys, services, options, and values out of range."""
    assert not _accepts(text)


def test_every_key_is_explained() -> None:
    """An editor shows a sentence for each key it offers."""
    properties = SCHEMA["$defs"]["service"]["properties"]

    assert set(properties) == {*names(STEP), *names(BRANCHES)}
    assert all(len(found["description"]) > 10 for found in properties.values())
