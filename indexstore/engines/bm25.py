"""Full text by tantivy: BM25 over words of any script, read from a folder or kept in memory.

Words are split at everything that is no letter or digit, lower-cased and stripped of accents.
Scripts written without spaces are indexed by pairs of characters. What a user types is analysed
the same way and never parsed as a language of its own, so that no input can be wrong.
"""

import importlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indexstore.engines.base import RowMask, Rows, Scores
from indexstore.errors import EngineError, MissingPackageError
from indexstore.names import unknown
from indexstore.unspaced import pairs, singles
from indexstore.words import FIELDS, Hashes, hashed, rarity

_PHRASE = re.compile(r'"([^"]*)"')
OPTIONS: Mapping[str, Any] = {"language": None}  # "english", ...: fold inflections; None: not
FEW = 4096  # allowed documents that are named to tantivy instead of sifted afterwards
WIDEN = 8  # how much further each look goes when too many were sifted out
MOST_WORDS = 256  # of one query
WRITER_BYTES = 64 << 20
MEMORY_BYTES = 16 << 20  # the least that tantivy takes, for what a delta holds


class Bm25Engine:
    """Finds the documents that share words with a query; built once, or grown in memory."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        for key in options:
            if key not in OPTIONS:
                raise EngineError("bm25", unknown("option", key, OPTIONS))
        self._library = _library()
        self._language = options.get("language")
        self._analyzer = self._words_analyzer()
        self._index: Any = None
        self._writer: Any = None
        self._added = 0

    def grow(self, folder: Path | None = None) -> Self:
        """Begin an empty index, in a folder or in memory."""
        schema = self._schema()
        self._index = self._library.Index(schema, path=None if folder is None else str(folder))
        self._register()
        # One thread keeps documents in the order of their coming, and asks for no more cores.
        size = MEMORY_BYTES if folder is None else WRITER_BYTES
        self._writer = self._index.writer(heap_size=size, num_threads=1)
        return self

    def add(self, text: str) -> None:
        """Add the next document's text."""
        document = self._library.Document()
        document.add_unsigned("row", self._added)
        document.add_text("words", _sane(text))
        document.add_text("pairs", " ".join((*pairs(text), *singles(text))))
        self._writer.add_document(document)
        self._added += 1

    def commit(self) -> "TextSearcher":
        """Make what was added searchable, in a snapshot that later additions do not touch."""
        self._writer.commit()
        self._index.reload()
        return TextSearcher(self, self._index.searcher(), self._added)

    def finish(self) -> None:
        """Commit for the last time and let go of the writer."""
        self._writer.commit()
        self._writer.wait_merging_threads()
        self._writer = None

    def open(self, folder: Path, count: int) -> "TextSearcher":
        """Open a folder. tantivy locks it even for reading: one not writable is copied."""
        if not os.access(folder, os.W_OK):
            self._copy = tempfile.TemporaryDirectory(prefix="gnes-text-")
            shutil.copytree(folder, self._copy.name, dirs_exist_ok=True)
            folder = Path(self._copy.name)
        try:
            self._index = self._library.Index.open(str(folder))
        except ValueError as error:
            raise EngineError("bm25", f"{folder} cannot be opened ({error})") from error
        self._register()
        return TextSearcher(self, self._index.searcher(), count)

    def words(self, text: str) -> list[str]:
        """Return the words of a text as they are indexed."""
        analysed: list[str] = self._analyzer.analyze(_sane(text))
        return analysed

    def analysed(self, text: str) -> tuple[list[str], list[str]]:
        """Return what a document's text is found by: its words, and pairs of unspaced script."""
        return self.words(text), [*pairs(text), *singles(text)]

    def terms(self, text: str) -> set[str]:
        """Return what a query's text finds documents by."""
        return {*self.words(text), *pairs(text)}

    def asked(self, text: str) -> "Asked":
        """Return what a query's text asks for."""
        words, neighbours = dict.fromkeys(self.words(text)), dict.fromkeys(pairs(text))
        phrases = [phrase for p in _PHRASE.findall(text) if len(phrase := self.words(p)) > 1]
        terms = [*((0, word) for word in words), *((1, pair) for pair in neighbours)]
        return Asked(tuple(terms[:MOST_WORDS]), tuple(phrases))

    def query(self, asked: "Asked", worths: Sequence[float], min_should: int | None) -> Any:
        """Return the query for a text: any of its words, or at least some of them.

        What is in quotes has to stand together; it adds nothing to the score.

        Args:
            asked: at least one term.
            worths: what each term's own score is multiplied by.
            min_should: so many of the terms have to be there.
        """
        library, schema = self._library, self._index.schema
        parts = [
            (
                library.Occur.Should,
                library.Query.boost_query(
                    library.Query.term_query(schema, FIELDS[field], term), worth
                ),
            )
            for (field, term), worth in zip(asked.terms, worths, strict=True)
        ]
        least = None if min_should is None else max(1, min(min_should, len(parts)))
        anyone = library.Query.boolean_query(parts, minimum_number_should_match=least)
        if not asked.phrases:
            return anyone
        exact = [self._silent(library.Query.phrase_query(schema, "words", phrase))
                 for phrase in asked.phrases]  # fmt: skip
        return library.Query.boolean_query([(library.Occur.Must, anyone), *exact])

    def _silent(self, query: Any) -> tuple[Any, Any]:
        """Return a clause that has to hold and adds nothing to the score."""
        library = self._library
        return library.Occur.Must, library.Query.const_score_query(query, 0.0)

    def among(self, query: Any, rows: Sequence[int]) -> Any:
        """Restrict a query to a few documents without changing its scores."""
        library = self._library
        chosen = library.Query.term_set_query(self._index.schema, "row", list(rows))
        return library.Query.boolean_query([(library.Occur.Must, query), self._silent(chosen)])

    def _schema(self) -> Any:
        builder = self._library.SchemaBuilder()
        builder.add_unsigned_field("row", fast=True, indexed=True)
        builder.add_text_field("words", tokenizer_name="gnes_words")
        builder.add_text_field("pairs", tokenizer_name="gnes_pairs", index_option="freq")
        return builder.build()

    def _register(self) -> None:
        """Name the analysers, which tantivy does not save."""
        library = self._library
        self._index.register_tokenizer("gnes_words", self._words_analyzer())
        spaced = library.TextAnalyzerBuilder(library.Tokenizer.whitespace()).build()
        self._index.register_tokenizer("gnes_pairs", spaced)

    def _words_analyzer(self) -> Any:
        library = self._library
        builder = library.TextAnalyzerBuilder(library.Tokenizer.simple())
        builder = builder.filter(library.Filter.remove_long(64))
        builder = builder.filter(library.Filter.lowercase()).filter(library.Filter.ascii_fold())
        if self._language is None:
            return builder.build()
        try:
            return builder.filter(library.Filter.stemmer(self._language)).build()
        except ValueError as error:
            raise EngineError("bm25", f"language {self._language!r}: {error}") from error


