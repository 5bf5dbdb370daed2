"""`gnes up`: from a flow file and settings to a deployment that runs and is looked after."""

import errno
import os
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app import tracing
from app.settings import REPOSITORY, Settings
from app.supervisor.broker import EmbeddedBroker
from app.supervisor.deployment import DataFolder, DeploymentState, make_scratch
from app.supervisor.errors import (
    AddressError,
    FlowFileError,
    MisconfiguredError,
    PortInUseError,
    StartFailedError,
)
from app.supervisor.fleet import Fleet
from app.supervisor.logs import Screen, tail
from app.supervisor.process import ProcessSpec
from app.supervisor.shards import Shards
from app.supervisor.supervisor import Supervisor
from compose.plan import Plan
from compose.planning import load_plan
from compose.render.procfile import procfile
from compose.wire import names, presence
from indexstore.errors import IndexStoreError
from indexstore.filesystems import look_at
from indexstore.migrations import migrate

GIVE_UP_DEATHS = 4
"""A process that died so often before the deployment was ever ready will not run by itself."""
BRIEF_S = 0.2
"""How long the broker may take to forget a dead worker: others need looking after meanwhile."""
LOOK_S = 1.0
"""How often it is looked whether an index has got, or shall get, another number of shards."""
PROBE_S = 0.5
"""How long a probe waits for its answer, and how long the next one waits after it."""


@dataclass(frozen=True, slots=True)
class Events:
    """What a start tells whoever asked for it, as it happens."""

    say: Callable[[str], None]
    ready: Callable[[DeploymentState], None]
    on_stdin_end: bool = False


