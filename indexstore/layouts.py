"""Layouts: how many shards serve each index, and the change to another number while they serve.

A shard is a range of slots, so every layout is a view of one log. A new number is *wanted* first:
search workers open its shards beside those that serve. When each is ready it is *settled*: one
transaction after which queries go to the new shards.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, update

from indexstore.schema import collections, layouts
from indexstore.store import Store, read_collection

_ROWS = select(
    layouts.c.index_name, layouts.c.shards, layouts.c.wanted, layouts.c.declared, layouts.c.epoch
).where(layouts.c.collection == bindparam("of"))


@dataclass(frozen=True, slots=True)
class Layout:
    """Of one index: the shards that serve, those that shall, and how often that has changed."""

    shards: int
    wanted: int
    declared: int
    epoch: int

    @property
    def is_settled(self) -> bool:
        """Whether the shards that serve are those that shall."""
        return self.shards == self.wanted

    @property
    def widest(self) -> int:
        """The shards whose queues are in use: of what serves, or of what is being made."""
        return max(self.shards, self.wanted)


class Layouts(Store):
    """Declare, change and settle the number of shards of each index of a collection."""

    def read(self, collection: str) -> dict[str, Layout]:
        """Return the layout of each index, by its name; of those that have been declared."""
        return {
            name: Layout(*rest) for name, *rest in self.database.rows(_ROWS, {"of": collection})
        }

    def declare(self, collection: str, numbers: Mapping[str, int]) -> dict[str, Layout]:
        """Tell what a flow says that starts; return the layout of each of its indexes.

        A new index is served by so many shards at once. A number that differs from what the flow
        said before is wanted from now on; one that does not differ changes nothing, so that what
        ``want`` has changed outlives a restart.

        Raises:   CollectionNotFoundError: there is none of that name.
        """
        known = self.read(collection)
        if any(name not in known or known[name].declared != n for name, n in numbers.items()):
            with self.database.writing() as connection:
                read_collection(connection, collection, lock=True)
                for name, number in numbers.items():
                    connection.execute(self._first(), _row(collection, name, number))
                    changed = _of(collection, name).where(layouts.c.declared != number)
                    connection.execute(changed.values(declared=number, wanted=number))
            known = self.read(collection)
        return {name: known[name] for name in numbers}

    def want(self, collection: str, numbers: Mapping[str, int]) -> None:
        """Ask for other numbers of shards; asking again, or for what serves, changes nothing.

        Raises:   CollectionNotFoundError: there is none of that name.
        """
        known = self.read(collection)
        if all(name in known and known[name].wanted == n for name, n in numbers.items()):
            return
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            for name, number in numbers.items():
                connection.execute(_of(collection, name).values(wanted=number))

    def settle(self, collection: str, ready: Mapping[str, int]) -> bool:
        """Let the wanted shards of some indexes serve, all in one moment, which is a new epoch.

        Returns:  False, and changes nothing, when another number is wanted by now.
        """
        with self.database.writing() as connection:
            info = read_collection(connection, collection, lock=True)
            rows = connection.execute(_ROWS, {"of": collection})
            wanted = {row.index_name: row.wanted for row in rows}
            if any(wanted.get(name) != number for name, number in ready.items()):
                return False
            for name in ready:
                served = {"shards": layouts.c.wanted, "epoch": info.epoch + 1}
                connection.execute(_of(collection, name).values(served))
            of_collection = update(collections).where(collections.c.name == collection)
            connection.execute(of_collection.values(epoch=info.epoch + 1))
        return True

    def _first(self) -> Any:
        return self._insert(layouts).on_conflict_do_nothing()


def _of(collection: str, name: str) -> Any:
    return update(layouts).where(layouts.c.collection == collection, layouts.c.index_name == name)


def _row(collection: str, name: str, number: int) -> dict[str, Any]:
    return {
        "collection": collection, "index_name": name, "shards": number, "wanted": number,
        "declared": number, "epoch": 1,
    }  # fmt: skip
