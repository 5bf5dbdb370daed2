"""`gnes chaos`: kill processes of the deployment on this machine, and see that it goes on."""

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import orjson
import typer
from rich.progress import Progress as Bar
from rich.table import Table

from app.cli.benching import sample_texts
from app.cli.common import (
    DataDirOption,
    ExitCode,
    JsonOption,
    api_key,
    client,
    console,
    emit,
    errors,
    folder,
)
from app.cli.following import collection_path
from app.client import Client, ClientError, RefusedError
from app.supervisor.deployment import DataFolder
from app.supervisor.undertaker import wait_until

_PATIENCE_S = 60.0  # until a deployment must be whole again
_HANG_S = 15.0  # a request that takes longer hangs: searches have a deadline of 10 s
_PAUSE_S = (0.2, 2.0)  # between recovery and the next kill


@dataclass(frozen=True, slots=True)
class Kill:
    """One process killed, and how long it took until searches were whole again."""

    process: str
    pid: int
    recovered_s: float | None


@dataclass(slots=True)
class Watcher:
    """Searches without a pause, and counts how each ended."""

    server: str
    path: str
    texts: list[str]
    api_key: str | None
    ends: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Search until told to stop."""
        number = 0
        with Client(self.server, api_key=self.api_key, timeout_s=_HANG_S) as api:
            while not self.stopping.is_set():
                number += 1
                started = time.monotonic()
                self.ends[self._ask(api, self.texts[number % len(self.texts)])] += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - started)

    def _ask(self, api: Client, text: str) -> str:
        body = orjson.dumps({"query": {"text": text}, "limit": 10})
        try:
            answer = api.call("POST", self.path, body=body)
        except RefusedError as error:
            return f"refused, {error.status}"
        except ClientError as error:
            self.stopping.wait(0.1)
            return "hung" if "timed out" in str(error) else "API away"
        return "partial" if answer["coverage"]["degraded"] else "whole"


def add_to(cli: typer.Typer) -> None:
    """Add this group's commands to the command line."""
    cli.command()(chaos)


def chaos(
    *,
    kills: Annotated[int, typer.Option(help="Processes to kill.", min=1)] = 10,
    seed: Annotated[int | None, typer.Option(help="Repeats a run's choice of processes.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Kill processes of the deployment here, one after the other, while searches go on.

    Broker, API and workers alike, with SIGKILL. Fails when a request hangs, when the deployment is
    not whole again within a minute, or when a stored document is missing afterwards.
    """
    place = folder(data_dir)
    state = place.state()
    seed = random.randrange(10_000) if seed is None else seed
    with client(state.url) as api:
        path = collection_path(api, None)
        texts = sample_texts(api, path) or ["a question"]
        before = _stored(api, path)
        watcher = Watcher(state.url, f"{path}/search", texts, api_key())
        thread = threading.Thread(target=watcher.run, name="watcher", daemon=True)
        thread.start()
        done = _kill_in_turn(place, api, random.Random(seed), kills, quiet=as_json)
        watcher.stopping.set()
        thread.join(_HANG_S)
        after = _stored(api, path)
    report = {
        "seed": seed, "kills": [asdict(kill) for kill in done], "searches": dict(watcher.ends),
        "slowest_s": round(watcher.slowest_s, 2), "stored": {"before": before, "after": after},
    }  # fmt: skip
    emit(report, as_json=as_json, show=lambda: _show(report))
    if _faults(report):
        raise typer.Exit(ExitCode.FAILED)


def _kill_in_turn(
    place: DataFolder, api: Client, rng: random.Random, kills: int, *, quiet: bool
) -> list[Kill]:
    done: list[Kill] = []
    with Bar(console=errors, disable=quiet) as bar:
        for _ in bar.track(range(kills), description="killing"):
            done.append(_kill_one(place, api, rng))
            if done[-1].recovered_s is None:
                break
            time.sleep(rng.uniform(*_PAUSE_S))
    return done


def _kill_one(place: DataFolder, api: Client, rng: random.Random) -> Kill:
    running = sorted(
        (process.name, process.pid) for process in place.state().processes if process.pid
    )
    name, pid = rng.choice(running)
    started = time.monotonic()
    with suppress(ProcessLookupError):  # it has died by itself since: as good
        os.kill(pid, signal.SIGKILL)
    is_back = wait_until(lambda: _is_back(place, api, name, pid), _PATIENCE_S)
    return Kill(name, pid, round(time.monotonic() - started, 2) if is_back else None)


def _is_back(place: DataFolder, api: Client, name: str, pid: int) -> bool:
    """Tell whether a killed process has a successor that works, and searches are whole."""
    found = next((one for one in place.state().processes if one.name == name), None)
    if found is None or found.pid in (None, pid):
        return False
    # A dead worker's heartbeat lives for a moment: its successor's own is what counts.
    return _is_whole(api) and (not found.queue or found.pid in _working(api))


def _working(api: Client) -> set[int]:
    """Return the processes of the workers that announce themselves."""
    try:
        return {worker["pid"] for worker in api.call("GET", "/v1/workers")["workers"]}
    except ClientError:
        return set()


def _is_whole(api: Client) -> bool:
    try:
        return bool(api.call("GET", "/readyz")["ready"])
    except ClientError:
        return False


def _stored(api: Client, path: str) -> int:
    return int(api.call("POST", f"{path}/documents/count", body=b"{}", retries=8)["count"])


def _faults(report: dict[str, Any]) -> list[str]:
    kills, stored = report["kills"], report["stored"]
    gone = [kill["process"] for kill in kills if kill["recovered_s"] is None]
    faults = [f"{process} did not come back" for process in gone]
    if hung := report["searches"].get("hung"):
        faults.append(f"{hung} searches hung")
    if stored["after"] < stored["before"]:
        faults.append(f"{stored['before'] - stored['after']} documents are missing")
    return faults


def _show(report: dict[str, Any]) -> None:
    table = Table("killed", "pid", "whole again after", box=None, title=f"seed {report['seed']}")
    for kill in report["kills"]:
        seconds = kill["recovered_s"]
        table.add_row(
            kill["process"],
            str(kill["pid"]),
            "[red]never[/]" if seconds is None else f"{seconds} s",
        )
    console.print(table)
    ends = ", ".join(f"{number} {end}" for end, number in sorted(report["searches"].items()))
    console.print(f"searches meanwhile: {ends}; the slowest took {report['slowest_s']} s")
    for fault in _faults(report):
        errors.print(f"[red]{fault}[/]")
