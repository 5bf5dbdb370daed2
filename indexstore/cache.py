"""What encoding a content gave before: a bounded cache that may be lost and never gets in the way.

A retry of a half-finished document, the second copy of a text, or a re-run after a crash finds its
chunks here. The key is the step's fingerprint and the content's hash, so a changed model or
splitter never meets old embeddings.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Self

from indexstore.chunk_codec import decode_chunks, encode_chunks
from indexstore.errors import CorruptDataError
from indexstore.model import ChunkTable

logger = logging.getLogger(__name__)

#: A cache that is busy is as good as one that is empty: nobody waits for it longer than this.
_BUSY_TIMEOUT_S = 0.5

#: Evicting a tenth at a time spares the next many writes the work.
_KEEP_AFTER_EVICTION = 0.9

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY, step TEXT NOT NULL, content TEXT NOT NULL,
    size_bytes INTEGER NOT NULL, chunks BLOB NOT NULL, UNIQUE (step, content)
);
CREATE TABLE IF NOT EXISTS total (size_bytes INTEGER NOT NULL);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM total);
CREATE TRIGGER IF NOT EXISTS grow AFTER INSERT ON entries
    BEGIN UPDATE total SET size_bytes = size_bytes + NEW.size_bytes; END;
CREATE TRIGGER IF NOT EXISTS shrink AFTER DELETE ON entries
    BEGIN UPDATE total SET size_bytes = size_bytes - OLD.size_bytes; END;
"""


class EmbeddingCache:
    """Chunk tables by step and content hash, in one file, the oldest going first.

    Any trouble with the file (locked, full, corrupt, gone) is a miss or a lost write and a line in
    the log; a corrupt file is thrown away and begun anew.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self.path, self.max_bytes = path, max_bytes
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @classmethod
    def open(cls, path: str | Path, *, max_bytes: int) -> Self:
        """Open the cache in a file, which is made if it is not there."""
        return cls(Path(path), max_bytes=max_bytes)

    def get(self, step: str, contents: Iterable[str]) -> dict[str, ChunkTable]:
        """Return the chunk tables that are there, by content hash."""
        found: dict[str, ChunkTable] = {}
        query = "SELECT chunks FROM entries WHERE step = ? AND content = ?"
        with self._lock:
            try:
                connection = self._connected()
                for content in contents:
                    row = connection.execute(query, (step, content)).fetchone()
                    if row is not None:
                        found[content] = decode_chunks(row[0])
            except (sqlite3.Error, OSError, CorruptDataError) as error:
                self._recover(error)
        return found

    def put(self, step: str, tables: Mapping[str, ChunkTable]) -> None:
        """Keep chunk tables by content hash, and evict the oldest entries beyond the bound."""
        rows = []
        for content, table in tables.items():
            blob = encode_chunks(table)
            rows.append((step, content, len(blob), blob))
        insert = "INSERT OR IGNORE INTO entries (step, content, size_bytes, chunks) VALUES "
        with self._lock:
            try:
                connection = self._connected()
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.executemany(insert + "(?, ?, ?, ?)", rows)
                    self._evict(connection)
            except (sqlite3.Error, OSError) as error:
                self._recover(error)

    def size_bytes(self) -> int:
        """Return the size of all entries; 0 when the cache cannot be read."""
        with self._lock:
            try:
                row = self._connected().execute("SELECT size_bytes FROM total").fetchone()
                return int(row[0])
            except (sqlite3.Error, OSError) as error:
                self._recover(error)
                return 0

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._disconnect()

    def _evict(self, connection: sqlite3.Connection) -> None:
        size = connection.execute("SELECT size_bytes FROM total").fetchone()[0]
        if size <= self.max_bytes:
            return
        surplus = size - int(self.max_bytes * _KEEP_AFTER_EVICTION)
        last = 0
        for row_id, row_bytes in connection.execute(
            "SELECT id, size_bytes FROM entries ORDER BY id"
        ):
            last, surplus = row_id, surplus - row_bytes
            if surplus <= 0:
                break
        connection.execute("DELETE FROM entries WHERE id <= ?", (last,))

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=OFF")  # losing it costs time, no truth
                connection.executescript(_SCHEMA)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _recover(self, error: Exception) -> None:
        logger.warning("embedding cache %s is passed over: %s", self.path, error)
        self._disconnect()
        is_locked = isinstance(error, sqlite3.OperationalError)
        if is_locked or isinstance(error, OSError):
            return
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _disconnect(self) -> None:
        if self._connection is not None:
            with closing(self._connection):
                self._connection = None
