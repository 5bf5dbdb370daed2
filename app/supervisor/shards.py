"""How many shards a deployment shall run workers for: what its ledger says, not only its flow."""

from dataclasses import dataclass

from compose.plan import Plan
from indexstore.layouts import Layouts
from indexstore.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Shards:
    """The plan of a flow, and where the number of its shards is kept."""

    flow: Plan
    layouts: Layouts

    @classmethod
    def declare(cls, database_url: str, flow: Plan) -> "Shards":
        """Enter the collection of a flow, and how many shards the flow says its indexes have.

        Raises:
            FingerprintMismatchError: the collection was made by a flow with another encoder.
        """
        ledger = Ledger.open(database_url)
        declared = {index.name: index.shards for index in flow.indexes}
        most = max(declared.values(), default=1)
        ledger.ensure_collection(flow.collection, fingerprint=flow.fingerprint, shards=most)
        layouts = Layouts(ledger.database)
        layouts.declare(flow.collection, declared)
        return cls(flow, layouts)

    def plan(self) -> Plan:
        """Return the plan with every shard that serves or shall.

        Raises:
            IndexStoreError: the ledger cannot be read.
        """
        known = self.layouts.read(self.flow.collection)
        numbers = {
            at: known[index.name].widest
            for at, index in enumerate(self.flow.indexes)
            if index.name in known
        }
        return self.flow.with_shards(numbers)
