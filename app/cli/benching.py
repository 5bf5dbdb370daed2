"""`gnes bench`: how fast a server answers, with more and more clients."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import orjson
import typer
from rich.table import Table

from app.cli.common import (
    CollectionOption,
    ExitCode,
    JsonOption,
    ServerOption,
    UsageFaultError,
    api_key,
    client,
    console,
    emit,
    errors,
)
from app.cli.following import collection_path
from app.cli.judgements import queries_of
from app.cli.searching import Mode
from app.client import Client
from app.load import Load, Target, measure

_SAMPLE = 200  # stored documents whose first words are asked for, where no queries are given
_WORDS = 8


def add_to(cli: typer.Typer) -> None:
    """Add this group's commands to the command line."""
    cli.command()(bench)


def bench(  # noqa: PLR0913 - each is an option of the command line
    queries: Annotated[
        Path | None,
        typer.Argument(help="Queries: JSON lines, or id<TAB>text; default: stored texts."),
    ] = None,
    *,
    clients: Annotated[str, typer.Option(help="Clients at once, in turn.")] = "1,16,64",
    seconds: Annotated[float, typer.Option(help="Seconds of each.", min=0.5)] = 5.0,
    mode: Annotated[Mode | None, typer.Option(help="Indexes to ask.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-l", help="Hits of a query.", min=1)] = 10,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask as fast as the server answers, with more and more clients; print rates and latencies.

    The load comes from a process of its own, on this machine.
    """
    numbers = _numbers(clients)
    with client(server) as api:
        target = _target(api, collection, _texts(api, collection, queries), mode, limit)
    try:
        loads = [measure(target, number, seconds) for number in numbers]
    except subprocess.CalledProcessError as error:  # it has said why
        errors.print("[bold red]gnes:[/] the server gave no good answer; see above")
        raise typer.Exit(ExitCode.FAILED) from error
    rows = [{**asdict(load), "rate": round(load.rate, 1)} for load in loads]
    emit(rows, as_json=as_json, show=lambda: _show_loads(loads))


def _numbers(clients: str) -> list[int]:
    try:
        numbers = [int(number) for number in clients.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise UsageFaultError(f"--clients {clients!r}: write numbers of 1 or more, as in 1,16,64")
    return numbers


def _texts(api: Client, collection: str | None, queries: Path | None) -> list[str]:
    if queries is not None:
        return list(queries_of(queries).values())
    found = sample_texts(api, collection_path(api, collection))
    if not found:
        raise UsageFaultError("no text is stored to make queries of: name a file with queries")
    return found


def sample_texts(api: Client, path: str) -> list[str]:
    """Return the first words of some stored texts of a collection, to ask for."""
    page = api.call("POST", f"{path}/documents/scroll", body=orjson.dumps({"limit": _SAMPLE}))
    texts = (entry.get("text") for entry in page["documents"])
    return [" ".join(islice(text.split(), _WORDS)) for text in texts if text]


def _target(
    api: Client, collection: str | None, texts: Sequence[str], mode: str | None, limit: int
) -> Target:
    address = urlsplit(api.server)
    if address.scheme != "http" or address.hostname is None:
        raise UsageFaultError(f"{api.server}: only http:// is measured; name the API itself")
    shared: dict[str, Any] = {"limit": limit, **({"mode": mode} if mode else {})}
    return Target(
        address.port or 80,
        f"{collection_path(api, collection)}/search",
        tuple(orjson.dumps({"query": {"text": text}, **shared}) for text in texts),
        address.hostname,
        api_key() or "",
    )


def _show_loads(loads: Sequence[Load]) -> None:
    table = Table("clients", "queries/s", "median ms", "p95 ms", "p99 ms", "errors", box=None)
    for load in loads:
        table.add_row(
            str(load.clients), f"{load.rate:.0f}", f"{load.median_ms:.1f}",
            f"{load.p95_ms:.1f}", f"{load.p99_ms:.1f}", str(load.errors),
        )  # fmt: skip
    console.print(table)
    console.print(f"[dim]load and server share {os.cpu_count()} cores if both are here[/]")
