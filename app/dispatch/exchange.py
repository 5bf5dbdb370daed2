"""One message out, one reply back: publishing, awaiting, asking again; every failure is named."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from app.broker_errors import BROKER_ERRORS
from app.dispatch.errors import DeadlineError, NotReadyError, StageError
from app.dispatch.publisher import Publisher
from app.dispatch.replies import Replies
from compose.wire.messages import Reply
from compose.wire.presence import OVERDUE_S, Directory

_LOOK_S = 0.2  # between two looks at who is there, while a reply is awaited
_RESENDS = 3

T = TypeVar("T")
Step = tuple[str, str]  # stage, queue


class Question(Protocol):
    """A message that is replied to by its ``batch_id``."""

    @property
    def batch_id(self) -> str:
        """Its name."""
        ...


Q = TypeVar("Q", bound=Question)


@dataclass(frozen=True, slots=True)
class Way(Generic[Q]):
    """How questions of one kind travel.

    Args:
        send: publishes one, given the Celery app; it may block.
        path: every step that one has before it.
        afresh: the same under a new name, for those who are there now; None without any.
    """

    send: Callable[[Any, Q], None]
    path: Callable[[Q], Iterable[Step]]
    afresh: Callable[[Q], Q | None]


class Exchange:
    """The way from one API process to the workers and back."""

    def __init__(
        self, app: Any, *, publisher: Publisher, replies: Replies, directory: Directory
    ) -> None:
        self._app = app
        self._publisher = publisher
        self._replies = replies
        self.directory = directory

    def require_broker(self) -> None:
        """Check that the broker is there; a hiccup is no reason to give up.

        Raises:
            NotReadyError: it has been silent for longer.
        """
        if self.directory.is_lost():
            raise NotReadyError(
                "the broker does not answer", "check that it runs and that GNES_BROKER_URL names it"
            )

    async def call(self, work: Callable[[Any], T], *, timeout_s: float) -> T:
        """Do something with the broker, given the Celery app, outside the event loop.

        Raises:
            NotReadyError: the broker does not answer. DeadlineError: not within ``timeout_s``.
        """
        limit = asyncio.timeout(max(0.0, timeout_s))
        try:
            async with limit:
                return await self._publisher.call(lambda: work(self._app))
        except BROKER_ERRORS as error:
            if limit.expired():
                raise DeadlineError("publish", "broker", timeout_s, 1) from error
            raise _unreachable(error) from error

    @contextmanager
    def conversation(self, question: Q, way: Way[Q]) -> Iterator[Conversation[Q]]:
        """Give a conversation about ``question``; replies that come after its end are dropped.

        Raises:
            NotReadyError: the broker is not there to ask.
        """
        self.require_broker()
        with ExitStack() as expected:
            talk = Conversation(question, way, self, expected)
            try:
                yield talk
            finally:
                talk.reply.cancel()  # what is not published by now need not be

    def post(self, way: Way[Q], question: Q, reply: asyncio.Future[Reply]) -> None:
        """Publish a question; if that fails, so does the reply."""

        def publish() -> None:
            try:
                way.send(self._app, question)
            except BROKER_ERRORS as error:
                raise _unreachable(error) from error

        self._publisher.post(publish, reply)

    def expect(
        self, batch_id: str, future: asyncio.Future[Reply] | None = None
    ) -> AbstractContextManager[asyncio.Future[Reply]]:
        """Give the future of the reply to ``batch_id``, which may be that of an earlier batch."""
        return self._replies.expect(batch_id, future)

    def late_on(self, path: Sequence[Step], waited_s: float) -> DeadlineError:
        """Return the error that names the likeliest culprit: a queue without workers first.

        A worker that froze may have taken the message so that the broker knows nothing of it. It
        is the one that has been silent for the longest.
        """
        stage, queue = path[0]
        quietest = max(path, key=lambda step: self.directory.silence_s(step[1]))
        if self.directory.silence_s(quietest[1]) > OVERDUE_S:
            stage, queue = quietest
        return DeadlineError(stage, queue, waited_s, len(self.directory.serving(queue)))


class Conversation(Generic[Q]):
    """A question and the reply to it, asked again when a worker dies with it in its hands."""

    def __init__(self, question: Q, way: Way[Q], exchange: Exchange, expected: ExitStack) -> None:
        self.question = question
        self._way = way
        self._exchange = exchange
        self._expected = expected
        self.reply = expected.enter_context(exchange.expect(question.batch_id))
        self._crew = self._present()
        exchange.post(way, question, self.reply)

    async def replied(self, until: float) -> Reply | None:
        """Return the reply; None when it has not come ``until`` that time (epoch seconds).

        One that is outdated, for a shard had moved on, counts only when no better one comes.

        Raises:
            NotReadyError: the broker does not answer.
        """
        resends, outdated = 0, None
        while True:
            reply = await within(self.reply, min(_LOOK_S, until - time.time()))
            if reply is not None and not (reply.is_outdated and resends < _RESENDS):
                return reply
            if reply is not None:
                outdated = reply
                # By then whoever serves the shard now has told so.
                await asyncio.sleep(min(_LOOK_S, max(0.0, until - time.time())))
            if time.time() >= until:
                return outdated
            if resends < _RESENDS and (reply is not None or self._has_lost_somebody()):
                resends += self._ask_again()

    def _has_lost_somebody(self) -> bool:
        """Tell whether a process is gone that may have had the question in its hands."""
        return not self._crew <= self._present()

    def _present(self) -> frozenset[tuple[str, str, int]]:
        """Return the processes that may have it in their hands, and which life of the broker."""
        queues = (queue for _, queue in self._way.path(self.question))
        return self._exchange.directory.crew(queues)

    def _ask_again(self) -> bool:
        """Ask those who are there now; tell whether anybody is."""
        is_away = self._exchange.directory.is_away()
        fresh = None if is_away else self._way.afresh(self.question)
        if fresh is None:
            return False  # nobody is there to answer; somebody may come in time
        self.question = fresh
        if self.reply.done():
            self.reply = asyncio.get_running_loop().create_future()
        self._expected.enter_context(self._exchange.expect(fresh.batch_id, self.reply))
        self._crew = self._present()
        self._exchange.post(self._way, fresh, self.reply)
        return True


async def within(future: asyncio.Future[Reply], seconds: float) -> Reply | None:
    """Return the future's result, or None when it takes longer than ``seconds``."""
    done, _ = await asyncio.wait([future], timeout=max(0.0, seconds))
    return future.result() if done else None


def checked(reply: Reply) -> Reply:
    """Return the reply.

    Raises:
        StageError: it says that a stage failed.
    """
    if reply.failed_stage is not None:
        raise StageError(reply.failed_stage, reply.failure or "it failed", reply.status)
    return reply


def _unreachable(error: Exception) -> NotReadyError:
    return NotReadyError(
        f"the broker does not answer ({type(error).__name__}: {error})",
        "check that it runs and that GNES_BROKER_URL names it",
    )
