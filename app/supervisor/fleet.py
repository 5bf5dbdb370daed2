"""The processes a flow asks for: started, scaled, and told how many threads they may use."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import count, islice
from string import Template
from typing import Any

from app.supervisor.process import ProcessSpec
from app.supervisor.supervisor import Supervisor
from compose.plan import BUILD_QUEUE, Plan
from compose.render.processes import Process, group_name, processes, worker

MOST_WORKERS = 256
"""Of one queue: a typing error in `gnes scale` must not take the machine down."""

GONE_S = 10.0
"""A queue that nothing is sent to any more keeps its workers so long: what was sent is answered."""


class Fleet:
    """All processes of a deployment but its broker."""

    def __init__(
        self,
        supervisor: Supervisor,
        plan: Plan,
        env: Mapping[str, str],
        *,
        api: Mapping[str, str],
    ) -> None:
        self._supervisor, self._plan, self._env, self._api = supervisor, plan, env, api
        self._gone_at: dict[str, float] = {}

    def start(self) -> None:
        """Start every process of the flow."""
        for process in processes(self._plan):
            self._supervisor.add(self._spec(process))

    def resize(self, plan: Plan, now: float) -> None:
        """Have workers for the shards of another layout, and in a while none for those gone.

        Args:
            plan: the flow's, with all shards whose queues are in use.
            now: seconds, from any clock that runs on.
        """
        before, after = set(self._plan.queues()), dict(plan.worker_groups())
        self._plan = plan
        self._gone_at = {q: at for q, at in self._gone_at.items() if q not in after}
        self._gone_at |= {queue: now for queue in before if queue not in after}
        for queue in after.keys() - before:
            self._scale_queue(queue, after[queue])
        for queue, at in list(self._gone_at.items()):
            if now - at > GONE_S:
                self._scale_queue(queue, 0)
                del self._gone_at[queue]

    def scale(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Start or retire workers until each queue named in ``counts`` has so many.

        A worker that is one too many finishes the task in hand first. All names and numbers are
        checked before anything is changed.

        Raises: ValueError: an unknown queue, or a number out of range.
        """
        counts = request.get("counts")
        if not isinstance(counts, dict):
            raise ValueError("say which queue and how many, as in encode=3")  # noqa: TRY004
        wanted = [(self._queue(name), _number(name, value)) for name, value in counts.items()]
        return {"changed": [self._scale_queue(queue, number) for queue, number in wanted]}

    def _scale_queue(self, queue: str, number: int) -> dict[str, Any]:
        members = [s for s in self._supervisor.statuses() if s.queue == queue]
        staying = [s.name for s in members if s.state != "stopping"]
        for name in staying[number:]:
            self._supervisor.retire(name)
        taken = {s.name for s in members}
        free = (w for n in count(1) if (w := worker(queue, n)).name not in taken)
        for process in islice(free, max(0, number - len(staying))):
            self._supervisor.add(self._spec(process))
        return {"queue": queue, "from": len(staying), "to": number}

    def _queue(self, name: str) -> str:
        """Return the queue of this name, or whose workers go by this name."""
        queues = self._plan.queues()
        for queue in queues:
            if name in (queue, group_name(queue)):
                return queue
        near = get_close_matches(name, queues, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"the flow has no queue {name!r}{hint} (it has {', '.join(queues)})")

    def _spec(self, process: Process) -> ProcessSpec:
        known = {**os.environ, **self._env}
        command = tuple(Template(word).safe_substitute(known) for word in process.argv)
        threads = {"OMP_NUM_THREADS": str(threads_of(self._plan, process.queue))}
        group = group_name(process.queue or process.name)
        env = {**threads, **self._env, **({} if process.queue else self._api)}
        queue = process.queue or ""
        return ProcessSpec(process.name, command, env, queue, group, process.node)


def _number(name: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MOST_WORKERS:
        raise ValueError(f"{name}: {value!r} is not a number from 0 to {MOST_WORKERS}")
    return value


def threads_of(plan: Plan, queue: str | None, cores: int | None = None) -> int:
    """Return how many threads the numeric libraries of one worker may use.

    Encoders share the cores; building an index takes half of them, so that searching goes on; a
    search or a reduction is so short that threads would only get in each other's way.
    """
    cores = cores or usable_cores()
    for stage in plan.stages_of("encode"):
        if stage.queue == queue:
            return max(1, cores // stage.replicas)
    return max(1, cores // 2) if queue == BUILD_QUEUE else 1


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
