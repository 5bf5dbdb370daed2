"""Dimensions from encoder to encoder to index: what cannot fit is a fault of the flow."""

from pathlib import Path

import pytest

from compose.errors import FlowError
from compose.load import load_flow
from compose.planning import plan_of

FLOW = """
name: widths
services:
  - {name: Preprocessor, uses: SentenceSplitter}
%s
  - {name: Indexer, uses: %s}
"""


def dim_of(encoders: str, index: str = "exact") -> int | None:
    """Return the dimension that the index of a flow with these encoders has."""
    layers = "\n".join(f"  - {{name: Encoder, uses: {one}}}" for one in encoders.split(" > "))
    (planned,) = plan_of(load_flow(FLOW % (layers, index))).indexes
    return planned.dim


@pytest.mark.parametrize(
    ("encoders", "fault"),
    [
        ("[MiniLM, {uses: PCA, with: {dim: 384}}]", "PCA .* 384 dimensions; expected more than"),
        ("MiniLM > PCA, with: {dim: 400}", "384 dimensions; expected more than 400"),
        ("[MiniLM, {uses: PCA, with: {dim: 30}}, {uses: PQ, with: {num_bytes: 8}}]",
         "PQ is given vectors of 30 dimensions; expected a multiple of 8"),
        ("[MiniLM, MetricAdapter, {uses: HashEncoder, with: {num_bytes: 5}}]",
         "384 dimensions; expected a multiple of 5"),
        ("MiniLM > [Normalizer, {uses: Quantizer, with: {dim_per_byte: 9}}]",
         "384 dimensions; expected a multiple of 9"),
    ],
)  # fmt: skip
def test_an_encoder_of_vectors_says_how_long_they_must_be(encoders: str, fault: str) -> None:
    """In a pipeline and as a layer of its own, also behind what keeps the length."""
    with pytest.raises(FlowError, match=fault):
        dim_of(encoders)


@pytest.mark.parametrize(
    ("encoders", "dim"),
    [
        ("[MiniLM, MetricAdapter]", 384),
        ("[MiniLM, {uses: PCALocal, with: {dim: 32, num_locals: 8}}, Standardizer]", 32),
        ("{uses: WordVectors, with: {path: words.txt, dim: 100}}", 100),
        ("{uses: WordVectors, with: {path: words.txt, dim: 100, pooling: mean-max}}", 200),
        (
            "{uses: Word2VecEncoder, with: {path: words.txt, pooling_strategy: REDUCE_MEAN_MAX}}",
            600,
        ),
    ],
)
def test_the_index_is_as_wide_as_what_it_is_given(encoders: str, dim: int) -> None:
    """Learnt maps keep the length; mean and max beside each other double it."""
    assert dim_of(encoders) == dim
    with pytest.raises(FlowError, match=f"gives {dim}, Indexer .* wants 128"):
        dim_of(encoders, "exact, with: {dim: 128}")


SIDE_BY_SIDE = """
name: widths
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - - {name: Encoder, uses: Hashing, with: {dim: 64}}
    - {name: Encoder, uses: Hashing, with: {dim: %d}}
  - {name: Router, uses: %s}
  - {name: Indexer, uses: exact, with: {dim: %d}}
"""


@pytest.mark.parametrize(
    ("second", "router", "dim"), [(128, "ConcatEmbedRouter", 192), (64, "AvgEmbedRouter", 64)]
)
def test_vectors_made_one_by_a_router_have_its_length(second: int, router: str, dim: int) -> None:
    """The sum of both, or that of each."""
    assert plan_of(load_flow(SIDE_BY_SIDE % (second, router, dim))).indexes[0].dim == dim
    with pytest.raises(FlowError, match=f"gives {dim}, Indexer .* wants 100"):
        load_flow(SIDE_BY_SIDE % (second, router, 100))


def test_vectors_of_unlike_lengths_cannot_be_averaged() -> None:
    """By a router between layers, and by a component of others."""
    with pytest.raises(FlowError, match="averages vectors of 64 and 128 dimensions"):
        load_flow(SIDE_BY_SIDE % (128, "AvgEmbedRouter", 64))
    both = "MiniLM, {uses: Hashing, with: {dim: 16}}"
    with pytest.raises(FlowError, match="averages vectors of 384 and 16 dimensions"):
        dim_of(f"AverageEncoder, with: {{components: [{both}]}}")
    assert dim_of(f"ConcatEncoder, with: {{components: [{both}]}}") == 400


def test_a_plug_in_says_it_in_the_same_words(tmp_path: Path) -> None:
    """Its class attributes are read, never run."""
    (tmp_path / "mine.py").write_text(
        "class Halves(TrainedTransform):\n"
        "    takes_dim = {'multiple of': 'parts'}\n    keeps_dim = True\n"
        "    def __init__(self, *, parts: int = 5): ...\n"
    )
    flow = tmp_path / "flow.yml"
    encoders = "  - {name: Encoder, py_path: mine.py, uses: [MiniLM, {uses: Halves%s}]}"
    flow.write_text(FLOW % (encoders % ", with: {parts: 4}", "exact"))

    assert plan_of(load_flow(flow)).indexes[0].dim == 384
    flow.write_text(FLOW % (encoders % "", "exact"))
    with pytest.raises(FlowError, match=r"Halves is given vectors of 384 dimensions; .* of 5"):
        load_flow(flow)
