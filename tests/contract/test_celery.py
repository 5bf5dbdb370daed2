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

from compose.wire import chords, codec
from compose.wire.chords import Call
from tests.servers.valkey import Valkey

PATIENCE_S = 10.0


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

    chords.fan_out(celery_app, "g1", headers, Call("body", "body", {"k": 1}), priority=0)

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
        chords.fan_out(celery_app, f"many-{n}", headers, Call("body", "body", n), priority=0)

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
    chords.fan_out(celery_app, "late", headers, Call("body", "body", None), priority=0)
    key = celery_app.backend.get_key_for_group("late", ".j")
    wait_for(lambda: celery_app.backend.client.zcard(key))

    was_open = chords.is_open(celery_app, "late")
    parts = chords.close(celery_app, "late")
    again = chords.close(celery_app, "late")
    late = Call("part", "parts", "late")
    chords.join(celery_app, "late", 1, late, Call("body", "body", None), priority=0)
    time.sleep(0.3)

    assert was_open
    assert parts == [{"got": "quick"}]
    assert again is None
    assert calls == []


def test_a_chord_never_opened_is_told_from_one_without_parts(celery_app: Any) -> None:
    """Closing tells which stage was late: one before the fan-out, or a shard."""
    chords.arm(celery_app, "opened", 2)

    assert chords.is_open(celery_app, "opened")
    assert not chords.is_open(celery_app, "never")
    assert chords.close(celery_app, "opened") == []
    assert chords.close(celery_app, "never") == []


@pytest.mark.usefixtures("worker")
def test_a_query_overtakes_bulk_work_on_the_same_queue(celery_app: Any, calls: list[Any]) -> None:
    """Priority 0 is read before priority 9, in the order sent among equals."""
    with celery_app.amqp.producer_pool.acquire() as producer, producer.batch():
        for n in range(6):
            chords.send(
                celery_app, Call("note", "parts", ("bulk", n)), priority=9, producer=producer
            )
        for n in range(3):
            chords.send(
                celery_app, Call("note", "parts", ("query", n)), priority=0, producer=producer
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


def test_a_message_in_hand_is_listed_under_the_consumers_tag(
    celery_app: Any, worker: Any, valkey: Valkey
) -> None:
    """What holding relies on: the consumer knows its tags, the broker lists them by age."""
    chords.send(celery_app, Call("nap", "parts", 1.0), priority=0)

    with valkey.client() as client:
        listed = wait_for(lambda: client.zrange("unacked_index", 0, -1))
        held = [str(tag) for tag in worker.consumer.task_consumer.channel.qos._delivered]
        assert held == [tag.decode() for tag in listed]
        assert worker.consumer.task_consumer.channel.unacked_index_key == "unacked_index"
        wait_for(lambda: not client.exists("unacked_index"))


def test_a_signature_with_arrays_survives_the_codec(celery_app: Any) -> None:
    """Signatures are dict subclasses whose length is not their number of keys (celery#4710)."""
    signature = celery_app.signature("body", args=({"rows": np.ones((2, 2), np.float32)},))

    back = codec.loads(codec.dumps({"chord": signature, "more": [1, 2]}))

    assert back["more"] == [1, 2]
    assert back["chord"]["task"] == "body"
    assert np.array_equal(back["chord"]["args"][0]["rows"], np.ones((2, 2), np.float32))
