"""The ledger: every accepted document, its newest version and how far it has come.

The parts are written where they are: ``collections``, ``writes`` (accept, patch, delete),
``reads``, ``dispatching`` (document leases, failures, retries), ``jobs``, ``cancelling`` and
``leases``.
"""

from indexstore.cancelling import Cancelling
from indexstore.collections import Collections
from indexstore.dispatching import Dispatching
from indexstore.jobs import Jobs
from indexstore.leases import Leases
from indexstore.reads import Reads
from indexstore.writes import Writes


class Ledger(Collections, Writes, Reads, Dispatching, Jobs, Cancelling, Leases):
    """What was promised to users. Safe to share between threads, and across a fork."""
