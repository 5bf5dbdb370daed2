"""One client of the deployment: a seeded random program of reads and writes, and what it learns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

import httpx2

from tests.chaos.model import Model, State
from tests.e2e.deployment import Deployment

MOST_DOCUMENTS = 220  # a client's; one search can then show all documents there are
GRACE_S = 1.0  # beyond a request's own deadline
WRITE_DEADLINE_S = 10.0
LESSON = 60  # documents of a training
WORDS = ("river", "stone", "engine", "orbit", "bread", "violin", "harbour", "winter", "ledger")
GOOD = {200, 202}
PARTLY = {429, 500, 503, 504, 507}  # no answer is known from these


def text_of(random: Random) -> str:
    """Return a few words."""
    return " ".join(random.choices(WORDS, k=6))


class Client:
    """Runs its program in a thread until stopped; keeps the model, and every fault it meets."""

    def __init__(
        self, number: int, seed: str, it: Deployment, model: Model, *, learns: bool
    ) -> None:
        self.model = model
        self.faults: list[str] = []
        self.jobs: dict[str, int] = {}
        self.works: dict[str, str] = {}  # trainings and reindexings, by job
        self.requests = self.unanswered = 0
        self._prefix = f"c{number}"
        self._random = Random(seed)
        self._collection = f"/v1/collections/{it.collection}"
        self._http = httpx2.Client(base_url=it.url, timeout=40.0)
        self._dim = int(it.client.get("/v1/flow").json()["indexes"][0]["dim"])
        self._learns = learns and number == 0  # one of the clients sees to that
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"client-{number}", daemon=True)

    def start(self) -> None:
        """Begin the program."""
        self._thread.start()

    def stop(self) -> None:
        """End after the request under way."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def _run(self) -> None:
        """Do one thing after the other, as the seed says."""
        actions: list[tuple[Callable[[], None], float]] = [
            (self._ingest, 4), (self._update, 3), (self._patch, 3), (self._delete, 2),
            (self._search_text, 4), (self._search_vector, 3), (self._pause, 2),
            (self._train, 0.5 * self._learns), (self._reindex, 1.5 * self._learns),
        ]  # fmt: skip
        weights = [weight for _, weight in actions]
        with self._http:
            while not self._stopping.is_set():
                (action,) = self._random.choices([action for action, _ in actions], weights)
                try:
                    action()
                except Exception as error:  # noqa: BLE001 - whatever it is, the run must report it
                    self.faults.append(f"{action.__name__}: {type(error).__name__}: {error}")

    def _ingest(self) -> None:
        room = MOST_DOCUMENTS - len(self.model.known())
        if room <= 0:
            self._delete()
            return
        count = min(room, self._random.randint(1, 12))
        first = len(self.model.states) + len(self.model.touched)
        self._write([f"{self._prefix}-{first + n}" for n in range(count)])

    def _update(self) -> None:
        if ids := self._pick(8):
            self._write(ids)

    def _write(self, ids: list[str]) -> None:
        after = {doc_id: self._invent(doc_id) for doc_id in ids}
        body = [
            {"id": doc_id, "text": state.text, "tags": state.tags, "weight": state.weight}
            for doc_id, state in after.items()
        ]
        wait, deadline = "no", WRITE_DEADLINE_S
        if self._random.random() < 0.15:
            wait, deadline = "searchable", 3.0
        response = self._request(
            "POST", "/documents", deadline, after=after, json=body,
            params={"wait": wait, "timeout": min(deadline, 3.0)},
        )  # fmt: skip
        if response is None:
            return
        answer = response.json()
        self.jobs[answer["job_id"]] = len(ids)
        first = int(answer["token"]) - len(ids) + 1
        versions = range(first, first + len(ids))
        settled = {
            doc_id: replace(after[doc_id], version=version)
            for doc_id, version in zip(ids, versions, strict=True)
        }
        self.model.settle(settled)
        if self._random.random() < 0.3:
            self._see(self._random.choice(ids), answer["token"])

    def _patch(self) -> None:
        ids = self._pick(1)
        if not ids:
            return
        state = self.model.states[ids[0]]
        assert state is not None
        change: dict[str, Any] = {"tags": {"patched": self._random.randint(0, 10**6)}}
        if self._random.random() < 0.3:
            change = {"weight": self._random.choice([0.5, 1.0, 2.0]), "tags": {"group": None}}
        tags = {k: v for k, v in {**state.tags, **change["tags"]}.items() if v is not None}
        weight = change.get("weight", state.weight)
        after = replace(state, tags=tags, weight=weight, version=None)
        response = self._request(
            "PATCH", f"/documents/{ids[0]}", WRITE_DEADLINE_S, after={ids[0]: after}, json=change
        )
        if response is not None:
            self.model.settle({ids[0]: replace(after, version=response.json()["version"])})

    def _delete(self) -> None:
        ids = self._pick(4)
        if not ids:
            return
        after: dict[str, State | None] = dict.fromkeys(ids)
        # Some were deleted before: that must not make anybody forget that they are gone.
        asked = [*ids, *self._random.sample(gone := self._gone(), min(len(gone), 2))]
        response = self._request(
            "POST", "/documents/delete", WRITE_DEADLINE_S, after=after, json={"ids": asked}
        )
        if response is None:
            return
        self.model.settle(after)
        if set(response.json()["deleted"]) != set(ids):
            self.faults.append(f"deleting {ids} found only {response.json()['deleted']}")

    def _train(self) -> None:
        """Have the flow's components learn anew, from documents that are not stored."""
        texts = [{"text": text_of(self._random)} for _ in range(LESSON)]
        self._work("train", texts)

    def _reindex(self) -> None:
        """Have everything encoded again; while it runs, or a training does, that is that."""
        self._work("reindex", None)

    def _work(self, kind: str, body: Any) -> None:
        response = self._request(
            "POST", f"/{kind}", WRITE_DEADLINE_S, also=(409,), json=body, params={"wait": "no"}
        )
        if response is not None and response.status_code in GOOD:
            self.works[response.json()["id"]] = kind

    def _search_text(self) -> None:
        ids = self._pick(1)
        state = self.model.states[ids[0]] if ids else None
        text = state.text if state else "a winter harbour"
        self._search({"query": {"text": text}})

    def _search_vector(self) -> None:
        vector = [self._random.gauss(0, 1) for _ in range(self._dim)]
        self._search({"query": {"vector": vector}})

    def _see(self, doc_id: str, token: str) -> None:
        """Search with the token of a write: what is not degraded must show that write."""
        state = self.model.states[doc_id]
        assert state is not None
        body = {"query": {"text": state.text}, "token": token, "params": {"exact": True}}
        answer = self._search({**body, "limit": 500})
        if answer is None or answer["coverage"]["degraded"]:
            return
        seen = [hit for hit in answer["hits"] if hit["id"] == doc_id]
        if not seen or seen[0]["content"]["text"] != state.text:
            self.faults.append(f"a search with token {token} does not show {doc_id}: {seen}")

    def _search(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        gone = set(self._gone())
        timeout_s = self._random.choice([1.0, 3.0])
        response = self._request(
            "POST", "/search", timeout_s, json={**body, "timeout_ms": int(timeout_s * 1000)}
        )
        if response is None:
            return None
        answer: dict[str, Any] = response.json()
        ids = [hit["id"] for hit in answer["hits"]]
        if len(set(ids)) != len(ids):
            self.faults.append(f"a search shows a document twice: {ids}")
        if back := gone.intersection(ids):
            self.faults.append(f"deleted documents are found: {sorted(back)}")
        return answer

    def _pause(self) -> None:
        self._stopping.wait(self._random.uniform(0.0, 0.3))

    def _gone(self) -> list[str]:
        """Return the ids of the documents that are deleted for certain."""
        return [i for i, s in self.model.states.items() if s is None and self.model.is_sure(i)]

    def _pick(self, most: int) -> list[str]:
        known = self.model.known()
        return self._random.sample(known, min(len(known), self._random.randint(1, most)))

    def _invent(self, doc_id: str) -> State:
        words = text_of(self._random)
        text = f"Document {doc_id} of edition {self._random.randint(0, 10**9)}. It holds {words}."
        return State(text, {"group": self._random.randint(0, 5)}, self._random.choice([1.0, 2.0]))

    def _request(
        self,
        method: str,
        path: str,
        deadline_s: float,
        *,
        after: Mapping[str, State | None] | None = None,
        also: tuple[int, ...] = (),
        **rest: Any,
    ) -> httpx2.Response | None:
        """Send a request; None when nobody can know what became of it, which the model notes."""
        self.requests += 1
        started = time.monotonic()
        what = f"{method} {path}"
        try:
            response = self._http.request(method, self._collection + path, **rest)
        except httpx2.ConnectError:
            self._stopping.wait(0.1)  # nobody took it, so it was not done
            return None
        except httpx2.TransportError as error:
            response = None
            what = f"{what} ({type(error).__name__})"
        took_s = time.monotonic() - started
        if took_s > deadline_s + GRACE_S:
            self.faults.append(f"{what} took {took_s:.1f} s, its deadline was {deadline_s:g} s")
        if response is not None and response.status_code in {*GOOD, *also}:
            return response
        self._note(what, response, after)
        return None

    def _note(
        self, what: str, response: httpx2.Response | None, after: Mapping[str, State | None] | None
    ) -> None:
        self.unanswered += 1
        if after is not None:
            self.model.doubt(what, after)
        if response is None:
            return
        is_problem = response.headers.get("content-type", "").startswith("application/problem+json")
        if not is_problem or response.status_code not in PARTLY:
            self.faults.append(f"{what}: {response.status_code} {response.text[:300]}")
