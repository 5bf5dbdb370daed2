"""What the processes of a deployment say: a bounded file each, coloured lines on a terminal."""

import os
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

MAX_BYTES = 8 * 2**20
"""A log file is turned over at this size; with three old ones a process keeps 32 MiB at most."""
KEPT = 3
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
FOLLOW_S = 0.2


class RotatingLog:
    """An append-only file that is renamed to ``.1``, ``.2``... when it has grown too large."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
        self.path, self._max_bytes, self._kept = path, max_bytes, kept
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size

    def write(self, data: bytes) -> None:
        """Append bytes, turning the file over first when they no longer fit.

        What a full disk does not take is lost: a log must not take down what it tells of.
        """
        with suppress(OSError):
            if self._file.closed:
                self._file = self.path.open("ab", buffering=0)
            if self._size and self._size + len(data) > self._max_bytes:
                self._turn_over()
            self._size += self._file.write(data)

    def close(self) -> None:
        """Close the file; what was written stays."""
        self._file.close()

    def _turn_over(self) -> None:
        self._file.close()
        for age in range(self._kept, 0, -1):
            older = old_log(self.path, age)
            newer = old_log(self.path, age - 1) if age > 1 else self.path
            if newer.exists():
                newer.replace(older)
        self._file = self.path.open("ab", buffering=0)
        self._size = 0


def old_log(path: Path, age: int) -> Path:
    """Name the ``age``-th oldest turned-over file of a log."""
    return path.with_name(f"{path.name}.{age}")


class Screen:
    """Writes the lines of many processes to a terminal, each after its name in its own colour."""

    def __init__(self, stream: TextIO, *, colour: bool = False) -> None:
        self._stream, self._colour = stream, colour
        self._codes: dict[str, int] = {}
        self._width = 8

    def show(self, name: str, line: bytes) -> None:
        """Write one line of one process."""
        self._width = max(self._width, len(name))
        prefix = f"{name:<{self._width}} | "
        if self._colour:
            code = self._codes.setdefault(name, COLOURS[len(self._codes) % len(COLOURS)])
            prefix = f"\x1b[{code}m{prefix}\x1b[0m"
        self._stream.write(prefix + line.decode("utf-8", "replace") + "\n")
        self._stream.flush()


def tail(path: Path, lines: int) -> list[str]:
    """Return the last lines of a log file; none when there is no such file."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return [line.rstrip("\n") for line in deque(stream, maxlen=lines)]
    except FileNotFoundError:
        return []


def follow(paths: dict[str, Path]) -> Generator[tuple[str, str], None, None]:
    """Yield ``(name, line)`` as lines are added to log files, even when they are turned over."""
    readers = {name: _Follower(path) for name, path in paths.items()}
    try:
        while True:
            found = False
            for name, reader in readers.items():
                for line in reader.lines():
                    found = True
                    yield name, line
            if not found:
                time.sleep(FOLLOW_S)
    finally:
        for reader in readers.values():
            reader.close()


class _Follower:
    """Reads what is added to one log file from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = self._open(at_end=True)
        self._rest = ""

    def lines(self) -> Iterator[str]:
        """Yield the whole lines added since the last call."""
        if self._stream is None:
            self._stream = self._open(at_end=False)
        if self._stream is None:
            return
        self._rest += self._stream.read()
        *whole, self._rest = self._rest.split("\n")
        yield from whole
        if not whole and self._was_turned_over(self._stream):
            self.close()

    def close(self) -> None:
        """Close the file; the next reading opens it again from its start."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _open(self, *, at_end: bool) -> TextIO | None:
        try:
            stream = self._path.open(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        if at_end:
            stream.seek(0, os.SEEK_END)
        return stream

    def _was_turned_over(self, stream: TextIO) -> bool:
        try:
            return self._path.stat().st_ino != os.fstat(stream.fileno()).st_ino
        except FileNotFoundError:
            return False