@dataclass(frozen=True, eq=False)
class Asked:
    """What a query's text asks for."""

    terms: tuple[tuple[int, str], ...]  # field and term, each once
    phrases: tuple[list[str], ...]  # words that have to stand together

    @cached_property
    def columns(self) -> tuple[Hashes, Rows]:
        """The terms as they are counted, and their fields."""
        hashes = [hashed(field, (term,))[0] for field, term in self.terms]
        fields = [field for field, _ in self.terms]
        return np.array(hashes, np.uint32), np.array(fields, np.int64)


class TextSearcher:
    """A snapshot of a full-text index; any number of threads may search it."""

    def __init__(self, engine: Bm25Engine, searcher: Any, count: int) -> None:
        self.engine, self._searcher, self.count = engine, searcher, count

    def query(self, asked: Asked, rarities: NDArray[np.float64], min_should: int | None) -> Any:
        """Return the query of a text with terms as rare as they are in the whole collection."""
        counts = [self._searcher.doc_freq(FIELDS[field], term) for field, term in asked.terms]
        own = rarity(np.array(counts, np.int64), self._searcher.num_docs)
        worths = rarities / np.maximum(own, 1e-9)
        return self.engine.query(asked, worths.tolist(), min_should)

    def search(self, query: Any, limit: int, allowed: RowMask | None) -> tuple[Scores, Rows]:
        """Return scores and rows of the best documents, fewer only when there are no more.

        The average length of documents is this index file's own.
        """
        available = self.count if allowed is None else allowed.count
        if not available:
            return np.empty(0, np.float32), np.empty(0, np.int64)
        if allowed is not None and allowed.count <= FEW:
            query = self.engine.among(query, np.flatnonzero(allowed.rows).tolist())
        width = min(limit, self.count)
        while True:
            scores, rows = self._look(query, width)
            found = len(rows)
            if allowed is not None:
                keep = allowed.rows[rows]
                scores, rows = scores[keep], rows[keep]
            if found < width or width >= self.count or len(rows) >= limit:
                return scores[:limit], rows[:limit]
            width = min(width * WIDEN, self.count)

    def _look(self, query: Any, width: int) -> tuple[Scores, Rows]:
        hits = self._searcher.search(query, limit=width, count=False).hits
        rows = self._searcher.fast_field_values("row", [address for _, address in hits])
        scores = np.array([score for score, _ in hits], np.float32)
        return scores, np.array([int(row) for row in rows], np.int64)


def _sane(text: str) -> str:
    """Return a text that can be written as UTF-8: half of a surrogate pair cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _library() -> Any:
    try:
        return importlib.import_module("tantivy")
    except ImportError as error:
        raise MissingPackageError("tantivy", "engine 'bm25'") from error
