"""Jobs of one command: opened, followed under a progress bar, and told by the exit code."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.progress import Progress as Bar

from app.cli.common import ExitCode, console, errors, print_json
from app.cli.jobs import ENDS
from app.client import Client
from app.feed import OPEN, POLL_S


def collection_path(api: Client, collection: str | None) -> str:
    """Return the path of a collection; the server's own by default."""
    return f"/v1/collections/{quote(collection or api.collection(), safe='')}"


def followed(
    api: Client,
    job: dict[str, Any],
    label: str,
    *,
    quiet: bool,
    look: Callable[[], str] = lambda: "",
) -> dict[str, Any]:
    """Return the job once it has ended.

    ``look`` says now and then, beside the bar, what the job waits for.
    """
    with Bar(*Bar.get_default_columns(), console=errors, disable=quiet) as bar:
        task = bar.add_task(label, total=1.0)
        while job["state"] in OPEN:
            time.sleep(POLL_S)
            job = api.job(job["id"])
            note = look()
            bar.update(
                task,
                completed=job["progress"],
                description=f"{label}: {note}" if note else label,
            )
    return job


def finish(job: dict[str, Any], *, as_json: bool, says: str) -> None:
    """Print the job and exit by how it ended."""
    if as_json:
        print_json(job)
    else:
        console.print(f"{job['state']}: {says}")
        if job["error"]:
            reason = escape(job["error"])
            errors.print(f"[red]{job['kind']} failed:[/] {reason}", soft_wrap=True)
    raise typer.Exit(ENDS.get(job["state"], ExitCode.OK))
