"""What a content is, its first bytes say; a container may be one of several things."""

from __future__ import annotations

import io

import pytest

pytest.importorskip("av")
pytest.importorskip("PIL")

from PIL import Image

from indexstore.sniffing import UNKNOWN, modalities_of, sniff
from tests.workers.media import film, sound, tone
from tests.workers.pictures import drawn, encoded


def moving(kind: str) -> bytes:
    """Return an animation of two frames."""
    frames = [Image.fromarray(drawn(16, 16, seed=seed)) for seed in (1, 2)]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "media_type", "modalities"),
    [
        (encoded(drawn()), "image/png", ("image",)),
        (encoded(drawn(), "JPEG"), "image/jpeg", ("image",)),
        (encoded(drawn(), "WEBP"), "image/webp", ("image",)),
        (encoded(drawn(), "AVIF"), "image/avif", ("image",)),
        (encoded(drawn(), "BMP"), "image/bmp", ("image",)),
        (encoded(drawn(), "TIFF"), "image/tiff", ("image",)),
        (moving("GIF"), "image/gif", ("image", "video")),
        (moving("PNG"), "image/apng", ("image", "video")),
        (film([1]), "video/mp4", ("video", "audio")),
        (film([1], codec="ffv1"), "video/x-matroska", ("video", "audio")),
        (film([1], codec="mpeg2video", container="mpegts"), "video/mp2t", ("video", "audio")),
        (film([1], codec="mjpeg", container="avi"), "video/x-msvideo", ("video", "audio")),
        (film([1], container="mov"), "video/quicktime", ("video", "audio")),
        (sound(tone(440, 0.1)), "audio/x-flac", ("audio",)),
        (b"\0\0\0\x18ftypdash\0\0\0\0iso6" + bytes(64), "video/mp4", ("video", "audio")),
        (b"\0\0\0\x18ftypM4B \0\0\0\0M4B " + bytes(64), "audio/mp4", ("audio",)),
        (b"OggS" + bytes(24) + b"\x80theora" + bytes(64), "video/ogg", ("video", "audio")),
        (b"#EXTM3U\nhttp://127.0.0.1/x.ts\n", UNKNOWN, ()),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UNKNOWN, ()),
        (b"%PDF-1.7", "application/pdf", ()),
        (b"plain words", UNKNOWN, ()),
        (b"", UNKNOWN, ()),
    ],
)  # fmt: skip
def test_the_bytes_say_what_it_is(
    content: bytes, media_type: str, modalities: tuple[str, ...]
) -> None:
    """Type and modalities, the usual one first; playlists and drawings in words are none."""
    assert sniff(content) == media_type
    assert modalities_of(sniff(content)) == modalities
