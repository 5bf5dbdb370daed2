"""One deployment of the default flow for all tests that do it no harm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment, deployed


@pytest.fixture(scope="session")
def text_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run the default flow: sentence splitter, MiniLM, two HNSW shards."""
    with deployed(tmp_path_factory.mktemp("text")) as it:
        yield it
