"""Containers of films and sounds, opened from a file; nothing that they name is opened as well."""

from typing import Any, BinaryIO

import av
from av.error import FFmpegError

from workers.errors import ContentError

#: A playlist among the uploads must not make the decoder open files or addresses.
_ALONE = {"protocol_whitelist": "none"}


def open_container(file: BinaryIO, what: str) -> Any:
    """Return the container that a file holds.

    Args:
        file: to read and seek in.
        what: it should be, for the error: film or sound.

    Raises:
        ContentError: it is empty, or holds none.
    """
    file.seek(0)
    if not file.read(1):
        raise ContentError(f"the {what} is empty: it has no bytes")
    file.seek(0)
    try:
        return av.open(file, metadata_errors="replace", options=dict(_ALONE))
    except (FFmpegError, ValueError) as error:
        reason = f"these bytes are no {what} that can be opened: {reason_of(error)}"
        raise ContentError(reason) from None


def reason_of(error: Exception) -> str:
    """Return what the decoder says; its error's own text names a path of this machine as well."""
    return str(getattr(error, "strerror", None) or error)
