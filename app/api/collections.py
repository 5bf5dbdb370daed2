"""Collections: one a deployment, named after its flow; and how well it is served."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.health import readiness
from app.api.house import House, answer, house_of
from app.api.notes import notes_of
from app.api.openapi import answers
from app.api.schemas.cluster import CollectionList, CollectionResult
from indexstore.ledger import Ledger

router = APIRouter(prefix="/v1/collections", tags=["collections"])


@router.get(
    "", summary="List collections", response_model=None, responses=answers(CollectionList, 503)
)
async def listing(request: Request) -> Response:
    """Return the collection of this deployment."""
    return answer({"collections": [await describe(house_of(request))]})


@router.get(
    "/{collection}",
    summary="Describe a collection",
    response_model=None,
    responses=answers(CollectionResult, 404, 503),
)
async def read(request: Request, collection: str) -> Response:
    """Return a collection's counts, fingerprint and health: green, yellow or red, and why."""
    house = house_of(request)
    house.collection(collection)
    return answer(await describe(house))


async def describe(house: House) -> dict[str, Any]:
    """Return the collection as JSON."""
    name = house.plan.collection
    info = await house.ledger(Ledger.collection, name)
    counts = await house.ledger(Ledger.counts_by_state, name)
    ready = await readiness(house)
    # Searches are answered in full, only more slowly: no reason not to be ready.
    reasons = ready.reasons + [
        f"the shard on queue {queue!r} holds {fresh} chunks that no segment has yet; start more "
        "workers with `celery -A app worker -Q build`"
        for queue, fresh in house.dispatch.backlog()
    ]
    status = "green" if not reasons else "yellow" if ready.can_answer else "red"
    return {
        "name": name,
        "status": status,
        "reasons": reasons,
        "fingerprint": info.fingerprint,
        "generation": info.generation,
        "shards": max(house.dispatch.directory.serving_shards.values(), default=0),
        "documents": dict(counts),
        "notes": await notes_of(house),
        "token": str(info.last_version),
        "created_at": info.created_at,
    }
