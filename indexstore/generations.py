"""Generations: what components have learnt for each, and the change from one to the next.

A generation is one complete encoding of a collection. The next one is written beside the one that
serves; when nothing is missing from it, one transaction makes it the serving one.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from indexstore.dispatching import MAX_ERROR
from indexstore.documents import DOCUMENT_COLUMNS, document_of
from indexstore.model import EVERY_GENERATION, Artefact, PendingDocument
from indexstore.schema import artefacts, collections, documents, jobs, log, segments
from indexstore.store import INDEXED, QUEUED, Store, advance, read_collection

_ARTEFACT = select(*(artefacts.c[field.name] for field in fields(Artefact)))

#: The content that searches show; of a document whose newest content is queued, the older one.
_SHOWN = case(
    (documents.c.state == INDEXED, documents.c.content_version),
    else_=documents.c.live_content_version,
)
_IS_SHOWN = and_(
    documents.c.collection == bindparam("of"),
    documents.c.live_version.is_not(None),
    or_(documents.c.state == INDEXED, documents.c.state == QUEUED),
)


def _has_row(version: Any) -> Any:
    """Return the condition that a document's content, or a newer one, is in a generation."""
    return (
        exists()
        .where(log.c.collection == documents.c.collection, log.c.doc_id == documents.c.doc_id)
        .where(log.c.generation == bindparam("generation"), log.c.op == "upsert")
        .where(log.c.version >= version)
    )


_MISSING = and_(_IS_SHOWN, ~_has_row(_SHOWN))

#: A generation has a content that was the newest once and never shown: neither what searches show
#: nor what they will show next.
_IS_BETWEEN = and_(
    _IS_SHOWN,
    exists()
    .where(log.c.collection == documents.c.collection, log.c.doc_id == documents.c.doc_id)
    .where(log.c.generation == bindparam("generation"), log.c.op == "upsert")
    .where(log.c.version > documents.c.live_version)
    .where(log.c.version < documents.c.content_version),
)
_TO_ENCODE = or_(_MISSING, _IS_BETWEEN)

#: What a generation has of documents that searches do not show, or not in this content.
_STRAYS = (
    select(log.c.seq, log.c.doc_id, log.c.slot, documents.c.version)
    .join_from(
        log,
        documents,
        and_(log.c.collection == documents.c.collection, log.c.doc_id == documents.c.doc_id),
    )
    .where(log.c.collection == bindparam("of"), log.c.op == "upsert")
    .where(log.c.generation == bindparam("generation"))
    .where(or_(documents.c.live_version.is_(None), log.c.version > documents.c.live_version))
)

_NOWHERE: Mapping[str, Any] = {
    "live_version": None, "live_content_version": None, "live_body": None, "live_tags": None,
    "live_weight": None,
}  # fmt: skip


