"""Facts about Celery and kombu that are not in their documents, and that the code relies on.

Whoever raises a pin in requirements-core.txt runs these first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
from celery import Celery

from app.redis_transport import Channel
from compose.wire import chords, codec
from compose.wire.chords import Call, Chord
from tests.servers.valkey import Valkey

PATIENCE_S = 10.0


def chord(group_id: str, size: int, payload: Any) -> Chord:
    """Return a chord whose callback is ``body``."""
    return Chord(group_id, size, Call("body", "body", payload), awaited=True)


def wait_for(ready: Callable[[], Any]) -> Any:
    """Return the first true value of ``ready``."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = ready()
        if value:
            return value
        time.sleep(0.01)
    pytest.fail("it did not happen in time")


def test_the_pins_are_the_versions_these_facts_were_checked_on() -> None:
    """A new Celery or kombu must pass this file before it is pinned."""
    assert (version("celery"), version("kombu")) == ("5.7.0", "5.7.0")


@pytest.mark.usefixtures("worker")
def test_a_chord_published_by_hand_calls_its_body_once_with_the_parts_in_order(
    celery_app: Any, calls: list[Any]
) -> None:
    """Headers that ignore their results still complete the chord; arrays travel as arrays."""
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    headers = [Call("part", "parts", {"n": n, "rows": rows}) for n in range(3)]

    chords.fan_out(celery_app, chord("g1", 3, {"k": 1}), headers)

    parts, payload = wait_for(lambda: calls)[0]
    assert [part["got"]["n"] for part in parts] == [0, 1, 2]
    assert np.array_equal(parts[0]["got"]["rows"], rows)
    assert payload == {"k": 1}
    time.sleep(0.1)
    assert len(calls) == 1


@pytest.mark.usefixtures("worker")
def test_a_finished_chord_leaves_no_subscription_and_only_its_claim(
    celery_app: Any, calls: list[Any], valkey: Valkey
) -> None:
    """Canvas chords of 5.7.0 leak a subscription a header; ours leave none."""
    for n in range(20):
        headers = [Call("part", "parts", n), Call("part", "parts", -n)]
        chords.fan_out(celery_app, chord(f"many-{n}", 2, n), headers)

    wait_for(lambda: len(calls) == 20)

    with valkey.client() as client:
        left = {key.decode() for key in client.keys("celery-taskset-meta-many-*")}
        assert client.pubsub_channels("celery-task-meta-*") == []
    assert {key.rsplit(".", 1)[-1] for key in left} <= {"c"}


@pytest.mark.usefixtures("worker")
def test_a_chord_closed_early_gives_its_parts_and_never_calls_its_body(
    celery_app: Any, calls: list[Any]
) -> None:
    """What a deadline needs: the parts so far, and silence from the late ones."""
    headers = [Call("part", "parts", "quick"), Call("part", "deaf", "nobody listens")]
    late = chord("late", 2, None)
    chords.fan_out(celery_app, late, headers)
    parts_key, _ = chords.keys(celery_app.backend, "late")
    wait_for(lambda: celery_app.backend.client.hlen(parts_key))

    parts = chords.close(celery_app, "late")
    again = chords.close(celery_app, "late")
    chords.join(celery_app, late, 1, Call("part", "parts", "late"))
    time.sleep(0.3)

    assert parts == [{"got": "quick"}]
    assert again is None
    assert calls == []


@pytest.mark.usefixtures("worker")
def test_a_header_task_delivered_twice_counts_once(celery_app: Any, calls: list[Any]) -> None:
    """Its second part neither stands in for a missing one nor calls the body again."""
    twice = chord("twice", 2, None)

    for position in (0, 0, 1, 1):
        chords.join(celery_app, twice, position, Call("part", "parts", position))
    wait_for(lambda: calls)
    time.sleep(0.3)

    assert [[part["got"] for part in parts] for parts, _ in calls] == [[0, 1]]


def test_closing_a_chord_of_which_no_part_came_gives_none_of_them(celery_app: Any) -> None:
    """Whether its header tasks wait or were never sent."""
    headers = [Call("part", "deaf", 0), Call("part", "deaf", 1)]
    chords.fan_out(celery_app, chord("opened", 2, None), headers)

    assert chords.close(celery_app, "opened") == []
    assert chords.close(celery_app, "never") == []


