"""The deployment from outside: who works, what is served, what the flow means, which limits."""

import platform
from importlib.metadata import version
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.house import answer, house_of
from app.api.openapi import answers
from app.api.schemas.cluster import FlowResult, InfoResult, QueueList, ShardList, WorkerList
from app.api.version import VERSION
from app.dispatch import Dispatch
from compose.wire.messages import Target
from compose.wire.presence import Announcement

router = APIRouter(prefix="/v1", tags=["deployment"])

_LIBRARIES = ("celery", "fastapi", "kombu", "numpy", "redis", "sqlalchemy", "uvicorn")


@router.get(
    "/workers", summary="List workers", response_model=None, responses=answers(WorkerList, 503)
)
async def workers(request: Request) -> Response:
    """Return the worker processes that announced themselves within the last heartbeats."""
    return answer({"workers": [_worker(one) for one in house_of(request).dispatch.workers()]})


@router.get(
    "/shards", summary="List shards", response_model=None, responses=answers(ShardList, 503)
)
async def shards(request: Request) -> Response:
    """Return every shard of the flow with the workers that serve it, and how far each has read.

    A shard with ``replicas: []`` is served by nobody: searches answer without its part. While the
    number of shards is changed, those that are being made follow, with ``serves: false``.
    """
    dispatch = house_of(request).dispatch
    served: dict[Target, list[dict[str, Any]]] = {
        target: [] for at in range(len(dispatch.plan.indexes)) for target in _targets(dispatch, at)
    }
    for worker in dispatch.workers():
        for one in worker.shards:
            target = (one["index"], one["shard"], one["of"])
            if target in served:
                served[target].append({"worker": worker.node, **one})
    rows = [
        {
            "index": dispatch.plan.indexes[index].name,
            "shard": shard,
            "of": of,
            "serves": of == dispatch.directory.serving_shards[index],
            "queue": dispatch.plan.indexes[index].queue(shard),
            "replicas": replicas,
        }
        for (index, shard, of), replicas in served.items()
    ]
    return answer({"shards": rows})


def _targets(dispatch: Dispatch, index: int) -> list[Target]:
    """Return the shards that serve an index, then those that shall."""
    serving = dispatch.directory.shards_of(index)
    wanted = {
        one["of"]
        for worker in dispatch.workers()
        for one in worker.shards
        if one["index"] == index and not one["serves"]
    } - {len(serving)}
    return [*serving, *((index, shard, of) for of in sorted(wanted) for shard in range(of))]


@router.get(
    "/queues", summary="List queues", response_model=None, responses=answers(QueueList, 503)
)
async def queues(request: Request) -> Response:
    """Return every queue with the messages that wait in it and the workers that consume it.

    ``waiting`` counts what no worker has taken yet; it is null while the broker is away.
    """
    house = house_of(request)
    plan = house.dispatch.widest_plan
    waiting = await house.dispatch.depths.read(plan.queues())
    rows = [
        {
            "queue": queue,
            "waiting": waiting.get(queue),
            "workers": len(serving),
            "busy": sum(worker.is_busy for worker in serving),
            "wanted": wanted,
        }
        for queue, wanted in plan.worker_groups()
        for serving in [house.dispatch.directory.serving(queue)]
    ]
    return answer({"queues": rows})


@router.get(
    "/flow", summary="Show the flow", response_model=None, responses=answers(FlowResult, 503)
)
async def flow(request: Request) -> Response:
    """Return the flow file, and what it means: stages, indexes, queues and processes on each."""
    house = house_of(request)
    plan = house.dispatch.plan.to_dict()
    return answer(
        {
            "collection": plan["collection"],
            "fingerprint": plan["fingerprint"],
            "stages": plan["stages"],
            "indexes": plan["indexes"],
            "queues": dict(house.dispatch.widest_plan.worker_groups()),
            "yaml": await to_thread.run_sync(lambda: house.config.flow.read_text("utf-8")),
        }
    )


@router.get(
    "/info", summary="Versions and limits", response_model=None, responses=answers(InfoResult)
)
async def info(request: Request) -> Response:
    """Return which versions run here and what one request may ask for."""
    house = house_of(request)
    return answer(
        {
            "name": "gnes-celery",
            "version": VERSION,
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in _LIBRARIES},
            },
            "collection": house.plan.collection,
            "limits": house.limits.model_dump(),
        }
    )


def _worker(one: Announcement) -> dict[str, Any]:
    """Return what a worker says of itself as JSON."""
    return {
        "name": one.node,
        "host": one.host,
        "pid": one.pid,
        "queues": list(one.queues),
        "started_at": one.started_at,
        "version": one.version,
        "busy": one.is_busy,
        "tasks_done": one.tasks_done,
        "rss_bytes": one.rss_bytes,
        "fingerprint": one.fingerprint,
        "details": dict(one.details),
        "shards": [dict(shard) for shard in one.shards],
    }
