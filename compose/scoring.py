"""What a flow says of scoring: the keys of ``score``, and the functions and reducers they name."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from compose.errors import one_of
from compose.flow import Flow, Step
from compose.keys import SCORE, SCORE_FUNCTIONS, names
from compose.options import plain_options
from compose.plan import REDUCTIONS
from compose.reading import Reading
from compose.source import Node
from compose.specs import SpecReader

#: How the rankings of several indexes become one: by ranks, or by weighted scores.
FUSIONS = ("rrf", "weighted")
#: More documents or texts than anybody waits for.
MOST_JUDGED = 10_000

_NUMBERS = ("rank_constant", "candidates", "rerank")
_KINDS: Mapping[str, str] = {**dict.fromkeys(SCORE_FUNCTIONS, "score"), "reduce": "reducer"}


def read_score(
    node: Node | None, reading: Reading, *, indexes: Collection[str]
) -> Mapping[str, Any]:
    """Return a flow's ``score`` with its components as a flow file would write them, checked.

    Args:
        node: as the file has it.
        reading: notes what cannot be.
        indexes: the names of the flow's indexes.
    """
    if node is None or node.value is None:
        return {}
    if not node.is_mapping:
        reading.add(node.mark, "score", "is no mapping", expected="key: value")
        return {}
    reading.check_keys(node, names(SCORE), "score")
    score = plain_options(node, reading)
    for key in _NUMBERS:
        _check_number(key, node, score, reading)
    _check_fusion(node, score, reading)
    _check_weights(node, score, reading, indexes=indexes)
    reader = SpecReader(reading, (), reading.folder).with_plugins(node.value.get("py_path"))
    score.pop("py_path", None)
    for key, kind in _KINDS.items():
        if score.get(key) is None:
            score.pop(key, None)
        elif found := reader.of_kind(kind).read(node.value[key], f"score.{key}"):
            score[key] = found.spec.written()
    return score


def _check_number(key: str, node: Node, score: Mapping[str, Any], reading: Reading) -> None:
    value = score.get(key)
    if value is None:
        return
    is_natural = isinstance(value, int) and not isinstance(value, bool)
    if not is_natural or not 1 <= value <= MOST_JUDGED:
        expected = f"a whole number from 1 to {MOST_JUDGED}"
        mark = node.value[key].mark
        reading.add(mark, f"score.{key}", f"{repr(value)[:40]} does not fit", expected=expected)


def _check_fusion(node: Node, score: Mapping[str, Any], reading: Reading) -> None:
    fusion = score.get("fusion")
    if fusion not in (None, *FUSIONS):
        problem = f"{str(fusion)[:40]!r} is no way to fuse indexes"
        mark = node.value["fusion"].mark
        reading.add(mark, "score.fusion", problem, expected=" or ".join(FUSIONS))


def _check_weights(
    node: Node, score: Mapping[str, Any], reading: Reading, *, indexes: Collection[str]
) -> None:
    """Weights are positive numbers of the flow's indexes."""
    weights = score.get("weights")
    if not weights:
        return
    place = node.value["weights"]
    if not isinstance(weights, Mapping):
        expected = "the weight of each index"
        reading.add(place.mark, "score.weights", "is no mapping", expected=expected)
        return
    for name, weight in weights.items():
        mark = place.keys.get(name, place.mark)
        if name not in indexes:
            problem = f"{str(name)[:40]!r} is no index of this flow"
            reading.add(mark, "score.weights", problem, expected=one_of(indexes) or "none")
        elif not _is_weight(weight):
            problem = f"the weight of {name!r} is no number of 0 or more"
            reading.add(mark, "score.weights", problem, expected="a number such as 1.0")


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def functions_of(flow: Flow, indexer: Step) -> dict[str, Any]:
    """Return what scores the hits of one index, by key: its own, the routers' and the flow's.

    A reducer that shards know is an option of the index and left out here; so are those that the
    flow does not name.
    """
    options = indexer.component.options if indexer.component else {}
    found = {key: options[key] for key in ("normalize_fn", "score_fn") if options.get(key)}
    for step in flow.of_service("Router"):
        if step.component is not None and step.kind == "score":
            given = found.get("score_fn")
            before = given if isinstance(given, list) else [given] if given else []
            found["score_fn"] = [*before, step.component.written()]
    found |= {key: flow.score[key] for key in SCORE_FUNCTIONS if flow.score.get(key)}
    reducer = reducer_of(flow)
    if reducer is not None and not is_known(reducer):
        found["reduce"] = reducer
    return found


def reducer_of(flow: Flow) -> Any:
    """Return how chunks' scores become a document's, as the flow or its routers say; else None."""
    found: Any = None
    for step in flow.of_service("Router"):
        spec = step.component
        if spec is not None and "reduce_op" in spec.options:
            found = spec.options["reduce_op"]
        elif spec is not None and step.kind == "reducer":
            found = spec.written()
    return flow.score.get("reduce", found)


def is_known(reducer: Any) -> bool:
    """Tell whether shards reduce so themselves, each its own documents."""
    return isinstance(reducer, str) and reducer in REDUCTIONS
