"""What every container platform needs to know of a flow: its services, images and settings.

Nothing secret is ever written: passwords and keys are names of variables, Docker secrets or
Kubernetes secrets, and whoever deploys fills them in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from compose.flow import Flow
from compose.plan import BUILD_QUEUE, INDEX_QUEUE, REDUCE_QUEUE, Plan
from compose.render.processes import API_NAME, group_name

#: Where the API listens inside its container (on all its addresses: the platform decides which
#: of them are reachable), and where shards keep their files.
API_HOST = "0.0.0.0"  # noqa: S104 - a container is reached from outside itself
API_PORT = 8000
DATA_DIR = "/data"
FLOW_DIR = "/flow"

DEFAULT_IMAGE = "gnes-celery:slim"
BROKER_IMAGE = "valkey/valkey:8-alpine"
DATABASE_IMAGE = "postgres:17-alpine"
#: The broker keeps what it was given over a restart, and refuses rather than forgets when full.
BROKER_COMMAND = (
    "valkey-server", "--appendonly", "yes", "--maxmemory-policy", "noeviction",
)  # fmt: skip
DATABASE_USER = DATABASE_NAME = "gnes"

API_COMMAND = (
    "uvicorn", "app.api.main:create", "--factory", "--host", API_HOST, "--port", str(API_PORT),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ContainerService:
    """One kind of container: what it runs, how often, and what it keeps.

    ``role`` is api, stage, shard, index, reduce or build; ``queue`` is None for the API.
    """

    name: str
    command: tuple[str, ...]
    role: str
    replicas: int = 1
    queue: str | None = None
    image: str | None = None


def container_services(flow: Flow, plan: Plan) -> tuple[ContainerService, ...]:
    """Return the containers of a flow: the API, then the workers of each queue."""
    roles, images = _roles(plan), _images(flow, plan)
    workers = (
        ContainerService(
            name=service_name(queue),
            command=("celery", "-A", "app", "worker", "-Q", queue, "-n", f"{group_name(queue)}@%h"),
            role=roles.get(queue, "stage"),
            replicas=replicas,
            queue=queue,
            image=images.get(queue),
        )
        for queue, replicas in plan.worker_groups()
    )
    return (ContainerService(API_NAME, API_COMMAND, "api"), *workers)


def service_name(queue: str) -> str:
    """Return a queue's name as DNS allows it: ``search.my_flow.0`` gives ``search-my-flow-0``."""
    return group_name(queue).replace("_", "-").lower()[:63].strip("-")


def worker_probe(service: ContainerService) -> tuple[str, ...]:
    """Return a command that fails unless the worker of its container works."""
    return ("python", "-m", "app.probe", service.queue or "")


def api_probe(path: str) -> tuple[str, ...]:
    """Return a command that fails unless the API answers; the image needs no curl for it."""
    url = f"http://127.0.0.1:{API_PORT}{path}"
    return ("python", "-c", f"import urllib.request as r; r.urlopen('{url}', timeout=5)")


def settings(flow_file: str) -> Mapping[str, str]:
    """Return the settings that hold no secret, by environment name."""
    return {
        "GNES_FLOW": f"{FLOW_DIR}/{PurePosixPath(flow_file).name}",
        "GNES_DATA_DIR": DATA_DIR,
        "GNES_HOST": API_HOST,
        "GNES_PORT": str(API_PORT),
        "GNES_LOG_FORMAT": "json",
    }


def _roles(plan: Plan) -> dict[str, str]:
    shards = {queue: "shard" for index in plan.indexes for queue in index.queues()}
    return {INDEX_QUEUE: "index", REDUCE_QUEUE: "reduce", BUILD_QUEUE: "build", **shards}


def _images(flow: Flow, plan: Plan) -> dict[str, str]:
    """Return the Docker image that a step asks for, by the queues it is served on."""
    return {
        queue: step.image
        for step in flow.steps
        if step.image
        for queue in _queues_of(step.id, plan)
    }


def _queues_of(step_id: str, plan: Plan) -> Iterator[str]:
    for stage in plan.stages:
        if stage.name == step_id:
            yield stage.queue
    for index in plan.indexes:
        if index.name == step_id.lower():
            yield from index.queues()


def heading(source: str, target: str) -> str:
    """Return the first line of a rendered file."""
    command = f"gnes compose {source} --to {target}"
    return f"# Rendered from the flow by `{command}`; edit the flow instead.\n"