class Launch:
    """One deployment: prepared, started, looked after until its end."""

    def __init__(self, config: Settings, events: Events, screen: Screen | None = None) -> None:
        self._config, self._events, self._screen = config, events, screen
        self._is_state_late = False
        self._folder = DataFolder(config.data_dir)
        self._started_at = time.time()
        self._is_ready = False
        self._probed_at = self._looked_at = 0.0

    def run(self, *, embed_broker: bool) -> None:
        """Run the deployment until a signal or a command ends it.

        Raises: SupervisorError, compose's FlowError and the index store's errors, before or while
            starting; nothing is left.
        """
        flow = plan_at(self._config.flow)
        if "port" not in self._config.model_fields_set:  # flag and environment go before the flow
            self._config = self._config.model_copy(update={"port": flow.port})
        with self._held_folder() as lock:
            check_address(self._config.host, self._config.port)
            tracing.check(self._config.otel_endpoint)
            migrate(self._config.database_url)
            look_at(self._config.blob_url)
            self._shards = Shards.declare(self._config.database_url, flow)
            scratch = make_scratch()
            self._control = scratch / "control.sock"
            supervisor = Supervisor(
                self._folder.logs,
                scratch,
                screen=self._screen,
                keep_open=(lock,),
                on_change=lambda _: self._write_state(),
                on_death=self._withdraw,
            )
            self._supervisor, self._scratch = supervisor, scratch
            with supervisor:
                self._start(self._shards.plan(), embed_broker=embed_broker)
                supervisor.run(self._tick)
                self._events.say("stopping: every process may finish its task first")

    @contextmanager
    def _held_folder(self) -> Iterator[int]:
        lock = self._folder.hold()
        try:
            yield lock
        finally:
            self._folder.forget_state()
            os.close(lock)

    def _start(self, plan: Plan, *, embed_broker: bool) -> None:
        self._broker_url = self._config.broker_url
        supervisor = self._supervisor
        self._write_state()
        if embed_broker:
            broker = EmbeddedBroker.beside(self._folder.broker, self._scratch)
            self._broker_url = broker.url
            broker.wait(supervisor.add(broker.spec()), supervisor.turn)
        self._fleet = fleet = Fleet(
            supervisor, plan, self._environment(), api=self._environment_of_api()
        )
        self._folder.procfile.write_text(procfile(plan, source=str(self._config.flow)))
        supervisor.serve(self._control, {
            "stop": self._stop,
            "scale": fleet.scale,
        })  # fmt: skip
        if self._events.on_stdin_end:
            supervisor.watch(sys.stdin.fileno(), supervisor.request_stop)
        fleet.start()

    def _environment(self) -> dict[str, str]:
        """Return what every process of the deployment is told."""
        config = self._config
        paths = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
        modules = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "GNES_HOST": config.host,
            "GNES_PORT": str(config.port),
            "GNES_DATA_DIR": str(config.data_dir),
            "GNES_FLOW": str(config.flow.expanduser().absolute()),
            "GNES_BROKER_URL": self._broker_url,
            "PATH": os.pathsep.join(paths),
            "PYTHONPATH": os.pathsep.join(modules),
            "PYTHONUNBUFFERED": "1",
            "PROMETHEUS_MULTIPROC_DIR": str(self._counts()),
        }

    def _counts(self) -> Path:
        """Return where all processes keep what they count, so that the API can tell of all."""
        folder = self._scratch / "metrics"
        folder.mkdir(exist_ok=True)
        return folder

    def _environment_of_api(self) -> dict[str, str]:
        """Return what the API is told besides: how many of it share the port."""
        if self._config.api_processes == 1:
            return {}
        return {"WEB_CONCURRENCY": str(self._config.api_processes)}  # a name of uvicorn's

    def _write_state(self) -> None:
        """Write down what runs; where there is no room the old state stays until there is."""
        self._is_state_late = True
        with suppress(OSError):  # a full disk must not end what still serves
            self._folder.write_state(self._state())
            self._is_state_late = False

    def _state(self) -> DeploymentState:
        return DeploymentState(
            pid=os.getpid(),
            url=url_of(self._config.host, self._config.port),
            flow=str(self._config.flow),
            broker_url=self._broker_url,
            control=str(self._control),
            scratch=str(self._scratch),
            started_at=self._started_at,
            is_ready=self._is_ready,
            processes=tuple(self._supervisor.statuses()),
        )

    def _withdraw(self, spec: ProcessSpec) -> None:
        """Take back what a dead worker announced, so that nobody waits for it to expire."""
        config = self._config
        is_own = config.result_backend in ("", config.broker_url)
        url = self._broker_url if is_own else config.result_backend
        if not spec.node or not url.startswith("redis"):
            return
        client = redis.Redis.from_url(url, socket_timeout=BRIEF_S, retry=Retry(NoBackoff(), 0))
        with client, suppress(redis.RedisError):  # then it expires by itself
            presence.withdraw(client, f"{spec.node}@{socket.gethostname()}")

    def _stop(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self._supervisor.request_stop()
        return {"stopping": True}

    def _tick(self) -> bool:
        """Look whether the deployment has become ready, until it has; follow its shards."""
        self._follow_shards()
        if self._is_state_late:
            self._write_state()
        if self._is_ready:
            return True
        self._give_up_on_the_hopeless()
        if time.monotonic() - self._probed_at > PROBE_S:
            self._is_ready = answers(f"{url_of(self._config.host, self._config.port)}/readyz")
            self._probed_at = time.monotonic()
            if self._is_ready:
                self._write_state()
                self._events.ready(self._state())
        return True

    def _follow_shards(self) -> None:
        now = time.monotonic()
        if now - self._looked_at > LOOK_S:
            self._looked_at = now
            with suppress(IndexStoreError):  # the next look may find the database again
                self._fleet.resize(self._shards.plan(), now)

    def _give_up_on_the_hopeless(self) -> None:
        for child in self._supervisor.children():
            if child.exit_status == names.MISCONFIGURED:
                raise MisconfiguredError(child.spec.name, reason_in(tail(child.log_path, 200)))
            if child.restarts >= GIVE_UP_DEATHS:
                words = "\n".join(f"    {line}" for line in tail(child.log_path, 12))
                raise StartFailedError(child.spec.name, child.outcome, words)


def plan_at(path: Path) -> Plan:
    """Return the plan of a flow file.

    Raises: FlowFileError: it cannot be read; FlowError: it has faults.
    """
    try:
        return load_plan(path)
    except OSError as error:
        raise FlowFileError(path, error.strerror or str(error)) from error


def reason_in(lines: Sequence[str]) -> str:
    """Return why a worker cannot start, by its last words in its log."""
    said = "\n".join(lines).rpartition(names.CANNOT_START)[2]
    return said.partition("\n[supervisor] ")[0].strip()


def check_address(host: str, port: int) -> None:
    """Make sure that the API can listen before anything is started.

    Raises: PortInUseError, AddressError.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise AddressError(host, port, error.strerror or str(error)) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(host, port) from error
        raise AddressError(host, port, error.strerror or str(error)) from error


def url_of(host: str, port: int) -> str:
    """Return the URL at which a browser on this machine finds the API."""
    if host in ("0.0.0.0", ""):  # noqa: S104 - compared with, not bound to
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def answers(url: str) -> bool:
    """Tell whether a URL answers 200 right now."""
    try:
        with urllib.request.urlopen(url, timeout=PROBE_S) as response:  # noqa: S310 - our own API
            return bool(response.status == HTTPStatus.OK)
    except (OSError, HTTPException):
        return False
