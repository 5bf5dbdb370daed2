"""`gnes ingest, get, delete`: documents in, looked at, out."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bar,
)
from rich.text import Text

from app.cli.common import (
    CollectionOption,
    ExitCode,
    JsonOption,
    ServerOption,
    client,
    console,
    emit,
    errors,
    print_json,
)
from app.cli.sources import documents_in, documents_of
from app.client import Client
from app.feed import BATCH, Failure, Feed, Progress

SHOWN_FAILURES = 20
TOLD_S = 10.0
"""Where no bar can be drawn, in a log for one, a line this often says how far it is."""


def add_to(cli: typer.Typer) -> None:
    """Add this group's commands to the command line."""
    for command in (ingest, get, delete):
        cli.command()(command)


def ingest(
    paths: Annotated[list[str], typer.Argument(help="Files or folders; - is standard input.")],
    *,
    collection: CollectionOption = None,
    server: ServerOption = None,
    batch: Annotated[int, typer.Option(help="Documents a request.", min=1)] = BATCH,
    as_json: JsonOption = False,
) -> None:
    """Store documents and wait until they can be found.

    .txt holds a document a line; .ndjson and .jsonl a JSON document a line; .json one document or
    a list; .md, .rst, .html, images, sounds and videos are one document each.
    """
    with client(server) as api:
        feed = Feed(api, collection or api.collection(), batch=batch)
        done = watch(feed, list(sources(paths)), quiet=as_json)
    report = {
        "documents": done.sent,
        "indexed": done.indexed,
        "failed": [{"id": f.doc_id, "reason": f.reason} for f in done.failures],
        "token": done.token,
    }
    if as_json:
        print_json(report)
    else:
        _show_failures(done.failures)
    if done.failures:
        raise typer.Exit(ExitCode.PARTIAL if done.indexed else ExitCode.FAILED)


def sources(paths: list[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the documents of files, folders and, for "-", standard input."""
    for path in paths:
        yield from documents_in(sys.stdin.buffer) if path == "-" else documents_of(Path(path))


class _Rate(ProgressColumn):
    """Documents a second, over the last moments."""

    def render(self, task: Task) -> Text:
        """Return the rate as text."""
        whole = task.completed / task.elapsed if task.finished and task.elapsed else None
        speed = whole or task.speed
        return Text(f"{speed:.0f}/s" if speed else "", style="cyan")


def watch(
    feed: Feed, documents: Iterable[Mapping[str, Any]], *, quiet: bool = False, label: str = ""
) -> Progress:
    """Run a feed to its end under a progress bar with rate and time to go."""
    everything = list(documents)
    columns = (
        TextColumn(label or "indexing"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bar(*columns, console=errors, disable=quiet, speed_estimate_period=20) as bar:
        task = bar.add_task("", total=len(everything))
        told = time.monotonic()
        for progress in feed.run(everything):
            bar.update(task, completed=progress.done)
            if not (quiet or errors.is_terminal) and time.monotonic() - told > TOLD_S:
                told = time.monotonic()
                errors.print(f"{label or 'indexing'}: {progress.done} of {len(everything)}")
    return feed.progress


def _show_failures(failures: list[Failure]) -> None:
    for failure in failures[:SHOWN_FAILURES]:
        errors.print(f"[red]failed[/] {escape(str(failure.doc_id))}: {escape(failure.reason)}")
    if len(failures) > SHOWN_FAILURES:
        errors.print(f"... and {len(failures) - SHOWN_FAILURES} more (--json lists them all)")


def get(
    doc_id: Annotated[str, typer.Argument(help="Id of the document.")],
    *,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one stored document."""
    with client(server) as api:
        document = api.get(collection or api.collection(), doc_id)

    def show() -> None:
        for name, value in document.items():
            console.print(f"[bold]{name}[/] {escape(str(value))}", soft_wrap=True)

    emit(document, as_json=as_json, show=show)


def delete(
    doc_ids: Annotated[list[str], typer.Argument(help="Ids of the documents.")],
    *,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete documents; no answer shows them from now on."""
    with client(server) as api:
        answer = _delete(api, collection, doc_ids)

    def show() -> None:
        console.print(f"deleted {len(answer['deleted'])}")
        for doc_id in answer["missing"]:
            errors.print(f"[yellow]not there[/] {escape(doc_id)}")

    emit(answer, as_json=as_json, show=show)
    if answer["missing"]:
        raise typer.Exit(ExitCode.PARTIAL if answer["deleted"] else ExitCode.FAILED)


def _delete(api: Client, collection: str | None, doc_ids: list[str]) -> dict[str, Any]:
    return api.delete(collection or api.collection(), doc_ids)
