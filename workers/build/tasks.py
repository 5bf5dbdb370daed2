"""The build stage: rows of the log in, an immutable segment out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from celery import shared_task

from compose.wire import names
from compose.wire.messages import target_of
from indexstore.build import BuildPolicy, build_shard
from indexstore.coverage import coverage
from indexstore.errors import IndexStoreError
from workers import metrics
from workers.leasing import held
from workers.runtime import runtime

logger = logging.getLogger(__name__)


# Early acknowledgement: a build outlasts the broker's visibility timeout, which would start it a
# second time. A build that dies is asked for again by the shard that still has a long delta.
@shared_task(name=names.BUILD, acks_late=False)
def build(order: Mapping[str, Any]) -> None:
    """Build or compact one shard's segments, unless another worker is at it; idempotent."""
    state = runtime()
    target = target_of(order["target"])
    with held(state, names.build_lease(state.collection, *target[:2])) as is_ours:
        if not is_ours:
            return
        try:
            place = state.place(target, int(order.get("generation", 0)))
            # The shard has judged that it is time; unless somebody has built since it asked.
            covered = coverage(place.segments(), place.slots).seq(place.slots)
            is_asked = int(order["covered_seq"]) >= covered
            policy = BuildPolicy(min_rows=int(state.settings["build_rows"]))
            report = build_shard(place, policy=policy, force=is_asked)
        except (IndexStoreError, OSError):
            logger.exception("build: shard %s; its delta goes on serving", target)
            metrics.fail()
            return
    logger.info("build: %s", report)
    state.announce_log()
