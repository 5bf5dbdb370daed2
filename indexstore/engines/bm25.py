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
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from indexstore.engines.base import RowMask, Rows, Scores
from indexstore.errors import EngineError, MissingPackageError
from indexstore.names import unknown

#: Han, kana, hangul, Thai, Lao, Khmer and Burmese: no space tells where a word ends.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]+"
)
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
        document.add_text("pairs", " ".join((*_pairs(text), *_singles(text))))
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

    def terms(self, text: str) -> list[str]:
        """Return all that a text is found by: its words, and pairs of unspaced script."""
        return [*self.words(text), *_pairs(text)]

    def query(self, text: str, min_should: int | None) -> Any:
        """Return the query for a text: any of its words, or at least some of them."""
        library, schema = self._library, self._index.schema
        optional, required = library.Occur.Should, library.Occur.Must
        phrases = [phrase for p in _PHRASE.findall(text) if len(phrase := self.words(p)) > 1]
        words, pairs = dict.fromkeys(self.words(text)), dict.fromkeys(_pairs(text))
        terms = [("words", word) for word in words] + [("pairs", pair) for pair in pairs]
        parts = [
            (optional, library.Query.term_query(schema, field, term))
            for field, term in terms[:MOST_WORDS]
        ]
        if not parts:
            return None
        least = None if min_should is None else max(1, min(min_should, len(parts)))
        anyone = library.Query.boolean_query(parts, minimum_number_should_match=least)
        if not phrases:
            return anyone
        exact = [
            (required, library.Query.phrase_query(schema, "words", phrase)) for phrase in phrases
        ]
        return library.Query.boolean_query([(required, anyone), *exact])

    def among(self, query: Any, rows: Sequence[int]) -> Any:
        """Restrict a query to a few documents without changing its scores."""
        library = self._library
        chosen = library.Query.term_set_query(self._index.schema, "row", list(rows))
        silent = library.Query.const_score_query(chosen, 0.0)
        required = library.Occur.Must
        return library.Query.boolean_query([(required, query), (required, silent)])

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
        pairs = library.TextAnalyzerBuilder(library.Tokenizer.whitespace()).build()
        self._index.register_tokenizer("gnes_pairs", pairs)

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


class TextSearcher:
    """A snapshot of a full-text index; any number of threads may search it."""

    def __init__(self, engine: Bm25Engine, searcher: Any, count: int) -> None:
        self.engine, self._searcher, self.count = engine, searcher, count

    def search(
        self, text: str, limit: int, allowed: RowMask | None, *, min_should: int | None = None
    ) -> tuple[Scores, Rows]:
        """Return scores and rows of the best documents, with all equals of the last one."""
        query = self.engine.query(text, min_should)
        available = self.count if allowed is None else allowed.count
        if query is None or not available:
            return np.empty(0, np.float32), np.empty(0, np.int64)
        if allowed is not None and allowed.count <= FEW:
            query = self.engine.among(query, np.flatnonzero(allowed.rows).tolist())
        width = min(limit + 1, self.count)
        while True:
            scores, rows = self._look(query, width)
            found = len(rows)
            if allowed is not None:
                keep = allowed.rows[rows]
                scores, rows = scores[keep], rows[keep]
            is_all = found < width or width >= self.count
            # One more than wanted, and worse: no equal of the last is missing.
            if (
                is_all
                or (len(rows) > limit and scores[limit] > scores[-1])
                or (len(rows) > limit and scores[limit - 1] > scores[limit])
            ):
                return scores, rows
            width = min(width * WIDEN, self.count)

    def _look(self, query: Any, width: int) -> tuple[Scores, Rows]:
        hits = self._searcher.search(query, limit=width, count=False).hits
        rows = self._searcher.fast_field_values("row", [address for _, address in hits])
        scores = np.array([score for score, _ in hits], np.float32)
        return scores, np.array([int(row) for row in rows], np.int64)


def _pairs(text: str) -> Iterable[str]:
    """Yield the pairs of neighbours in every run of unspaced script; a single one as it is."""
    for run in _UNSPACED.findall(text):
        yield from (run[i : i + 2] for i in range(max(1, len(run) - 1)))


def _singles(text: str) -> Iterable[str]:
    """Yield every character of unspaced script, for queries of one."""
    for run in _UNSPACED.findall(text):
        if len(run) > 1:
            yield from run


def _sane(text: str) -> str:
    """Return a text that can be written as UTF-8: half of a surrogate pair cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _library() -> Any:
    try:
        return importlib.import_module("tantivy")
    except ImportError as error:
        raise MissingPackageError("tantivy", "engine 'bm25'") from error
