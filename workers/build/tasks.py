"""The build stage: rows of the log in, an immutable segment out."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from celery import shared_task

from compose.wire import names
from indexstore.build import BuildPolicy, build_shard
from indexstore.coverage import coverage
from indexstore.errors import IndexStoreError
from workers.runtime import Runtime, runtime

logger = logging.getLogger(__name__)

LEASE_TTL_S = 10.0


# Early acknowledgement: a build outlasts the broker's visibility timeout, which would start it a
# second time. A build that dies is asked for again by the shard that still has a long delta.
@shared_task(name=names.BUILD, acks_late=False)
def build(order: Mapping[str, Any]) -> None:
    """Build or compact one shard's segments, unless another worker is at it; idempotent."""
    state = runtime()
    index, shard = int(order["index"]), int(order["shard"])
    with _lease(state, names.build_lease(state.collection, index, shard)) as is_ours:
        if not is_ours:
            return
        try:
            place = state.place(index, shard)
            # The shard has judged that it is time; unless somebody has built since it asked.
            covered = coverage(place.segments(), place.slots).seq(place.slots)
            is_asked = int(order["covered_seq"]) >= covered
            policy = BuildPolicy(min_rows=int(state.settings["build_rows"]))
            report = build_shard(place, policy=policy, force=is_asked)
        except (IndexStoreError, OSError):
            logger.exception("build: shard %d of index %d; its delta goes on serving", shard, index)
            return
    logger.info("build: %s", report)
    state.announce_log()


@contextmanager
def _lease(state: Runtime, name: str) -> Iterator[bool]:
    """Hold a lease while the block runs; False when somebody else has it."""
    owner = str(uuid.uuid4())
    if not state.ledger.take_lease(name, owner, LEASE_TTL_S):
        yield False
        return
    done = threading.Event()

    def keep() -> None:
        while not done.wait(LEASE_TTL_S / 3):
            state.ledger.take_lease(name, owner, LEASE_TTL_S)

    keeper = threading.Thread(target=keep, name=f"lease-{name}", daemon=True)
    keeper.start()
    try:
        yield True
    finally:
        done.set()
        keeper.join()
        state.ledger.drop_lease(name, owner)
