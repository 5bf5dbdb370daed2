"""`gnes demo`: everything at once, on text that every Python has."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.common import ExitCode, console
from app.cli.demo_session import run
from app.demo.corpus import ENOUGH


def add_to(cli: typer.Typer) -> None:
    """Add this group's commands to the command line."""
    cli.command()(demo)


def demo(
    *,
    documents: Annotated[int, typer.Option(help="Docstrings to index.", min=1)] = ENOUGH,
    keep: Annotated[Path | None, typer.Option(help="Keep the data in this folder.")] = None,
) -> None:
    """Index the docstrings of your Python, ask a dozen questions, and stop."""
    if run(documents=documents, keep=keep, console=console):
        raise typer.Exit(ExitCode.PARTIAL)
