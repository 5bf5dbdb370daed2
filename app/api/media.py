"""Media on their way in: decoded, sniffed, and kept in the store, so that documents stay small.

A content is what its bytes say, never what a header or a file name claims.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from app.api.schemas.search import Media
from compose.plan import ANY_MODALITY
from indexstore.errors import IndexStoreError
from indexstore.incoming import Blob, Readable
from indexstore.media import MediaStore
from indexstore.sniffing import SNIFFED_BYTES, UNKNOWN, modalities_of, sniff

#: A query's content travels in its message up to this size; a larger one is stored for a day.
INSIDE_BYTES = 256 * 1024
#: Texts are read into memory as they come: what is longer is no document.
_MAX_TEXT_BYTES = 16 * 1024 * 1024


class MediaRefusedError(ValueError):
    """A medium cannot be taken in; ``field`` says which part of it, the text why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field, self.reason = field, reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


def settle(media: Media, modality: str, store: MediaStore) -> dict[str, Any]:
    """Return what a document keeps of a medium: the blob's name, or the address to fetch it from.

    Raises:
        MediaRefusedError: it is not of this modality, not there, or not decodable.
    """
    if media.url is not None:
        return {"url": checked_url(media.url)}
    if media.blob is not None:
        return described(_stored(media.blob, store), modality, field="blob")
    data = _decoded(media.base64 or "", modality)
    return described(store.put(data), modality, field="base64")


def content_of(media: Media, modality: str, store: MediaStore) -> bytes | str:
    """Return a query's content: its bytes when they are few, else the name under which it lies.

    Raises:
        MediaRefusedError: it is not of this modality, not there, or not decodable.
    """
    if media.blob is not None:
        described(_stored(media.blob, store), modality, field="blob")
        return media.blob
    data = _decoded(media.base64 or "", modality)
    return data if len(data) <= INSIDE_BYTES else store.put(data).name


def described(blob: Blob, modality: str, *, field: str) -> dict[str, Any]:
    """Return what a document keeps of a stored medium.

    Raises:
        MediaRefusedError: it is not of this modality.
    """
    if modality not in blob.modalities:
        raise MediaRefusedError(field, f"the content is {blob.media_type}, not {modality}")
    return {"blob": blob.name, "media_type": blob.media_type, "size_bytes": blob.size_bytes}


def item_of(
    file: Readable,
    name: str,
    attributes: Mapping[str, Any],
    store: MediaStore,
    taken: Sequence[str] = (ANY_MODALITY,),
) -> Any:
    """Return an uploaded file as the document a client would send: a medium by blob, or text.

    Args:
        file: its content.
        name: what its sender calls it; shown, never believed.
        attributes: what else to know of it.
        store: where media are kept.
        taken: the modalities of the flow; a content that may be several is what the flow takes.

    Raises:
        MediaRefusedError: it is neither a medium nor text.
    """
    shown = PurePath(name.replace("\\", "/")).name
    tags = (
        {"filename": shown, **attributes.get("tags", {})} if shown else attributes.get("tags", {})
    )
    item = {**attributes, "tags": tags}
    blob, text = stored_file(file, name, store)
    if blob is None:
        return {**item, "text": text}
    return {**item, modality_of(blob, taken): {"blob": blob.name}}


def modality_of(blob: Blob, taken: Sequence[str]) -> str:
    """Return as what a content is taken: as the first of its modalities that the flow takes."""
    return next((kind for kind in blob.modalities if kind in taken), blob.modalities[0])


def stored_file(file: Readable, name: str, store: MediaStore) -> tuple[Blob | None, str]:
    """Return the medium that a file holds, stored; or None and its text.

    Raises:
        MediaRefusedError: it is neither, or empty.
    """
    head = file.read(SNIFFED_BYTES)
    media_type = sniff(head)
    if modalities_of(media_type):
        with store.incoming() as incoming:
            incoming.write(head)
            incoming.copy(file)
            return incoming.keep(), ""
    if not head:
        raise MediaRefusedError(name or "file", "the file is empty: it has no bytes")
    if media_type != UNKNOWN:
        raise MediaRefusedError(name or "file", f"neither media nor UTF-8 text; it is {media_type}")
    return None, _text(head + file.read(_MAX_TEXT_BYTES), name or "file")


def _text(data: bytes, name: str) -> str:
    """Return bytes as the text that they are.

    Raises:
        MediaRefusedError: they are none, or too many.
    """
    if len(data) > _MAX_TEXT_BYTES:
        raise MediaRefusedError(name, f"no medium, and over {_MAX_TEXT_BYTES} bytes of text")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        reason = f"neither media nor UTF-8 text (byte {error.start}); its type is not known here"
        raise MediaRefusedError(name, reason) from None
    if "\x00" in text:
        reason = f"neither media nor text: it holds NUL (character {text.index(chr(0))})"
        raise MediaRefusedError(name, reason)
    return text


def checked_url(url: str) -> str:
    """Return an address that the fetch stage may try; where it leads is checked there.

    Raises:
        MediaRefusedError: it is no address of the web.
    """
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_web = False
    if not is_web:
        raise MediaRefusedError("url", "expected an address that begins with http:// or https://")
    return url


def _decoded(base64: str, modality: str) -> bytes:
    """Return the content of a base64 text, if it is of this modality."""
    try:
        data = b64decode(base64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MediaRefusedError("base64", f"this is not base64: {error}") from None
    if not data:
        raise MediaRefusedError("base64", "the content is empty")
    described(Blob.of(data), modality, field="base64")
    return data


def _stored(name: str, store: MediaStore) -> Blob:
    """Describe a stored blob.

    Raises:
        MediaRefusedError: there is none of that name.
    """
    try:
        return store.claim(name)
    except IndexStoreError as error:
        raise MediaRefusedError("blob", str(error)) from None
