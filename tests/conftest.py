"""What holds for all tests: `make test-all` skips nothing that a machine merely lacks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

IS_ALL = bool(os.environ.get("GNES_TEST_ALL"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Turn a skipped test into a failure with the skip's reason, which is the cure."""
    outcome: Any = yield
    _refuse_skip(outcome.get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """Turn a skipped module into a failure likewise."""
    outcome: Any = yield
    _refuse_skip(outcome.get_result())


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not (IS_ALL and report.skipped) or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if "root" in reason:  # what only another user can see needs another run, not another package
        return
    report.outcome = "failed"
    report.longrepr = f"make test-all skips nothing; here is what is missing: {reason}"
