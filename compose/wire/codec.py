"""The message format: msgpack with raw numpy buffers; never pickle, never lists of floats.

Source: https://github.com/msgpack/msgpack/blob/master/spec.md (extension types).
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgpack
import numpy as np
from numpy.typing import NDArray

SERIALIZER: Final = "gnes-msgpack"
CONTENT_TYPE: Final = "application/x-gnes-msgpack"
_ARRAY: Final = 1  # msgpack extension code of an array
_DTYPES: Final = frozenset({"<f4", "<f8", "<i4", "<i8", "|u1", "<u4", "<u8", "|b1"})
_MAX_NDIM: Final = 4


class WireFormatError(ValueError):
    """A message is not what this version writes."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"a message could not be read: {self.reason}; do all processes of this deployment"
            " run the same version?"
        )


def dumps(message: Any) -> bytes:
    """Encode plain data and arrays.

    Raises:
        TypeError: something else than plain data or a numeric array is inside.
    """
    # strict_types: Celery's signatures are dict subclasses whose len() is not their number of
    # keys (celery#4710), so subclasses must pass through _default.
    packed: bytes = msgpack.packb(message, default=_default, strict_types=True)
    return packed


def loads(data: bytes | bytearray | memoryview | str) -> Any:
    """Decode what ``dumps`` wrote; arrays are read-only views of the message.

    Raises:
        WireFormatError: the bytes are malformed, or an array's dtype or shape is not allowed.
    """
    raw = data.encode("latin-1") if isinstance(data, str) else data
    try:
        return msgpack.unpackb(raw, ext_hook=_ext_hook, strict_map_key=False)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise WireFormatError(str(error)) from error  # TypeError: a key that cannot be one


def _default(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _encode_array(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return dict(value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, str):
        return str.__str__(value)
    msg = f"{type(value).__name__} cannot travel in a message; send plain data or arrays"
    raise TypeError(msg)


def _encode_array(array: NDArray[Any]) -> msgpack.ExtType:
    if array.dtype.str not in _DTYPES:
        msg = f"an array of {array.dtype} cannot travel in a message"
        raise TypeError(msg)
    head = msgpack.packb((array.dtype.str, array.shape))
    return msgpack.ExtType(_ARRAY, head + np.ascontiguousarray(array).tobytes())


def _ext_hook(code: int, data: bytes) -> Any:
    if code != _ARRAY:
        msg = f"unknown extension {code}"
        raise ValueError(msg)
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(data[:128])
    dtype, shape = unpacker.unpack()
    if dtype not in _DTYPES or len(shape) > _MAX_NDIM or any(n < 0 for n in shape):
        msg = f"array of dtype {dtype!r} and shape {shape!r}"
        raise ValueError(msg)
    start = unpacker.tell()
    if len(data) - start != math.prod(shape) * np.dtype(dtype).itemsize:
        msg = f"array of shape {shape!r} with {len(data) - start} bytes"
        raise ValueError(msg)
    return np.frombuffer(data, dtype, offset=start).reshape(shape)
