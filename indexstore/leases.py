"""Named leases: what only one process may do at a time, and another when that one is gone."""

import time

from sqlalchemy import delete, or_, select

from indexstore.schema import leases
from indexstore.store import AnyRow, Store


class Leases(Store):
    """Take, keep and drop leases; a dead owner's runs out by itself."""

    def take_lease(self, name: str, owner: str, ttl_s: float, *, now: float | None = None) -> bool:
        """Take or prolong a lease for ``ttl_s`` seconds; False while another owner holds it.

        Asking often costs no write: one's own lease is prolonged when half of it is gone.
        """
        moment = time.time() if now is None else now
        held = self._held(name, moment)
        if held is not None and (held.owner != owner or held.expires_at > moment + ttl_s / 2):
            return bool(held.owner == owner)
        statement = self._insert(leases)
        free = or_(leases.c.owner == owner, leases.c.expires_at <= moment)
        taken = statement.on_conflict_do_update(
            index_elements=[leases.c.name],
            set_={"owner": statement.excluded.owner, "expires_at": statement.excluded.expires_at},
            where=free,
        ).returning(leases.c.owner)
        row = {"name": name, "owner": owner, "expires_at": moment + ttl_s}
        with self.database.writing() as connection:
            return connection.execute(taken, row).one_or_none() is not None

    def drop_lease(self, name: str, owner: str) -> bool:
        """Give a lease back; False when the owner does not hold it."""
        held = (leases.c.name == name) & (leases.c.owner == owner)
        with self.database.writing() as connection:
            return connection.execute(delete(leases).where(held)).rowcount > 0

    def lease_owner(self, name: str, *, now: float | None = None) -> str | None:
        """Return who holds a lease, or None."""
        moment = time.time() if now is None else now
        held = self._held(name, moment)
        return None if held is None else str(held.owner)

    def _held(self, name: str, moment: float) -> AnyRow | None:
        query = select(leases).where(leases.c.name == name, leases.c.expires_at > moment)
        rows = self.database.rows(query, {})
        return rows[0] if rows else None
