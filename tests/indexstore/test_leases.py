"""Named leases."""

from indexstore.ledger import Ledger


def test_a_lease_has_one_owner(ledger: Ledger) -> None:
    """The first gets it, the second does not, the first may prolong it."""
    assert ledger.take_lease("sweep", "a", 10, now=100)
    assert not ledger.take_lease("sweep", "b", 10, now=105)
    assert ledger.take_lease("sweep", "a", 10, now=109)
    assert not ledger.take_lease("sweep", "b", 10, now=115)
    assert ledger.lease_owner("sweep", now=115) == "a"


def test_asking_often_writes_seldom(ledger: Ledger) -> None:
    """A lease is prolonged when half of it is gone, so an owner that asks by then keeps it."""
    ledger.take_lease("sweep", "a", 10, now=100)

    soon = ledger.take_lease("sweep", "a", 10, now=104), ledger.lease_owner("sweep", now=111)
    later = ledger.take_lease("sweep", "a", 10, now=105), ledger.lease_owner("sweep", now=114)

    assert (soon, later) == ((True, None), (True, "a"))


def test_a_lease_that_ran_out_is_anybodys(ledger: Ledger) -> None:
    """A dead owner costs others the rest of its lease, no more."""
    ledger.take_lease("sweep", "a", 10, now=100)

    assert ledger.take_lease("sweep", "b", 10, now=110)
    assert not ledger.take_lease("sweep", "a", 10, now=111)


def test_a_dropped_lease_is_free_at_once(ledger: Ledger) -> None:
    """Only its owner can drop it."""
    ledger.take_lease("sweep", "a", 10, now=100)

    assert not ledger.drop_lease("sweep", "b")
    assert ledger.drop_lease("sweep", "a")
    assert ledger.take_lease("sweep", "b", 10, now=101)


def test_leases_of_other_names_are_independent(ledger: Ledger) -> None:
    """Sweeping and building do not exclude each other."""
    assert ledger.take_lease("sweep", "a", 10)
    assert ledger.take_lease("build/0", "b", 10)
    assert ledger.lease_owner("nothing") is None
