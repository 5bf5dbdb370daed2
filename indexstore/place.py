"""Where a shard stands: its collection, its generation, its share of the slots, its files."""

from dataclasses import dataclass

from indexstore.blobs import Blobs
from indexstore.collections import Collections
from indexstore.log import Log
from indexstore.manifest import Manifest
from indexstore.model import CollectionInfo, IndexConfig, SegmentInfo, slot_range


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One shard of one index of a collection, and the stores that it lives from."""

    log: Log
    manifest: Manifest
    blobs: Blobs
    config: IndexConfig
    collection: str
    shard: int
    generation: int

    @property
    def slots(self) -> range:
        """Return the slots whose documents are the shard's."""
        return slot_range(self.shard, self.config.shards)

    def counters(self) -> CollectionInfo:
        """Return the collection's counters as they are now."""
        return Collections(self.log.database).collection(self.collection)

    def segments(self) -> list[SegmentInfo]:
        """Return the segments that the manifest has for these slots now."""
        return self.manifest.segments(
            self.collection, self.config.name, generation=self.generation, slots=self.slots
        )
