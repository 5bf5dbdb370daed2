"""`gnes snapshot`: keep a collection as it is, and bring it back."""

import time
from typing import Annotated, Any
from urllib.parse import quote

import orjson
import typer
from rich.table import Table

from app.cli.common import (
    CollectionOption,
    JsonOption,
    ServerOption,
    ago,
    client,
    console,
    emit,
    size_of,
)
from app.cli.following import collection_path, finish, followed
from app.client import Client

cli = typer.Typer(no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="Name of the snapshot.")]


@cli.command("create")
def create(
    name: Annotated[str | None, typer.Argument(help="Its name; default: the time.")] = None,
    *,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep all documents as they are now, with vectors and media, while searches and writes go on.

    It lies in the blob store, in .snapshots/COLLECTION/NAME, and can be copied elsewhere whole.
    """
    body = orjson.dumps({"name": name} if name else {})
    with client(server) as api:
        job = api.call("POST", _path(api, collection), body=body)
        taken = job["snapshot"]
        job = followed(api, job, "saving", quiet=as_json)
    finish(job | {"snapshot": taken}, as_json=as_json, says=f"snapshot {taken}")


@cli.command("ls")
def ls(
    *,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List snapshots, newest first."""
    with client(server) as api:
        answer = api.call("GET", _path(api, collection))

    def show() -> None:
        table = Table("snapshot", "documents", "media", "size", "age", box=None)
        for one in answer["snapshots"]:
            table.add_row(
                one["name"], str(one["documents"]), str(one["media"]),
                size_of(one["size_bytes"]), ago(time.time() - one["created_at"]),
            )  # fmt: skip
        console.print(table)
        for name in answer["damaged"]:
            console.print(f"{name} is damaged: copy its folder here again, or delete it")

    emit(answer, as_json=as_json, show=show)


@cli.command("restore")
def restore(
    name: NameArgument,
    *,
    encode: Annotated[
        bool, typer.Option("--encode", help="Encode its documents again: for another flow.")
    ] = False,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a collection back to what it was: what was written since the snapshot is deleted."""
    with client(server) as api:
        path = f"{_path(api, collection)}/{quote(name, safe='')}/restore"
        job = api.call("POST", path, body=orjson.dumps({"encode": encode}))
        job = followed(api, job, "restoring", quiet=as_json)
    finish(job, as_json=as_json, says=_restored(job))


def _restored(job: dict[str, Any]) -> str:
    return f"{job['counts'].get('restored', 0)} documents restored"


@cli.command("rm")
def rm(
    name: NameArgument,
    *,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a snapshot, and give its room back."""
    with client(server) as api:
        answer = api.call("DELETE", f"{_path(api, collection)}/{quote(name, safe='')}")
    size = answer["size_bytes"]
    says = f"deleted {name}" if size is None else f"deleted {name}, {size_of(size)}"
    emit(answer, as_json=as_json, show=lambda: console.print(says))


def _path(api: Client, collection: str | None) -> str:
    return f"{collection_path(api, collection)}/snapshots"
