"""From the body of a write to accepted documents: each item judged alone, the good ones kept."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from anyio import to_thread
from pydantic import ValidationError

from app.api.body import parse
from app.api.comparing import fault_of
from app.api.house import House
from app.api.media import MediaRefusedError, settle
from app.api.problems import Problem, faults_of
from app.api.schemas.base import with_hints
from app.api.schemas.documents import DocumentBody
from app.settings import Limits
from compose.plan import ANY_MODALITY, IndexPlan
from compose.planning import modalities_of
from indexstore.media import MediaStore
from indexstore.model import Document, new_id

#: Items from which checking happens in a thread, so that queries do not wait behind a large write.
CHECK_IN_THREAD = 128


@dataclass(frozen=True, slots=True)
class Refusal:
    """An item that was not accepted, and why."""

    index: int
    doc_id: str | None
    field: str | None
    reason: str
    is_readable: bool = False  # well formed, but nothing that this flow can work on


@dataclass(frozen=True, slots=True)
class Context:
    """What items are checked against: limits, and what the flow takes in."""

    limits: Limits
    modalities: tuple[str, ...] = (ANY_MODALITY,)
    first: int = 0  # the place of the first item in its request
    idempotency_key: str | None = None
    indexes: tuple[IndexPlan, ...] = ()  # what a document's own vector goes to
    media: MediaStore | None = None

    def takes(self, modality: str) -> bool:
        """Tell whether the flow has a branch for this modality."""
        return modality in self.modalities or ANY_MODALITY in self.modalities


@dataclass(slots=True)
class Intake:
    """One write as it is taken in: what was accepted under which job, and what was refused."""

    house: House
    idempotency_key: str | None = None
    job_id: str = ""
    token: int = 0
    accepted: dict[int, str] = field(default_factory=dict)  # place in the request -> doc_id
    refused: list[Refusal] = field(default_factory=list)
    _batches: int = 0

    async def take(self, items: Sequence[Any], *, first: int = 0) -> None:
        """Check these items, the first at place ``first``; hand the good ones to the ledger."""
        if len(items) < CHECK_IN_THREAD and not self.house.plan.takes_media:
            good, bad = check(items, self._context(first))
        else:
            good, bad = await to_thread.run_sync(check, items, self._context(first))
        self.refused += bad
        if good:
            await self._submit(good)

    def _context(self, first: int) -> Context:
        """Return what items are checked against."""
        plan = self.house.plan
        return Context(
            self.house.limits,
            modalities_of(plan),
            first,
            self.idempotency_key,
            tuple(i for i in plan.indexes if i.kind == "vector" and i.vector == ""),
            self.house.media if plan.takes_media else None,
        )

    async def _submit(self, good: dict[int, Document]) -> None:
        """Accept documents; all batches of one write belong to one job."""
        key = self.idempotency_key
        acceptance = await self.house.dispatch.submit(
            list(good.values()),
            job_id=self.job_id or None,
            idempotency_key=f"{key}/{self._batches}" if key and self._batches else key,
        )
        self._batches += 1
        self.job_id, self.token = acceptance.job_id, max(self.token, acceptance.token)
        self.accepted |= {place: document.doc_id for place, document in good.items()}

    async def take_lines(self, lines: AsyncIterator[bytes]) -> None:
        """Take in one document a line, in windows, so that a stream of any length fits."""
        window: list[Any] = []
        seen: set[str] = set()
        place = 0
        async for line in lines:
            if not line.strip():
                continue
            item = self._parsed(line, place=place + len(window))
            doc_id = item.get("id") if isinstance(item, dict) else None
            # A stream is a sequence of writes: the later one of an id wins, in a later window.
            if len(window) == self.house.config.window_documents or doc_id in seen:
                await self.take(window, first=place)
                place, window, seen = place + len(window), [], set()
            window.append(item)
            seen |= {doc_id} if isinstance(doc_id, str) else set()
        if window:
            await self.take(window, first=place)

    def _parsed(self, line: bytes, *, place: int) -> Any:
        """Return the value of one line; a line that is no JSON is an item that is refused."""
        try:
            return parse(line)
        except Problem as problem:
            return Refusal(place, None, None, problem.detail)


def check(items: Sequence[Any], context: Context) -> tuple[dict[int, Document], list[Refusal]]:
    """Return the documents of these items by place, and the refusals of the rest."""
    good: dict[int, Document] = {}
    bad: list[Refusal] = []
    places: dict[str, int] = {}
    for place, item in enumerate(items, context.first):
        found = item if isinstance(item, Refusal) else _checked(item, place, context)
        if isinstance(found, Document):
            twin = places.setdefault(found.doc_id, place)
            if twin != place:
                reason = f"the id stands twice in this request, first at item {twin}"
                found = Refusal(place, found.doc_id, "id", reason)
        if isinstance(found, Refusal):
            bad.append(found)
        else:
            good[place] = found
    return good, bad


def _checked(item: Any, place: int, context: Context) -> Document | Refusal:
    """Return one item as a document, or why it is none."""
    limits = context.limits
    try:
        body = DocumentBody.model_validate(item, context=limits)
    except ValidationError as error:
        first = with_hints(faults_of(error), DocumentBody)[0]
        given = item.get("id") if isinstance(item, dict) else None
        doc_id = given if isinstance(given, str) and len(given) <= limits.max_id_chars else None
        return Refusal(place, doc_id, first["field"] or None, first["reason"])
    if not context.takes(body.modality):
        reason = f"the flow takes in {' and '.join(context.modalities)} only"
        return Refusal(place, body.id, body.modality, reason, is_readable=True)
    fault = None if body.vector is None else fault_of(body.vector, context.indexes)
    if fault is not None:
        return Refusal(place, body.id, "vector", fault[1], is_readable=True)
    return _document(body, place, context)


def _document(body: DocumentBody, place: int, context: Context) -> Document | Refusal:
    """Return a checked item as the document that is stored, its medium in the store."""
    doc_id = body.id or _id_at(place, context)
    medium = body.medium
    if medium is None or context.media is None:
        return body.document(doc_id)
    try:
        content = settle(medium, body.modality, context.media)
    except MediaRefusedError as error:
        where = f"{body.modality}.{error.field}"
        return Refusal(place, body.id, where, error.reason, is_readable=True)
    return body.document(doc_id, medium=content)


def _id_at(place: int, context: Context) -> str:
    """Return an id for a document that came without: new, but the same for a repeated write."""
    if context.idempotency_key is None:
        return new_id()
    return hashlib.sha256(f"{context.idempotency_key}/{place}".encode()).hexdigest()[:26].upper()