class Generations(Store):
    """Keep artefacts, and lead a collection from one generation to the next."""

    def keep_artefacts(self, collection: str, learnt: Sequence[Artefact]) -> None:
        """Keep what was learnt for a generation, all or nothing; it takes the place of before."""
        key = ("collection", "stage", "branch", "generation")
        rows = [{"collection": collection, **asdict(artefact)} for artefact in learnt]
        statement = self._insert(artefacts)
        newer = {name: statement.excluded[name] for name in rows[0] if name not in key}
        statement = statement.on_conflict_do_update(
            index_elements=[artefacts.c[name] for name in key], set_=newer
        )
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            connection.execute(statement, rows)

    def artefacts(self, collection: str, generation: int) -> dict[tuple[str, str], Artefact]:
        """Return what encodes a generation, by stage and branch: its own, or inherited."""
        query = (
            _ARTEFACT.where(artefacts.c.collection == bindparam("of"))
            .where(artefacts.c.generation <= bindparam("generation"))
            .order_by(artefacts.c.generation)
        )
        rows = self.database.rows(query, {"of": collection, "generation": generation})
        found = [Artefact(*row) for row in rows]
        return {(artefact.stage, artefact.branch): artefact for artefact in found}

    def learnt_by(self, collection: str, job_id: str) -> int | None:
        """Return the generation that a training's artefacts are for; None while it has none."""
        query = select(func.max(artefacts.c.generation))
        query = query.where(artefacts.c.collection == bindparam("of"))
        query = query.where(artefacts.c.job_id == bindparam("job_id"))
        found = self.database.rows(query, {"of": collection, "job_id": job_id})[0][0]
        return None if found is None else int(found)

    def next_generation(self, collection: str) -> int:
        """Return the generation that a reindexing makes: that of the newest artefacts, if new.

        Raises:   CollectionNotFoundError: there is none of that name.
        """
        serving, learnt = self._newest(collection)
        return max(serving + 1, learnt)

    def generation_to_learn(self, collection: str) -> int:
        """Return the generation that the next training is for: each has one of its own.

        Raises:   CollectionNotFoundError: there is none of that name.
        """
        serving, learnt = self._newest(collection)
        return max(serving, learnt) + 1 if learnt else serving

    def _newest(self, collection: str) -> tuple[int, int]:
        """Return the serving generation and the newest that something was learnt for, or 0."""
        query = select(func.max(artefacts.c.generation))
        query = query.where(artefacts.c.collection == bindparam("of"))

        def ask(connection: Connection) -> tuple[int, int]:
            serving = read_collection(connection, collection).generation
            return serving, int(connection.scalar(query, {"of": collection}) or 0)

        return self.database.read(ask)

    def shown(self, collection: str) -> int:
        """Return how many documents searches show."""
        query = select(func.count()).select_from(documents).where(_IS_SHOWN)
        return int(self.database.rows(query, {"of": collection})[0][0])

    def missing(self, collection: str, generation: int) -> int:
        """Return how many documents that searches show a generation lacks."""
        query = select(func.count()).select_from(documents).where(_TO_ENCODE)
        return int(self.database.rows(query, {"of": collection, "generation": generation})[0][0])

    def missing_documents(
        self, collection: str, generation: int, *, after: str, limit: int
    ) -> list[PendingDocument]:
        """Return documents that a generation lacks, in the order of their ids, from one id on."""
        query = (
            select(*DOCUMENT_COLUMNS)
            .where(_TO_ENCODE, documents.c.doc_id > bindparam("after"))
            .order_by(documents.c.doc_id)
            .limit(bindparam("limit"))
        )
        parameters = {"of": collection, "generation": generation, "after": after, "limit": limit}
        return [
            PendingDocument(document_of(row), row.content_version, row.job_id, 1, 0.0)
            for row in self.database.rows(query, parameters)
        ]

    def still_missing(
        self, collection: str, generation: int, doc_ids: Sequence[str]
    ) -> dict[str, int]:
        """Return those of some documents that a generation lacks, and their newest contents."""
        query = select(documents.c.doc_id, documents.c.content_version).where(_TO_ENCODE)
        query = query.where(self.database.among(documents.c.doc_id, "ids"))
        listed = self.database.list_of(list(doc_ids))
        parameters = {"of": collection, "generation": generation, "ids": listed}
        rows = self.database.rows(query, parameters)
        return {row.doc_id: row.content_version for row in rows}

    def swap(
        self,
        collection: str,
        generation: int,
        *,
        job_id: str,
        without: Mapping[str, str] | None = None,
    ) -> bool:
        """Let a complete generation serve and end the job that made it, in one transaction.

        A document that was re-written again and again meanwhile may be in it with a content that
        is past already: it is shown again when its newest one is indexed.

        Args:     without: documents that cannot be encoded for it, and why; failed from now on.
        Returns:  False, and nothing is changed, while a document is missing from it, or when it
                  serves already.
        """
        given_up = without or {}
        parameters = {"of": collection, "generation": generation}
        with self.database.writing() as connection:
            info = read_collection(connection, collection, lock=True)
            if info.generation >= generation:
                return False
            lacking = connection.execute(select(documents.c.doc_id).where(_MISSING), parameters)
            lost = [row.doc_id for row in lacking]
            if not given_up.keys() >= set(lost):
                return False
            _give_up(connection, collection, {doc_id: given_up[doc_id] for doc_id in lost})
            connection.execute(_LIVE_AT_ONCE.values(updated_at=time.time()), parameters)
            self._drop_strays(connection, parameters)
            mine = update(collections).where(collections.c.name == collection)
            connection.execute(mine.values(generation=generation))
            ended = update(jobs).where(jobs.c.id == job_id, jobs.c.finished_at.is_(None))
            state = "partial" if lost else "completed"
            connection.execute(ended.values(state=state, finished_at=time.time()))
        return True

    def _drop_strays(self, connection: Connection, parameters: Mapping[str, Any]) -> None:
        """Take out of a generation what searches must not find in it, for its readers to see."""
        strays = connection.execute(_STRAYS, parameters).fetchall()
        if not strays:
            return
        of = {"of": parameters["of"]}
        _, last_seq = advance(connection, parameters["of"], seqs=len(strays))
        mine = log.c.collection == bindparam("of")
        gone = delete(log).where(mine, log.c.seq == bindparam("gone"))
        connection.execute(gone, [{**of, "gone": row.seq} for row in strays])
        tombstones = [
            {
                "collection": parameters["of"], "seq": seq, "slot": row.slot, "op": "delete",
                "generation": parameters["generation"], "doc_id": row.doc_id,
                "version": row.version, "tags": "{}", "weight": 0.0,
            }
            for seq, row in enumerate(strays, last_seq - len(strays) + 1)
        ]  # fmt: skip
        connection.execute(insert(log), tombstones)
        its = (documents.c.collection == bindparam("of")) & self.database.among(
            documents.c.doc_id, "ids"
        )
        listed = self.database.list_of([row.doc_id for row in strays])
        connection.execute(update(documents).where(its).values(**_NOWHERE), {**of, "ids": listed})

    def purge_generations(self, collection: str, *, limit: int = 1000) -> int:
        """Throw away rows and segments of generations that serve no more; return how many rows.

        To be called again and again until it returns 0: each call is one short transaction.
        """
        with self.database.writing() as connection:
            info = read_collection(connection, collection, lock=True)
            old = segments.c.generation < info.generation
            mine = segments.c.collection == collection
            retired = update(segments).where(mine, old, segments.c.retired_at.is_(None))
            connection.execute(retired.values(retired_at=time.time()))
            chosen = (
                select(log.c.seq)
                .where(log.c.collection == collection, log.c.generation < info.generation)
                .where(log.c.generation != EVERY_GENERATION)
                .limit(limit)
            )
            seqs = [row.seq for row in connection.execute(chosen)]
            if seqs:
                gone = delete(log).where(log.c.collection == collection, log.c.seq.in_(seqs))
                connection.execute(gone)
        return len(seqs)


def _give_up(connection: Connection, collection: str, lost: Mapping[str, str]) -> None:
    """Hide what a generation cannot show: what is lost to it, and old contents of failed ones."""
    mine = documents.c.collection == collection
    failed = documents.c.state.in_(("failed", "dead"))
    hidden = update(documents).where(mine, failed, documents.c.live_version.is_not(None))
    connection.execute(hidden.values(**_NOWHERE))
    for doc_id, error in lost.items():
        its = update(documents).where(mine, documents.c.doc_id == doc_id)
        connection.execute(its.values(**_NOWHERE))
        shown = its.where(documents.c.state == INDEXED)  # a newer content has its own chance
        connection.execute(shown.values(state="failed", error=error[:MAX_ERROR]))


#: Queued contents that the new generation has already need not be encoded again.
_LIVE_AT_ONCE = (
    update(documents)
    .where(documents.c.collection == bindparam("of"), documents.c.state == QUEUED)
    .where(_has_row(documents.c.content_version))
    .values(
        **{**_NOWHERE, "live_version": documents.c.version},
        state="indexed",
        error=None,
    )
)
