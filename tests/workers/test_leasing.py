"""A lease on long work is kept for as long as the work lasts, and by nobody else."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexstore.errors import StorageUnavailableError
from indexstore.ledger import Ledger
from indexstore.migrations import migrate
from tests.workers.build.test_lessons import CHAIN, state_of
from workers import leasing
from workers.leasing import held
from workers.runtime import Runtime

TTL_S = 0.6


class Shaky(Ledger):
    """A ledger whose database is away for one of its lease's renewals."""

    asked = 0

    def take_lease(self, name: str, owner: str, ttl_s: float, *, now: float | None = None) -> bool:
        """Take it, except at the first renewal: the third time that anybody asks."""
        self.asked += 1
        if self.asked == 3:
            raise StorageUnavailableError("here", "it is restarted")
        return super().take_lease(name, owner, ttl_s, now=now)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """A worker's runtime, whose leases last half a second."""
    monkeypatch.setattr(leasing, "LEASE_TTL_S", TTL_S)
    made = state_of(CHAIN, tmp_path)
    migrate(made.settings["database_url"])
    yield made
    made.ledger.close()


def test_work_that_outlasts_its_lease_keeps_it(state: Runtime) -> None:
    """Also when the database was away for one renewal; afterwards it is free."""
    state.ledger = Shaky(state.ledger.database)
    with held(state, "work") as is_ours, held(state, "work") as is_theirs:
        time.sleep(3 * TTL_S)
        owner = state.ledger.lease_owner("work")

    assert (is_ours, is_theirs) == (True, False)
    assert owner is not None
    assert state.ledger.lease_owner("work") is None
