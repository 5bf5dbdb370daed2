"""Leases in SQL for long work: whoever holds one keeps it, who dies loses it within seconds."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from indexstore.errors import IndexStoreError
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

LEASE_TTL_S = 10.0


@contextmanager
def held(state: Runtime, name: str) -> Iterator[bool]:
    """Hold a lease while the block runs; False when somebody else has it."""
    owner = str(uuid.uuid4())
    if not state.ledger.take_lease(name, owner, LEASE_TTL_S):
        yield False
        return
    done = threading.Event()

    def keep() -> None:
        while not done.wait(LEASE_TTL_S / 3):
            try:
                state.ledger.take_lease(name, owner, LEASE_TTL_S)
            except IndexStoreError as error:  # two more tries before it runs out
                logger.warning("lease %s: %s; trying again", name, error)

    keeper = threading.Thread(target=keep, name=f"lease-{name}", daemon=True)
    keeper.start()
    try:
        yield True
    finally:
        done.set()
        keeper.join()
        with suppress(IndexStoreError):  # it runs out by itself
            state.ledger.drop_lease(name, owner)
