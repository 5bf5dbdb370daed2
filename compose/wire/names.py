"""The names that both wings must agree on: tasks, queues, keys of the reply store."""

from __future__ import annotations

from typing import Final

PREPROCESS_QUERY: Final = "gnes.preprocess.query"
PREPROCESS_DOCUMENTS: Final = "gnes.preprocess.documents"
ENCODE_QUERY: Final = "gnes.encode.query"
ENCODE_DOCUMENTS: Final = "gnes.encode.documents"
SEARCH: Final = "gnes.search"
REDUCE: Final = "gnes.reduce"
INSPECT: Final = "gnes.inspect"
GATHER: Final = "gnes.gather"
INDEX: Final = "gnes.index"
FINISH: Final = "gnes.finish"
BUILD: Final = "gnes.build"
TRAIN: Final = "gnes.train"
SNAPSHOT: Final = "gnes.snapshot"
RESTORE: Final = "gnes.restore"

FETCH: Final = "gnes.fetch"
FETCH_MEDIUM: Final = "gnes.fetch.medium"
PREVIEW: Final = "gnes.preview"

FETCH_QUEUE: Final = "fetch"
PREVIEW_QUEUE: Final = "preview"
REDUCE_QUEUE: Final = "reduce"
INDEX_QUEUE: Final = "index"
BUILD_QUEUE: Final = "build"

#: How a worker's process ends whose flow is at fault, so that to start it again is in vain (the
#: EX_CONFIG of sysexits.h), and what its last words begin with.
MISCONFIGURED: Final = 78
CANNOT_START: Final = "gnes: this worker cannot start: "

PRESENCE_NODES: Final = "gnes:presence"


def presence_key(node: str) -> str:
    """Return the key under which worker ``node`` announces itself."""
    return f"gnes:presence:{node}"


def reply_key(api: str) -> str:
    """Return the reply list that API process ``api`` reads."""
    return f"gnes:reply:{api}"


def poke_key(collection: str) -> str:
    """Return the list whose entries wake the dispatcher of ``collection``."""
    return f"gnes:poke:{collection}"


def returned_key(collection: str) -> str:
    """Return the list of documents that stages of ``collection`` gave back unfinished."""
    return f"gnes:returned:{collection}"


def refused_key(collection: str, generation: int) -> str:
    """Return the list of documents that cannot be encoded for a generation that is being made."""
    return f"gnes:refused:{collection}:{generation}"


def broker_life_key(collection: str) -> str:
    """Return the key that is gone exactly when the broker lost its data."""
    return f"gnes:life:{collection}"


def words_key(collection: str, index: str, generation: int, shards: int) -> str:
    """Return the hash in which the shards of a full-text index tell what words they hold."""
    return f"gnes:words:{collection}:{index}:{generation}:{shards}"


def build_lease(collection: str, index: int, shard: int) -> str:
    """Return the lease under which one worker builds segments of a shard."""
    return f"build:{collection}:{index}:{shard}"


def errand_lease(kind: str, collection: str) -> str:
    """Return the lease under which one worker does a job of a kind, such as a training."""
    return f"{kind}:{collection}"


def tally_key(collection: str) -> str:
    """Return the hash of what the components of ``collection`` have counted."""
    return f"gnes:tally:{collection}"


def log_channel(collection: str) -> str:
    """Return the channel that announces new rows of the log."""
    return f"gnes:log:{collection}"
