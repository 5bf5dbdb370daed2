"""Documents as they are sent, stored and returned."""

import unicodedata
from typing import Any, Literal, Self

import orjson
from pydantic import Field, ValidationInfo, field_validator, model_validator

from app.api.schemas.base import Input, Output, Vector
from app.api.schemas.filters import FilterJson
from app.api.schemas.search import Media
from app.settings import Limits
from indexstore.model import Document, Modality

MODALITIES: tuple[Modality, ...] = ("text", "image", "audio", "video")
_CONTROL = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}


class DocumentBody(Input):
    """One document to store: one content, and what to know about it."""

    id: str | None = Field(None, min_length=1, description="yours, or a new ULID when absent")
    text: str | None = Field(None, min_length=1)
    image: Media | None = None
    audio: Media | None = None
    video: Media | None = None
    tags: dict[str, Any] = Field(default_factory=dict, description="to filter by and to show")
    weight: float = Field(1.0, ge=0, allow_inf_nan=False, description="multiplies the score")
    vector: Vector | None = Field(None, description="your own embedding instead of the encoder's")

    @field_validator("id")
    @classmethod
    def _harmless_id(cls, value: str | None, info: ValidationInfo[Limits]) -> str | None:
        """Keep ids short and printable, for they stand in addresses, logs and lists."""
        return value if value is None else checked_id(value, info.context)

    @field_validator("text")
    @classmethod
    def _bounded_text(cls, value: str | None, info: ValidationInfo[Limits]) -> str | None:
        """Keep one text within its limit."""
        limit = info.context.max_text_chars
        if value is not None and len(value) > limit:
            raise ValueError(f"{len(value)} characters are over the limit max_text_chars ({limit})")
        if value is not None and not value.strip():
            raise ValueError("the text is blank")
        return value

    @field_validator("tags")
    @classmethod
    def _bounded_tags(cls, value: dict[str, Any], info: ValidationInfo[Limits]) -> dict[str, Any]:
        """Keep tags within their limit."""
        return checked_tags(value, info.context)

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        """A document has one content; a vector may stand beside it, not for it."""
        given = [name for name in MODALITIES if getattr(self, name) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "none"
            raise ValueError(f"give exactly one of text, image, audio and video; got {got}")
        return self

    @property
    def modality(self) -> Modality:
        """Return what kind of content it has."""
        return next(name for name in MODALITIES if getattr(self, name) is not None)

    @property
    def medium(self) -> Media | None:
        """Return the image, sound or video; None for a text."""
        return self.image or self.audio or self.video

    def document(self, doc_id: str, *, medium: dict[str, Any] | None = None) -> Document:
        """Return the document that the ledger stores; ``medium``: what it keeps of its medium."""
        return Document(
            doc_id,
            self.modality,
            {self.modality: self.text if medium is None else medium},
            tags=self.tags,
            weight=self.weight,
            vector=self.vector,
        )


class PatchBody(Input):
    """What may change without encoding again."""

    tags: dict[str, Any] | None = Field(
        None, description="merged into the stored tags; null removes a tag"
    )
    weight: float | None = Field(None, ge=0, allow_inf_nan=False)

    @field_validator("tags")
    @classmethod
    def _bounded_tags(
        cls, value: dict[str, Any] | None, info: ValidationInfo[Limits]
    ) -> dict[str, Any] | None:
        """Keep tags within their limit."""
        return value if value is None else checked_tags(value, info.context)

    @model_validator(mode="after")
    def _something(self) -> Self:
        """An empty patch is a mistake."""
        if self.tags is None and self.weight is None:
            raise ValueError("give tags, weight or both; content is changed by writing it again")
        return self


class DeleteBody(Input):
    """Which documents to delete: these ids, or all searchable ones that match."""

    ids: list[str] | None = Field(None, min_length=1)
    filter: FilterJson | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        """Exactly one way to say which; an empty filter would be everything."""
        if (self.ids is None) == (self.filter is None):
            raise ValueError("give exactly one of ids and filter")
        if self.filter is not None and self.filter.is_empty:
            raise ValueError("the filter is empty: it would delete everything")
        return self


def checked_id(value: str, limits: Limits) -> str:
    """Return a document id that is short and printable.

    Raises:
        ValueError: it is neither; the text names the limit.
    """
    if len(value) > limits.max_id_chars:
        raise ValueError(
            f"{len(value)} characters are over the limit max_id_chars ({limits.max_id_chars})"
        )
    bad = next((c for c in value if unicodedata.category(c) in _CONTROL), None)
    if bad is not None:
        raise ValueError(f"an id holds printable characters only, not U+{ord(bad):04X}")
    return value


def checked_tags(value: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Return tags whose JSON is within the limit.

    Raises:
        ValueError: they are larger; the text names the limit.
    """
    size = len(orjson.dumps(value)) if value else 0
    if size > limits.max_tags_bytes:
        raise ValueError(
            f"{size} bytes of JSON are over the limit max_tags_bytes ({limits.max_tags_bytes})"
        )
    return value


class ItemFault(Output):
    """Why one document was not accepted, or could not be indexed."""

    field: str | None = Field(description="where in the document; null when it is not one field")
    reason: str


class ItemResult(Output):
    """What became of one document of a write."""

    index: int = Field(description="its place in the request, from 0")
    id: str | None
    status: Literal["queued", "indexed", "failed", "refused", "superseded"]
    error: ItemFault | None


class WriteResult(Output):
    """What became of a write; the accepted documents can no longer be lost."""

    job_id: str
    items: list[ItemResult]
    token: str = Field(description="pass it to a search that must see this write")


class DocumentResult(Output):
    """A stored document, in its newest version."""

    id: str
    text: str | None = None
    tags: dict[str, Any]
    weight: float
    version: int
    status: str
    searchable: bool
    error: str | None
    job_id: str
    accepted_at: float
    updated_at: float


class PatchResult(Output):
    """The version that a patch made."""

    id: str
    version: int
    token: str


class DeleteResult(Output):
    """Which of the ids there were; all of them are gone from every answer from now on."""

    deleted: list[str]
    missing: list[str]
    token: str


class DocumentPage(Output):
    """Documents by id, and where to go on."""

    documents: list[DocumentResult]
    cursor: str | None


class CountResult(Output):
    """How many documents there are."""

    count: int


class FacetResult(Output):
    """The values of a tag, the most frequent first."""

    values: list[dict[str, Any]]
