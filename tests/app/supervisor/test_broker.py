"""The embedded broker starts, keeps what it was given, and is nobody else's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from app.supervisor.broker import EmbeddedBroker
from app.supervisor.errors import BrokerStartError
from app.supervisor.supervisor import Supervisor


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor of its own for each test."""
    (tmp_path / "scratch").mkdir()
    with Supervisor(tmp_path / "logs", tmp_path / "scratch", grace_s=5) as running:
        yield running


def started(supervisor: Supervisor, tmp_path: Path) -> EmbeddedBroker:
    """Start a broker on the test's folder and wait for it."""
    (tmp_path / "broker").mkdir(exist_ok=True)
    broker = EmbeddedBroker.beside(tmp_path / "broker", tmp_path / "scratch")
    broker.wait(supervisor.add(broker.spec()), supervisor.turn)
    return broker


def test_it_answers_under_its_url_and_to_nobody_without_the_password(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """The URL is all a client needs; without it the port is of no use to anybody."""
    broker = started(supervisor, tmp_path)

    with redis.Redis.from_url(broker.url) as client:
        assert client.ping()
    with redis.Redis(port=broker.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    assert broker.config.stat().st_mode & 0o077 == 0


def test_two_brokers_do_not_meet(supervisor: Supervisor, tmp_path: Path) -> None:
    """Deployments side by side each have a broker of their own."""
    first = EmbeddedBroker.beside(tmp_path, tmp_path)
    second = started(supervisor, tmp_path)

    assert (first.port, first.password) != (second.port, second.password)


def test_what_it_holds_survives_its_kill(supervisor: Supervisor, tmp_path: Path) -> None:
    """A broker that was killed is started again with what it had been given."""
    broker = started(supervisor, tmp_path)
    child = supervisor.child("broker")
    with redis.Redis.from_url(broker.url) as client:
        client.set("key", "value")

    child.kill()
    while child.restarts == 0:
        supervisor.turn(0.05)
    for _ in range(60):
        supervisor.turn(0.05)

    with redis.Redis.from_url(broker.url) as client:
        assert client.get("key") == b"value"


def test_a_broker_that_cannot_start_says_why(supervisor: Supervisor, tmp_path: Path) -> None:
    """A folder it cannot use is reported with the broker's own words and the way around."""
    broker = EmbeddedBroker.beside(tmp_path / "missing", tmp_path / "scratch")

    with pytest.raises(BrokerStartError, match=r"(?s)No such file.*GNES_BROKER_URL"):
        broker.wait(supervisor.add(broker.spec()), supervisor.turn)
