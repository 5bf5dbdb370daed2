"""A Markdown page through real processes: its headings are tags, its spans point into it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.deployment import Deployment, deployed

FLOW = """
name: pages
services:
  - {name: Preprocessor, uses: [MarkupSections, SentenceSplitter]}
  - {name: Encoder, uses: Hashing}
  - {name: Indexer, uses: exact}
"""
GARDEN = (
    "# Garden\n\n## Roses\n\nPrune *them* in spring. Water them.\n\n## Tulips\n\nPlant bulbs.\n"
)
KITCHEN = "# Kitchen\n\n## Bread\n\nKnead the dough.\n"


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run the flow with two pages in it."""
    folder = tmp_path_factory.mktemp("pages")
    flow = folder / "pages.yml"
    flow.write_text(FLOW)
    with deployed(folder, flow) as running:
        running.index({"id": "garden", "text": GARDEN}, {"id": "kitchen", "text": KITCHEN})
        yield running


def only(heading: str) -> dict[str, Any]:
    """Return the filter for pages with this heading."""
    return {"must": [{"key": "headings", "match": {"value": heading}}]}


def test_headings_are_shown_and_filtered_by(it: Deployment) -> None:
    """As if the user had given them."""
    stored = it.client.get("/v1/collections/pages/documents/garden").json()

    assert stored["tags"] == {"headings": ["Garden", "Roses", "Tulips"]}
    assert it.ids("prune and knead", filter=only("Tulips")) == ["garden"]
    assert it.ids("prune and knead", filter=only("Bread")) == ["kitchen"]


def test_spans_point_into_the_page_as_it_was_written(it: Deployment) -> None:
    """The excerpt of the best chunk is cut from the Markdown itself."""
    (hit,) = it.search("prune them in spring", limit=1)["hits"]

    start, end = hit["chunks"][0]["span"]
    assert GARDEN[start:end] == "Prune *them* in spring."


def test_a_page_written_again_keeps_what_was_found(it: Deployment) -> None:
    """The same content comes from the embedding cache, its tags with it; the user's are added."""
    it.index({"id": "garden", "text": GARDEN, "tags": {"owner": "me"}})

    stored = it.client.get("/v1/collections/pages/documents/garden").json()
    assert stored["tags"] == {"headings": ["Garden", "Roses", "Tulips"], "owner": "me"}
    assert it.ids("prune", filter=only("Roses")) == ["garden"]
