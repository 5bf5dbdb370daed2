"""A server that tests run as a process of its own: waited for, stopped by its id."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence


class ServerProcess:
    """A running server, which a test may kill and start again on the same port."""

    process: subprocess.Popen[bytes] | None = None

    def run(
        self,
        command: Sequence[str],
        ask: Callable[[], object],
        *,
        unready: type[Exception],
        within_s: float,
    ) -> None:
        """Start the server and wait until ``ask`` no longer raises ``unready``.

        Raises:
            unready: it ended, or did not answer in time; nothing of it is left.
        """
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + within_s
        while True:
            try:
                ask()
            except unready:
                if time.monotonic() > end or self.process.poll() is not None:
                    self.stop()
                    raise
                time.sleep(0.01)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server: SIGTERM politely, SIGKILL as a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=10)
            self.process = None
