"""Questions and replies over a real Redis: what is asked again, and what is answered anyway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis
from redis import asyncio as aioredis

from app.dispatch.exchange import Exchange, Way
from app.dispatch.publisher import Publisher
from app.dispatch.replies import Replies
from compose.wire import codec, names
from compose.wire.messages import Reply
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


def ask(server: Valkey, answer: Callable[[Question], Reply | None], seconds: float) -> Reply | None:
    """Ask whoever ``answer`` is, and return what a conversation makes of the replies."""

    def send(client: redis.Redis, question: Question) -> None:
        if (reply := answer(question)) is not None:
            client.rpush(names.reply_key(API), codec.dumps(reply.to_wire()))

    def afresh(question: Question) -> Question:
        return replace(question, times=question.times + 1)

    async def conversation(client: redis.Redis, reader: Any) -> Reply | None:
        replies, publisher = Replies(reader, API), Publisher()
        publisher.start()
        reading = asyncio.create_task(replies.run())
        exchange = Exchange(client, publisher=publisher, replies=replies)
        way = Way(send, lambda _: frozenset(), afresh)
        with exchange.conversation(Question(), way) as talk:
            reply = await talk.replied(time.time() + seconds)
        reading.cancel()
        publisher.stop()
        return reply

    async def run() -> Reply | None:
        async with aioredis.Redis.from_url(server.url) as reader:
            with server.client() as client:
                return await conversation(client, reader)

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
