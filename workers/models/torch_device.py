"""Where torch runs a network, and how precisely: in half precision on a GPU, if there is one."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Self

import torch

from workers.component import Floats
from workers.models.batch_size import BatchSize

#: Inputs of the first run on a GPU, which says what one takes; and of every run on a CPU.
_FIRST = 16


@dataclass(frozen=True, slots=True)
class TorchDevice:
    """A device, and the type in which networks multiply on it; weights stay in float32."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(cls, device: str, precision: str) -> Self:
        """Return the device of this name; ``auto`` is the GPU if there is one.

        Raises:
            ValueError: there is no such device.
        """
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
        try:
            place = torch.device(_best() if device == "auto" else device)
            torch.zeros(1, device=place)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(
                f"device: {device!r} cannot be used here ({reason}); use auto or cpu, or install a"
                " build of torch for it"
            ) from error
        known = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
        return cls(place, known.get(precision) or _precision_of(place))

    def mixed(self) -> AbstractContextManager[object]:
        """Return the context in which a network multiplies in ``dtype``, and adds in float32."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def batches(self, size: int) -> BatchSize:
        """Return batches of this size; of 0, of what the device's memory holds."""
        memory = CudaMemory(self.device) if self.device.type == "cuda" and not size else None
        return BatchSize(size or _FIRST, memory)


class CudaMemory:
    """The memory of one GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def free_bytes(self) -> int:
        """Return what nobody has, and what torch keeps for later."""
        free, _ = torch.cuda.mem_get_info(self._device)
        kept = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return int(free + kept)

    def measured(self, call: Callable[[], Floats]) -> tuple[Floats, int]:
        """Return what a call returns, and how much it took at its peak."""
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        rows = call()
        return rows, torch.cuda.max_memory_allocated(self._device) - before

    def let_go(self) -> None:
        """Give back what torch keeps for later."""
        torch.cuda.empty_cache()


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _precision_of(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32
