"""How many inputs a network takes at once: as many as its memory holds, learnt as it runs."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from workers.component import Floats

T = TypeVar("T")

#: Of the memory that is free after the first run; others may want some, and pictures differ.
_SHARE = 0.5
_MOST = 512
_WORDS = ("out of memory", "allocate memory", "bad allocation")


class Memory(Protocol):
    """The memory of a device, as far as it can be asked."""

    def free_bytes(self) -> int:
        """Return how much more can be had."""

    def measured(self, call: Callable[[], Floats]) -> tuple[Floats, int]:
        """Return what a call returns, and how much more than before it held at its peak."""

    def let_go(self) -> None:
        """Give back what is kept for later."""


class BatchSize:
    """Runs a network on any number of inputs, so many at once.

    With a memory to ask, the first run says what one input takes, and the next ones fill a share
    of what is free. A run that finds no memory is tried again by halves, here as anywhere.

    Args:
        size: inputs at once: of every run, or, where there is a memory to ask, of the first one.
        memory: that of the device the network runs on.
    """

    def __init__(self, size: int, memory: Memory | None = None) -> None:
        self.size, self._memory = size, memory
        self._is_known = memory is None

    def run(self, network: Callable[[Sequence[T]], Floats], inputs: Sequence[T]) -> Floats:
        """Return the network's rows of all inputs, in order; there must be one at least.

        Raises:
            MemoryError: a single input is too much; or what the network raised.
        """
        rows: list[Floats] = []
        start = 0
        while start < len(inputs):
            part = inputs[start : start + self.size]
            try:
                rows.append(self._once(network, part))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                self._shrink(len(part), error)
                continue
            start += len(part)
        return np.concatenate(rows)

    def _once(self, network: Callable[[Sequence[T]], Floats], part: Sequence[T]) -> Floats:
        if self._is_known or self._memory is None or len(part) < self.size:
            return network(part)
        rows, taken = self._memory.measured(lambda: network(part))
        room = _SHARE * self._memory.free_bytes() / max(taken / len(part), 1)
        self.size = int(min(max(room, 1), _MOST))
        self._is_known = True
        return rows

    def _shrink(self, tried: int, error: Exception) -> None:
        if tried == 1:
            raise MemoryError(f"there is no memory for a single input: {error}") from error
        self.size, self._is_known = tried // 2, True
        if self._memory is not None:
            self._memory.let_go()


def is_out_of_memory(error: Any) -> bool:
    """Tell whether a library ran out of memory: each says so with a class or words of its own."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _WORDS)
    )
