"""`gnes reshard`: another number of shards, while searches and writes go on."""

from typing import Annotated

import orjson
import typer

from app.cli.common import CollectionOption, JsonOption, ServerOption, client
from app.cli.following import collection_path, finish, followed
from app.client import Client


def add_to(cli: typer.Typer) -> None:
    """Add this group's commands to the command line."""
    cli.command()(reshard)


def reshard(
    shards: Annotated[int, typer.Argument(help="How many shards there shall be.", min=1)],
    *,
    index: Annotated[
        str | None, typer.Option("--index", help="Only this index of the flow; default: all.")
    ] = None,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deal the documents out to another number of shards; searches and writes go on meanwhile.

    `gnes up` starts workers for new shards and ends those of old ones by itself; elsewhere start
    them: the command says which queues it waits for.
    """
    body = orjson.dumps({"shards": {index: shards} if index else shards})
    with client(server) as api:
        job = api.call("POST", f"{collection_path(api, collection)}/reshard", body=body)
        job = followed(api, job, "resharding", quiet=as_json, look=lambda: _waits_for(api))
    finish(job, as_json=as_json, says=f"{job['total']} shards")


def _waits_for(api: Client) -> str:
    """Return which queues of the new layout nobody serves yet."""
    rows = api.call("GET", "/v1/shards")["shards"]
    queues = [row["queue"] for row in rows if not row["serves"] and not row["replicas"]]
    more = f" and {len(queues) - 3} more" if len(queues) > 3 else ""  # noqa: PLR2004 - one line
    return f"waits for workers on {', '.join(queues[:3])}{more}" if queues else ""
