"""The search task's own code beside the bare engine: queries a second of CPU time, by turns.

*Task*: a message as it comes from the broker, decoded, searched, and the answer packed, as
``workers.search.tasks`` does it. *Bare*: the engine of the same segment asked for as many
candidates. An engine that loses bits finds its neighbours only once candidates are compared again
by all of their bits, so bare this is done too, by faiss's kernel on the stored rows and nothing
more: both then have the same candidates and the same recall.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.store import COLLECTION, Vectors
from compose.plan import IndexPlan, Plan
from compose.wire import codec
from compose.wire.messages import QueryBatch, SearchParams
from indexstore.engines.faiss_library import faiss, use_thread_budget
from indexstore.kernel import relevance_at
from indexstore.model import IndexConfig
from indexstore.nearest import REFINE, SLACK
from indexstore.part import Part
from indexstore.scoring import best_columns
from indexstore.shard import Shard
from workers.search.tasks import answer_of

LIMIT, BATCH_QUERIES = 10, 64
ROUNDS = 5  # of each, by turns


@dataclass(frozen=True, slots=True)
class Rates:
    """Queries a second of both, and how many rows the engine compares for one."""

    task: float
    bare: float
    compared: float


def use_one_thread() -> None:
    """Search with one thread from now on, whatever builds were granted."""
    use_thread_budget()
    faiss.omp_set_num_threads(1)


def rates(shard: Shard, config: IndexConfig, queries: Vectors, *, seconds: float) -> Rates:
    """Measure both over batches of these queries, in rounds of so many seconds."""
    plan = plan_of(config)
    blocks = [queries[at : at + BATCH_QUERIES] for at in range(0, len(queries), BATCH_QUERIES)]
    wires = [codec.dumps(batch_of(block).to_wire()) for block in blocks]
    part = next(part for part in shard.parts() if part.engine is not None)

    def task(number: int) -> None:
        batch = QueryBatch.from_wire(codec.loads(wires[number % len(wires)]))
        answer_of(batch, shard, plan, time.time())

    def bare(number: int) -> None:
        bare_answer(part, blocks[number % len(blocks)])

    for call in (task, bare):
        call(0)
    rounds = [(paced(task, seconds), paced(bare, seconds)) for _ in range(ROUNDS)]
    mine, theirs = np.median(np.array(rounds), axis=0).tolist()
    return Rates(mine, theirs, compared(part, queries))


def bare_answer(part: Part, queries: Vectors) -> NDArray[np.int64]:
    """Return the units that the engine finds, as many as the shard has to ask for its answer."""
    engine, width = part.engine, LIMIT + SearchParams().slack + SLACK
    assert engine is not None
    if engine.vectors is not None:
        return engine.search(queries, width)[1]
    units = engine.search(queries, REFINE * width)[1]
    scores = relevance_at(part.metric, queries, part.units, units)
    return np.take_along_axis(units, best_columns(scores, width)[1], axis=1)


def compared(part: Part, queries: Vectors) -> float:
    """Return how many rows the engine compares with a query."""
    counters = (faiss.cvar.hnsw_stats, faiss.cvar.indexIVF_stats)
    for counter in counters:
        counter.reset()
    bare_answer(part, queries)
    return float(max(counter.ndis for counter in counters)) / len(queries)


def paced(call: Callable[[int], None], seconds: float) -> float:
    """Return queries a second of CPU time in one round: others on the machine do not count."""
    done, started = 0, time.process_time()
    while time.process_time() < started + seconds:
        call(done)
        done += 1
    return done * BATCH_QUERIES / (time.process_time() - started)


def plan_of(config: IndexConfig) -> Plan:
    """Return the plan of a flow that has this index alone."""
    index = IndexPlan(
        config.name, config.kind, config.engine, config.options, config.metric, config.dim,
        config.vector, 1, 1, f"search.{COLLECTION}",
    )  # fmt: skip
    return Plan(COLLECTION, 0, (), (index,), "bench")


def batch_of(queries: Vectors) -> QueryBatch:
    """Return the message that encode sends to the search task."""
    return QueryBatch(
        "batch", "nobody", COLLECTION, time.time() + 3600.0, len(queries),
        SearchParams(limit=LIMIT).to_wire(), ((0, 0, 1),), target=(0, 0, 1),
        owners=np.arange(len(queries), dtype=np.int32), weights=np.ones(len(queries), np.float32),
        embeddings={"": queries},
    )  # fmt: skip
