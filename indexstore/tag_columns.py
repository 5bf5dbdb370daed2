"""One key of tags: its values in their order, and the documents that have each."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indexstore.dates import moment
from indexstore.runs import starts_of

Slot = tuple[str, str]  # a key and a kind of value


@dataclass(frozen=True, slots=True, eq=False)
class Texts(Sequence[str]):
    """Sorted texts in one buffer."""

    data: memoryview
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Lay out texts that are sorted."""
        parts = [text.encode("utf-8", "surrogatepass") for text in texts]
        return cls(memoryview(b"".join(parts)), starts_of([len(part) for part in parts]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, at: Any) -> Any:
        start, end = int(self.offsets[at]), int(self.offsets[at + 1])
        return str(self.data[start:end], "utf-8", "surrogatepass")


@dataclass(frozen=True, eq=False)
class TagColumn:
    """The values of one key and kind, ascending, and the documents that have each."""

    slot: Slot
    values: Any  # float64 (v,) or Texts
    starts: NDArray[np.int64]  # (v + 1,)
    documents: NDArray[np.int32]

    def between(self, first: int, end: int) -> NDArray[np.int32]:
        """Return the documents that have one of some consecutive values."""
        if end <= first:
            return self.documents[:0]
        return self.documents[self.starts[first] : self.starts[end]]

    def equal(self, value: Any) -> NDArray[np.int32]:
        """Return the documents that have a value."""
        at = bisect_left(self.values, value)
        found = at < len(self.values) and self.values[at] == value
        return self.between(at, at + 1) if found else self.documents[:0]

    @cached_property
    def moments(self) -> NDArray[np.float64]:
        """The texts that are dates as seconds since 1970, (v,); NaN for the others."""
        found = [moment(text) for text in self.values]
        return np.array(found, np.float64)
