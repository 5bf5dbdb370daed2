"""What a flow says of scoring: functions and reducers by name, checked before anything starts."""

from collections.abc import Callable

import pytest

from compose.catalog import Catalog
from compose.errors import Fault
from compose.flow import Flow
from compose.plan import Plan
from compose.planning import plan_of
from compose.render.flow_yaml import flow_yaml

LoadText = Callable[..., Flow]
Faults = Callable[..., tuple[Fault, ...]]

FLOW = """services:
- {name: Encoder, uses: Hashing}
- {name: Indexer, uses: exact}
score: %s
"""
MINE = '''
from workers.component import Reducer, ScoreFunction
class Damped(ScoreFunction):
    """Takes less of it."""
    def __init__(self, *, by: float = 0.5) -> None: ...
class Median(Reducer):
    """The middle one."""
'''


@pytest.fixture
def plan(load: LoadText, catalog: Catalog) -> Callable[..., Plan]:
    """Return the plan of the flow with this ``score``."""
    return lambda score, **files: plan_of(load(FLOW % score, **files), catalog=catalog)


@pytest.mark.parametrize(
    ("score", "functions"),
    [
        ("{chunk: WeightedChunk}", {"chunk": "WeightedChunk"}),
        (
            "{score_fn: {uses: WeightedChunk, with: {mode: sum}}}",
            {"score_fn": {"uses": "WeightedChunk", "with": {"mode": "sum"}}},
        ),
        (
            "{chunk: [WeightedChunk, !WeightedChunkScoreFn {parameters: {score_mode: max}}]}",
            {"chunk": ["WeightedChunk", {"uses": "WeightedChunk", "with": {"mode": "max"}}]},
        ),
        (
            "{document: {uses: Combined, with: {operands: [WeightedChunk, WeightedChunk]}}}",
            {"document": {"uses": "Combined", "with": {"operands": ["WeightedChunk"] * 2}}},
        ),
    ],
)
def test_functions_may_be_written_in_any_form(
    plan: Callable[..., Plan], score: str, functions: dict[str, object]
) -> None:
    """A name, a mapping, a list, a tag of GNES, and components within components."""
    found = plan(score)

    assert found.indexes[0].functions == functions
    assert found.rescores
    assert Plan.from_dict(found.to_dict()) == found


@pytest.mark.parametrize(
    ("score", "problem", "near"),
    [
        ("{chunk: WeightedChnk}", "'WeightedChnk' is unknown", "WeightedChunk"),
        ("{chunk: avg}", "'avg' is a reducer, not score", ""),
        ("{chunk: {uses: WeightedChunk, with: {mod: sum}}}", "has no option 'mod'", "mode"),
        ("{document: {uses: Combined, with: {operands: [Hashing]}}}", "is an encoder", ""),
        ("{reduce: average}", "'average' is unknown", "avg"),
        ("{chunks: WeightedChunk}", "unknown key of score", "chunk"),
        ("{chunk: 7}", "7 is no component", ""),
    ],
)
def test_what_cannot_score_is_a_fault_of_the_flow(
    faults: Faults, score: str, problem: str, near: str
) -> None:
    """Names, kinds, options and keys are checked before any process starts."""
    (fault,) = faults(FLOW % score)

    assert problem in fault.problem
    assert fault.nearest == near
    assert fault.line == 4


def test_plug_in_files_bring_functions_and_reducers(plan: Callable[..., Plan]) -> None:
    """A score names its files; what they define is known with its options, and never imported."""
    found = plan(
        "{py_path: mine.py, document: {uses: Damped, with: {by: 0.1}}, reduce: Median}",
        mine__py=MINE,
    )

    (index,) = found.indexes
    document, reduce = index.functions["document"], index.functions["reduce"]
    assert (document["uses"], document["with"]) == ("Damped", {"by": 0.1})
    assert reduce["uses"] == "Median"
    assert document["py_path"] == reduce["py_path"]
    assert document["py_path"][0].endswith("mine.py")
    assert "score" not in index.options


def test_a_reducer_that_shards_know_is_left_to_them(plan: Callable[..., Plan]) -> None:
    """``reduce: avg`` is an option of the index; nothing is scored again."""
    found = plan("{reduce: avg}")

    assert (found.indexes[0].options, found.rescores) == ({"score": "avg"}, False)


def test_routers_may_be_score_functions_and_reducers(load: LoadText, catalog: Catalog) -> None:
    """A layer behind the index that scores or reduces is part of how the index is scored."""
    text = (
        "services:\n- {name: Encoder, uses: Hashing}\n"
        "- {name: Indexer, uses: exact, with: {score_fn: WeightedChunk}}\n"
        "- {name: Router, uses: Damped, py_path: mine.py}\n"
        "- {name: Router, uses: Median, py_path: mine.py}\n"
    )

    (index,) = plan_of(load(text, mine__py=MINE), catalog=catalog).indexes

    first, second = index.functions["score_fn"]
    assert (first, second["uses"]) == ("WeightedChunk", "Damped")
    assert index.functions["reduce"]["uses"] == "Median"


def test_a_flow_s_score_survives_being_written_out(load: LoadText, catalog: Catalog) -> None:
    """Read again from the YAML that stands alone, the flow scores as before."""
    score = "{chunk: [!WeightedChunkScoreFn {parameters: {score_mode: max}}], candidates: 7}"
    flow = load(FLOW % score)

    again = load(flow_yaml(flow))

    assert again.score == flow.score
    assert plan_of(again, catalog=catalog) == plan_of(flow, catalog=catalog)
