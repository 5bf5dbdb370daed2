"""Opening ONNX sessions the way a worker wants them: few threads, none of them spinning."""

import os
from collections.abc import Mapping
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

#: Quiet: ONNX Runtime writes warnings to standard error that nobody can act on.
_ERRORS_ONLY = 3


def open_session(
    model: bytes | str, *, weights: Mapping[str, NDArray[Any]] | None = None
) -> "ort.InferenceSession":
    """Open a model, given as bytes or as a file's name, for use by many threads at once.

    ``OMP_NUM_THREADS`` bounds its threads as it does those of every other numeric library of the
    worker; without it there is one, since a host runs several workers and several of their threads
    may share a session.

    Args:
        model: the serialised graph, or its path.
        weights: initialisers that the graph declares but does not contain; must not change later.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or 1)
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if weights:
        values = [ort.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
