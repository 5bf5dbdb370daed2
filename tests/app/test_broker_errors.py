"""Errors of brokers: whichever library raises them, they are known for what they are."""

import pytest
from kombu.connection import Connection

from app.broker_errors import BROKER_ERRORS


@pytest.mark.parametrize("url", ["redis://", "amqp://"])
def test_all_that_a_transport_raises_is_a_broker_error(url: str) -> None:
    """Where kombu hands an error of its libraries on as it is, it is known as well."""
    with Connection(url) as connection:
        raised = {*connection.connection_errors, *connection.channel_errors}
    raised -= {KeyError}  # a channel that was never opened: no fault of the broker

    assert raised
    assert [error for error in raised if not issubclass(error, BROKER_ERRORS)] == []
