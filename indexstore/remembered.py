"""What is dear to make and asked for again, kept while it fits into a bound of bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """What knows how much memory it takes."""

    @property
    def size_bytes(self) -> int:
        """Return its size, or the most that it may come to be."""
        ...


T = TypeVar("T", bound=Sized)


class Remembered(Generic[T]):
    """Values by key; those not asked for longest make room. Any thread may ask."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._values: OrderedDict[str, T] = OrderedDict()
        self._bytes = 0
        self._changing = threading.Lock()

    def get(self, key: str, make: Callable[[], T]) -> T:
        """Return the value of a key, made where it is not remembered."""
        with self._changing:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        made = make()  # two threads may do so at once; either's will do
        with self._changing:
            if key not in self._values:
                self._values[key] = made
                self._bytes += _size_bytes(key, made)
            while self._bytes > self._most and len(self._values) > 1:
                self._bytes -= _size_bytes(*self._values.popitem(last=False))
        return made


def _size_bytes(key: str, value: Sized) -> int:
    # The key of a filter by thousands of ids takes more than what it lets pass.
    return len(key) + value.size_bytes
