"""How a running supervisor is asked: one JSON line each way over a unix socket of its own."""

import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from app.supervisor.errors import ControlError

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]
PATIENCE_S = 5.0
LINE_BYTES = 65_536


class ControlSocket:
    """The supervisor's end: each connection brings one command and takes one answer."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        path.chmod(0o600)
        self._socket.listen(8)
        self._socket.settimeout(0)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def answer(self) -> None:
        """Take one command that is waiting, do it and answer; a bad one costs only its sender."""
        try:
            connection, _ = self._socket.accept()
        except BlockingIOError:
            return
        with connection:
            connection.settimeout(1.0)
            try:
                line = connection.makefile("rb").readline(LINE_BYTES)
                connection.sendall(json.dumps(self._obey(line)).encode() + b"\n")
            except OSError:
                return  # the asker has gone away, and with it the question

    def _obey(self, line: bytes) -> Mapping[str, Any]:
        try:
            request = json.loads(line)
            handler = self._handlers[request["do"]]
        except (ValueError, KeyError, TypeError):
            return {"error": f"the commands are {', '.join(sorted(self._handlers))}"}
        try:
            return handler(request)
        except (ValueError, KeyError) as error:
            return {"error": str(error.args[0]) if error.args else str(error)}

    def close(self) -> None:
        """Take no more commands."""
        self._socket.close()


def ask(path: Path, command: str, **arguments: Any) -> dict[str, Any]:
    """Send a command to the supervisor behind a socket and return its answer.

    Raises: ControlError: nobody answers there, or the command was refused.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(str(path))
            connection.sendall(json.dumps({"do": command, **arguments}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(connection.makefile("rb").readline() or b"{}")
    except (OSError, ValueError) as error:
        raise ControlError(command, str(error)) from error
    if "error" in answer or not answer:
        raise ControlError(command, str(answer.get("error", "it hung up")))
    return answer
