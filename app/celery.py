"""The Celery app of a deployment: ``celery -A app worker -Q encode`` finds it here.

FastAPI lives in ``app.api`` because Celery takes the first app it finds under ``app``. Settings
and plan are read once and put on ``app.conf.gnes`` as plain data, where the workers read them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP, Queues
from kombu.entity import Exchange, Queue
from kombu.serialization import register

from app.broker_connection import EagerConnection
from app.chord_backend import BACKEND
from app.settings import Settings, settings
from compose.keys import MAX_COPIES
from compose.plan import Plan
from compose.planning import load_plan
from compose.wire import codec

# By name, as strings: the front end never imports a worker's code.
TASK_MODULES = (
    "workers.bootstrap",
    "workers.fetch.tasks",
    "workers.preview.tasks",
    "workers.preprocess.tasks",
    "workers.encode.tasks",
    "workers.search.tasks",
    "workers.reduce.tasks",
    "workers.index.tasks",
    "workers.build.tasks",
    "workers.build.training",
    "workers.build.snapshots",
)
_REDIS_TIMEOUT_S = 10  # far above the 1 s that a worker's blocking pop waits on the server


class FlowQueues(Queues):  # type: ignore[misc]  # celery carries no types
    """The queues of a flow, and that of any further shard of its indexes: shards come and go."""

    def __init__(self, queues: Any, *, make: Callable[[str], Queue | None], **options: Any) -> None:
        self._make = make
        super().__init__(queues, **options)

    def __missing__(self, name: str) -> Any:
        """Return the queue of a shard that the flow does not have yet.

        Raises:
            KeyError: there is none of that name.
        """
        queue = self._make(name)
        if queue is None:
            raise KeyError(name)
        return self.add(queue)


class EagerAMQP(AMQP):  # type: ignore[misc]  # celery carries no types
    """Celery's view of the broker, over connections that come back soon."""

    Connection = EagerConnection

    @property
    def queues_cls(self) -> Any:
        """What holds the queues."""
        return partial(FlowQueues, make=self._of_shard)

    def _of_shard(self, name: str) -> Queue | None:
        conf = self.app.conf
        indexes = Plan.from_dict(conf.gnes["plan"]).indexes
        numbers = (index.shard_of(name) for index in indexes)
        if any(number is not None and number < MAX_COPIES for number in numbers):
            return _queue(name, quorum=conf.task_default_queue_type == "quorum")
        return None


class GnesCelery(Celery):  # type: ignore[misc]  # celery carries no types
    """A Celery app whose workers set themselves up by the queues they are given."""

    amqp_cls = EagerAMQP

    @cached_property
    def Worker(self) -> Any:  # noqa: N802  # Celery's own name of this hook
        """The worker program: pool, prefetch and thread budget follow from the queues."""
        return self.subclass_with_self("app.worker:RoleWorker")


def create(config: Settings, plan: Plan) -> GnesCelery:
    """Return the Celery app of the deployment that ``config`` and ``plan`` describe."""
    register(codec.SERIALIZER, codec.dumps, codec.loads, codec.CONTENT_TYPE, "binary")
    made = GnesCelery("gnes", include=list(TASK_MODULES))
    made.loader.override_backends = dict.fromkeys(("redis", "rediss"), BACKEND)
    made.conf.update(
        broker_url=config.broker_url,
        result_backend=config.result_backend,
        gnes={"settings": _plain(config), "plan": plan.to_dict()},
        **_QUERY_AND_BULK,
        **_queues(plan, quorum=not _is_redis(config.broker_url)),
        **_connections(config),
    )
    made.set_default()
    return made


def _plain(config: Settings) -> dict[str, Any]:
    """Return what workers may know: everything but the keys of the HTTP API."""
    return config.model_dump(mode="json", exclude={"api_key", "read_only_api_key"})


# Late acknowledgement with a prefetch of one means that a busy worker reserves nothing: the next
# message stays in the queue for whoever is free (CELERY.md 4.1).
_QUERY_AND_BULK: dict[str, Any] = {
    "worker_pool": "app.worker:ByRole",
    "task_acks_late": True,
    "worker_prefetch_multiplier": 1,
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    "task_serializer": codec.SERIALIZER,
    "result_serializer": codec.SERIALIZER,
    "accept_content": [codec.SERIALIZER, "json"],  # json: Flower's and celery's remote control
    "result_expires": 300,
    "result_chord_expires": 3_600,
    "result_extended": False,
    "task_repr_maxlevels": 1,
    "task_send_sent_event": False,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    "worker_proc_alive_timeout": 300,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # A broker on a full disk refuses what a worker asks of it: no reason to end, but to ask again.
    "broker_channel_error_retry": True,
    # Opened as needed. A broadcast holds two of them, and Flower sends from up to 33 threads:
    # with no more than one each they would wait for each other for ever.
    "broker_pool_limit": 64,
    "task_publish_retry_policy": {
        "max_retries": 2, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.3,
    },
}  # fmt: skip


def _is_redis(url: str) -> bool:
    return url.startswith("redis")


def _queues(plan: Plan, *, quorum: bool) -> dict[str, Any]:
    names = plan.queues()
    return {
        "task_queues": [_queue(name, quorum=quorum) for name in names],
        # A typing error in -Q or in a route must fail at start, not fill a queue nobody reads.
        "task_create_missing_queues": False,
        "task_default_queue": names[0],
        "task_default_exchange": "gnes",
        "task_default_routing_key": names[0],
        "task_default_queue_type": "quorum" if quorum else "classic",
    }


def _queue(name: str, *, quorum: bool) -> Queue:
    arguments = {"x-queue-type": "quorum"} if quorum else None
    exchange = Exchange("gnes", type="direct")
    return Queue(name, exchange, routing_key=name, queue_arguments=arguments)


def _connections(config: Settings) -> dict[str, Any]:
    timeouts = {
        "socket_timeout": _REDIS_TIMEOUT_S,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
    redis_transport = {
        **timeouts,
        "visibility_timeout": config.visibility_timeout_s,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "queue_order_strategy": "priority",
        "priority_steps": [0, 9],
        "sep": ":",
    }
    is_redis = _is_redis(config.broker_url)
    return {
        "broker_transport_options": redis_transport if is_redis else {"confirm_publish": True},
        "result_backend_transport_options": {
            "retry_policy": {
                "max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5,
            },
        },
        "redis_socket_timeout": _REDIS_TIMEOUT_S,
        "redis_socket_connect_timeout": 2,
        "redis_socket_keepalive": True,
        "redis_backend_health_check_interval": 10,
    }  # fmt: skip


app = create(settings(), load_plan(settings().flow))
