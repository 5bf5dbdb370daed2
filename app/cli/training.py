"""`gnes train` and `gnes reindex`: let components learn, and encode everything again with it."""

import time
from typing import Annotated, Any
from urllib.parse import quote

import orjson
import typer
from rich.progress import Progress as Bar

from app.cli.common import (
    CollectionOption,
    ExitCode,
    JsonOption,
    ServerOption,
    client,
    console,
    errors,
    print_json,
)
from app.cli.documents import sources
from app.cli.jobs import ENDS
from app.client import Client
from app.feed import OPEN, POLL_S


def add_to(cli: typer.Typer) -> None:
    """Add this group's commands to the command line."""
    for command in (train, reindex):
        cli.command()(command)


def train(
    paths: Annotated[list[str], typer.Argument(help="Files or folders; - is standard input.")],
    *,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the flow's components learn from documents, which are not stored; wait for the end.

    Files are read as `gnes ingest` reads them. A later training is used after `gnes reindex`.
    """
    body = b"\n".join(orjson.dumps(document) for document in sources(paths))
    with client(server) as api:
        job = api.call(
            "POST",
            f"/v1/collections/{_name(api, collection)}/train",
            body=body,
            headers={"Content-Type": "application/x-ndjson"},
        )
        _finish(_followed(api, job, "training", quiet=as_json), as_json=as_json)


def reindex(
    *,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encode all documents again, with what was learnt last, while searches go on."""
    with client(server) as api:
        job = api.call("POST", f"/v1/collections/{_name(api, collection)}/reindex")
        _finish(_followed(api, job, "encoding again", quiet=as_json), as_json=as_json)


def _name(api: Client, collection: str | None) -> str:
    return quote(collection or api.collection(), safe="")


def _followed(api: Client, job: dict[str, Any], label: str, *, quiet: bool) -> dict[str, Any]:
    """Return the job once it has ended."""
    with Bar(console=errors, disable=quiet) as bar:
        task = bar.add_task(label, total=1.0)
        while job["state"] in OPEN:
            time.sleep(POLL_S)
            job = api.job(job["id"])
            bar.update(task, completed=job["progress"])
    return job


def _finish(job: dict[str, Any], *, as_json: bool) -> None:
    """Print the job and exit by how it ended."""
    if as_json:
        print_json(job)
    else:
        console.print(f"{job['state']}: {job['total']} documents")
        if job["error"]:
            errors.print(f"[red]{job['kind']} failed:[/] {job['error']}", markup=True)
    raise typer.Exit(ENDS.get(job["state"], ExitCode.OK))
