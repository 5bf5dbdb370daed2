"""One data folder, one deployment; its state is readable while it runs, and only then."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.supervisor.deployment import DataFolder, DeploymentState
from app.supervisor.errors import DataFolderError, DataFolderInUseError, NotRunningError
from app.supervisor.process import ProcessStatus

STATE = DeploymentState(
    pid=os.getpid(),
    url="http://127.0.0.1:1",
    flow="f.yml",
    broker_url="redis://x",
    control="/tmp/c",  # noqa: S108 - only written down
    scratch="/nowhere",
    started_at=1.0,
    processes=(ProcessStatus("encode", "encode", "encode", "running", 7, 2, 3.0),),
)


def test_a_second_start_is_refused_and_names_the_first(tmp_path: Path) -> None:
    """Two deployments never share a folder: the second learns who is there and what to do."""
    folder = DataFolder(tmp_path)
    lock = folder.hold()

    with pytest.raises(DataFolderInUseError, match=rf"process {os.getpid()} .*gnes down"):
        DataFolder(tmp_path).hold()

    os.close(lock)


def test_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    """A holder that was killed leaves nothing to be cleaned up by hand."""
    program = (
        "import sys, os, pathlib; from app.supervisor.deployment import DataFolder;"
        "DataFolder(pathlib.Path(sys.argv[1])).hold(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)

    lock = DataFolder(tmp_path).hold()

    os.close(lock)


def test_state_is_what_was_written_while_it_is_held(tmp_path: Path) -> None:
    """A reader gets the state whole, and only the owner may read the file."""
    folder = DataFolder(tmp_path)
    lock = folder.hold()
    folder.write_state(STATE)

    assert folder.state() == STATE
    assert (tmp_path / "state.json").stat().st_mode & 0o077 == 0
    os.close(lock)


def test_a_stale_state_is_no_state(tmp_path: Path) -> None:
    """What a killed supervisor wrote is not taken for a running deployment."""
    folder = DataFolder(tmp_path)
    lock = folder.hold()
    folder.write_state(STATE)
    os.close(lock)

    with pytest.raises(NotRunningError, match="gnes up"):
        folder.state()


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A path below a file is refused with the reason."""
    (tmp_path / "file").write_text("")

    with pytest.raises(DataFolderError, match="Not a directory"):
        DataFolder(tmp_path / "file" / "data").hold()
