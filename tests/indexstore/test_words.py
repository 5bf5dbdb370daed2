"""Words are as rare as they are in the whole collection, however its documents are spread."""

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexstore.build import BuildPolicy
from indexstore.engines.bm25 import Bm25Engine
from indexstore.model import IndexConfig
from indexstore.shard import Shard
from indexstore.word_columns import WordCollector, quantised
from indexstore.words import WordTable
from tests.indexstore.shard_bed import Bed, answer_of, pairs
from tests.indexstore.test_text import asking, put

BEDS = itertools.count()
VOCABULARY = ["amber", "birch", "cedar", "dusk", "ember", "fjord", "grove", "heath", "東京", "京都"]
ENGINE = Bm25Engine({})
QUERIES = ("amber birch cedar", "grove heath", "京都 dusk", "fjord", "nowhere")


def oracle(
    texts: Mapping[str, str], query: str, engine: Bm25Engine = ENGINE, *, limit: int = 10
) -> list[tuple[str, float]]:
    """Score every document by BM25, straight from the definition, field by field."""
    analysed = {i: engine.analysed(text) for i, text in texts.items()}
    asked = engine.asked(query)
    scores: defaultdict[str, float] = defaultdict(float)
    for field, term in asked.terms:
        lengths = {i: len(fields[field]) for i, fields in analysed.items()}
        average = sum(lengths.values()) / max(1, len(texts))
        holding = [i for i, fields in analysed.items() if term in fields[field]]
        rarity = math.log(1 + (len(texts) - len(holding) + 0.5) / (len(holding) + 0.5))
        for i in holding:
            times = analysed[i][field].count(term)
            length = int(quantised(np.array([lengths[i]], np.int32))[0])
            damping = 1.2 * (0.25 + 0.75 * length / average)
            scores[i] += rarity * 2.2 * times / (times + damping)
    return sorted(scores.items(), key=lambda hit: (-np.float32(hit[1]), hit[0]))[:limit]


def shards_of(bed: Bed, config: IndexConfig) -> list[Shard]:
    """Open all shards of an index, and let them tell each other what they count."""
    shards = bed.shards(config)
    for shard in shards:
        shard.learn_words([other.words() for other in shards if other is not shard])
    return shards


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "put", "delete", "build", "merge"]), st.integers(0, 2**31)),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_any_number_of_shards_scores_by_the_same_counts(
    tmp_path: Path, steps: list[tuple[str, int]]
) -> None:
    """After any writes and builds 1, 2 and 5 shards give the ids and scores of the definition."""
    bed = Bed(tmp_path / f"{next(BEDS)}")
    texts: dict[str, str] = {}
    configs = [IndexConfig(f"w{n}", kind="text", engine="bm25", shards=n) for n in (1, 2, 5)]
    for step, seed in steps:
        rng = np.random.default_rng(seed)
        if step == "put":
            fresh = {
                f"d{i}": " ".join(rng.choice(VOCABULARY, rng.integers(1, 60)))
                for i in rng.integers(0, 30, 10).tolist()
            }
            put(bed, {i: (text,) for i, text in fresh.items()})
            texts |= fresh
        elif step == "delete" and texts:
            gone = rng.choice(sorted(texts), 3).tolist()
            bed.delete(gone)
            texts = {i: text for i, text in texts.items() if i not in gone}
        elif step in ("build", "merge"):
            policy = BuildPolicy(growth=0.01 if step == "build" else 100.0, max_deleted_ratio=1.0)
            for config in configs:
                bed.build(config, policy=policy)

    expected = [oracle(texts, query) for query in QUERIES]
    for config in configs:
        answers = answer_of(shards_of(bed, config), asking(*QUERIES))

        assert [[i for i, _ in hits] for hits in answers] == [[i for i, _ in h] for h in expected]
        for hits, wanted in zip(answers, expected, strict=True):
            assert [s for _, s in hits] == pytest.approx([s for _, s in wanted], rel=1e-5)


def test_a_fresh_document_is_judged_like_the_old_ones(tmp_path: Path) -> None:
    """Of two equal documents the one in the delta scores as the one in the segment."""
    bed = Bed(tmp_path)
    put(bed, {f"d{i:03}": (f"common words and number {i}",) for i in range(200)})
    put(bed, {"old": ("a rare lantern",)})
    config = IndexConfig("words", kind="text", engine="bm25")
    bed.build(config)
    put(bed, {"new": ("a rare lantern",)})

    hits = pairs(Shard.open(bed.place(config)).search(asking("lantern")))[0]

    assert [doc_id for doc_id, _ in hits] == ["new", "old"]
    assert hits[0][1] == hits[1][1] > 3


def test_the_dead_count_no_more(tmp_path: Path) -> None:
    """A word is as rare as it is among live documents, in a segment as in the delta."""
    bed = Bed(tmp_path)
    put(bed, {f"d{i:03}": ("ember",) for i in range(50)})
    config = IndexConfig("words", kind="text", engine="bm25")
    bed.build(config)
    put(bed, {f"e{i:03}": ("ember dusk",) for i in range(50)})
    bed.delete([f"{kind}{i:03}" for kind in "de" for i in range(40)])

    table = Shard.open(bed.place(config)).words()

    assert (table.documents, table.tokens.tolist()) == (20, [30, 0])
    assert sorted(table.counts.tolist()) == [10, 20]


def test_quoted_words_stand_together_and_score_like_single_ones(tmp_path: Path) -> None:
    """A phrase chooses documents; their order is that of the words."""
    bed = Bed(tmp_path)
    put(bed, {"both": ("dusk grove heath grove",), "turned": ("grove dusk",), "one": ("dusk",)})
    shard = Shard.open(bed.place(IndexConfig("words", kind="text", engine="bm25")))

    ((phrase, plain),) = zip(
        *(pairs(shard.search(asking(text))) for text in ('"dusk grove"', "dusk grove")), strict=True
    )

    assert [doc_id for doc_id, _ in phrase] == ["both"]
    assert dict(phrase)["both"] == dict(plain)["both"]


def test_tables_of_words_add_up() -> None:
    """Counts of several shards are those of all their documents together."""
    texts = ["amber birch", "birch birch cedar", "東京", ""]
    apart, together = [], WordCollector()
    for text in texts:
        alone = WordCollector()
        for collector in (alone, together):
            collector.add([ENGINE.analysed(text)])
        apart.append(alone.counted().table())

    merged, whole = WordTable.merged(apart), together.counted().table()

    assert (merged.documents, merged.tokens.tolist()) == (whole.documents, whole.tokens.tolist())
    assert merged.hashes.tolist() == whole.hashes.tolist()
    assert merged.counts.tolist() == whole.counts.tolist()


def test_lengths_are_as_coarse_as_in_the_index() -> None:
    """Exact up to 40 words; the next step down beyond."""
    lengths = np.array([0, 1, 40, 41, 42, 57, 100, 1_000_000], np.int32)

    assert quantised(lengths).tolist() == [0, 1, 40, 40, 42, 56, 96, 983_064]
