"""Tags by value: for every key the documents in the order of their values.

A value, and a range of values, is then one slice of document ordinals. Columns only, which a
segment maps from its folder, so that a million documents cost no Python object each.
"""

import json
import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indexstore.filters import (
    Condition,
    Facet,
    HasId,
    IsEmpty,
    Mask,
    Match,
    MatchText,
    Range,
    Scalar,
    as_float,
    exact,
    flattened,
)
from indexstore.ids import mapped, mapped_bytes
from indexstore.runs import starts_of
from indexstore.tag_columns import Slot, TagColumn, Texts

EXACT_FLOAT = 2**53  # integers from here on are texts of their own kind too: "9007199254740993"
NUMBER, TEXT, TRUTH, LONG = "n", "s", "b", "l"


class TagCollector:
    """Collects the tags of documents in the order of their ordinals."""

    def __init__(self) -> None:
        self._numbers: dict[Slot, tuple[array[float], array[int]]] = {}
        self._texts: dict[Slot, tuple[dict[str, int], array[int], array[int]]] = {}
        self._replaced: dict[int, Mapping[str, Any]] = {}
        self._count = 0

    def add(self, tags: Mapping[str, Any]) -> None:
        """Add the next document's tags."""
        self._add(self._count, tags)
        self._count += 1

    def replace(self, ordinal: int, tags: Mapping[str, Any]) -> None:
        """Give a document, added before, other tags."""
        self._replaced[ordinal] = tags

    def _add(self, ordinal: int, tags: Mapping[str, Any]) -> None:
        for key, value in flattened(tags):
            for kind, stored in _forms(value):
                if kind == NUMBER:
                    numbers, owners = self._numbers.setdefault(
                        (key, kind), (array("d"), array("q"))
                    )
                    numbers.append(stored)
                    owners.append(ordinal)
                    continue
                known, codes, owners = self._texts.setdefault(
                    (key, kind), ({}, array("q"), array("q"))
                )
                codes.append(known.setdefault(stored, len(known)))
                owners.append(ordinal)

    def index(self) -> "TagIndex":
        """Return what was collected, in the order of values."""
        stale = np.fromiter(self._replaced, np.int64, len(self._replaced))
        for ordinal, tags in self._replaced.items():
            self._add(ordinal + self._count, tags)  # told apart from what they replace
        columns = [
            *(self._number_column(slot, stale) for slot in self._numbers),
            *(self._text_column(slot, stale) for slot in self._texts),
        ]
        return TagIndex(self._count, {column.slot: column for column in columns})

    def _owners(self, owners: Iterable[int], stale: NDArray[np.int64]) -> tuple[Any, Any]:
        """Return the ordinals, and which of them still count."""
        ordinals = np.array(owners, np.int64)
        keep = ~np.isin(ordinals, stale)
        return np.where(ordinals >= self._count, ordinals - self._count, ordinals), keep

    def _number_column(self, slot: Slot, stale: NDArray[np.int64]) -> "TagColumn":
        numbers, owners = self._numbers[slot]
        ordinals, keep = self._owners(owners, stale)
        values = np.array(numbers, np.float64)[keep]
        ordinals = ordinals[keep]
        order = np.lexsort((ordinals, values))
        distinct, first = np.unique(values[order], return_index=True)
        starts = np.append(first, len(order))
        return TagColumn(slot, distinct, starts, ordinals[order].astype(np.int32))

    def _text_column(self, slot: Slot, stale: NDArray[np.int64]) -> "TagColumn":
        known, codes, owners = self._texts[slot]
        ordinals, keep = self._owners(owners, stale)
        texts = sorted(known)
        places = np.empty(len(texts), np.int64)
        places[[known[text] for text in texts]] = np.arange(len(texts))
        ranks = places[np.array(codes, np.int64)[keep]]
        ordinals = ordinals[keep]
        order = np.lexsort((ordinals, ranks))
        counts = np.bincount(ranks, minlength=len(texts))
        column = ordinals[order].astype(np.int32)
        return TagColumn(slot, Texts.of(texts), starts_of(counts), column)


def _forms(value: Scalar) -> Iterator[tuple[str, Any]]:
    """Yield the kinds under which a value is kept."""
    kind, plain = exact(value)
    if kind == TRUTH:
        yield TRUTH, "true" if plain else "false"
    elif isinstance(plain, str):
        yield TEXT, plain
    else:
        number = as_float(plain)
        yield NUMBER, number
        if isinstance(plain, int) or math.isfinite(number):
            whole = int(plain)
            if abs(whole) >= EXACT_FLOAT:
                yield LONG, f"{whole:x}"  # to write so many decimal digits is refused by Python


