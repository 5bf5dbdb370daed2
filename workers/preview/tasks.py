"""The preview stage: a stored medium in, something small to look at or to play out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from celery import shared_task

from compose.wire import names
from compose.wire.messages import MediaTask
from indexstore.media import digest_of
from indexstore.sniffing import modalities_of
from workers.answering import run_media_task
from workers.errors import ContentError, MissingLibraryError
from workers.runtime import Runtime, runtime

_LIBRARIES = "av==18.1.0 pillow==13.0.0"


@shared_task(name=names.PREVIEW)
def preview(wire: Mapping[str, Any]) -> None:
    """Make a thumbnail or a clip of a medium, keep it beside the medium, and answer with it."""
    run_media_task(wire, "preview", _preview)


def _preview(order: MediaTask) -> tuple[Any, ...]:
    state = runtime()
    wanted = order.arguments
    blob, recipe = str(wanted["blob"]), str(wanted["recipe"])
    previews = state.media.previews
    made = previews.get(digest_of(blob), recipe)  # by another request meanwhile
    if made is None:
        made = _made(state, blob, wanted)
        previews.keep(digest_of(blob), recipe, made)
    return (made,)


def _made(state: Runtime, blob: str, wanted: Mapping[str, Any]) -> bytes:
    """Return the preview that is asked for.

    Raises:
        ContentError: the content is no medium, or broken, or has no such part.
    """
    try:
        from workers.preview import clips, thumbnails  # noqa: PLC0415  (av is optional)
    except ModuleNotFoundError as error:
        raise MissingLibraryError("preview", str(error.name), _LIBRARIES) from error
    opener = partial(state.media.open, blob)
    kinds = modalities_of(state.media.describe(blob).media_type)
    kind, size, span = wanted.get("kind"), int(wanted["size"]), wanted.get("span")
    if not kinds:
        raise ContentError("the content is no image, video or audio")
    if kind == clips.SOUND_FORMAT:
        return clips.sound_clip(opener, span=_pair(span))
    if kind is not None:
        return clips.film_clip(opener, span=_pair(span), size=size, kind=str(kind))
    with opener() as file:
        if kinds[0] == "image":
            return thumbnails.picture(file, size=size, box=wanted.get("box"))
        if kinds[0] == "video":
            return thumbnails.frame(file, size=size, at=wanted.get("at"))
        return thumbnails.waveform(file, size=size, span=None if span is None else _pair(span))


def _pair(span: Any) -> tuple[float, float]:
    start, end = span
    return float(start), float(end)