@pytest.mark.usefixtures("worker")
def test_a_query_overtakes_bulk_work_on_the_same_queue(celery_app: Any, calls: list[Any]) -> None:
    """What is awaited is read before what is not, in the order sent among equals."""
    with celery_app.amqp.producer_pool.acquire() as producer, producer.batch():
        for n in range(6):
            chords.send(
                celery_app, Call("note", "parts", ("bulk", n)), awaited=False, producer=producer
            )
        for n in range(3):
            chords.send(
                celery_app, Call("note", "parts", ("query", n)), awaited=True, producer=producer
            )
    wait_for(lambda: len(calls) == 9)

    kinds = [what[0] for what in calls]
    assert kinds[:4].count("query") == 3


@pytest.mark.usefixtures("worker")
def test_pickle_is_refused(celery_app: Any, valkey: Valkey) -> None:
    """A pickled message never runs: it is refused by its content type."""
    with Celery("intruder", broker=valkey.url) as intruder:
        intruder.conf.update(
            task_serializer="pickle",
            task_queues=celery_app.conf.task_queues,
            broker_transport_options={"priority_steps": [0, 9], "sep": ":"},
        )
        intruder.send_task("part", args=({"evil": True},), queue="parts", ignore_result=True)

    with valkey.client() as client:
        wait_for(lambda: not client.exists("parts", "parts:9", "unacked"))


def test_what_publishes_goes_over_our_transport_too(celery_app: Any) -> None:
    """Kombu's pools make connections of their own class, whatever they were asked by."""
    with celery_app.amqp.producer_pool.acquire(block=True) as producer:
        assert isinstance(producer.channel, Channel)


def test_a_message_in_hand_is_listed_under_the_consumers_tag(
    celery_app: Any, worker: Any, valkey: Valkey
) -> None:
    """What holding relies on: the consumer knows its tags, the broker lists them by age."""
    chords.send(celery_app, Call("nap", "parts", 1.0), awaited=False)

    with valkey.client() as client:
        listed = wait_for(lambda: client.zrange("unacked_index", 0, -1))
        held = [str(tag) for tag in worker.consumer.task_consumer.channel.qos._delivered]
        assert held == [tag.decode() for tag in listed]
        assert worker.consumer.task_consumer.channel.unacked_index_key == "unacked_index"
        wait_for(lambda: not client.exists("unacked_index"))


def test_an_awaited_message_in_hand_is_known_to_its_worker_alone(
    celery_app: Any, worker: Any, valkey: Valkey
) -> None:
    """Two round trips less a query; the worker still takes nothing else meanwhile."""
    for n in range(2):
        chords.send(celery_app, Call("nap", "parts", 0.5 + n), awaited=True)

    with valkey.client() as client:
        qos = wait_for(lambda: worker.consumer.task_consumer.channel.qos)
        wait_for(lambda: len(qos._delivered) == 1)
        assert client.llen("parts") == 1
        assert not client.exists("unacked", "unacked_index")


@pytest.mark.usefixtures("calls")
def test_a_message_that_is_given_back_is_delivered_again(celery_app: Any) -> None:
    """An awaited one as well, although the broker has forgotten it."""
    queue = celery_app.amqp.queues["deaf"]
    for awaited in (True, False):
        chords.send(celery_app, Call("part", "deaf", awaited), awaited=awaited)

    with celery_app.connection_for_read() as connection:
        taken = [queue(connection.default_channel).get(no_ack=False) for _ in range(2)]
        for message in taken:
            message.requeue()
        again = [queue(connection.default_channel).get(no_ack=True) for _ in range(2)]

    assert [chords.AWAITED in message.headers for message in again] == [True, False]
    assert all(message.headers["redelivered"] for message in again)


def test_a_signature_with_arrays_survives_the_codec(celery_app: Any) -> None:
    """Signatures are dict subclasses whose length is not their number of keys (celery#4710)."""
    signature = celery_app.signature("body", args=({"rows": np.ones((2, 2), np.float32)},))

    back = codec.loads(codec.dumps({"chord": signature, "more": [1, 2]}))

    assert back["more"] == [1, 2]
    assert back["chord"]["task"] == "body"
    assert np.array_equal(back["chord"]["args"][0]["rows"], np.ones((2, 2), np.float32))
