"""Why a request got no answer: each names what was asked, what did not come, and what to do."""

from __future__ import annotations

from typing import ClassVar


class DispatchError(Exception):
    """A request could not be answered."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "dispatch"


class OverloadedError(DispatchError):
    """As many queries are waiting as one API process may hold."""

    status = 503
    code = "overloaded"

    def __init__(self, retry_after_s: float, waiting: int) -> None:
        super().__init__(retry_after_s, waiting)
        self.retry_after_s, self.waiting = retry_after_s, waiting

    def __str__(self) -> str:
        return (
            f"{self.waiting} queries are waiting already; repeat the request in "
            f"{self.retry_after_s:g} s, or start more search and encode workers"
        )


class NotReadyError(DispatchError):
    """Something that every answer needs is not there."""

    status = 503
    code = "not_ready"

    def __init__(self, what: str, cure: str, retry_after_s: float = 1.0) -> None:
        super().__init__(what, cure, retry_after_s)
        self.what, self.cure, self.retry_after_s = what, cure, retry_after_s

    def __str__(self) -> str:
        return f"{self.what}; {self.cure}"


class BacklogError(DispatchError):
    """A shard holds more fresh rows than memory and scans should bear; writes must wait."""

    status = 429
    code = "backlog"

    def __init__(self, queue: str, fresh: int, most: int, retry_after_s: float = 5.0) -> None:
        super().__init__(queue, fresh, most, retry_after_s)
        self.queue, self.fresh, self.most = queue, fresh, most
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return (
            f"the shard on queue {self.queue!r} holds {self.fresh} chunks that no segment has yet, "
            f"{self.most} at most are taken; repeat the request in {self.retry_after_s:g} s, or "
            "start more workers with `celery -A app worker -Q build`"
        )


class DeadlineError(DispatchError):
    """A stage did not answer in time."""

    status = 504
    code = "deadline"

    def __init__(self, stage: str, queue: str, waited_s: float, workers: int) -> None:
        super().__init__(stage, queue, waited_s, workers)
        self.stage, self.queue = stage, queue
        self.waited_s, self.workers = waited_s, workers

    def __str__(self) -> str:
        cure = (
            "start more workers on it, or give the request a longer timeout_ms"
            if self.workers
            else f"nobody consumes it: start one with `celery -A app worker -Q {self.queue}`"
        )
        return (
            f"stage {self.stage!r} did not answer within {self.waited_s:.2f} s"
            f" on queue {self.queue!r}; {cure}"
        )


class StageError(DispatchError):
    """A stage refused the request or failed on it."""

    code = "stage_failed"

    def __init__(self, stage: str, detail: str, status_code: int = 500) -> None:
        super().__init__(stage, detail, status_code)
        self.stage, self.detail, self.status_code = stage, detail, status_code

    def __str__(self) -> str:
        return f"stage {self.stage!r}: {self.detail}"