@dataclass(frozen=True, slots=True, eq=False)
class TagIndex:
    """The tags of some documents, by key and kind of value."""

    count: int
    columns: Mapping[Slot, TagColumn]

    @classmethod
    def of(cls, tags: Iterable[Mapping[str, Any]]) -> "TagIndex":
        """Index the tags of documents."""
        collector = TagCollector()
        for each in tags:
            collector.add(each)
        return collector.index()

    def mask(self, condition: Condition) -> Mask:
        """Return which documents fulfil a condition on tags."""
        chosen = np.zeros(self.count, np.bool_)
        if isinstance(condition, HasId):
            return chosen
        for documents in self._slices(condition):
            chosen[documents] = True
        return ~chosen if isinstance(condition, IsEmpty) else chosen

    def _slices(self, condition: Condition) -> Iterator[NDArray[np.int32]]:
        if isinstance(condition, Match):
            yield from self._matches(condition)
        elif isinstance(condition, Range):
            yield from self._ranged(condition)
        elif isinstance(condition, MatchText):
            column = self.columns.get((condition.key, TEXT))
            for at, text in enumerate(column.values if column else ()):
                if column and condition.finds(text):
                    yield column.between(at, at + 1)
        else:  # is_empty: all that have any value, to be turned round
            for column in self._of_key(condition.key):
                yield column.documents

    def _of_key(self, key: str) -> list[TagColumn]:
        return [c for kind in (NUMBER, TEXT, TRUTH, LONG) if (c := self.columns.get((key, kind)))]

    def _matches(self, condition: Match) -> Iterator[NDArray[np.int32]]:
        if condition.is_except:
            yield from self._others(condition)
            return
        for value in condition.values:
            kind, stored = list(_forms(value))[-1]  # the exact one of two
            column = self.columns.get((condition.key, kind))
            if column is not None:
                yield column.equal(stored)

    def _others(self, condition: Match) -> Iterator[NDArray[np.int32]]:
        """Yield the documents of every value but these, by the gaps between them."""
        refused = {list(_forms(value))[-1] for value in condition.values}
        for column in self._of_key(condition.key):
            kind = column.slot[1]
            start, stop = self._exact_span(column)
            at = sorted(
                i
                for of, value in refused
                if of == kind
                and (i := bisect_left(column.values, value)) < len(column.values)
                and column.values[i] == value
            )
            for first, end in zip([start - 1, *at], [*at, stop], strict=True):
                yield column.between(first + 1, end)

    def _exact_span(self, column: TagColumn) -> tuple[int, int]:
        """Return the values of a column that are what was given: long integers are elsewhere."""
        if column.slot[1] != NUMBER or (column.slot[0], LONG) not in self.columns:
            return 0, len(column.values)
        return (
            bisect_right(column.values, -EXACT_FLOAT),
            bisect_left(column.values, EXACT_FLOAT),
        )

    def _ranged(self, condition: Range) -> Iterator[NDArray[np.int32]]:
        column = self.columns.get((condition.key, TEXT if condition.is_text else NUMBER))
        if column is None:
            return
        low, high = condition.low, condition.high
        values: Any = column.values
        after_low = bisect_left if condition.with_low else bisect_right
        after_high = bisect_right if condition.with_high else bisect_left
        first = 0 if low is None else after_low(values, low)
        end = len(values) if high is None else after_high(values, high)
        if condition.moments is None:
            yield column.between(first, end)
            return
        chosen = np.zeros(len(values), np.bool_)
        chosen[first:end] = True
        dates = np.flatnonzero(~np.isnan(column.moments))
        chosen[dates] = condition.holds_at(column.moments[dates])
        yield column.documents[np.repeat(chosen, np.diff(column.starts))]

    def facet(self, key: str, among: Mask) -> Facet:
        """Count, for every value of a key, the documents among some that have it."""
        counts: Facet = {}
        for column in self._of_key(key):
            kind = column.slot[1]
            start, stop = self._exact_span(column)
            if not len(column.documents):
                continue
            # Differences of running sums, for a replaced tag may leave a value without documents.
            sums = np.append(0, np.cumsum(among[column.documents]))[column.starts]
            for at in np.flatnonzero(np.diff(sums)).tolist():
                if start <= at < stop:
                    counts[exact(_shown(kind, column.values[at]))] = int(sums[at + 1] - sums[at])
        return counts

    def write(self, folder: Path) -> None:
        """Write the columns into a segment's folder."""
        layout = []
        for number, column in enumerate(self.columns.values()):
            layout.append(column.slot)
            base = folder / f"tag{number}"
            if isinstance(column.values, Texts):
                base.with_suffix(".bin").write_bytes(column.values.data)
                np.save(base.with_suffix(".values.npy"), column.values.offsets)
            else:
                np.save(base.with_suffix(".values.npy"), column.values)
            np.save(base.with_suffix(".starts.npy"), column.starts)
            np.save(base.with_suffix(".documents.npy"), column.documents)
        (folder / "tags.json").write_text(json.dumps({"count": self.count, "columns": layout}))

    @classmethod
    def map(cls, folder: Path) -> Self:
        """Map the columns of a segment's folder."""
        layout = json.loads((folder / "tags.json").read_text())
        columns = {}
        for number, (key, kind) in enumerate(layout["columns"]):
            base = folder / f"tag{number}"
            values: Any = mapped(base.with_suffix(".values.npy"))
            if kind != NUMBER:
                values = Texts(mapped_bytes(base.with_suffix(".bin")), values)
            columns[key, kind] = TagColumn(
                (key, kind),
                values,
                mapped(base.with_suffix(".starts.npy")),
                mapped(base.with_suffix(".documents.npy")),
            )
        return cls(layout["count"], columns)


def _shown(kind: str, value: Any) -> Scalar:
    if kind == TRUTH:
        return bool(value == "true")
    if kind == TEXT:
        return str(value)
    if kind == LONG:
        return int(value, 16)
    return int(value) if float(value).is_integer() else float(value)
