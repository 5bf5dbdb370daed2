"""`gnes jobs`: what is under way, and what has been done."""

import time
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.progress import Progress as Bar
from rich.table import Table

from app.cli.common import (
    ExitCode,
    JsonOption,
    ServerOption,
    ago,
    client,
    console,
    emit,
    errors,
    print_json,
)
from app.feed import DONE, OPEN, POLL_S

cli = typer.Typer(no_args_is_help=True)
JobArgument = Annotated[str, typer.Argument(help="Id of the job.")]
ENDS = {"partial": ExitCode.PARTIAL, "failed": ExitCode.FAILED, "cancelled": ExitCode.FAILED}


@cli.command("ls")
def ls(*, server: ServerOption = None, as_json: JsonOption = False) -> None:
    """List jobs, newest first."""
    with client(server) as api:
        answer = api.call("GET", "/v1/jobs")

    def show() -> None:
        table = Table("job", "kind", "state", "documents", "done", "age", box=None)
        for job in answer["jobs"]:
            created = job.get("created_at") or time.time()
            table.add_row(
                job["id"],
                job["kind"],
                job["state"],
                str(job["total"]),
                str(_done(job)),
                ago(max(0.0, time.time() - created)),
            )
        console.print(table)

    emit(answer, as_json=as_json, show=show)


@cli.command("show")
def show_job(
    job_id: JobArgument, *, server: ServerOption = None, as_json: JsonOption = False
) -> None:
    """Show one job and its counts."""
    with client(server) as api:
        job = api.job(job_id)

    def show() -> None:
        for name, value in job.items():
            console.print(f"[bold]{name}[/] {escape(str(value))}", soft_wrap=True)

    emit(job, as_json=as_json, show=show)


@cli.command("watch")
def watch(job_id: JobArgument, *, server: ServerOption = None, as_json: JsonOption = False) -> None:
    """Follow a job to its end; exit 4 when some of its documents failed."""
    with client(server) as api, Bar(console=errors, disable=as_json) as bar:
        job = api.job(job_id)
        task = bar.add_task(job_id, total=job["total"])
        while job["state"] in OPEN:
            time.sleep(POLL_S)
            job = api.job(job_id)
            bar.update(task, completed=_done(job))
    if as_json:
        print_json(job)
    else:
        console.print(f"{job['state']}: {_done(job)} of {job['total']}")
    raise typer.Exit(ENDS.get(job["state"], ExitCode.OK))


@cli.command("retry")
def retry(job_id: JobArgument, *, server: ServerOption = None, as_json: JsonOption = False) -> None:
    """Try the failed documents of a job again; follow it with `gnes jobs watch`."""
    with client(server) as api:
        answer = api.call("POST", f"/v1/jobs/{quote(job_id, safe='')}/retry")
    emit(answer, as_json=as_json, show=lambda: console.print(f"queued {len(answer['queued'])}"))


@cli.command("cancel")
def cancel(
    job_id: JobArgument, *, server: ServerOption = None, as_json: JsonOption = False
) -> None:
    """End a job: what of it is searchable stays, what is not never will be."""
    with client(server) as api:
        job = api.call("POST", f"/v1/jobs/{quote(job_id, safe='')}/cancel")
    dropped = job["counts"].get("cancelled", 0)
    emit(
        job,
        as_json=as_json,
        show=lambda: console.print(f"{job['state']}: {dropped} documents dropped"),
    )


def _done(job: dict[str, Any]) -> int:
    return sum(job["counts"].get(state, 0) for state in DONE)
