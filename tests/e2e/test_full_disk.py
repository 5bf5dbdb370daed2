"""A full disk: writes are refused in so many words, and everything works again once there is room.

The deployment lives on a small tmpfs that only its own processes see (a mount namespace of
theirs), so that no other program of the machine runs out of space with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.audit import recover
from tests.chaos.bed import FLOW
from tests.e2e.deployment import Deployment, wait_until

SIZE = "24m"
TEXT = "Bread is baked from flour, water, salt and time. " * 200


class SmallDisk(Deployment):
    """A deployment whose folder is a tmpfs of its own."""

    def gnes(self, *arguments: str) -> list[str]:
        """Return the command line; ``up`` mounts the small disk first."""
        command = super().gnes(*arguments)
        if arguments[0] != "up":
            return command
        place = self.folder / "d"
        mount = f'mount -t tmpfs -o size={SIZE} tmpfs {place} && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", mount, "sh", *command]

    def inside(self, *command: str) -> None:
        """Run a command that sees the small disk; it may fail, as on a disk that is full."""
        assert self.process is not None
        prefix = ["nsenter", "--mount", "--target", str(self.process.pid)]
        subprocess.run([*prefix, *command], check=False, capture_output=True)


@pytest.fixture
def it(tmp_path: Path) -> Iterator[SmallDisk]:
    """Run the small flow on a small disk."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("mounting a small disk takes root and util-linux: run it with sudo, or in CI")
    (tmp_path / "d").mkdir()
    it = SmallDisk(tmp_path, FLOW, {"GNES_CACHE_BYTES": "0", "GNES_BUILD_ROWS": "60"})
    try:
        it.start()
        yield it
    finally:
        it.stop()
        it.client.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_full_disk_refuses_writes_and_everything_works_once_there_is_room(
    it: SmallDisk,
) -> None:
    """507 as a problem that names the cure; what was acknowledged is there afterwards."""
    it.index({"id": "early", "text": TEXT})
    ballast = str(it.folder / "d" / "ballast")
    it.inside("dd", "if=/dev/zero", f"of={ballast}", "bs=64k")

    accepted, refusal = _write_until_refused(it)
    assert refusal["status"] == 507
    assert refusal["code"] == "storage_full"
    assert "free disk space" in str(refusal["detail"])
    assert it.client.get(f"/v1/collections/{it.collection}/documents/early").status_code == 200

    time.sleep(3.0)  # long enough for every process to meet the full disk
    it.inside("rm", ballast)
    wait_until(lambda: _writes(it), 30, it.story)
    recover(it, sees_processes=False)
    found = {hit["id"] for hit in it.search("bread", limit=1000)["hits"]}
    assert {"early", "late", *accepted} == found


def _write_until_refused(it: SmallDisk) -> tuple[list[str], dict[str, object]]:
    path = f"/v1/collections/{it.collection}/documents"
    accepted: list[str] = []
    for number in range(2000):
        doc_id = f"w{number}"
        response = it.client.post(path, json=[{"id": doc_id, "text": f"{TEXT} {number}"}])
        if response.status_code != 202:
            return accepted, dict(response.json())
        accepted.append(doc_id)
    raise AssertionError("the disk never was full")


def _writes(it: SmallDisk) -> bool:
    path = f"/v1/collections/{it.collection}/documents"
    return it.client.post(path, json=[{"id": "late", "text": TEXT}]).status_code == 202
