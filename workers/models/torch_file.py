"""Weights out of files that torch saved, without torch and without running what a pickle says.

Both layouts are read: the zip of today and the stream of before torch 1.6. The unpickler knows
tensors, numbers and containers; anything else a file names becomes a thing that does nothing.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES: Mapping[str, str] = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8",
    "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?",
}  # fmt: skip
_HEADERS = 3  # pickles before the content of a stream: magic, protocol, system
_LENGTH_BYTES = 8


class _Storage:
    """The numbers that several tensors may share; filled once the file has been read."""

    def __init__(self, dtype: str) -> None:
        self.values: NDArray[Any] = np.zeros(0, dtype)


class _Tensor:
    """Where a tensor lies in its storage."""

    def __init__(self, storage: _Storage, offset: int, shape: Any, strides: Any) -> None:
        self.storage, self.offset = storage, offset
        self.shape, self.strides = tuple(shape), tuple(strides)

    def array(self) -> NDArray[Any]:
        """Return it as an array."""
        values = self.storage.values[self.offset :]
        steps = [stride * values.itemsize for stride in self.strides]
        reach = sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if 0 not in self.shape and reach >= len(values):
            raise ValueError("a tensor reaches beyond its storage")
        return np.lib.stride_tricks.as_strided(values, self.shape, steps, writeable=False)


class _Unpickler(pickle.Unpickler):
    """Builds tensors and containers, and nothing else."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a class of the file; never the class."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, shape, strides, *_: _Tensor(
                storage, offset, shape, strides
            )
        return _TYPES.get(name, _Unknown) if module.startswith("torch") else _Unknown

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage of a key."""
        _, dtype, key, *_ = pid
        if not isinstance(dtype, str):
            raise pickle.UnpicklingError("a tensor of an unknown type")
        return self.storages.setdefault(str(key), _Storage(dtype))


def read_torch_file(path: Path) -> dict[str, NDArray[Any]]:
    """Return all tensors of a checkpoint by name, those of nested dictionaries joined by a dot.

    Raises:
        ValueError: the file is damaged, or no checkpoint.
    """
    try:
        content = _zipped(path) if zipfile.is_zipfile(path) else _streamed(path)
        return dict(_tensors(content))
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path} is no checkpoint that can be read: {error}") from error


def _zipped(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        (index,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        unpickler = _Unpickler(io.BytesIO(archive.read(index)))
        content = unpickler.load()
        for key, storage in unpickler.storages.items():
            raw = archive.read(index.removesuffix("data.pkl") + f"data/{key}")
            storage.values = np.frombuffer(raw, storage.values.dtype)
    return content


def _streamed(path: Path) -> Any:
    with path.open("rb") as file:
        for _ in range(_HEADERS):
            _Unpickler(file).load()
        unpickler = _Unpickler(file)
        content = unpickler.load()
        for key in _Unpickler(file).load():
            storage = unpickler.storages[str(key)]
            count = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            raw = file.read(count * storage.values.itemsize)
            storage.values = np.frombuffer(raw, storage.values.dtype)
    return content


def _tensors(content: Any, prefix: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield (name, array) of every tensor in nested dictionaries and lists."""
    if isinstance(content, _Tensor):
        yield prefix, content.array()
        return
    pairs: Iterable[tuple[Any, Any]] = content.items() if isinstance(content, Mapping) else ()
    if isinstance(content, list | tuple):
        pairs = enumerate(content)
    for name, value in pairs:
        yield from _tensors(value, f"{prefix}.{name}" if prefix else str(name))


class _Unknown:
    """Stands for anything that is no tensor."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        """Take no state."""
