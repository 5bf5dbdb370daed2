"""The thread budget of faiss, which it keeps for every calling thread on its own."""

import os
import threading

import faiss

_seen = threading.local()


def use_thread_budget() -> None:
    """Give the calling thread the number of OpenMP threads that its process was granted.

    Without this, each thread of a pool that calls faiss starts as many threads as there are
    cores, whatever another thread has set before.
    """
    if not getattr(_seen, "is_set", False):
        budget = os.environ.get("OMP_NUM_THREADS", "")
        if budget.isdigit() and int(budget) > 0:
            faiss.omp_set_num_threads(int(budget))
        _seen.is_set = True
