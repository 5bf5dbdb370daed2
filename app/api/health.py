"""Health: does this process run, and would a search be answered in full now."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.api.house import House, answer, house_of
from app.api.openapi import answers
from app.api.schemas.cluster import Liveness, Readiness
from app.api.version import VERSION
from compose.plan import BUILD_QUEUE, INDEX_QUEUE

router = APIRouter(tags=["health"])


@dataclass(frozen=True, slots=True)
class Health:
    """What keeps the deployment from answering in full; nothing when ``reasons`` is empty."""

    reasons: list[str]
    can_answer: bool  # at least in part
    checks: dict[str, Any]


@router.get(
    "/healthz", summary="This process runs", response_model=None, responses=answers(Liveness)
)
@router.get("/livez", summary="This process runs", response_model=None, responses=answers(Liveness))
async def live() -> Response:
    """Answer ``ok`` as long as the event loop turns."""
    return answer({"status": "ok"})


@router.get(
    "/readyz",
    summary="A search would be answered in full",
    response_model=None,
    responses=answers(Readiness, also={503: "not ready, and why"}),
)
async def ready(
    request: Request, verbose: Annotated[bool, Query(description="add each check")] = False
) -> Response:
    """Answer 200 when broker, every queue and every shard are served, else 503 with the reasons."""
    house = house_of(request)
    if house.opened is None:
        reasons = ["this process is starting or stopping"]
        return answer({"ready": False, "reasons": reasons}, status=503)
    health = await readiness(house)
    result: dict[str, Any] = {"ready": not health.reasons, "reasons": health.reasons}
    if verbose:
        result["checks"] = health.checks
    return answer(result, status=503 if health.reasons else 200)


async def readiness(house: House) -> Health:
    """Look at broker, queues, shards and the versions of the workers."""
    dispatch, plan = house.dispatch, house.dispatch.plan
    broker = await dispatch.is_broker_alive()
    serving = {queue: len(dispatch.directory.serving(queue)) for queue in plan.queues()}
    loaded = dispatch.directory.ready_shards()
    shards = {
        index.queue(target[1]): target in loaded
        for position, index in enumerate(plan.indexes)
        for target in dispatch.directory.shards_of(position)
    }
    # Without a builder the index workers build: slower, but nothing is missing from answers.
    needed = [queue for queue in plan.queues() if queue != BUILD_QUEUE]
    reasons = [] if broker else ["the broker does not answer; check GNES_BROKER_URL"]
    reasons += [
        f"nobody consumes queue {queue!r}; start `celery -A app worker -Q {queue}`"
        for queue in needed
        if not serving[queue]
    ]
    reasons += [
        f"the shard on queue {queue!r} is still loading"
        for queue, is_ready in shards.items()
        if not is_ready and serving[queue]
    ]
    reasons += _strangers(house)
    stages = [queue for queue in needed if queue not in shards and queue != INDEX_QUEUE]
    served = any(shards.values()) or not shards  # a flow without an Indexer answers no search
    can_answer = broker and served and all(serving[queue] for queue in stages)
    checks = {"broker": broker, "workers_per_queue": serving, "shards_ready": shards}
    return Health(reasons, can_answer, checks)


def _strangers(house: House) -> list[str]:
    """Return a reason a version other than ours among the workers: mixed ones must say so."""
    others = {w.version for w in house.dispatch.workers() if w.version not in {VERSION, ""}}
    return [
        f"workers of version {other} run beside this API of version {VERSION}; restart them"
        for other in sorted(others)
    ]
