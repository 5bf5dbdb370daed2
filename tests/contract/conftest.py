"""A real broker and a real worker for the facts about Celery that the code relies on."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.app.amqp import AMQP
from celery.contrib.testing.worker import start_worker
from kombu.entity import Exchange, Queue
from kombu.serialization import register

from app.broker_connection import EagerConnection
from app.chord_backend import BACKEND
from compose.wire import codec
from tests.servers.valkey import Valkey, running_valkey


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Run one server for all tests here."""
    folder: Path = tmp_path_factory.mktemp("valkey")
    with running_valkey(folder) as server:
        yield server


class OurAMQP(AMQP):  # type: ignore[misc]  # celery carries no types
    """Celery's view of the broker, over our connections."""

    Connection = EagerConnection


@pytest.fixture
def celery_app(valkey: Valkey) -> Iterator[Any]:
    """Return an app set up like ours, on an empty broker."""
    with valkey.client() as client:
        client.flushall()
    register(codec.SERIALIZER, codec.dumps, codec.loads, codec.CONTENT_TYPE, "binary")
    app = Celery("contract", broker=valkey.url, backend=valkey.url, amqp=OurAMQP)
    app.loader.override_backends = {"redis": BACKEND}
    exchange = Exchange("gnes", type="direct")
    app.conf.update(
        task_queues=[Queue(name, exchange, routing_key=name) for name in ("parts", "body", "deaf")],
        task_default_queue="parts",
        task_default_exchange="gnes",
        task_default_routing_key="parts",
        task_create_missing_queues=False,
        task_serializer=codec.SERIALIZER,
        result_serializer=codec.SERIALIZER,
        accept_content=[codec.SERIALIZER, "json"],
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        task_ignore_result=True,
        broker_transport_options={"priority_steps": [0, 9], "sep": ":"},
        worker_redirect_stdouts=False,
    )
    yield app
    app.close()


@pytest.fixture
def calls(celery_app: Any) -> list[Any]:
    """Register ``part`` (a header), ``body`` and ``note``; return what the last two got."""
    got: list[Any] = []

    @celery_app.task(name="part", shared=False)
    def part(payload: Any) -> Any:
        return {"got": payload}

    @celery_app.task(name="body", shared=False)
    def body(parts: Any, payload: Any) -> None:
        got.append((parts, payload))

    @celery_app.task(name="note", shared=False)
    def note(payload: Any) -> None:
        time.sleep(0.02)
        got.append(payload)

    @celery_app.task(name="nap", shared=False)
    def nap(payload: float) -> None:
        time.sleep(payload)

    return got


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Give the root logger back as it was: a worker sets its level for the whole process."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def worker(celery_app: Any, calls: list[Any]) -> Iterator[Any]:
    """Run a worker on the queues ``parts`` and ``body``, in a thread of this process."""
    del calls  # the tasks must be registered before the worker looks
    celery_app.amqp.queues.select(["parts", "body"])
    with start_worker(celery_app, pool="solo", perform_ping_check=False, shutdown_timeout=20) as it:
        yield it
