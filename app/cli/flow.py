"""`gnes compose, components`: what a flow means, and what it can be made of."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.common import JsonOption, UsageFaultError, console, emit
from app.settings import settings
from compose.catalog import default_catalog
from compose.component import Component
from compose.errors import one_of
from compose.render.targets import TARGETS, UnknownTargetError, render_file


def add_to(cli: typer.Typer) -> None:
    """Add this group's commands to the command line."""
    cli.command()(compose)
    cli.command()(components)


def compose(
    flow: Annotated[Path | None, typer.Argument(help="Flow file [flows/text.yml].")] = None,
    *,
    to: Annotated[str, typer.Option("--to", help=f"What to render: {', '.join(TARGETS)}.")],
) -> None:
    """Print a flow in the form of another tool."""
    path = flow or settings().flow
    try:
        console.out(render_file(path, to), end="", highlight=False)
    except UnknownTargetError as error:
        raise UsageFaultError(f"--to: {error}") from error
    except OSError as error:
        raise UsageFaultError(f"{path}: {error.strerror}") from error


def components(
    kind: Annotated[str | None, typer.Argument(help="Only this kind, such as encoder.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List the components that a flow may name, with their options."""
    every = default_catalog().components
    kinds = sorted({component.kind for component in every})
    if kind is not None and kind not in kinds:
        raise UsageFaultError(f"{kind!r} is no kind of component: {one_of(kinds)}")
    chosen = [component for component in every if kind in (None, component.kind)]
    emit([_plain(one) for one in chosen], as_json=as_json, show=lambda: _show(chosen))


def _plain(component: Component) -> dict[str, Any]:
    return {
        "kind": component.kind,
        "name": component.name,
        "aliases": list(component.aliases),
        "summary": component.summary,
        "options": {option.name: option.default for option in component.options},
    }


def _show(chosen: list[Component]) -> None:
    table = Table("kind", "name", "what", "options", box=None)
    for component in chosen:
        options = ", ".join(f"{option.name}={option.default}" for option in component.options)
        table.add_row(
            component.kind, component.name, escape(component.summary), f"[dim]{escape(options)}[/]"
        )
    console.print(table)
