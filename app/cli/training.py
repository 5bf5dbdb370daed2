"""`gnes train` and `gnes reindex`: let components learn, and encode everything again with it."""

from typing import Annotated, Any

import orjson
import typer

from app.cli.common import CollectionOption, JsonOption, ServerOption, client
from app.cli.documents import sources
from app.cli.following import collection_path, finish, followed


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
            f"{collection_path(api, collection)}/train",
            body=body,
            headers={"Content-Type": "application/x-ndjson"},
        )
        _finish(followed(api, job, "training", quiet=as_json), as_json=as_json)


def reindex(
    *,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encode all documents again, with what was learnt last, while searches go on."""
    with client(server) as api:
        job = api.call("POST", f"{collection_path(api, collection)}/reindex")
        _finish(followed(api, job, "encoding again", quiet=as_json), as_json=as_json)


def _finish(job: dict[str, Any], *, as_json: bool) -> None:
    finish(job, as_json=as_json, says=f"{job['total']} documents")
