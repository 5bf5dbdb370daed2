"""`gnes compose, components`: what a flow means, and what it can be made of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from app.cli.common import JsonOption, UsageFaultError, console, emit
from app.settings import settings
from compose.catalog import Catalog, default_catalog
from compose.component import Component
from compose.errors import nearest, one_of
from compose.plugin import describe
from compose.render.targets import TARGETS, UnknownTargetError, render_file


def add_to(cli: typer.Typer) -> None:
    """Add this group's commands to the command line."""
    cli.command()(compose)
    cli.command()(components)


def compose(
    flow: Annotated[
        Path | None, typer.Argument(help="Flow file; flows/text.yml by default.")
    ] = None,
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
    what: Annotated[
        str | None, typer.Argument(help="A kind, such as encoder, or a component's name.")
    ] = None,
    *,
    py_path: Annotated[
        list[Path] | None, typer.Option("--py-path", help="A plug-in file to describe as well.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List what a flow may name, with options and docs; of one component, everything."""
    catalog = default_catalog()
    every = [*_described(py_path or [], catalog), *catalog.components, *_installed()]
    chosen = [one for one in every if what in (None, one.kind, one.name, *one.aliases)]
    if not chosen:
        kinds = list(dict.fromkeys(one.kind for one in every))
        near = nearest(what, [*kinds, *(one.name for one in every)])
        hint = f"; did you mean {near}?" if near else ""
        raise UsageFaultError(f"{what!r} is no component and no kind ({one_of(kinds)}){hint}")
    is_list = what in (None, *(one.kind for one in every))
    emit(
        [asdict(one) for one in chosen],
        as_json=as_json,
        show=lambda: _show(chosen) if is_list else console.print(*map(_page, chosen)),
    )


def _described(paths: Sequence[Path], catalog: Catalog) -> Iterator[Component]:
    """Yield the components of plug-in files, later files first; their code is not run."""
    for path in reversed(paths):
        try:
            yield from describe(path, catalog.by_class())
        except (OSError, ValueError) as error:
            raise UsageFaultError(f"--py-path {path}: {error}") from error


def _installed() -> Iterator[Component]:
    """Yield what other installed packages bring; what it is only importing it would tell."""
    for point in entry_points(group="gnes.components"):
        yield Component("plug-in", point.name, module=point.value, summary="An entry point.")


def _show(chosen: list[Component]) -> None:
    table = Table("kind", "name", "what", "options", box=None)
    for one in chosen:
        options = ", ".join(
            option.name if option.required else f"{option.name}={option.default}"
            for option in one.options
        )
        table.add_row(one.kind, one.name, escape(one.summary), f"[dim]{escape(options)}[/]")
    console.print(table)


def _page(component: Component) -> Group:
    """Return everything about one component: names, ends, and each option with its text."""
    named = ", ".join((component.name, *component.aliases))
    facts = {
        "names": named,
        "from": component.module,
        "reads": ", ".join(component.inputs),
        "gives": ", ".join(component.outputs) or _dimension(component),
        "training": "learns: see gnes train" if component.learns else "",
    }
    lines = [f"  [dim]{key}[/] {escape(value)}" for key, value in facts.items() if value]
    table = Table("option", "type", "default", "what", box=None, padding=(0, 2))
    for option in component.options:
        default = "(required)" if option.required else str(option.default)
        table.add_row(option.name, escape(option.words), escape(default), escape(option.doc))
    head = f"[bold]{component.name}[/] ({component.kind})  {escape(component.summary)}"
    return Group(head, *lines, *([table] if component.options else []), "")


def _dimension(component: Component) -> str:
    if isinstance(component.dim, Mapping):
        return f"vectors as long as its option {component.dim['option']}"
    return f"vectors of {component.dim}" if component.dim else ""
