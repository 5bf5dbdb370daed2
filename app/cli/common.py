"""What all commands share: options, output for people and for programs, the server to ask."""

import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from app.client import Client
from app.settings import Settings, settings
from app.supervisor.deployment import DataFolder
from app.supervisor.errors import NotRunningError
from app.supervisor.launch import url_of


class ExitCode(IntEnum):
    """What a command tells the shell."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_READY = 3
    PARTIAL = 4


class UsageFaultError(Exception):
    """The command was given something that it cannot work with."""

    exit_code = ExitCode.USAGE


console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

ServerOption = Annotated[
    str | None,
    typer.Option("--server", envvar="GNES_SERVER", help="URL of the API; default: the one here."),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", envvar="GNES_DATA_DIR", help="Folder of the deployment [.gnes]."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
CollectionOption = Annotated[
    str | None,
    typer.Option("--collection", "-c", help="Collection; default: the one the server has."),
]


def emit(value: Any, *, as_json: bool, show: Callable[[], None]) -> None:
    """Print a result: as JSON for a program, or with ``show`` for a person."""
    if as_json:
        print_json(value)
    else:
        show()


def print_json(value: Any) -> None:
    """Print one JSON value, indented, on standard output."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str) + b"\n")
    sys.stdout.flush()


def folder(data_dir: Path | None) -> DataFolder:
    """Return the data folder that a command is about."""
    return DataFolder(data_dir or settings().data_dir)


def client(server: str | None) -> Client:
    """Return a client of the server named, or of the deployment in this data folder."""
    return Client(server or local_url(settings()), api_key=api_key())


def api_key() -> str | None:
    """Return the key that this machine's settings hold, if any."""
    key = settings().api_key
    return key.get_secret_value() if key else None


def local_url(config: Settings) -> str:
    """Return the URL of the deployment that runs here, or that would by default."""
    try:
        return DataFolder(config.data_dir).state().url
    except NotRunningError:
        return url_of(config.host, config.port)


def ago(seconds: float) -> str:
    """Put a length of time into few characters."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def size_of(size_bytes: float) -> str:
    """Put a number of bytes into few characters."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size_bytes >= 2**power:
            return f"{size_bytes / 2**power:.1f} {unit}"
    return f"{size_bytes:.0f} B"
