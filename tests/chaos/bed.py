"""The bed itself: rounds of work under kills, each ended by a recovery and a full comparison."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.chaos.audit import audit, compare_jobs, recover
from tests.chaos.client import Client
from tests.chaos.model import Model
from tests.chaos.victims import ROLES, kill
from tests.e2e.deployment import Deployment

FLOW = Path(__file__).with_name("chaos.yml")
CLIENTS = 2
#: Small segments, windows and batches, so that everything happens often; short time-outs, so that
#: what only they can mend is mended within a round.
ENVIRONMENT = {
    "GNES_BUILD_ROWS": "60",
    "GNES_DOCUMENT_BATCH": "8",
    "GNES_WINDOW_DOCUMENTS": "64",
    "GNES_LEASE_S": "6",
    "GNES_VISIBILITY_TIMEOUT_S": "3",
    "GNES_RETIRED_GRACE_S": "3",
    "GNES_LOG_KEEP_SEQS": "40",
    "GNES_UPKEEP_INTERVAL_S": "2",
}
Say = Callable[[str], None]


class ChaosError(AssertionError):
    """The deployment broke a promise; ``args`` hold the seed, the round and the faults."""

    def __init__(self, seed: int, number: int, kills: list[str], faults: list[str]) -> None:
        super().__init__(seed, number, kills, faults)
        self.seed, self.number, self.kills, self.faults = seed, number, kills, faults

    def __str__(self) -> str:
        lines = "\n  ".join(self.faults[:20])
        return (
            f"seed {self.seed}, round {self.number}, after the kills {self.kills}: "
            f"{len(self.faults)} faults\n  {lines}"
        )


@dataclass(slots=True)
class Tally:
    """What a run has done so far."""

    kills: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    requests: int = 0
    unanswered: int = 0
    documents: int = 0
    slowest: tuple[float, str] = (0.0, "nothing")  # recovery, and what it waited for last


def run(it: Deployment, seed: int, kills: int, say: Say) -> Tally:
    """Kill so many processes of a running deployment under load.

    Raises:
        ChaosError: a promise was broken. RecoveryError: it did not come back to rest.
    """
    random = Random(f"kills of {seed}")
    models = [Model() for _ in range(CLIENTS)]
    tally = Tally()
    while tally.kills.total() < kills:
        tally.rounds += 1
        few = min(random.randint(1, 3), kills - tally.kills.total())
        _round(it, (seed, few, random), models, tally)
        say(_line(tally, kills))
    faults = audit(it, models, all_ids=True)
    if faults:
        raise ChaosError(seed, tally.rounds, [], faults)
    return tally


def _round(
    it: Deployment, dice: tuple[int, int, Random], models: list[Model], tally: Tally
) -> None:
    seed, few, random = dice
    clients = [
        Client(number, f"{seed}/{tally.rounds}/{number}", it, model)
        for number, model in enumerate(models)
    ]
    for client in clients:
        client.start()
    killed = []
    for _ in range(few):
        time.sleep(random.uniform(0.1, 1.5))
        killed.append(kill(it, random.choice(ROLES), random.randint(0, 7)))
    time.sleep(random.uniform(0.1, 1.5))
    for client in clients:
        client.stop()
    for client in clients:
        client.join()
    tally.slowest = max(tally.slowest, recover(it))
    faults = [fault for client in clients for fault in client.faults]
    faults += audit(it, models, all_ids=False)
    for client in clients:
        faults += compare_jobs(it, client.jobs)
    tally.kills.update(killed)
    tally.requests += sum(client.requests for client in clients)
    tally.unanswered += sum(client.unanswered for client in clients)
    tally.documents = sum(len(model.known()) for model in models)
    if faults:
        raise ChaosError(seed, tally.rounds, killed, faults)


def _line(tally: Tally, kills: int) -> str:
    return (
        f"round {tally.rounds}: {tally.kills.total()} of {kills} kills, {tally.requests} requests "
        f"({tally.unanswered} without an answer), {tally.documents} documents, all as they must "
        f"be; slowest recovery {tally.slowest[0]:.1f} s, for {tally.slowest[1][:100]}"
    )
