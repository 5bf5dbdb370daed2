"""Tags that were found in a content: in the log, in the ledger, and after a patch."""

from dataclasses import replace

from indexstore.chunk_codec import decode_chunks, encode_chunks
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.model import Document, EncodedDocument
from tests.indexstore.samples import EVERYTHING, C, accept, append, encoded

FOUND = {"headings": ["Garden"], "lang": "en"}


def with_tags(doc_id: str, version: int) -> EncodedDocument:
    """Return an encoded document in which tags were found."""
    plain = encoded(doc_id, version)
    assert plain.chunks is not None
    return replace(plain, chunks=replace(plain.chunks, tags=FOUND))


def document(**tags: object) -> Document:
    """Return a document with tags of its own."""
    return Document("a", "text", {"text": "# Garden"}, tags=tags)


def test_found_tags_join_those_of_the_document(ledger: Ledger, log: Log) -> None:
    """The document's own are stronger; shards and readers see the same."""
    (version,) = accept(ledger, document(lang="de", year=1)).versions

    append(log, with_tags("a", version))

    expected = {"headings": ["Garden"], "lang": "de", "year": 1}
    (row,) = log.tail(C, 0, generation=1, slots=EVERYTHING, limit=9)
    assert row.tags == expected
    live = ledger.live(C, ["a"])["a"]
    assert live is not None
    assert live.tags == expected


def test_a_patch_adds_to_them_and_a_new_content_replaces_them(ledger: Ledger, log: Log) -> None:
    """They live as long as the content they were found in."""
    (version,) = accept(ledger, document()).versions
    append(log, with_tags("a", version))
    ledger.patch(C, "a", tags={"year": 2})
    patched = ledger.live(C, ["a"])["a"]

    (newer,) = accept(ledger, document(plain=True)).versions
    append(log, encoded("a", newer))
    renewed = ledger.live(C, ["a"])["a"]

    assert patched is not None
    assert renewed is not None
    assert patched.tags == {**FOUND, "year": 2}
    assert renewed.tags == {"plain": True}


def test_they_are_kept_beside_the_chunks() -> None:
    """So a content that was cut before brings them from the cache; older blobs have none."""
    chunks = with_tags("a", 1).chunks
    assert chunks is not None

    assert decode_chunks(encode_chunks(chunks)).tags == FOUND
    assert decode_chunks(encode_chunks(replace(chunks, tags={}))).tags == {}
