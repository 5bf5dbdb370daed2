"""KEDA ScaledObjects: workers by the length of their queue."""

from collections.abc import Iterable, Iterator
from typing import Any

from compose.render.deployment import ContainerService

#: What Celery adds to a queue's name in Redis for work that may wait (see the Celery settings).
BULK_SUFFIX = ":9"
#: Queries must not wait: two of them a worker call another one. Bulk batches are 50 ms each.
QUERY_LENGTH, BULK_LENGTH = 2, 8
#: A queue grows to so many times the workers that the flow gives it.
MOST = 8
SCALED_ROLES = frozenset({"stage", "index"})


def scaled_objects(
    services: Iterable[ContainerService], *, namespace: str, broker: str
) -> Iterator[dict[str, Any]]:
    """Yield a ScaledObject for each queue that may have any number of workers.

    Shards are not among them: a replica of a shard pays for queries, not for a queue's length.
    """
    for service in services:
        if service.role in SCALED_ROLES and service.queue:
            yield {
                "apiVersion": "keda.sh/v1alpha1",
                "kind": "ScaledObject",
                "metadata": {"name": service.name, "namespace": namespace},
                "spec": {
                    "scaleTargetRef": {"name": service.name},
                    "minReplicaCount": service.replicas,
                    "maxReplicaCount": service.replicas * MOST,
                    "pollingInterval": 5,
                    "cooldownPeriod": 120,
                    "triggers": [
                        _trigger(broker, service.queue, QUERY_LENGTH),
                        _trigger(broker, f"{service.queue}{BULK_SUFFIX}", BULK_LENGTH),
                    ],
                },
            }


def _trigger(broker: str, queue: str, length: int) -> dict[str, Any]:
    metadata = {"address": broker, "listName": queue, "listLength": str(length)}
    return {"type": "redis", "metadata": metadata}
