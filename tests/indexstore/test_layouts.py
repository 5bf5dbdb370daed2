"""Layouts: what the flow says, what is wanted, what serves."""

from indexstore.layouts import Layout, Layouts
from indexstore.ledger import Ledger
from tests.indexstore.samples import C


def test_what_a_flow_says_first_serves_at_once(ledger: Ledger) -> None:
    """A new index has nothing to be moved."""
    layouts = Layouts(ledger.database)

    assert layouts.declare(C, {"near": 3, "words": 2}) == {
        "near": Layout(3, 3, 3, 1),
        "words": Layout(2, 2, 2, 1),
    }
    assert layouts.read(C)["near"].is_settled


def test_what_was_asked_for_outlives_a_restart_of_the_flow(ledger: Ledger) -> None:
    """Declaring the same number again changes nothing."""
    layouts = Layouts(ledger.database)
    layouts.declare(C, {"near": 2})

    layouts.want(C, {"near": 4})
    again = layouts.declare(C, {"near": 2})["near"]

    assert (again.shards, again.wanted, again.widest) == (2, 4, 4)


def test_a_changed_flow_is_a_wish_that_serves_once_it_is_settled(ledger: Ledger) -> None:
    """The old shards go on until the new ones are ready; the change is a new epoch."""
    layouts = Layouts(ledger.database)
    layouts.declare(C, {"near": 4, "words": 2})
    epoch = ledger.collection(C).epoch

    layouts.declare(C, {"near": 2, "words": 2})
    assert layouts.read(C)["near"] == Layout(4, 2, 2, 1)
    assert layouts.settle(C, {"near": 2})

    assert layouts.read(C) == {
        "near": Layout(2, 2, 2, epoch + 1),
        "words": Layout(2, 2, 2, 1),
    }
    assert ledger.collection(C).epoch == epoch + 1


def test_what_is_no_longer_wanted_is_not_settled(ledger: Ledger) -> None:
    """Somebody has changed his mind meanwhile."""
    layouts = Layouts(ledger.database)
    layouts.declare(C, {"near": 2})
    layouts.want(C, {"near": 4})
    layouts.want(C, {"near": 3})

    assert not layouts.settle(C, {"near": 4})
    assert layouts.read(C)["near"].shards == 2
