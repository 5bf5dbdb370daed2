"""Components that no encode or preprocess worker hosts: the engines of indexes, and routers.

Routers are no processes here. A plain router is a queue, a publish router the header of a chord,
a reduce router its callback; their names are known so that GNES's files load as they are.
"""

from collections.abc import Mapping

from compose.component import Component, Option

_DIM = Option("dim", "int | None", doc="Length of the vectors; the encoder's when not given.")
_METRIC = Option(
    "metric", "Literal['ip', 'cosine', 'l2']", "cosine", doc="How two vectors are compared."
)
_SCORE = Option(
    "score",
    "Literal['sum', 'avg', 'max', 'min', 'multiply']",
    "sum",
    doc="How the scores of a document's chunks become its own.",
)
#: GNES passes these as functions to any chunk indexer.
_FUNCTION = "a component of kind score"
_SCORING = (
    Option("normalize_fn", _FUNCTION, doc="Applied to each raw score, before score_fn."),
    Option("score_fn", _FUNCTION, doc="Applied to each chunk's score; a list: one by one."),
    Option("is_big_score_similar", "bool | None", doc="GNES's direction; here higher is better."),
)


#: Engines that compare codes, and how: by equal bytes, or by bits. All others want vectors.
CODES: Mapping[str, frozenset[str]] = {
    "exact": frozenset({"bytes", "bits", "buckets"}),
    "binary": frozenset({"bytes", "bits"}),
    "buckets": frozenset({"buckets"}),
}


def engine_options(own: tuple[Option, ...] = (), *, metric: Option = _METRIC) -> tuple[Option, ...]:
    """Return the options of an index: those of its engine, and those that all have."""
    return (_DIM, metric, *own, _SCORE, *_SCORING)


def _engine(
    name: str,
    *aliases: str,
    summary: str,
    options: tuple[Option, ...] = (),
    metric: Option = _METRIC,
) -> Component:
    return Component(
        kind="index",
        name=name,
        aliases=aliases,
        module=f"indexstore.engines.{name}",
        summary=summary,
        inputs=("embedding",),
        dim={"option": "dim"},
        options=engine_options(options, metric=metric),
    )


_HNSW_OPTIONS = (
    Option("m", "int", 16, doc="Neighbours a row keeps."),
    Option("ef_construction", "int", 128, doc="Candidates kept in mind while building."),
    Option("ef", "int", 128, doc="Candidates kept in mind while searching."),
)

ENGINES = (
    _engine(
        "hnsw",
        "HNSW",
        "AnnoyIndexer",
        "Annoy",
        summary="Approximate neighbours in a navigable graph (faiss); the default.",
        options=_HNSW_OPTIONS,
    ),
    _engine("exact", "NumpyIndexer", "flat", summary="Compares with every vector; exact."),
    _engine("hnswlib", summary="Approximate neighbours by hnswlib.", options=_HNSW_OPTIONS),
    _engine(
        "faiss",
        "FaissIndexer",
        summary="Any index that a faiss factory string describes: IVF, PQ, SQ, HNSW.",
        options=(
            Option("factory", "str", "IVF256,SQ8", doc="faiss's factory string."),
            Option("nprobe", "int", 0, doc="Lists looked at by an IVF index; 0: a sixteenth."),
        ),
    ),
    _engine(
        "binary",
        "BIndexer",
        summary="Signs or bits by those that differ, codes of PQ and the like by equal bytes.",
        metric=Option(
            "metric",
            "Literal['hamming', 'ip', 'cosine']",
            "hamming",
            doc="Of vectors: differing signs, or what refines what these propose.",
        ),
    ),
    _engine(
        "buckets",
        "HBIndexer",
        summary="Bits of HashBits, compared within the clusters that a vector lies in.",
        metric=Option("metric", "Literal['buckets']", "buckets", doc="Differing bits."),
    ),
    Component(
        kind="index",
        name="bm25",
        aliases=("BM25", "fulltext", "FullTextIndexer"),
        module="indexstore.engines.bm25",
        summary="Full text, ranked by BM25 (tantivy).",
        inputs=("text",),
        options=(Option("language", "str | None", doc="Stemming; none when not given."),),
    ),
    Component(
        kind="index",
        name="documents",
        aliases=(
            "DictIndexer",
            "LVDBIndexer",
            "AsyncLVDBIndexer",
            "RocksDBIndexer",
            "DirectoryIndexer",
        ),
        module="indexstore.ledger",
        summary="The documents themselves; the ledger keeps them whether or not a flow says so.",
        inputs=("document",),
        open_options=True,
    ),
)


def _router(name: str, *aliases: str, summary: str, kind: str = "router") -> Component:
    return Component(kind, name, aliases, "compose.routing", summary, open_options=True)


ROUTERS = (
    _router("BaseRouter", summary="A queue."),
    _router("PublishRouter", summary="The header of a chord: one part for each shard."),
    _router("BaseReduceRouter", summary="The callback of a chord: waits for all parts."),
    _router("DocBatchRouter", summary="Documents are dealt out in batches; they always are."),
    _router("BlockRouter", summary="GNES's benchmark router."),
    _router("PipelineRouter", summary="Routers one after another."),
    _router("Chunk2DocTopkReducer", "ChunkToDocumentRouter", summary="Chunks to documents."),
    _router("ChunkTopkReducer", summary="Best chunks over all shards."),
    _router("DocTopkReducer", "ChunkSumRouter", summary="Best documents over all shards."),
    _router("DocFillReducer", "DocFillRouter", "DocSumRouter", summary="Fills in documents."),
    _router("ConcatEmbedRouter", summary="Embeddings side by side in one vector."),
    _router("AvgEmbedRouter", summary="The mean of embeddings."),
)

BUILTIN = ENGINES + ROUTERS
