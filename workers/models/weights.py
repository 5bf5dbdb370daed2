"""Weights in safetensors files, read with numpy alone, memory-mapped where the type allows."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2"}
_TYPES |= {"I8": "i1", "U8": "u1", "BOOL": "?", "BF16": "<u2"}
#: Endings of files with weights, configuration or vocabulary.
_SHAPING = (".safetensors", ".onnx", ".json", "vocab.txt", "merges.txt")
#: A longer header is no header but damage; the format sets this limit.
_MAX_HEADER = 100_000_000


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a model folder, in order of their names.

    Raises:
        FileNotFoundError: there are none.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(
            f"{folder} holds no *.safetensors; save the model with safe_serialization=True"
        )
    return files


def read_weights(folder: Path) -> dict[str, NDArray[Any]]:
    """Return all tensors of a model folder by name."""
    return {name: array for file in weight_files(folder) for name, array in _tensors(file)}


def folder_digest(folder: Path) -> str:
    """Return a hash over all files of a model folder that shape its vectors, 16 hex digits."""
    whole = hashlib.sha256()
    files = (file for file in folder.rglob("*") if file.name.endswith(_SHAPING))
    for file in sorted(files):
        with file.open("rb") as stream:
            whole.update(str(file.relative_to(folder)).encode())
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()[:16]


def path_digest(path: Path) -> str:
    """Return a hash over a file, or over all files of a folder, 16 hex digits."""
    whole = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()) or [path]:
        whole.update(str(file.relative_to(path)).encode())
        whole.update(file_digest(file).encode())
    return whole.hexdigest()[:16]


def file_digest(file: Path) -> str:
    """Return a hash over one file of weights, 16 hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def _tensors(file: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield (name, tensor) of one file: 8 bytes of header length, JSON header, raw values."""
    raw = np.memmap(file, dtype=np.uint8, mode="r")
    length = int(raw[:8].view("<u8")[0])
    if length > min(_MAX_HEADER, raw.size - 8):
        raise ValueError(f"{file} is damaged: its header does not fit")
    header: Mapping[str, Any] = json.loads(raw[8 : 8 + length].tobytes())
    values = raw[8 + length :]
    for name, entry in header.items():
        if name != "__metadata__":
            yield name, _tensor(file, name, entry, values)


def _tensor(
    file: Path, name: str, entry: Mapping[str, Any], values: NDArray[np.uint8]
) -> NDArray[Any]:
    try:
        dtype = np.dtype(_TYPES[entry["dtype"]])
    except KeyError as error:
        raise ValueError(
            f"{file}: {name} is of type {entry['dtype']}, which is not read"
        ) from error
    start, stop = entry["data_offsets"]
    flat = np.ndarray((stop - start) // dtype.itemsize, dtype, buffer=values.data, offset=start)
    if entry["dtype"] == "BF16":  # the upper half of a float32
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.reshape(entry["shape"])
