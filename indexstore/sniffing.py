"""What a content is, read from its first bytes; what a header or a file name claims counts nothing.

A container says less than one would like: an MP4 may hold a film, or only sound; a GIF may be a
picture, or a short film. So a type may stand for several modalities, its usual one first.
"""

from collections.abc import Mapping

import filetype

#: Enough for every signature that is known here.
SNIFFED_BYTES = 8192
UNKNOWN = "application/octet-stream"

_KINDS = ("image", "video", "audio")
#: Pictures that may move; Ogg that holds a film.
_ALSO: Mapping[str, tuple[str, ...]] = {
    "image/gif": ("video",), "image/apng": ("video",), "audio/ogg": ("video",),
}  # fmt: skip
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ")
_TS_PACKET, _TS_SYNC = 188, 0x47


def sniff(data: bytes) -> str:
    """Return the media type that the first bytes of a content show."""
    head = bytes(data[:SNIFFED_BYTES])
    found = filetype.guess_mime(head)
    if found == "audio/ogg" and b"theora" in head:
        return "video/ogg"
    return str(found or _further(head))


def modalities_of(media_type: str) -> tuple[str, ...]:
    """Return what a content of this type may be taken as, its usual modality first."""
    kind = media_type.split("/", 1)[0]
    if kind not in _KINDS:
        return ()
    further = ("audio",) if kind == "video" else ()
    return (kind, *further, *_ALSO.get(media_type, ()))


def _further(head: bytes) -> str:
    """Return the type of containers that filetype passes over."""
    if head[4:8] == b"ftyp":
        return "audio/mp4" if head[8:12] in _SOUND_BRANDS else "video/mp4"
    if head[:4] == b"\x00\x00\x01\xba":
        return "video/mpeg"
    if len(head) > 2 * _TS_PACKET and {head[i * _TS_PACKET] for i in range(3)} == {_TS_SYNC}:
        return "video/mp2t"
    return UNKNOWN
