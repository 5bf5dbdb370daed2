"""Score functions: every formula, and an explanation whose root is the score (cases 14.3)."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from workers.component import ChunkHits, ScoreFunction
from workers.errors import OptionError
from workers.registry import builtins, create
from workers.score.modifiers import MODIFIERS
from workers.testing import ScoreFunctionContract

NEEDED: dict[str, dict[str, Any]] = {
    "Combined": {"operands": ["WeightedChunk", {"uses": "Modifier", "with": {"modifier": "sqrt"}}]},
    "ScorePipeline": {"components": ["Normalizer1", "WeightedChunk"]},
    "Constant": {"value": 0.25},
    "Normalizer2": {"dim": 4},
    "Normalizer3": {"dim": 4},
    "Normalizer4": {"num_bytes": 4},
}
FUNCTIONS = [cls for cls in builtins() if issubclass(cls, ScoreFunction)]
#: x = .5, 2, 9 under every modifier, as GNES gives them.
MODIFIED = {
    "log": (-0.30103, 0.30103, 0.954243),
    "log1p": (0.176091, 0.477121, 1),
    "log2p": (0.39794, 0.60206, 1.041393),
    "ln": (-0.693147, 0.693147, 2.197225),
    "ln1p": (0.405465, 1.098612, 2.302585),
    "ln2p": (0.916291, 1.386294, 2.397895),
    "square": (0.25, 4, 81),
    "sqrt": (0.707107, 1.414214, 3),
    "reciprocal": (2, 0.5, 0.111111),
    "reciprocal1p": (0.666667, 0.333333, 0.1),
    "invert": (-0.5, -2, -9),
    "invert1p": (0.5, -1, -8),
    "abs": (0.5, 2, 9),
    "none": (0.5, 2, 9),
}


def made(uses: str, **options: Any) -> ScoreFunction:
    """Create a score function by its name in YAML."""
    return create(uses, options, kind=ScoreFunction)


@pytest.mark.parametrize("cls", FUNCTIONS, ids=lambda cls: str(cls.__name__))
class TestEveryScoreFunction(ScoreFunctionContract):
    """Every built-in score function keeps the contract."""

    @pytest.fixture
    def function(self, cls: type[ScoreFunction]) -> ScoreFunction:
        """One of them, with the options it must have."""
        return made(cls.__name__, **NEEDED.get(cls.__name__, {}))


@pytest.mark.parametrize(
    ("mode", "value"),
    [("multiply", 0.35), ("sum", 1.2), ("max", 0.7), ("min", 0.5), ("avg", 0.6)],
)
def test_operands_are_combined(hits_of: Any, mode: str, value: float) -> None:
    """Of .5 and .7 (14.3)."""
    operands = [{"uses": "const", "with": {"value": number}} for number in (0.5, 0.7)]

    combined = made("CombinedScoreFn", score_mode=mode, operands=operands)

    assert combined.score(hits_of([0.0])) == pytest.approx([value])


def test_a_combination_explains_its_operands_in_order(hits_of: Any) -> None:
    """sum(.5, square(.7)) = .99, as a tree with names, texts and mode (14.3)."""
    square = {"uses": "Modifier", "with": {"modifier": "square"}}
    combined = made(
        "Combined", mode="sum", operands=[{"uses": "Constant", "with": {"value": 0.5}}, square]
    )

    tree = combined.explain(hits_of([0.7]), 0).to_dict()

    assert tree["value"] == pytest.approx(0.99)
    assert tree["params"]["mode"] == "sum"
    assert [operand["name"] for operand in tree["operands"]] == ["Constant", "Modifier"]
    assert tree["operands"][1]["operands"][0]["value"] == pytest.approx(0.7)
    assert tree["operands"][1]["doc"].startswith("Bends the score")


@pytest.mark.parametrize("modifier", MODIFIERS)
def test_modifiers_have_gnes_values(hits_of: Any, modifier: str) -> None:
    """Every modifier at .5, 2 and 9 (14.3)."""
    scores = made("Modifier", modifier=modifier).score(hits_of([0.5, 2.0, 9.0]))

    assert scores == pytest.approx(MODIFIED[modifier], abs=1e-5)


@pytest.mark.parametrize(
    ("modifier", "x", "value"),
    [
        ("log", 0.5, 0),
        ("square", 0.5, 1),
        ("reciprocal1p", 0.5, 0.5),
        ("ln", 2, 1.386294),
        ("log", 5, 1),
    ],
)
def test_the_factor_comes_first(hits_of: Any, modifier: str, x: float, value: float) -> None:
    """Factor 2 multiplies before the function (14.3)."""
    scores = made("Modifier", modifier=modifier, factor=2.0).score(hits_of([x]))

    assert scores == pytest.approx([value], abs=1e-6)


@pytest.mark.parametrize("modifier", MODIFIERS)
def test_modifiers_are_finite_everywhere(hits_of: Any, modifier: str) -> None:
    """No score breaks the ranking: zero and negatives have a value too."""
    scores = made("Modifier", modifier=modifier).score(hits_of([0.0, -1.0, -2.0, -5.5, 1e9]))

    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("uses", "options", "x", "value"),
    [
        ("Normalizer1", {}, 0.5, 0.585786),
        ("Normalizer2", {"num_dim": 2}, 0.5, 0.8),
        ("Normalizer3", {"num_dim": 2}, 0.5, 0.738796),
        ("Normalizer4", {"num_bytes": 2}, 0.5, 0.75),
        ("Normalizer5", {}, -0.5, 0.585786),
        ("Normalizer1", {}, 4, 0.333333),
        ("Normalizer2", {"num_dim": 8}, 4, 0.666667),
        ("Normalizer3", {"num_dim": 8}, 4, 0.8),
        ("Normalizer4", {"num_bytes": 8}, 3, 0.625),
    ],
)
def test_normalizers_have_gnes_values(
    hits_of: Any, uses: str, options: dict[str, Any], x: float, value: float
) -> None:
    """Distances become scores (14.3)."""
    assert made(uses, **options).score(hits_of([x])) == pytest.approx([value], abs=1e-6)


def test_chunk_weights_multiply(hits_of: Any) -> None:
    """Relevance 2, weights .5 and .7 give .7 (14.3)."""
    hits = hits_of([2.0], query_weights=[0.5], chunk_weights=[0.7])

    assert made("WeightedChunkScoreFn").score(hits) == pytest.approx([0.7])


@pytest.mark.parametrize(
    ("query_chunk", "position", "value"), [(1, 2, 0.7), (1, 1, 0.7), (1, 5, 0.175)]
)
def test_offsets_weigh_by_nearness(
    hits_of: Any, query_chunk: int, position: int, value: float
) -> None:
    """Offsets 1 and 2 give .7 (14.3); equal ones too, where GNES gave 0 (D12)."""
    hits = hits_of(
        [2.0],
        query_weights=[0.5],
        chunk_weights=[0.7],
        query_chunks=[query_chunk],
        positions=[position],
    )

    assert made("WeightedChunkOffset").score(hits) == pytest.approx([value])


def test_places_in_a_plane_weigh_by_distance(hits_of: Any) -> None:
    """Cells (0, 0) and (3, 4) are 5 apart: 1 / 6."""
    hits = hits_of([1.0], query_cells=[[0.0, 0.0]], chunk_cells=[[3.0, 4.0]])

    assert made("WeightedChunkOffset").score(hits) == pytest.approx([1 / 6])


def test_the_toy_index_of_gnes(hits_of: Any) -> None:
    """Distances 1 and 2 with weights .3, .8 and .5: .24 and .30; normalised .75 and .6 (14.3)."""
    hits = hits_of([1.0, 2.0], query_weights=[0.3, 0.3], chunk_weights=[0.8, 0.5], documents=[1, 0])

    assert made("WeightedChunk").score(hits) == pytest.approx([0.24, 0.30])
    assert made("Normalizer2", dim=3).score(hits) == pytest.approx([0.75, 0.6])


def test_coordination_of_documents(hits_of: Any) -> None:
    """3, 2 and 1 of 3 chunks found: .6, .266667, .1 (14.3); without chunks the score stays."""
    table = hits_of([0.6, 0.4, 0.3, 0.2], document_chunks=[3, 3, 3, 0])
    table = replace(table, found=np.array([3, 2, 1, 1]))

    assert made("CoordDocScoreFn").score(table) == pytest.approx(
        [0.6, 0.266667, 0.1, 0.2], abs=1e-6
    )


def test_document_weights_multiply(hits_of: Any) -> None:
    """The document's weight counts (GNES's function could not be used at all, D12)."""
    assert made("WeightedDocScoreFn").score(
        hits_of([0.5, 0.5], document_weights=[2.0, 0.5])
    ) == pytest.approx([1.0, 0.25])


def test_counts_are_of_each_query_chunk_by_itself(hits: ChunkHits) -> None:
    """Coordination counts the hits of the chunk that found them, not of the first (D12)."""
    scores = made("CoordChunk").score(hits)

    shares = [1 / 2, 1 / 4, 1 / 2, 2 / 5, 2 / 5, 1 / 4]
    assert scores == pytest.approx(hits.values * shares)


def test_tfidf_and_bm25_follow_their_formulas(hits: ChunkHits) -> None:
    """One hit of query 0 is over .8 of 11 chunks; values as computed by hand."""
    idf = np.log10(11 / 2)
    assert made("TFIDF").score(hits)[:2] == pytest.approx([0.9 * idf**2, 0.0])

    idf = np.log10(1 + 10.5 / 1.5)
    length = 2 / (11 / 3)
    gain = idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * length))
    assert made("BM25").score(hits)[0] == pytest.approx(0.9 * gain)


def test_functions_one_after_another_explain_each_other(hits_of: Any) -> None:
    """A normalizer, then weights: the tree reaches down to the index's relevance."""
    chain = made("ScorePipeline", components=["Normalizer1", "WeightedChunk"])
    hits = hits_of([4.0], query_weights=[0.5], chunk_weights=[0.6])

    tree = chain.explain(hits, 0)

    assert chain.score(hits) == pytest.approx([0.1])
    inner = tree.operands[0]
    assert [tree.name, inner.name, inner.operands[0].name] == [
        *("WeightedChunk", "Normalizer1", "relevance")
    ]
    assert [tree.value, inner.value, inner.operands[0].value] == pytest.approx([0.1, 1 / 3, 4.0])


@pytest.mark.parametrize(
    ("uses", "options", "choices"),
    [
        ("Modifier", {"modifier": "cube"}, "reciprocal1p"),
        ("Combined", {"mode": "median", "operands": ["Relevance"]}, "multiply, sum, max, min, avg"),
    ],
)
def test_unknown_modes_list_the_choices(uses: str, options: dict[str, Any], choices: str) -> None:
    """The error says what there is (14.3)."""
    with pytest.raises(OptionError, match=choices):
        made(uses, **options)
