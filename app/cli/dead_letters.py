"""`gnes dead-letters`: documents that could not be indexed, and what to do with them."""

from collections.abc import Iterator
from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape
from rich.table import Table

from app.cli.common import (
    ExitCode,
    JsonOption,
    ServerOption,
    UsageFaultError,
    client,
    console,
    emit,
    errors,
)
from app.client import Client

cli = typer.Typer(no_args_is_help=True)
IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[DOC_ID]...", help="Ids of the documents.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All there are.")]
_PATH = "/v1/dead-letters"
_PAGE = 1_000


@cli.command("ls")
def ls(
    *,
    limit: Annotated[int, typer.Option("--limit", "-l", help="Documents to list.", min=1)] = 100,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List documents that could not be encoded (failed) or were tried too often (dead)."""
    with client(server) as api:
        rows = [row for row, _ in zip(_every(api), range(limit), strict=False)]

    def show() -> None:
        table = Table("document", "state", "attempts", "why", box=None)
        for row in rows:
            table.add_row(
                escape(row["id"]), row["status"], str(row["attempts"]), escape(row["error"] or "")
            )
        console.print(table if rows else "none: every document that was taken in is indexed")

    emit({"documents": rows}, as_json=as_json, show=show)


@cli.command("show")
def show_one(
    doc_id: Annotated[str, typer.Argument(help="Id of the document.")],
    *,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one of them: why it failed, and what it holds."""
    with client(server) as api:
        row = next((row for row in _every(api) if row["id"] == doc_id), None)
        if row is None:
            raise UsageFaultError(
                f"{doc_id!r} is no dead letter; `gnes dead-letters ls` lists them"
            )
        found = {**row, "document": api.get(api.collection(), doc_id)}

    def show() -> None:
        for name, value in found.items():
            console.print(f"[bold]{name}[/] {escape(str(value))}", soft_wrap=True)

    emit(found, as_json=as_json, show=show)


@cli.command("replay")
def replay(
    doc_ids: IdsArgument = None,
    *,
    everything: AllOption = False,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try documents again, as after a mended model or flow; their jobs run again."""
    chosen = _chosen(doc_ids, everything=everything)
    body = orjson.dumps({} if chosen is None else {"ids": chosen})
    with client(server) as api:
        answer = api.call("POST", f"{_PATH}/replay", body=body)
    missing = sorted(set(chosen or ()) - set(answer["queued"]))
    _tell(answer, "queued", missing, as_json=as_json)


@cli.command("discard")
def discard(
    doc_ids: IdsArgument = None,
    *,
    everything: AllOption = False,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete documents that could not be indexed, and what older content they had."""
    chosen = _chosen(doc_ids, everything=everything)
    with client(server) as api:
        answer = api.call("DELETE", _PATH, query=[("id", doc_id) for doc_id in chosen or ()])
    _tell(answer, "deleted", answer["missing"], as_json=as_json)


def _chosen(doc_ids: list[str] | None, *, everything: bool) -> list[str] | None:
    """Return the ids; None for all, which has to be said."""
    if bool(doc_ids) == everything:
        raise UsageFaultError("name the documents, or say --all")
    return doc_ids or None


def _every(api: Client) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = api.call("GET", _PATH, query=_page(cursor))
        yield from page["documents"]
        cursor = page["cursor"]
        if cursor is None:
            return


def _page(cursor: str | None) -> list[tuple[str, str]]:
    return [("limit", str(_PAGE)), *([("cursor", cursor)] if cursor else [])]


def _tell(answer: dict[str, Any], done: str, missing: list[str], *, as_json: bool) -> None:
    def show() -> None:
        console.print(f"{done} {len(answer[done])}")
        for doc_id in missing:
            errors.print(f"[yellow]no dead letter[/] {escape(doc_id)}")

    emit(answer, as_json=as_json, show=show)
    if missing:
        raise typer.Exit(ExitCode.PARTIAL if answer[done] else ExitCode.FAILED)
