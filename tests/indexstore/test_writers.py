"""Several processes write at once; some are killed while they do."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from indexstore.ledger import Ledger
from indexstore.log import Log
from tests.indexstore.invariants import all_documents, check_invariants, replayed
from tests.indexstore.samples import C, tail

ROOT = Path(__file__).parents[2]

#: A process and the file with its receipts: a pipe that nobody reads would hold it up.
Writer = tuple[subprocess.Popen[str], Path]


@contextmanager
def hammers(url: str, folder: Path, seeds: range, seconds: float) -> Iterator[list[Writer]]:
    """Run writers, and let none of them outlive the test."""
    writers = [(_hammer(url, folder, seed, seconds), folder / f"{seed}") for seed in seeds]
    try:
        yield writers
    finally:
        for process, _ in writers:
            process.kill()
            process.wait()


def _hammer(url: str, folder: Path, seed: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.indexstore.hammer", url, str(seed), str(seconds)]
    with (folder / f"{seed}").open("w") as receipts, (folder / f"{seed}.err").open("w") as errors:
        return subprocess.Popen(command, cwd=ROOT, stdout=receipts, stderr=errors, text=True)


def receipts_of(path: Path) -> list[dict[str, Any]]:
    """Return the receipts of a writer; a killed one's last line may be half a line."""
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def test_several_processes_write_at_once(
    database_url: str, ledger: Ledger, log: Log, tmp_path: Path
) -> None:
    """No error reaches them, no version is missing or given twice, no reader misses a row."""
    known: dict[str, int] = {}
    applied = 0

    with hammers(database_url, tmp_path, range(4), seconds=3) as writers:
        while any(process.poll() is None for process, _ in writers):
            rows = tail(log, applied)
            assert [row.seq for row in rows] == sorted({row.seq for row in rows})
            known = replayed(rows, known)
            applied = rows[-1].seq if rows else applied
            time.sleep(0.01)
        ended = [(path.with_suffix(".err").read_text(), p.returncode) for p, path in writers]
        receipts = [receipt for _, path in writers for receipt in receipts_of(path)]
    known = replayed(tail(log, applied), known)

    assert ended == [("", 0)] * 4
    versions = sorted(version for receipt in receipts for version in receipt.get("versions", []))
    info = ledger.collection(C)
    assert versions == list(range(1, info.last_version + 1))
    live = {i: d.live_version for i, d in all_documents(ledger).items() if d.live_version}
    assert known == live
    assert known == replayed(tail(log))
    check_invariants(ledger, log)


def test_killed_writers_leave_whole_transactions(
    database_url: str, ledger: Ledger, log: Log, tmp_path: Path
) -> None:
    """After SIGKILL at any instant every receipt holds, and nothing is half-written."""
    chance = random.Random(7)
    receipts: list[dict[str, Any]] = []

    for round_ in range(4):
        seeds = range(10 * round_, 10 * round_ + 2)
        with hammers(database_url, tmp_path, seeds, seconds=60) as writers:
            while not all(path.stat().st_size for _, path in writers):
                time.sleep(0.01)
            time.sleep(chance.uniform(0.05, 0.4))
            for process, path in writers:
                process.kill()
                process.wait()
                assert path.with_suffix(".err").read_text() == ""
                receipts += receipts_of(path)
        check_invariants(ledger, log)

    documents = all_documents(ledger)
    promised = [version for receipt in receipts for version in receipt.get("versions", [])]
    own = [receipt["ours"] for receipt in receipts if "ours" in receipt]
    assert len(promised) == len(set(promised))
    assert ledger.collection(C).last_version >= max(promised)
    assert [doc_id for doc_id in own if doc_id not in documents] == []
    if ledger.database.is_sqlite:
        with ledger.database.reading() as connection:
            assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
