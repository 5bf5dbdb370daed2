"""`gnes config`: the settings of this machine's deployment."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import typer
from rich.table import Table

from app.cli.common import JsonOption, console, emit
from app.settings import settings, variable_of

cli = typer.Typer(no_args_is_help=True)


@cli.callback()
def config() -> None:
    """The settings of this machine's deployment."""


@cli.command("show")
def show_config(*, as_json: JsonOption = False) -> None:
    """Print every setting and the variable that changes it; secrets stay hidden."""
    config = settings()
    values = {name: _hidden(value) for name, value in config.model_dump(mode="json").items()}

    def show() -> None:
        table = Table("variable", "value", box=None)
        for name, value in _flat(values):
            table.add_row(variable_of(name), str(value))
        console.print(table)

    emit(values, as_json=as_json, show=show)


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Name nested settings as the environment does, with two underscores."""
    rows: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}__")
        else:
            rows.append((prefix + name, value))
    return rows


def _hidden(value: Any) -> Any:
    """Hide the password of a URL; settings that are secrets hide themselves."""
    if not (isinstance(value, str) and "://" in value):
        return value
    parts = urlsplit(value)
    if parts.password is None:
        return value
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{parts.netloc.split('@')[-1]}"))
