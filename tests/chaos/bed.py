"""The bed itself: rounds of work under kills, each ended by a recovery and a full comparison."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.chaos.audit import audit, compare_jobs, compare_works, recover
from tests.chaos.client import LESSON, Client, text_of
from tests.chaos.model import Model
from tests.chaos.victims import ROLES, kill
from tests.e2e.deployment import Deployment

FLOW = Path(__file__).with_name("chaos.yml")
LEARNING = Path(__file__).with_name("learning.yml")
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
    works: Counter[str] = field(default_factory=Counter)  # trainings and reindexings
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
    learns = train(it, Random(f"training of {seed}"))
    while tally.kills.total() < kills:
        tally.rounds += 1
        few = min(random.randint(1, 3), kills - tally.kills.total())
        clients = [
            Client(number, f"{seed}/{tally.rounds}/{number}", it, model, learns=learns)
            for number, model in enumerate(models)
        ]
        _round(it, (seed, few, random), clients, tally)
        say(_line(tally, kills))
    faults = audit(it, models, all_ids=True)
    if faults:
        raise ChaosError(seed, tally.rounds, [], faults)
    return tally


def train(it: Deployment, random: Random) -> bool:
    """Train what learns, so that documents can be encoded; tell whether anything does."""
    path = f"/v1/collections/{it.collection}/train"
    texts = [{"text": text_of(random)} for _ in range(LESSON)]
    response = it.client.post(path, json=texts, params={"wait": "done"})
    if "nothing to train" in response.text:
        return False
    response.raise_for_status()
    return True


def _round(
    it: Deployment, dice: tuple[int, int, Random], clients: list[Client], tally: Tally
) -> None:
    seed, few, random = dice
    models = [client.model for client in clients]
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
        faults += compare_works(it, client.works)
        tally.works.update(client.works.values())
    tally.kills.update(killed)
    tally.requests += sum(client.requests for client in clients)
    tally.unanswered += sum(client.unanswered for client in clients)
    tally.documents = sum(len(model.known()) for model in models)
    if faults:
        raise ChaosError(seed, tally.rounds, killed, faults)


def _line(tally: Tally, kills: int) -> str:
    waited_s, why = tally.slowest
    return (
        f"round {tally.rounds}: {tally.kills.total()} of {kills} kills, {tally.requests} requests "
        f"({tally.unanswered} without an answer), {dict(tally.works)}, {tally.documents} "
        f"documents, all as they must be; slowest recovery {waited_s:.1f} s, for {why[:100]}"
    )
