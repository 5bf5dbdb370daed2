"""`gnes up, down, status, logs, scale`: a deployment on this machine."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from app.cli import machine
from app.cli.common import (
    DataDirOption,
    ExitCode,
    JsonOption,
    UsageFaultError,
    ago,
    console,
    emit,
    errors,
    folder,
    print_json,
    size_of,
)
from app.settings import REPOSITORY, Settings
from app.supervisor.control import ask
from app.supervisor.deployment import DataFolder, DeploymentState
from app.supervisor.errors import NotReadyError, NotRunningError
from app.supervisor.launch import Events, Launch
from app.supervisor.logs import Screen, follow, tail
from app.supervisor.process import ProcessStatus
from app.supervisor.supervisor import GRACE_S
from app.supervisor.undertaker import wait_until

STOP_S = 3 * GRACE_S
FlowArgument = Annotated[Path | None, typer.Argument(help="Flow file; flows/text.yml by default.")]


def add_to(cli: typer.Typer) -> None:
    """Add this group's commands to the command line."""
    for command in (up, down, status, logs, scale):
        cli.command()(command)
    cli.command("doctor")(machine.doctor)


def up(  # noqa: PLR0913 - each is an option of the command
    flow: FlowArgument = None,
    *,
    host: Annotated[str | None, typer.Option(envvar="GNES_HOST", help="Address to serve.")] = None,
    port: Annotated[int | None, typer.Option(envvar="GNES_PORT", help="Port to serve.")] = None,
    data_dir: DataDirOption = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Keep logs off the screen.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a detached start.")] = 120.0,
    while_stdin_open: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Start broker, workers and API, and keep them running until Ctrl-C."""
    given: dict[str, Any] = {"flow": flow, "host": host, "port": port, "data_dir": data_dir}
    config = Settings(**{name: value for name, value in given.items() if value is not None})
    if detach:
        _detach(config, timeout)
        return
    screen = None if quiet else Screen(sys.stdout, colour=console.is_terminal)
    events = Events(say=_say, ready=_show_ready, on_stdin_end=while_stdin_open)
    Launch(config, events, screen).run(embed_broker="broker_url" not in config.model_fields_set)
    _say("stopped; nothing is left running")


def _say(text: str) -> None:
    errors.print(f"[bold]gnes:[/] {text}")


def _show_ready(state: DeploymentState) -> None:
    console.print(
        f"\n[bold green]ready[/] after {time.time() - state.started_at:.1f} s"
        f"   {state.url}\n"
        f"  search     gnes search 'your question'      {state.url}/docs\n"
        f"  feed       gnes ingest FILE_OR_FOLDER\n"
        f"  look       gnes status   gnes logs -f       {state.url}/readyz?verbose=1\n"
        f"  stop       Ctrl-C here, or gnes down\n",
        soft_wrap=True,
    )


def _detach(config: Settings, timeout_s: float) -> None:
    """Start the same in a session of its own and wait until it is ready."""
    place = DataFolder(config.data_dir)
    place.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = place.logs / "supervisor.log"
    command = [sys.executable, "-m", "app.cli.main", "up", str(config.flow), "--quiet"]
    command += ["--host", config.host, "--data-dir", str(config.data_dir)]
    command += ["--port", str(config.port)] if "port" in config.model_fields_set else []
    paths = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    wait_until(lambda: process.poll() is not None or _is_ready(place, process.pid), timeout_s)
    if process.poll() is not None:
        sys.stderr.write(log.read_text(errors="replace"))
        raise typer.Exit(process.returncode)
    if not _is_ready(place, process.pid):
        raise NotReadyError(timeout_s, f"its supervisor is process {process.pid}")
    _show_ready(place.state())


def _is_ready(place: DataFolder, pid: int) -> bool:
    try:
        state = place.state()
    except NotRunningError:
        return False
    return state.is_ready and state.pid == pid


def down(
    *,
    data_dir: DataDirOption = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the end.")] = STOP_S,
) -> None:
    """Stop the deployment; tasks in hand are finished, data stay where they are."""
    place = folder(data_dir)
    pid = place.state().pid
    os.kill(pid, signal.SIGTERM)
    if not place.wait_until_free(timeout):
        raise NotReadyError(timeout, f"supervisor {pid} is still stopping")
    _say(f"stopped process {pid} and all it had started")


def status(*, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Show every process: what it does, how often it was restarted, what it holds in memory."""
    state = folder(data_dir).state()
    rows = [_row(process) for process in state.processes]
    emit(
        {**asdict(state), "broker_url": "", "processes": rows},
        as_json=as_json,
        show=lambda: _show_status(state, rows),
    )
    if not state.is_ready:
        raise typer.Exit(ExitCode.NOT_READY)


def _row(process: ProcessStatus) -> dict[str, Any]:
    return {**asdict(process), "rss_bytes": machine.rss_bytes(process.pid) if process.pid else 0}


def _show_status(state: DeploymentState, rows: list[dict[str, Any]]) -> None:
    word = "[green]ready[/]" if state.is_ready else "[yellow]starting[/]"
    console.print(f"{word}  {state.url}  flow {state.flow}  supervisor {state.pid}")
    table = Table("process", "queue", "state", "pid", "up", "restarts", "memory", box=None)
    for row in rows:
        colour = {"running": "green", "backoff": "red"}.get(row["state"], "yellow")
        table.add_row(
            row["name"],
            row["queue"],
            f"[{colour}]{row['state']}[/]",
            str(row["pid"] or ""),
            ago(time.time() - row["started_at"]) if row["started_at"] else "",
            str(row["restarts"]),
            size_of(row["rss_bytes"]) if row["pid"] else "",
        )
    console.print(table)


def logs(
    name: Annotated[str | None, typer.Argument(help="Process or group; default: all.")] = None,
    *,
    follow_on: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they grow.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="Last lines of each.", min=0)] = 20,
    data_dir: DataDirOption = None,
) -> None:
    """Show what the processes say."""
    files = {path.stem: path for path in sorted(folder(data_dir).logs.glob("*.log"))}
    chosen = {key: p for key, p in files.items() if name in (None, key, _group_of(key))}
    if not chosen:
        there = ", ".join(files) or "none yet"
        raise UsageFaultError(f"no log is called {name!r}; there are: {there}")
    screen = Screen(sys.stdout, colour=console.is_terminal)
    for key, path in chosen.items():
        for line in tail(path, lines):
            screen.show(key, line.encode())
    if follow_on:
        for key, line in follow(chosen):
            screen.show(key, line.encode())


def _group_of(name: str) -> str:
    """Return the group of a process: ``encode`` for ``encode-2``; a name without number is one."""
    group, _, number = name.rpartition("-")
    return group if number.isdigit() else name


def scale(
    counts: Annotated[list[str], typer.Argument(help="QUEUE=NUMBER, as in encode=3.")],
    *,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change how many workers a queue has, while it runs; a worker ends after its task."""
    state = folder(data_dir).state()
    answer = ask(Path(state.control), "scale", counts=dict(map(_count, counts)))
    if as_json:
        print_json(answer)
        return
    for change in answer["changed"]:
        console.print(f"{change['queue']}: {change['from']} -> {change['to']}")


def _count(text: str) -> tuple[str, int]:
    name, equals, number = text.partition("=")
    if not (name and equals and number.isdigit()):
        raise UsageFaultError(f"{text!r} is not QUEUE=NUMBER, as in encode=3")
    return name, int(number)
