"""`gnes`: the command line of a deployment."""

import sys
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.markup import escape

from app.api.version import VERSION
from app.cli import (
    benching,
    chaos,
    config,
    dead_letters,
    demonstration,
    deployment,
    documents,
    evaluating,
    flow,
    jobs,
    resharding,
    searching,
    snapshots,
    training,
)
from app.cli.common import ExitCode, UsageFaultError, console, errors
from app.client import ClientError
from app.settings import PREFIX, Settings
from app.supervisor.errors import SupervisorError
from compose.errors import FlowError
from indexstore.errors import IndexStoreError

cli = typer.Typer(
    name="gnes",
    help="Search text, images, video and audio by meaning: one flow file, one command.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(*, value: bool) -> None:
    if value:
        console.print(VERSION)
        raise typer.Exit


@cli.callback()
def gnes(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Search text, images, video and audio by meaning: one flow file, one command."""
    del version


for group in (
    deployment,
    documents,
    searching,
    training,
    resharding,
    evaluating,
    benching,
    chaos,
    flow,
    demonstration,
):
    group.add_to(cli)
cli.add_typer(jobs.cli, name="jobs", help="What is under way, and what has been done.")
cli.add_typer(dead_letters.cli, name="dead-letters", help="Documents that could not be indexed.")
cli.add_typer(snapshots.cli, name="snapshot", help="Keep a collection as it is; bring it back.")
cli.add_typer(config.cli, name="config", help="The settings of this machine's deployment.")


def main() -> NoReturn:
    """Run a command; an error of ours becomes one readable message and its exit code."""
    try:
        cli()
    except (SupervisorError, ClientError, UsageFaultError) as error:
        _fail(str(error), error.exit_code)
    except FlowError as error:
        _fail(str(error), ExitCode.USAGE)
    except IndexStoreError as error:
        _fail(str(error), ExitCode.FAILED)
    except ValidationError as error:
        _fail("\n".join(map(_setting_fault, error.errors())), ExitCode.USAGE)
    sys.exit(ExitCode.OK)


def _setting_fault(fault: object) -> str:
    entry = fault if isinstance(fault, dict) else {}
    place = [str(part) for part in entry.get("loc", ())]
    prefix = PREFIX if place and place[0] in Settings.model_fields else ""  # others' own names
    name = "__".join(place).upper()
    reason = str(entry.get("msg")).removeprefix("Value error, ")
    return f"{prefix}{name}: {reason} (it is {entry.get('input')!r})"


def _fail(message: str, code: int) -> NoReturn:
    errors.print(f"[bold red]gnes:[/] {escape(message)}", soft_wrap=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
