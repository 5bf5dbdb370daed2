"""What a shard has read of manifest and log: kept at their end, step by step, come what may.

Only one thread changes it at a time, but for ``look_ahead``, which changes nothing that is shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from indexstore.contents import Contents, load, opened_ahead
from indexstore.model import SegmentInfo
from indexstore.place import Place
from indexstore.segment import Segment

PAGE_ROWS = 2000  # log rows read at a time


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What the manifest listed, opened and not taken over yet."""

    beside: Contents | None  # what served then: only that may it take the place of
    purged_seq: int  # how far the log was purged before the listing
    listed: Sequence[SegmentInfo]
    opened: Mapping[str, Segment] = field(default_factory=dict)


class Reader:
    """The contents of a shard, and where in the log they stand."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.contents: Contents | None = None
        self.corrupt: dict[str, str] = {}  # segments not served, and why
        self.epoch = 0
        self._opened: dict[str, Segment] = {}
        self._ahead: _Ahead | None = None  # the manifest lists other segments
        self._redundant: frozenset[str] = frozenset()  # listed, but covered by others
        self._is_unshown = False  # something was read that ``advance`` has not told of yet

    def look_ahead(self) -> None:
        """Look for new segments, and open them before anybody has to wait for it.

        Raises:   BlobsUnavailableError: one cannot be fetched; what is open goes on serving.
        """
        contents = self.contents
        if contents is None:
            return
        found = self._list()
        if self._has_others(contents, found.listed):
            ahead = self._ahead
            before = {} if ahead is None else ahead.opened
            opened = opened_ahead(self.place, found.listed, {*self._opened, *before})
            self._ahead = replace(found, opened={**before, **opened})

    def advance(self) -> bool:
        """Read manifest and log to their ends; tell whether the contents are others than before."""
        info = self.place.counters()
        self.epoch = info.epoch
        contents = self.contents
        ahead = self._ahead
        if contents is None or contents.has_missed(info.purged_seq):
            contents = self._reload(self._list())
        elif ahead is not None and ahead.beside is contents:
            # What is listed since is left for the next look: nobody shall wait for a download.
            contents = self._reload(ahead)
        elif info.last_seq <= contents.cursor and not self._is_unshown:
            return False  # most looks find nothing new: one small read instead of three
        while not self._read_log(contents):
            contents = self._reload(self._list())
        is_new, self._is_unshown = self._is_unshown, False
        return is_new

    def close(self) -> None:
        """Let go of the segments."""
        self.contents = None
        self._opened, self._ahead = {}, None

    def _list(self) -> _Ahead:
        """Return what the manifest lists now."""
        beside, purged_seq = self.contents, self.place.counters().purged_seq
        return _Ahead(beside, purged_seq, self.place.segments())

    def _has_others(self, contents: Contents, infos: Iterable[SegmentInfo]) -> bool:
        """Tell whether the manifest lists other segments than those that serve."""
        known = {segment.info.id for segment in contents.segments} | set(self.corrupt)
        listed = {info.id for info in infos}
        return not listed <= known | self._redundant or not known <= listed | set(self.corrupt)

    def _reload(self, found: _Ahead) -> Contents:
        ahead = self._ahead
        opened = {**self._opened, **found.opened, **({} if ahead is None else ahead.opened)}
        listed = {info.id for info in found.listed}
        self.corrupt = {i: why for i, why in self.corrupt.items() if i in listed}
        contents = load(
            self.place,
            found.listed,
            opened=opened,
            corrupt=self.corrupt,
            purged_seq=found.purged_seq,
        )
        self._opened = {segment.info.id: segment for segment in contents.segments}
        if self._ahead is ahead:
            self._ahead = None
        self._redundant = frozenset(listed - set(self._opened) - set(self.corrupt))
        self.contents, self._is_unshown = contents, True
        return contents

    def _read_log(self, contents: Contents) -> bool:
        """Apply the log to its end; False when rows were purged that had not been read."""
        while True:
            # Sequence numbers are given in commit order: all up to this one can be read now.
            last_seq = self.place.counters().last_seq
            rows = self.place.log.tail(
                self.place.collection,
                contents.cursor,
                generation=self.place.generation,
                slots=self.place.slots,
                limit=PAGE_ROWS,
            )
            # Asked afterwards, and also when no row came: the row may be what was purged.
            if contents.has_missed(self.place.counters().purged_seq):
                return False
            self._is_unshown = self._is_unshown or bool(rows)
            contents.apply(rows)
            is_end = len(rows) < PAGE_ROWS
            contents.cursor = max(
                contents.cursor, rows[-1].seq if rows else 0, last_seq if is_end else 0
            )
            if is_end:
                return True
