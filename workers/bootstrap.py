"""What a worker process does besides its tasks: load, announce, tail, dispatch; and stop.

Celery imports this module with the tasks. A worker consumes only after ``worker_init`` has
returned, so what is loaded there is ready before the first message.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from typing import Any, Protocol

from celery import signals

from compose.wire import names
from indexstore.errors import EngineError, FingerprintMismatchError, PluginFileError
from workers import metrics
from workers.build.housekeeping import Housekeeper
from workers.errors import ComponentError
from workers.heartbeat import Heartbeat
from workers.holding import Holder
from workers.index.dispatcher import Dispatcher
from workers.keeping import Keeper
from workers.reduce.tasks import prepare
from workers.runtime import InHand, Runtime, runtime
from workers.search.segment_watcher import SegmentWatcher
from workers.search.serving import Tailer, serving
from workers.search.word_exchange import WordExchange


class _Service(Protocol):
    """A thread that lives as long as the worker."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


logger = logging.getLogger(__name__)

#: What no second start can mend.
_FAULTS_OF_THE_FLOW = (ComponentError, EngineError, FingerprintMismatchError, PluginFileError)

#: Those of neither stages nor shards.
_OTHER_QUEUES = (
    names.FETCH_QUEUE, names.INDEX_QUEUE, names.REDUCE_QUEUE, names.BUILD_QUEUE,
    names.PREVIEW_QUEUE,
)  # fmt: skip

_services: list[_Service] = []


@signals.after_setup_logger.connect
def speak_up(**_: Any) -> None:
    """Let our own news through: Celery's default level hides what a worker serves."""
    logging.getLogger("workers").setLevel(logging.INFO)


@signals.worker_init.connect
def load(sender: Any = None, **_: Any) -> None:
    """Load what the process needs for its queues, before it takes work."""
    if "prefork" in str(getattr(sender, "pool_cls", "")):
        return  # its children load for themselves: a forked model or index would be unsafe
    _load_or_exit()


@signals.worker_process_init.connect
def load_child(**_: Any) -> None:
    """Load in a prefork child (and again, at no cost, in a solo worker)."""
    _load_or_exit()


def _load_or_exit() -> None:
    state = runtime()
    try:
        state.load_components()
        if names.REDUCE_QUEUE in state.queues:
            prepare()
        if names.BUILD_QUEUE in state.queues:
            state.check_indexes()
        state.open_store()
        if state.shards_here():
            serving()
    except _FAULTS_OF_THE_FLOW as error:  # their words say more than our traceback
        _say(error)
        sys.exit(names.MISCONFIGURED)
    except Exception as error:
        logger.exception("the worker cannot start")
        _say(error)
        sys.exit(3)


def _say(error: Exception) -> None:
    """Tell the supervisor, and whoever reads along; logging may not be set up yet."""
    print(f"{names.CANNOT_START}{error}", file=sys.stderr, flush=True)  # noqa: T201


@signals.worker_ready.connect
def start_services(sender: Any = None, **_: Any) -> None:
    """Start the threads beside the tasks, and say what the worker serves."""
    state = runtime()
    node = getattr(sender, "hostname", None) or f"worker-{os.getpid()}"
    heartbeat = Heartbeat(node, state, serving() if state.shards_here() else None)
    _services.append(heartbeat)
    if str(state.settings["broker_url"]).startswith(("redis", "valkey")):
        _services.append(Holder(sender, state))
    if state.stages_here() or names.FETCH_QUEUE in state.queues:
        _services.append(Keeper(state))
    if state.shards_here():
        _services.append(Tailer(serving(), state, heartbeat.tell))
        _services.append(SegmentWatcher(serving(), state))
        _services.append(WordExchange(serving(), state))
    if names.INDEX_QUEUE in state.queues:
        _services.append(Dispatcher(state))
    if names.BUILD_QUEUE in state.queues:
        _services.append(Housekeeper(state))
    for service in _services:
        service.start()
    if port := state.settings["metrics_port"]:
        metrics.serve(port)
    # What is loaded stays: never to be searched for garbage again, which takes tens of
    # milliseconds in the middle of somebody's query.
    gc.collect()
    gc.freeze()
    logger.info("serving %s", _what(state))


@signals.worker_shutting_down.connect
def stop_services(**_: Any) -> None:
    """Stop the threads; the front end learns at once that this worker is gone."""
    while _services:
        _services.pop().stop()


@signals.task_prerun.connect
def note_start(task_id: str = "", task: Any = None, **_: Any) -> None:
    """Note what the process works on."""
    queue = (task.request.delivery_info or {}).get("routing_key") or ""
    now = time.time()
    runtime().in_hand = InHand(task_id, str(queue), now)
    metrics.waited(task, now)


@signals.task_postrun.connect
def note_end(task: Any = None, state: str | None = None, **_: Any) -> None:
    """Count the task."""
    process = runtime()
    began, process.in_hand = process.in_hand, None
    process.tasks_done += 1
    failed = metrics.has_failed() or state == "FAILURE"
    if began is not None:
        metrics.worked(task.name, time.time() - began.since, failed=failed)


def _what(state: Runtime) -> str:
    stages = [f"{stage.name} ({stage.kind})" for stage in state.stages_here()]
    shards = [
        f"shard {shard} of {state.plan.indexes[index].name}" for index, shard in state.shards_here()
    ]
    others = [queue for queue in state.queues if queue in _OTHER_QUEUES]
    return ", ".join(stages + shards + others)
