"""Questions to the shards that are no search: counts, facets, ids by filter, stored vectors."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.dispatch.errors import NotReadyError, StageError
from app.dispatch.exchange import Exchange, Step, Way, checked
from compose.plan import Plan
from compose.wire import names
from compose.wire.chords import Call, Chord, fan_out
from compose.wire.messages import NOBODY, Inspection, Target
from compose.wire.presence import Directory

Vectors = tuple[NDArray[np.float32], NDArray[np.float32]]  # rows (n, d) and their weights (n,)


class Inspector:
    """Asks every shard of one index, as one chord, and merges what they say.

    Unlike a search these answers are exact or not given: a shard that is away is an error, for a
    count without it would be a wrong number.
    """

    def __init__(
        self, exchange: Exchange, *, plan: Plan, directory: Directory, api_id: str
    ) -> None:
        self._exchange = exchange
        self._plan = plan
        self._directory = directory
        self._api_id = api_id

    async def count(
        self, condition: Mapping[str, Any] | None, *, min_seq: int, timeout_s: float
    ) -> int:
        """Return how many documents match."""
        arguments = {"chosen": condition}
        return sum(await self._ask("count", arguments, min_seq=min_seq, timeout_s=timeout_s))

    async def facet(
        self,
        key: str,
        condition: Mapping[str, Any] | None,
        *,
        limit: int,
        min_seq: int,
        timeout_s: float,
    ) -> list[tuple[Any, int]]:
        """Return the values of a tag and how many matching documents have each, most first."""
        arguments = {"key": key, "chosen": condition}
        totals: Counter[tuple[str, Any]] = Counter()  # 1 and true are two values
        for part in await self._ask("facet", arguments, min_seq=min_seq, timeout_s=timeout_s):
            for value, number in part:
                totals[type(value).__name__, value] += number
        ordered = sorted(totals.items(), key=lambda pair: (-pair[1], str(pair[0][1])))
        return [(value, number) for (_, value), number in ordered[:limit]]

    async def list_ids(
        self,
        condition: Mapping[str, Any] | None,
        *,
        after: str,
        limit: int,
        min_seq: int,
        timeout_s: float,
    ) -> list[str]:
        """Return the ids of matching documents after ``after``, in order, ``limit`` at most."""
        arguments = {"chosen": condition, "after": after, "limit": limit}
        parts = await self._ask("ids", arguments, min_seq=min_seq, timeout_s=timeout_s)
        return sorted(doc_id for part in parts for doc_id in part)[:limit]

    async def vectors_of(
        self, doc_ids: Sequence[str], *, index: int, min_seq: int, timeout_s: float
    ) -> dict[str, Vectors]:
        """Return the chunks' vectors and weights of documents that an index holds, by id."""
        arguments = {"doc_ids": list(doc_ids)}
        parts = await self._ask(
            "vectors_of", arguments, index=index, min_seq=min_seq, timeout_s=timeout_s
        )
        return {
            doc_id: (rows, weights) for part in parts for doc_id, (rows, weights) in part.items()
        }

    async def _ask(
        self,
        what: Any,
        arguments: Mapping[str, Any],
        *,
        min_seq: int,
        timeout_s: float,
        index: int = 0,
    ) -> list[Any]:
        """Return what each shard of an index said; of most things every index knows the same.

        Raises:
            NotReadyError: a shard is away. StageError: a shard refused or failed, or the flow has
            no Indexer. DeadlineError: a shard was too late.
        """
        if not self._plan.indexes:
            raise StageError("search", "this flow has no Indexer, so nothing can be asked", 422)
        deadline = time.time() + timeout_s
        batch_id, whom = uuid.uuid4().hex, (index, *NOBODY[1:])
        order = Inspection(batch_id, self._api_id, what, arguments, min_seq, deadline, whom)
        way = Way(self._send, self._path, self._afresh)
        self._require_all(order)
        with self._exchange.conversation(order, way) as talk:
            reply = await talk.replied(deadline)
        if reply is None:
            raise self._exchange.late_on(self._path(order), timeout_s)
        return [_answer(part) for part in checked(reply).parts]

    def _require_all(self, order: Inspection) -> None:
        """Check that every shard can be asked.

        Raises:
            NotReadyError: one is away.
        """
        index = self._plan.indexes[order.target[0]]
        ready = self._directory.ready_shards()
        for target in self._targets(order):
            if target not in ready:
                raise NotReadyError(
                    f"shard {target[1]} is away, and an answer without it would be wrong",
                    f"start `celery -A app worker -Q {index.queue(target[1])}`",
                )

    def _targets(self, order: Inspection) -> list[Target]:
        return self._directory.shards_of(order.target[0])

    def _path(self, order: Inspection) -> list[Step]:
        index = self._plan.indexes[order.target[0]]
        shards = [("search", index.queue(target[1])) for target in self._targets(order)]
        return [*shards, ("reduce", names.REDUCE_QUEUE)]

    def _send(self, app: Any, order: Inspection) -> None:
        index = self._plan.indexes[order.target[0]]
        headers = [
            Call(names.INSPECT, index.queue(target[1]), replace(order, target=target).to_wire())
            for target in self._targets(order)
        ]
        payload = {"reply_to": self._api_id, "batch_id": order.batch_id}
        body = Call(names.GATHER, names.REDUCE_QUEUE, payload)
        fan_out(app, Chord(order.batch_id, len(headers), body, awaited=True), headers)

    def _afresh(self, order: Inspection) -> Inspection | None:
        try:
            self._require_all(order)
        except NotReadyError:
            return None
        return replace(order, batch_id=uuid.uuid4().hex)


def _answer(part: Mapping[str, Any]) -> Any:
    if "error" in part:
        raise StageError("search", str(part["error"]), int(part.get("status", 500)))
    return part["answer"]
