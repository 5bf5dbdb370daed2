"""The HTTP application: ``uvicorn --factory app.api.main:create``."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app import celery
from app.api import (
    blobs,
    board,
    cluster,
    collections,
    dead_letters,
    deleting,
    docs,
    documents,
    encode,
    events,
    gnes_aliases,
    health,
    jobs,
    metrics,
    openapi,
    previews,
    problems,
    resharding,
    scroll,
    search,
    snapshots,
    training,
)
from app.api.auth import Gate
from app.api.envelope import Envelope
from app.api.express import Express
from app.api.house import House
from app.api.metrics import Metrics
from app.api.schemas import filters
from app.api.schemas.documents import DeleteBody, DocumentBody, PatchBody
from app.api.schemas.search import BatchBody, RecommendBody, SearchBody
from app.api.version import VERSION
from app.dispatch import Dispatch
from app.settings import Settings, settings
from app.tracing import Tracing
from compose.plan import Plan
from compose.planning import load_plan
from indexstore.layouts import Layouts
from indexstore.ledger import Ledger
from indexstore.migrations import migrate

#: In the order in which routes are tried.
RESOURCES = (
    search, scroll, deleting, documents, training, resharding, snapshots, blobs, previews,
    collections, jobs, events, dead_letters, encode, cluster, health, metrics, gnes_aliases,
)  # fmt: skip
BODIES = (
    SearchBody, BatchBody, RecommendBody, DocumentBody, PatchBody, DeleteBody,
    dead_letters.ReplayBody, scroll.ScrollBody, scroll.CountBody, scroll.FacetBody,
    encode.EncodeBody, encode.EmbeddingsBody, resharding.ReshardBody,
    snapshots.SnapshotBody, snapshots.RestoreBody,
)  # fmt: skip


def create(config: Settings | None = None, plan: Plan | None = None) -> FastAPI:
    """Return the application of the deployment that settings and plan describe.

    Without arguments both come from the environment, as a server's factory wants it. The way to
    the workers is opened when the server starts and closed when it stops.
    """
    config = config or settings()
    house = House(config, plan or load_plan(config.flow))
    tracing = Tracing(config.otel_endpoint)
    app = FastAPI(
        title="GNES on Celery",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        telemetry=tracing.telemetry(),
    )
    app.state.house = house
    app.state.gallery = previews.Gallery()
    app.state.tracing = tracing
    app.state.metrics = Metrics(house.plan.collection, config.metrics_dir)
    for resource in RESOURCES:
        app.include_router(resource.router)
    docs.install(app)
    board.install(app)
    problems.install(app)
    openapi.install(app, bodies=BODIES, schemas=filters.SCHEMAS)
    _wrap(app, config)
    return app


def _wrap(app: FastAPI, config: Settings) -> None:
    """Put the layers around the routes; the last one added is the outermost."""
    app.add_middleware(Express, collection=app.state.house.plan.collection)
    app.add_middleware(
        Gate,
        api_key=config.api_key,
        read_only_api_key=config.read_only_api_key,
        origins=config.cors_origins,
    )
    if config.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=config.cors_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=["etag", "location", "retry-after", "x-request-id"],
        )
    counted: Metrics = app.state.metrics
    limits = config.limits
    app.add_middleware(
        Envelope,
        max_body_bytes=limits.max_body_bytes,
        max_upload_bytes=limits.max_upload_bytes,
        observe=counted.observe,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the way to the workers while the server runs."""
    house: House = app.state.house
    ledger = await to_thread.run_sync(_open_ledger, house.config, house.plan)
    celery_app = celery.create(house.config, house.plan)
    dispatch = Dispatch(celery_app, settings=house.config, plan=house.plan, ledger=ledger)
    await dispatch.start()
    house.opened = dispatch
    gc.collect()
    gc.freeze()  # what is loaded stays; searching it for garbage takes tens of milliseconds
    try:
        yield
    finally:
        house.opened = None
        await dispatch.stop()
        await to_thread.run_sync(app.state.tracing.close)


def _open_ledger(config: Settings, plan: Plan) -> Ledger:
    """Open the database at its newest schema, with the collection of this flow in it.

    Raises:
        FingerprintMismatchError: the collection was made by a flow with another encoder.
    """
    config.data_dir.mkdir(parents=True, exist_ok=True)
    migrate(config.database_url)
    ledger = Ledger.open(config.database_url)
    declared = {index.name: index.shards for index in plan.indexes}
    most = max(declared.values(), default=1)
    ledger.ensure_collection(plan.collection, fingerprint=plan.fingerprint, shards=most)
    Layouts(ledger.database).declare(plan.collection, declared)
    return ledger
