"""faiss for our engines: without its stubs, and with the thread budget of the process."""

import importlib
import os
import threading
from typing import Any

#: The stubs that come with faiss lack much of what it exports and mistype the rest.
faiss: Any = importlib.import_module("faiss")

_seen = threading.local()


def use_thread_budget() -> None:
    """Give the calling thread the number of OpenMP threads that its process was granted.

    faiss keeps that number for every thread on its own: each thread of a pool that calls it
    starts as many threads as there are cores, whatever another thread has set before.
    """
    if not getattr(_seen, "is_set", False):
        budget = os.environ.get("OMP_NUM_THREADS", "")
        if budget.isdigit() and int(budget) > 0:
            faiss.omp_set_num_threads(int(budget))
        _seen.is_set = True
