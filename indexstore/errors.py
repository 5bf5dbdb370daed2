"""The errors of the index store: the class says what happened, the text how to mend it.

Values stay positional in ``args``, so that Celery's result backend can rebuild an error as
``cls(*args)``; ``status`` and ``code`` are what the API answers with.
"""

from typing import ClassVar


class IndexStoreError(Exception):
    """Something the index store was asked for cannot be done."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "index_store"


class CollectionNotFoundError(IndexStoreError):
    """No collection has that name."""

    status = 404
    code = "collection_not_found"

    def __init__(self, collection: str) -> None:
        super().__init__(collection)
        self.collection = collection

    def __str__(self) -> str:
        return (
            f"there is no collection {self.collection!r}; a collection is named after its flow "
            "and made when the flow is started"
        )


class FingerprintMismatchError(IndexStoreError):
    """A collection was made by another flow: its vectors would not fit the new ones."""

    status = 409
    code = "fingerprint_mismatch"

    def __init__(self, collection: str, stored: str, given: str) -> None:
        super().__init__(collection, stored, given)
        self.collection, self.stored, self.given = collection, stored, given

    def __str__(self) -> str:
        return (
            f"collection {self.collection!r} was encoded with {self.stored}, the flow now asks "
            f"for {self.given}: old and new vectors cannot be compared; run `gnes reindex`, "
            "restore the old encoder, or give the flow another name"
        )


class DocumentNotFoundError(IndexStoreError):
    """No document has that id."""

    status = 404
    code = "document_not_found"

    def __init__(self, collection: str, doc_id: str) -> None:
        super().__init__(collection, doc_id)
        self.collection, self.doc_id = collection, doc_id

    def __str__(self) -> str:
        return f"collection {self.collection!r} holds no document {self.doc_id!r}"


class InvalidDocumentError(IndexStoreError):
    """A document cannot be stored as it is."""

    status = 422
    code = "invalid_document"

    def __init__(self, doc_id: str, reason: str) -> None:
        super().__init__(doc_id, reason)
        self.doc_id, self.reason = doc_id, reason

    def __str__(self) -> str:
        return f"document {self.doc_id!r} cannot be stored: {self.reason}"


class UnstorableTextError(IndexStoreError):
    """A name or an id holds characters that no database text can."""

    status = 400
    code = "unstorable_text"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"a name or id cannot be looked up: {self.detail}; "
            "send valid Unicode without U+0000, as every stored id is"
        )


class VersionConflictError(IndexStoreError):
    """A document is not at the version that the caller expects."""

    status = 409
    code = "version_conflict"

    def __init__(self, doc_id: str, expected: int, current: int) -> None:
        super().__init__(doc_id, expected, current)
        self.doc_id, self.expected, self.current = doc_id, expected, current

    def __str__(self) -> str:
        return (
            f"document {self.doc_id!r} is at version {self.current}, not {self.expected}: "
            "somebody changed it meanwhile; read it again and repeat the change"
        )


class IdempotencyConflictError(IndexStoreError):
    """An idempotency key came back with another payload."""

    status = 409
    code = "idempotency_conflict"

    def __init__(self, collection: str, key: str) -> None:
        super().__init__(collection, key)
        self.collection, self.key = collection, key

    def __str__(self) -> str:
        return (
            f"idempotency key {self.key!r} was used in collection {self.collection!r} for other "
            "documents; use a new key for a new request"
        )


class JobNotFoundError(IndexStoreError):
    """No job has that id."""

    status = 404
    code = "job_not_found"

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id

    def __str__(self) -> str:
        return f"there is no job {self.job_id!r}; `gnes jobs ls` lists those that there are"


class InvalidCursorError(IndexStoreError):
    """A listing's cursor was not made by this listing."""

    status = 400
    code = "invalid_cursor"

    def __init__(self, cursor: str) -> None:
        super().__init__(cursor)
        self.cursor = cursor

    def __str__(self) -> str:
        return (
            f"cursor {self.cursor!r} is not one that a listing returned; pass back the cursor "
            "of the last page unchanged, or none to begin at the start"
        )


class StorageFullError(IndexStoreError):
    """The disk under the database is full; nothing of the write was kept."""

    status = 507
    code = "storage_full"

    def __init__(self, database: str, detail: str) -> None:
        super().__init__(database, detail)
        self.database, self.detail = database, detail

    def __str__(self) -> str:
        return (
            f"no space left for {self.database} ({self.detail}); nothing was written: "
            "free disk space, or delete documents, and repeat the request"
        )


