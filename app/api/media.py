"""Media on their way in: decoded, sniffed, and kept in the store, so that documents stay small.

A content is what its bytes say, never what a header or a file name claims.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from app.api.schemas.search import Media
from indexstore.errors import IndexStoreError
from indexstore.media import Blob, MediaStore, sniff

_SNIFFED_BYTES = 8_192
_MODALITIES = ("image", "video", "audio")


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
        return {"url": _checked_url(media.url)}
    if media.blob is not None:
        return described(_stored(media.blob, store), modality, field="blob")
    data = _decoded(media.base64 or "", modality)
    return described(store.put(data), modality, field="base64")


def content_of(media: Media, modality: str, store: MediaStore) -> bytes:
    """Return the bytes of a query's medium; nothing is stored.

    Raises:
        MediaRefusedError: it is not of this modality, not there, not decodable, or an address.
    """
    if media.url is not None:
        raise MediaRefusedError("url", "a query brings its content; send base64 or a stored blob")
    if media.blob is not None:
        described(_stored(media.blob, store), modality, field="blob")
        return store.get(media.blob)
    return _decoded(media.base64 or "", modality)


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


def described(blob: Blob, modality: str, *, field: str) -> dict[str, Any]:
    """Return what a document keeps of a stored medium.

    Raises:
        MediaRefusedError: it is not of this modality.
    """
    if blob.modality != modality:
        raise MediaRefusedError(field, f"the content is {blob.media_type}, not {modality}")
    return {"blob": blob.name, "media_type": blob.media_type, "size_bytes": blob.size_bytes}


def item_of(data: bytes, name: str, attributes: Mapping[str, Any], store: MediaStore) -> Any:
    """Return an uploaded file as the document a client would send: a medium by blob, or text.

    What is neither is returned as text that the check of items refuses with a reason.
    """
    tags = {"filename": name, **attributes.get("tags", {})} if name else attributes.get("tags", {})
    item = {**attributes, "tags": tags}
    blob = Blob.of(data)
    if blob.modality is not None:
        return {**item, blob.modality: {"blob": store.put(data).name}}
    try:
        return {**item, "text": data.decode("utf-8")}
    except UnicodeDecodeError as error:
        found = "of no type that is known here" if "octet" in blob.media_type else blob.media_type
        reason = f"neither media nor UTF-8 text (byte {error.start}); it is {found}"
        raise MediaRefusedError(name or "file", reason) from None


def _stored(name: str, store: MediaStore) -> Blob:
    """Describe a stored blob.

    Raises:
        MediaRefusedError: there is none of that name.
    """
    try:
        media_type = sniff(store.get(name, 0, _SNIFFED_BYTES))
        size_bytes = store.size_bytes(name)
    except IndexStoreError as error:
        raise MediaRefusedError("blob", str(error)) from None
    kind = media_type.split("/", 1)[0]
    return Blob(name, size_bytes, media_type, kind if kind in _MODALITIES else None)


def _checked_url(url: str) -> str:
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
