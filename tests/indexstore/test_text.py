"""Full-text shards: words of any script, filters, weights, highlights; no input can be wrong."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexstore.engines.bm25 import Bm25Engine
from indexstore.errors import CorruptSegmentError, EngineError, InvalidVectorError
from indexstore.model import ChunkTable, Document, EncodedDocument, IndexConfig
from indexstore.query import ShardQuery
from indexstore.segment import open_segment
from indexstore.shard import Shard
from tests.indexstore.shard_bed import COLLECTION, Bed, pairs

CONFIG = IndexConfig("words", kind="text", engine="bm25")
TEXTS = {
    "fox": ("The quick brown fox.", "It jumps over the lazy dog."),
    "foxes": ("Two foxes, and one more fox: a fox.",),
    "book": ("機械学習の本", "東京で買った"),
    "street": ("Straße zum naïve café",),
    "code": ("if a < b && c: return '<script>'",),
}


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    """A collection of five texts."""
    made = Bed(tmp_path)
    put(made, TEXTS)
    return made


def put(bed: Bed, texts: Mapping[str, tuple[str, ...]], **document: Any) -> None:
    """Index texts, a chunk each."""
    accepted = [Document(i, "text", {"text": " ".join(t)}, **document) for i, t in texts.items()]
    versions = bed.ledger.accept(COLLECTION, accepted, lease_s=60).versions
    bed.log.append(
        COLLECTION,
        [
            EncodedDocument(i, version, table(chunks))
            for (i, chunks), version in zip(texts.items(), versions, strict=True)
        ],
        generation=1,
    )


def table(texts: tuple[str, ...]) -> ChunkTable:
    """Return a chunk table of texts that no encoder has seen."""
    n = len(texts)
    ends = np.cumsum([len(text) for text in texts], dtype=np.int32)
    spans = np.stack([np.append(0, ends[:-1]), ends], axis=1).astype(np.int32)
    return ChunkTable(np.arange(n, dtype=np.int32), np.ones(n, np.float32), spans, texts, {})


def asking(*texts: str, **options: Any) -> ShardQuery:
    """Ask for the ten best documents of some texts."""
    n = len(texts)
    nothing, owners = np.empty((0, 0), np.float32), np.empty(0, np.int32)
    return ShardQuery(
        nothing, owners, np.empty(0, np.float32), n, 10, texts=texts, spare=0, **options
    )


def found(shard: Shard, text: str, **options: Any) -> list[str]:
    """Return the ids that a text finds, best first."""
    return [i for i, _ in pairs(shard.search(asking(text, **options)))[0]]


@pytest.mark.parametrize("is_built", [False, True], ids=["delta", "segment"])
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("fox", ["foxes", "fox"]),
        ("FOX,", ["foxes", "fox"]),
        ("strasse", ["street"]),
        ("Naive CAFE", ["street"]),
        ("学習", ["book"]),
        ("学", ["book"]),
        ("京都", []),
        ('"brown fox"', ["fox"]),
        ("quick foxes", ["fox", "foxes"]),
        ("nowhere", []),
        ("", []),
    ],
)
def test_words_find_their_documents(bed: Bed, text: str, ids: list[str], *, is_built: bool) -> None:
    """Case, accents and script are no obstacle, in a segment as in the delta."""
    if is_built:
        bed.build(CONFIG)

    hits = found(Shard.open(bed.place(CONFIG)), text)

    assert sorted(hits) == sorted(ids) if text == "quick foxes" else hits == ids


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(), max_size=30))
def test_no_query_is_wrong(searched: Shard, text: str) -> None:
    """Whatever is typed, operators and broken Unicode included, is answered."""
    found(searched, text, highlight=True, min_should=2)


@pytest.fixture
def searched(bed: Bed) -> Shard:
    """A built shard."""
    bed.build(CONFIG)
    return Shard.open(bed.place(CONFIG))


def test_several_queries_are_answered_in_one_batch(searched: Shard) -> None:
    """Each text of a batch has its own hits."""
    hits = pairs(searched.search(asking("fox", "", "café")))

    assert [[i for i, _ in query] for query in hits] == [["foxes", "fox"], [], ["street"]]


def test_hits_show_the_chunk_with_the_words_marked(searched: Shard) -> None:
    """The chunk that has the words comes first, and its HTML is safe to show."""
    fox = searched.search(asking("lazy dog", highlight=True))
    code = searched.search(asking("script return", highlight=True))

    assert (fox.doc_ids, fox.chunk_positions.tolist()) == (["fox"], [1])
    assert fox.chunk_spans.tolist() == [[20.0, 47.0]]
    assert fox.highlights == ["It jumps over the <em>lazy</em> <em>dog</em>."]
    assert code.highlights is not None
    assert "&lt;<em>script</em>&gt;" in code.highlights[0]


def test_at_least_some_words_must_match(searched: Shard) -> None:
    """``min_should`` asks for that many of the words."""
    assert found(searched, "quick foxes and", min_should=2) == ["foxes"]
    assert found(searched, "fox", min_should=9) == ["foxes", "fox"]


def test_deletes_updates_weights_and_filters_hold(bed: Bed) -> None:
    """Full text obeys the log and the filters as vectors do."""
    bed.build(CONFIG)
    put(bed, {"fox": ("no such animal",), "new": ("a fox",)}, tags={"n": 1})
    bed.ledger.patch(COLLECTION, "new", weight=100.0)
    bed.ledger.delete(COLLECTION, ["street"])
    shard = Shard.open(bed.place(CONFIG))

    assert found(shard, "fox") == ["new", "foxes"]
    assert found(shard, "cafe") == []
    assert found(shard, "fox", filter={"key": "n", "match": {"value": 1}}) == ["new"]
    assert found(shard, "fox", filter={"must_not": [{"has_id": ["new"]}]}) == ["foxes"]


def test_many_equal_documents_are_ordered_by_id_whatever_passes(bed: Bed) -> None:
    """Equal scores come in the order of ids, also behind a filter that passes most."""
    put(bed, {f"d{i:04}": ("common word",) for i in range(6000)}, tags={"n": 1})
    bed.build(CONFIG)
    shard = Shard.open(bed.place(CONFIG))

    plain = found(shard, "common")
    filtered = found(shard, "common", filter={"must_not": [{"has_id": ["d0000", "d0003"]}]})

    assert plain == [f"d{i:04}" for i in range(10)]
    assert filtered == [f"d{i:04}" for i in range(12) if i not in (0, 3)]


def test_a_language_folds_inflections(bed: Bed) -> None:
    """With a language, a plural finds the singular; another language is another segment."""
    english = IndexConfig("en", kind="text", engine="bm25", options={"language": "english"})
    bed.build(english)

    assert set(found(Shard.open(bed.place(english)), "jumping foxes")) == {"fox", "foxes"}
    (info,) = bed.place(english).segments()
    other = IndexConfig("en", kind="text", engine="bm25")
    with pytest.raises(CorruptSegmentError, match="language 'english'"):
        open_segment(info, bed.blobs.fetch(info.path), other, range(1024))


def test_an_altered_text_segment_is_not_served(bed: Bed) -> None:
    """Every file of the full-text index is under the checksums too."""
    bed.build(CONFIG)
    (info,) = bed.place(CONFIG).segments()
    for path in (bed.blobs.fetch(info.path) / "text").iterdir():
        raw = path.read_bytes()
        if raw:
            path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
            with pytest.raises(CorruptSegmentError):
                open_segment(info, bed.blobs.fetch(info.path), CONFIG, range(1024))
            path.write_bytes(raw)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_copied(tmp_path: Path) -> None:
    """Tantivy wants to lock what it reads; a read-only mount serves nevertheless."""
    engine = Bm25Engine({}).grow(tmp_path)
    engine.add("a word")
    engine.finish()
    tmp_path.chmod(0o555)

    searcher = Bm25Engine({}).open(tmp_path, 1)
    query = searcher.query(searcher.engine.asked("word"), np.ones(1), None)

    assert len(searcher.search(query, 1, None)[0]) == 1


def test_wrong_options_are_refused() -> None:
    """Unknown options and languages name what there is."""
    with pytest.raises(EngineError, match="did you mean 'language'"):
        Bm25Engine({"langage": "english"})
    with pytest.raises(EngineError, match="klingon"):
        Bm25Engine({"language": "klingon"})


def test_a_text_index_wants_texts(searched: Shard) -> None:
    """A vector query cannot be answered by words."""
    with pytest.raises(InvalidVectorError, match="1 texts, not 0"):
        searched.search(ShardQuery.of(np.ones((1, 4), np.float32), limit=1))
