"""A document's content, tags and vector as the ledger keeps them: small, and quick to read."""

import json
import math
import zlib
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgpack
import numpy as np

from indexstore.errors import CorruptDataError, InvalidDocumentError
from indexstore.model import Document, Float32

#: Databases index ids; PostgreSQL refuses keys of a third of a page.
MAX_ID_BYTES = 512

#: Below this compression costs more time than it saves room.
_COMPRESS_FROM_BYTES = 2048

# The first byte of a body says what follows.
_TEXT, _CONTENT, _DEFLATED_TEXT, _DEFLATED_CONTENT = b"t", b"m", b"T", b"M"

#: Most documents have no tags: they all share this one reading of "{}".
_NO_TAGS: Mapping[str, Any] = {}

#: ``json.loads`` without its search for white space: what we wrote has none.
_from_json = json.JSONDecoder().raw_decode

_to_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def encode_content(content: Mapping[str, Any]) -> bytes:
    """Return a content as bytes: the text itself, or msgpack; deflated when it is long.

    Raises:   TypeError, ValueError or OverflowError: it holds what msgpack cannot say.
    """
    if len(content) == 1 and isinstance(content.get("text"), str):
        kind, deflated = _TEXT, _DEFLATED_TEXT
        raw = content["text"].encode("utf-8", "surrogatepass")
    else:
        kind, deflated = _CONTENT, _DEFLATED_CONTENT
        raw = msgpack.packb(dict(content), unicode_errors="surrogatepass")
    if len(raw) < _COMPRESS_FROM_BYTES:
        return kind + bytes(raw)
    packed = zlib.compress(raw, 1)
    return deflated + packed if len(packed) < len(raw) else kind + bytes(raw)


def decode_content(body: bytes) -> dict[str, Any]:
    """Return the content of a body.

    Raises:   CorruptDataError: the bytes are not what ``encode_content`` made.
    """
    try:
        kind, raw = body[:1], body[1:]
        if kind in {_DEFLATED_TEXT, _DEFLATED_CONTENT}:
            kind, raw = kind.lower(), zlib.decompress(raw)
        if kind == _TEXT:
            return {"text": raw.decode("utf-8", "surrogatepass")}
        if kind == _CONTENT:
            content: dict[str, Any] = msgpack.unpackb(raw, unicode_errors="surrogatepass")
            return content
    except (ValueError, zlib.error, msgpack.UnpackException) as error:
        raise CorruptDataError("a document's content", str(error)) from error
    raise CorruptDataError("a document's content", f"it begins with {kind!r}")


def encode_tags(doc_id: str, tags: Mapping[str, Any]) -> str:
    """Return tags as JSON, in which every character is ASCII.

    Raises:   InvalidDocumentError: the tags hold what JSON cannot say.
    """
    if not tags:
        return "{}"
    try:
        return _to_json(dict(tags))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidDocumentError(doc_id, f"its tags are no JSON ({error})") from error


def decode_tags(tags: str) -> Mapping[str, Any]:
    """Return tags from their JSON."""
    if tags == "{}":
        return _NO_TAGS
    decoded: dict[str, Any] = _from_json(tags)[0]
    return decoded


def encode_vector(vector: Float32 | None) -> bytes | None:
    """Return a user's own vector as bytes."""
    return None if vector is None else np.ascontiguousarray(vector, "<f4").tobytes()


def decode_vector(raw: bytes | None) -> Float32 | None:
    """Return a user's own vector."""
    return None if raw is None else np.frombuffer(raw, "<f4")


def check_document(document: Document) -> None:
    """Refuse what could be stored but not be found again, or not on every database.

    Raises:   InvalidDocumentError: the id or the weight is unusable.
    """
    check_id(document.doc_id)
    check_weight(document.doc_id, document.weight)


def check_id(doc_id: str) -> None:
    """Refuse an id that is empty, too long, or holds what a database cannot keep.

    Raises:   InvalidDocumentError: it is one of these.
    """
    try:
        size = len(doc_id.encode())
    except UnicodeEncodeError:
        reason = "its id holds half a surrogate pair; send valid Unicode"
        raise InvalidDocumentError(doc_id, reason) from None
    if not 0 < size <= MAX_ID_BYTES:
        reason = f"its id takes {size} bytes; 1 to {MAX_ID_BYTES} are allowed"
        raise InvalidDocumentError(doc_id[:64], reason)
    if "\x00" in doc_id:
        raise InvalidDocumentError(doc_id, "its id holds the character U+0000; leave it out")


def check_weight(doc_id: str, weight: float) -> None:
    """Refuse a weight that no score can be multiplied with.

    Raises:   InvalidDocumentError: it is not a finite number.
    """
    try:
        is_usable = math.isfinite(weight)
    except OverflowError:  # an integer beyond every float
        is_usable = False
    if not is_usable:
        shown = str(weight)[:40]
        raise InvalidDocumentError(doc_id, f"its weight is {shown}; send a finite number")


def payload_hash(documents: list[dict[str, Any]]) -> str:
    """Return what tells one batch of encoded rows from another, whenever it is sent."""
    digest = sha256()
    for row in documents:
        fields = [row[key] for key in ("doc_id", "modality", "body", "tags", "weight", "vector")]
        digest.update(msgpack.packb(fields))
    return digest.hexdigest()