class StorageBusyError(IndexStoreError):
    """The database could not be locked for writing in good time."""

    status = 503
    code = "storage_busy"

    def __init__(self, database: str, waited_s: float) -> None:
        super().__init__(database, waited_s)
        self.database, self.waited_s = database, waited_s

    def __str__(self) -> str:
        return (
            f"another process has kept {self.database} locked for {self.waited_s:.0f} s; "
            "repeat the request; if it stays so, look for a stopped writer "
            "(`gnes status`), or use PostgreSQL for many writers"
        )


class StorageUnavailableError(IndexStoreError):
    """The database cannot be opened or reached."""

    status = 503
    code = "storage_unavailable"

    def __init__(self, database: str, detail: str) -> None:
        super().__init__(database, detail)
        self.database, self.detail = database, detail

    def __str__(self) -> str:
        return (
            f"the database {self.database} cannot be used: {self.detail}; "
            "check GNES_DATABASE_URL, and that the server or the folder is there"
        )


class SchemaVersionError(IndexStoreError):
    """The database's schema is not the one that this version of GNES knows."""

    status = 503
    code = "schema_version"

    def __init__(self, database: str, found: str, expected: str) -> None:
        super().__init__(database, found, expected)
        self.database, self.found, self.expected = database, found, expected

    def __str__(self) -> str:
        return (
            f"the schema of {self.database} is at revision {self.found}, this GNES needs "
            f"{self.expected}: start the newest version of GNES on it, which migrates by itself"
        )


class ReadOnlyError(IndexStoreError):
    """A write was tried on a store that was opened for reading."""

    code = "read_only"

    def __init__(self, database: str) -> None:
        super().__init__(database)
        self.database = database

    def __str__(self) -> str:
        return f"{self.database} was opened with read_only=True; open it without to write"


class CorruptDataError(IndexStoreError):
    """Stored bytes are not what was written."""

    code = "corrupt_data"

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(what, detail)
        self.what, self.detail = what, detail

    def __str__(self) -> str:
        return (
            f"{self.what} cannot be read back: {self.detail}; "
            "store the document again to replace it"
        )


class CorruptSegmentError(IndexStoreError):
    """A segment's files are torn, altered or missing; it is rebuilt from the log."""

    code = "corrupt_segment"

    def __init__(self, segment: str, reason: str) -> None:
        super().__init__(segment, reason)
        self.segment, self.reason = segment, reason

    def __str__(self) -> str:
        return (
            f"segment {self.segment} is not served: {self.reason}; "
            "it is built anew from the log, until then its rows are searched exactly"
        )


class DimensionError(IndexStoreError):
    """A vector's length is not the index's."""

    status = 422
    code = "dimension"

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(expected, got)
        self.expected, self.got = expected, got

    def __str__(self) -> str:
        return (
            f"this index holds {self.expected}-dimensional vectors, not {self.got}; "
            "use the encoder that the collection was made with"
        )


class InvalidVectorError(IndexStoreError):
    """A vector holds what cannot be compared: NaN, infinity, or nothing."""

    status = 422
    code = "invalid_vector"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the vector cannot be used: {self.reason}; send finite numbers only"


class InvalidFilterError(IndexStoreError):
    """A filter says something that no filter can."""

    status = 400
    code = "invalid_filter"

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where, self.reason = where, reason

    def __str__(self) -> str:
        return f"filter, at {self.where}: {self.reason}"


class EngineError(IndexStoreError):
    """An engine refuses its options or its work."""

    status = 422
    code = "engine"

    def __init__(self, engine: str, reason: str) -> None:
        super().__init__(engine, reason)
        self.engine, self.reason = engine, reason

    def __str__(self) -> str:
        return f"engine {self.engine!r}: {self.reason}"


class PluginFileError(IndexStoreError):
    """A plug-in file could not be loaded; the flow that names it fails, no other."""

    status = 422
    code = "plugin"

    def __init__(self, path: str, trace: str) -> None:
        super().__init__(path, trace)
        self.path, self.trace = path, trace

    def __str__(self) -> str:
        return f"plug-in file {self.path} cannot be loaded:\n{self.trace}"


class MissingPackageError(IndexStoreError):
    """An optional package is not installed."""

    code = "missing_package"

    def __init__(self, package: str, wanted_by: str) -> None:
        super().__init__(package, wanted_by)
        self.package, self.wanted_by = package, wanted_by

    def __str__(self) -> str:
        return f"{self.wanted_by} needs a package that is missing: pip install {self.package}"
