"""Collections: each belongs to a flow."""

import pytest

from indexstore.errors import (
    CollectionNotFoundError,
    FingerprintMismatchError,
)
from indexstore.ledger import Ledger
from indexstore.log import Log
from tests.indexstore.conftest import FINGERPRINT
from tests.indexstore.samples import C, text_document


class TestCollections:
    """A collection belongs to a flow."""

    def test_a_new_collection_is_empty(self, ledger: Ledger) -> None:
        """It counts from zero, in its first generation."""
        info = ledger.collection(C)

        assert (info.last_version, info.last_seq, info.purged_seq) == (0, 0, 0)
        assert (info.generation, info.shards, info.fingerprint) == (1, 2, FINGERPRINT)
        assert ledger.stamp(C) == (0, 0, 1)

    def test_ensuring_again_changes_nothing(self, ledger: Ledger) -> None:
        """A restarted flow finds its collection as it was."""
        before = ledger.collection(C)

        assert ledger.ensure_collection(C, fingerprint=FINGERPRINT, shards=2) == before

    def test_another_fingerprint_is_refused(self, ledger: Ledger) -> None:
        """The error names both encoders and the ways out."""
        with pytest.raises(FingerprintMismatchError, match="gnes reindex"):
            ledger.ensure_collection(C, fingerprint="other@2", shards=2)

    def test_more_shards_begin_a_new_epoch(self, ledger: Ledger) -> None:
        """The number of shards may change at any time; messages tell the layouts apart."""
        epoch = ledger.collection(C).epoch

        info = ledger.ensure_collection(C, fingerprint=FINGERPRINT, shards=5)

        assert (info.shards, info.epoch) == (5, epoch + 1)

    def test_collections_are_listed_by_name(self, ledger: Ledger) -> None:
        """All of them."""
        ledger.ensure_collection("a", fingerprint="f", shards=1)

        assert [info.name for info in ledger.collections()] == ["a", C]

    def test_an_unknown_collection_is_an_error_everywhere(self, ledger: Ledger, log: Log) -> None:
        """Nothing is made by accident."""
        for ask in (
            lambda: ledger.collection("x"),
            lambda: ledger.stamp("x"),
            lambda: ledger.accept("x", [text_document("a")], lease_s=0),
            lambda: ledger.patch("x", "a", weight=2),
            lambda: ledger.delete("x", ["a"]),
            lambda: log.append("x", [], generation=1),
            lambda: log.last_seq("x"),
        ):
            with pytest.raises(CollectionNotFoundError):
                ask()
