"""The tables, for SQLite and PostgreSQL alike; ``migrations`` makes and changes them."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

metadata = MetaData()

#: The newest migration; a database at another one is refused, never guessed at.
REVISION = "0003"

#: The counter row: every write of a collection locks it first, so that commit order is the order
#: of versions and of sequence numbers, and no two writers can lock rows crosswise.
collections = Table(
    "collections",
    metadata,
    Column("name", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("shards", Integer, nullable=False),
    Column("last_version", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("purged_seq", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
)

#: One row a document: its newest accepted version. While that one is still being encoded, the
#: ``live_*`` columns keep the older one that searches show; they are empty when the newest is live.
#: Tags are JSON as text: PostgreSQL's own JSON type refuses strings that users do send (U+0000).
documents = Table(
    "documents",
    metadata,
    Column("collection", Text, primary_key=True),
    Column("doc_id", Text, primary_key=True),
    Column("slot", SmallInteger, nullable=False),
    Column("modality", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("content_version", BigInteger, nullable=False),
    # The oldest accepted content that is not searchable yet: who holds its token waits for it,
    # also when somebody has written a newer one since.
    Column("pending_since", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_until", Float, nullable=False),
    Column("accepted_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("weight", Float, nullable=False),
    Column("live_version", BigInteger),
    Column("live_content_version", BigInteger),
    Column("live_weight", Float),
    Column("live_tags", Text),
    Column("error", Text),
    Column("tags", Text, nullable=False),
    Column("vector", LargeBinary),
    Column("body", LargeBinary, nullable=False),
    Column("live_body", LargeBinary),
    Index("documents_by_job", "job_id", "state"),
    # Only what is on its way: small, whatever the size of the collection.
    Index(
        "documents_queued",
        "collection",
        "pending_since",
        sqlite_where=text("state = 'queued'"),
        postgresql_where=text("state = 'queued'"),
    ),
    Index(
        "documents_leased",
        "collection",
        "lease_until",
        "pending_since",
        sqlite_where=text("state = 'queued'"),
        postgresql_where=text("state = 'queued'"),
    ),
    # Failures are few and are listed by themselves (dead letters).
    Index(
        "documents_failed",
        "collection",
        "doc_id",
        sqlite_where=text("state IN ('failed', 'dead')"),
        postgresql_where=text("state IN ('failed', 'dead')"),
    ),
)

#: What readers tail. At most one upsert row a document and generation, one patch and one delete
#: row a document: what a newer row makes void is deleted in the transaction that appends it.
log = Table(
    "log",
    metadata,
    Column("collection", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("generation", Integer, nullable=False),
    Column("slot", SmallInteger, nullable=False),
    Column("op", Text, nullable=False),
    Column("doc_id", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("weight", Float, nullable=False),
    Column("tags", Text, nullable=False),
    Column("chunks", LargeBinary),
    Index("log_by_document", "collection", "doc_id"),
    # Tombstones and patches are what purging looks for.
    Index(
        "log_removable",
        "collection",
        "seq",
        sqlite_where=text("op <> 'upsert'"),
        postgresql_where=text("op <> 'upsert'"),
    ),
)

#: The manifest: a segment exists for readers when its row does.
segments = Table(
    "segments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("collection", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("index_name", Text, nullable=False),
    Column("slot_from", Integer, nullable=False),
    Column("slot_to", Integer, nullable=False),
    Column("seq_from", BigInteger, nullable=False),
    Column("seq_to", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("documents", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("checksum", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("retired_at", Float),
    Index("segments_by_index", "collection", "index_name", "generation", "slot_from"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("collection", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("counts", Text),  # JSON, written when the job ends: later writes do not change it
    Column("token", BigInteger, nullable=False),
    Column("reply_to", Text),
    Column("error", Text),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("idempotency_key", Text),
    Column("payload_hash", Text),
    Index("jobs_by_key", "collection", "idempotency_key", unique=True),
    Index("jobs_by_age", "collection", "created_at"),
    Index(
        "jobs_open",
        "collection",
        sqlite_where=text("finished_at IS NULL"),
        postgresql_where=text("finished_at IS NULL"),
    ),
)

#: Who may do what only one may do at a time (dispatch, sweep, build a shard).
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
)

#: How many shards serve an index, how many shall, and how many the flow that last started says.
layouts = Table(
    "layouts",
    metadata,
    Column("collection", Text, primary_key=True),
    Column("index_name", Text, primary_key=True),
    Column("shards", Integer, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("declared", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
)

#: What trained components have learnt. A generation without a row of its own goes on with the one
#: of the generation before it; a row is never changed once its generation serves.
artefacts = Table(
    "artefacts",
    metadata,
    Column("collection", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("branch", Text, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("blob", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("trained_on", BigInteger, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("created_at", Float, nullable=False),
)
