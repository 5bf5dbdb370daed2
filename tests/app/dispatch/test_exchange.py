"""Questions and replies over a real Redis: what is asked again, and what is answered anyway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import redis
from redis import asyncio as aioredis

from app.dispatch.errors import NotReadyError
from app.dispatch.exchange import Exchange, Way
from app.dispatch.publisher import Publisher
from app.dispatch.replies import Replies
from compose.wire import codec, names
from compose.wire.messages import Reply
from compose.wire.presence import PATIENCE_S, Announcement, Directory
from tests.servers.valkey import Valkey, running_valkey

API = "one"


@dataclass(frozen=True, slots=True)
class Question:
    """A question that is asked for the ``times``-th time."""

    times: int = 1

    @property
    def batch_id(self) -> str:
        """Its name."""
        return f"question {self.times}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """Run a Redis."""
    with running_valkey(tmp_path) as running:
        yield running


@asynccontextmanager
async def exchanging(server: Valkey, directory: Directory) -> AsyncIterator[Exchange]:
    """Give an exchange over a Redis, whose "Celery app" is a client of it."""
    async with aioredis.Redis.from_url(server.url) as reader:
        with server.client() as client:
            replies, publisher = Replies(reader, API), Publisher()
            publisher.start()
            reading = asyncio.create_task(replies.run())
            yield Exchange(client, publisher=publisher, replies=replies, directory=directory)
            reading.cancel()
            publisher.stop()


def way_to(answer: Callable[[Question], Reply | None]) -> Way[Question]:
    """Return the way to whoever ``answer`` is."""

    def send(client: redis.Redis, question: Question) -> None:
        if (reply := answer(question)) is not None:
            client.rpush(names.reply_key(API), codec.dumps(reply.to_wire()))

    def afresh(question: Question) -> Question:
        return replace(question, times=question.times + 1)

    return Way(send, lambda _: [("search", "search.c.0")], afresh)


def ask(server: Valkey, answer: Callable[[Question], Reply | None], seconds: float) -> Reply | None:
    """Ask whoever ``answer`` is, and return what a conversation makes of the replies."""

    async def run() -> Reply | None:
        async with exchanging(server, Directory()) as exchange:
            with exchange.conversation(Question(), way_to(answer)) as talk:
                return await talk.replied(time.time() + seconds)

    return asyncio.run(run())


def test_a_question_to_shards_that_moved_on_is_asked_again(server: Valkey) -> None:
    """A worker that was started after a swap never served the former generation."""

    def answer(question: Question) -> Reply:
        return Reply(question.batch_id, is_outdated=question.times < 3)

    reply = ask(server, answer, 10.0)

    assert reply is not None
    assert (reply.batch_id, reply.is_outdated) == ("question 3", False)


def test_a_partial_answer_is_better_than_none(server: Valkey) -> None:
    """Where nothing better comes in time, the outdated answer counts, and says what it lacks."""

    def answer(question: Question) -> Reply | None:
        missing = Reply(question.batch_id, shards_total=2, shards_ok=1, is_outdated=True)
        return missing if question.times == 1 else None

    started = time.time()
    reply = ask(server, answer, 1.0)

    assert reply is not None
    assert (reply.batch_id, reply.shards_ok) == ("question 1", 1)
    assert time.time() - started < 1.5


def test_a_question_is_not_asked_for_ever(server: Valkey) -> None:
    """Shards that stay away answer for themselves after a few times."""
    asked: list[int] = []

    def answer(question: Question) -> Reply:
        asked.append(question.times)
        return Reply(question.batch_id, is_outdated=True)

    reply = ask(server, answer, 10.0)

    assert reply is not None
    assert reply.is_outdated
    assert asked == [1, 2, 3, 4]


def test_a_broker_that_went_away_is_asked_again_when_it_is_back(server: Valkey) -> None:
    """What it held may be gone with it; while it is away nothing is sent in vain."""
    asked: list[int] = []
    directory = Directory()

    def answer(question: Question) -> Reply | None:
        asked.append(question.times)
        return Reply(question.batch_id) if question.times > 1 else None

    async def run() -> tuple[list[int], Reply | None]:
        async with exchanging(server, directory) as exchange:
            with exchange.conversation(Question(), way_to(answer)) as talk:
                directory.lose()
                nothing = await talk.replied(time.time() + 0.5)
                assert nothing is None
                meanwhile = list(asked)
                directory.update([])
                return meanwhile, await talk.replied(time.time() + 5.0)

    meanwhile, reply = asyncio.run(run())

    assert meanwhile == [1]
    assert reply is not None
    assert reply.batch_id == "question 2"


def test_a_broker_that_stays_away_is_named_at_once(server: Valkey) -> None:
    """Nobody waits for what cannot be sent, and the publisher is not held up by it."""
    directory = Directory()

    async def run() -> None:
        async with exchanging(server, directory) as exchange:
            directory.lose()
            await asyncio.sleep(PATIENCE_S + 0.05)
            with exchange.conversation(Question(), way_to(lambda _: None)):
                pass

    with pytest.raises(NotReadyError, match="GNES_BROKER_URL"):
        asyncio.run(run())


def test_a_question_that_nobody_awaits_any_more_is_not_sent(server: Valkey) -> None:
    """It stood behind one that took long; whoever asked has been told that time is up."""
    asked: list[int] = []

    def answer(question: Question) -> Reply | None:
        asked.append(question.times)
        return None

    async def run() -> None:
        async with exchanging(server, Directory()) as exchange:
            slow = asyncio.create_task(exchange.call(lambda _: time.sleep(0.5), timeout_s=5.0))
            await asyncio.sleep(0)
            with exchange.conversation(Question(), way_to(answer)) as talk:
                assert await talk.replied(time.time() + 0.1) is None
            await slow
            await exchange.call(lambda _: None, timeout_s=5.0)

    asyncio.run(run())

    assert asked == []


def test_who_is_late_is_the_one_that_has_been_silent_for_longest(server: Valkey) -> None:
    """A queue that nobody consumes comes before a worker that froze, that before all others."""
    directory, now = Directory(), time.time()
    path = [("search", "a"), ("search", "b"), ("reduce", "c")]
    lively = [_worker("one", "a", now), _worker("two", "b", now), _worker("three", "c", now)]

    async def culprit(workers: list[Announcement]) -> tuple[str, str, int]:
        async with exchanging(server, directory) as exchange:
            directory.update(workers)
            error = exchange.late_on(path, 1.0)
            return error.stage, error.queue, error.workers

    frozen = [lively[0], _worker("two", "b", now - 5), lively[2]]
    assert asyncio.run(culprit(lively)) == ("search", "a", 1)
    assert asyncio.run(culprit(frozen)) == ("search", "b", 1)
    assert asyncio.run(culprit(frozen[:2])) == ("reduce", "c", 0)


def _worker(node: str, queue: str, sent_at: float) -> Announcement:
    return Announcement(node, "here", 1, (queue,), 0.0, "1", sent_at=sent_at)
