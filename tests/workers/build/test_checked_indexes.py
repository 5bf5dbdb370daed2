"""What a build worker finds out about the indexes of its flow before it takes work."""

import pytest

from compose.load import load_flow
from compose.planning import plan_of
from indexstore.errors import EngineError
from workers.runtime import Runtime

FLOW = """
name: indexes
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - {name: Encoder, uses: Hashing, with: {dim: 60}}
  - - {name: Indexer, uses: %s}
    - {name: Indexer, uses: bm25, with: {language: %s}}
"""


def check(index: str, language: str = "english") -> None:
    """Check the indexes of a flow as a build worker does at its start."""
    plan = plan_of(load_flow(FLOW % (index, language)))
    Runtime({"settings": {}, "plan": plan.to_dict()}, ("build",)).check_indexes()


@pytest.mark.parametrize("index", ["hnsw", "exact", 'faiss, with: {factory: "IVF16,SQ8"}'])
def test_indexes_that_can_be_built_are_fine(index: str) -> None:
    """Nothing is built, nothing trained."""
    check(index)


@pytest.mark.parametrize(
    ("index", "language", "problem"),
    [
        ('faiss, with: {factory: "IVFX"}', "english", "there is no index 'IVFX' of 60 dimensions"),
        ('faiss, with: {factory: "PQ7"}', "english", "there is no index 'PQ7' of 60 dimensions"),
        ("exact", "klingon", "klingon"),
    ],
)
def test_one_that_cannot_be_is_told_before_a_segment_is_due(
    index: str, language: str, problem: str
) -> None:
    """A description that faiss does not know, one that does not suit the vectors, a language."""
    with pytest.raises(EngineError, match=problem):
        check(index, language)
