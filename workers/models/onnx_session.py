"""Opening ONNX sessions the way a worker wants them: few threads, none of them spinning."""

import os
from collections.abc import Mapping
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

#: Quiet: ONNX Runtime writes warnings to standard error that nobody can act on.
_ERRORS_ONLY = 3
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def open_session(
    model: bytes | str,
    *,
    weights: Mapping[str, NDArray[Any]] | None = None,
    device: str = "auto",
) -> "ort.InferenceSession":
    """Open a model, given as bytes or as a file's name, for use by many threads at once.

    ``OMP_NUM_THREADS`` bounds its threads as it does those of every other numeric library of the
    worker; without it there is one, since a host runs several workers and several of their threads
    may share a session.

    Args:
        model: the serialised graph, or its path.
        weights: initialisers that the graph declares but does not contain; must not change later.
        device: auto, cpu, cuda or cuda:1; auto is the GPU where the installed ONNX Runtime has one.

    Raises:
        ValueError: the model cannot be read, or the device cannot be used.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or 1)
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if weights:
        values = [ort.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
    providers = _providers(device)
    try:
        return ort.InferenceSession(model, options, providers=providers)
    except Exception as error:  # ONNX Runtime raises classes of its own, of no common base
        raise ValueError(f"this is no model that ONNX Runtime can open: {error}") from error


def _providers(device: str) -> list[Any]:
    """Return what runs the model, the first that can."""
    name, _, number = device.partition(":")
    if name not in {"auto", "cpu", "cuda"} or not (number or "0").isdecimal():
        raise ValueError(f"device: {device!r} is none of auto, cpu, cuda, cuda:1")
    has_cuda = _CUDA in ort.get_available_providers()
    if name == "cuda" and not has_cuda:
        raise ValueError(
            "device: the installed ONNX Runtime has no CUDA; cure: pip uninstall onnxruntime, then"
            " pip install onnxruntime-gpu"
        )
    if name == "cpu" or not has_cuda:
        return [_CPU]
    return [(_CUDA, {"device_id": int(number or 0)}), _CPU]
