"""What the libraries raise when a broker is away or refuses, whichever broker it is."""

from amqp.exceptions import AMQPError
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

#: kombu turns only some errors of the libraries below it into its own. TimeoutError is an OSError.
BROKER_ERRORS = (KombuError, AMQPError, RedisError, OSError)
