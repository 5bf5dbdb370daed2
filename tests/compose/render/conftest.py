"""Flows that every renderer is tried with."""

from collections.abc import Callable

import pytest

from compose.catalog import Catalog
from compose.flow import Flow
from compose.load import load_flow, parse_flow
from compose.plan import Plan
from compose.planning import plan_of

WIDE = """
name: wide
port: 9100
services:
  - {name: Preprocessor, replicas: 2, image: registry.example/gnes:1}
  - {name: Encoder, replicas: 2}
  - - {name: Indexer, id: vectors, shards: 3, replicas: 2}
    - {name: Indexer, id: my_words, uses: bm25, replicas: 2}
volumes: {more: {driver: local}}
networks: {inner: }
"""


@pytest.fixture
def wide(catalog: Catalog) -> Flow:
    """A flow with replicas, shards, two indexes side by side, a volume and a network."""
    return parse_flow(WIDE, catalog=catalog)


@pytest.fixture
def wide_plan(wide: Flow, catalog: Catalog) -> Plan:
    """What the wide flow means."""
    return plan_of(wide, catalog=catalog)


@pytest.fixture
def text() -> Flow:
    """The default flow."""
    return load_flow("flows/text.yml")


@pytest.fixture
def flow_of(catalog: Catalog) -> Callable[[str], Flow]:
    """Read a flow from its text."""
    return lambda text: parse_flow(text, catalog=catalog)
