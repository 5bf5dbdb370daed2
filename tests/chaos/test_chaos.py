"""A few seeded kills, as `make test` runs them; `make chaos` runs two hundred."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.bed import ENVIRONMENT, LEARNING, run
from tests.e2e.deployment import deployed

SEED = 2
KILLS = 6


@pytest.mark.timeout(240)
def test_nothing_is_lost_doubled_or_resurrected_whoever_is_killed(tmp_path: Path) -> None:
    """Six processes are killed under load; afterwards every acknowledged write is found once.

    A failure names its seed; `python -m tests.chaos --seed N` replays it.
    """
    said: list[str] = []

    with deployed(tmp_path, LEARNING, **ENVIRONMENT) as it:
        tally = run(it, SEED, KILLS, said.append)

    assert tally.kills.total() == KILLS
    assert tally.documents > 0
    assert len(said) == tally.rounds
