"""The processes of a deployment on one machine: names, arguments, the queue each consumes."""

from dataclasses import dataclass

from compose.plan import Plan

API_NAME = "api"
#: The API of a deployment; address and port are the environment's to say. A line in the log for
#: every request costs a tenth of a search; /metrics counts them, and failures are logged anyway.
API_ARGV = (
    "uvicorn", "app.api.main:create", "--factory", "--host", "$GNES_HOST", "--port", "$GNES_PORT",
    "--no-access-log",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Process:
    """One process to keep running; ``queue`` is None for the API.

    ``argv`` may hold ``$NAME`` of an environment variable, which whoever starts it replaces.
    """

    name: str
    argv: tuple[str, ...]
    queue: str | None = None
    node: str = ""  # what a worker calls itself, but for the host


def processes(plan: Plan) -> tuple[Process, ...]:
    """Return every process of the plan: the API, then each queue's workers."""
    workers = (
        worker(queue, number)
        for queue, replicas in plan.worker_groups()
        for number in range(1, replicas + 1)
    )
    return (Process(API_NAME, API_ARGV), *workers)


def worker(queue: str, number: int) -> Process:
    """Return the ``number``-th worker process of a queue; numbers begin at 1."""
    group = group_name(queue)
    name = group if number == 1 else f"{group}-{number}"
    node = f"{group}-{number}"
    argv = ("celery", "-A", "app", "worker", "-Q", queue, "-n", f"{node}@%h")
    return Process(name, argv, queue, node)


def group_name(queue: str) -> str:
    """Return what a queue's workers are called: ``search.text.0`` gives ``search-text-0``."""
    return queue.replace(".", "-")
