"""Batches that fit a memory: learnt from the first run, halved where they do not."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from workers.component import Floats
from workers.models.batch_size import BatchSize, is_out_of_memory


class Device:
    """A device of so many bytes, of which every input of a batch takes some."""

    def __init__(self, total: int, each: int) -> None:
        self.total, self.each = total, each
        self.batches: list[int] = []
        self.has_let_go = False

    def network(self, inputs: Sequence[int]) -> Floats:
        """Return the inputs as rows, if they fit."""
        self.batches.append(len(inputs))
        if len(inputs) * self.each > self.total:
            raise RuntimeError("CUDA out of memory. Tried to allocate more than there is")
        return np.array([[value] for value in inputs], np.float32)

    def free_bytes(self) -> int:
        """Return all: what a batch took is given back."""
        return self.total

    def measured(self, call: Callable[[], Floats]) -> tuple[Floats, int]:
        """Return what a call returns, and what it took."""
        rows = call()
        return rows, len(rows) * self.each

    def let_go(self) -> None:
        """Remember that it was asked."""
        self.has_let_go = True


def test_the_first_run_says_how_many_fit() -> None:
    """After one small batch the next ones fill half of the memory, and no row is lost."""
    device = Device(total=1000, each=10)
    batches = BatchSize(4, device)

    rows = batches.run(device.network, range(104))

    assert rows[:, 0].tolist() == list(range(104))
    assert device.batches == [4, 50, 50]


def test_a_last_batch_says_nothing() -> None:
    """Fewer inputs than a first run has are no measure; the next call measures."""
    device = Device(total=1000, each=10)
    batches = BatchSize(4, device)

    batches.run(device.network, range(3))
    batches.run(device.network, range(54))

    assert device.batches == [3, 4, 50]


@pytest.mark.parametrize("has_memory", [True, False])
def test_what_does_not_fit_is_halved_until_it_does(has_memory: bool) -> None:
    """A batch that finds no memory is run again in halves, and later ones stay as small."""
    device = Device(total=30, each=10)
    batches = BatchSize(16, device if has_memory else None)

    rows = batches.run(device.network, range(20))

    assert rows[:, 0].tolist() == list(range(20))
    assert device.batches[:4] == [16, 8, 4, 2]
    assert batches.size == 2
    assert device.has_let_go is has_memory


def test_a_single_input_that_does_not_fit_is_an_error() -> None:
    """There is nothing left to halve."""
    device = Device(total=5, each=10)

    with pytest.raises(MemoryError, match="single input"):
        BatchSize(4).run(device.network, range(4))


def test_other_errors_are_raised_as_they_are() -> None:
    """Only a lack of memory is a reason to try again."""

    def broken(_: Sequence[int]) -> Floats:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        BatchSize(4).run(broken, range(4))


def test_each_library_has_words_of_its_own_for_it() -> None:
    """Torch on a GPU, torch on a CPU, ONNX Runtime and Python itself are understood."""
    errors = (
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 7 bytes"),
        RuntimeError(
            "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer"
        ),
        MemoryError(),
    )

    assert all(is_out_of_memory(error) for error in errors)
    assert not is_out_of_memory(ValueError("out of memory"))
