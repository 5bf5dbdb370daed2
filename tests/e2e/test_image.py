"""The image, as far as it can be had without an engine: its files, its user, its checks, run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import yaml

from app.supervisor.broker import free_port
from compose.render.dockerfile import UID, dockerfile
from compose.render.targets import render_file
from tests.e2e.deployment import ROOT, wait_until
from tests.servers.valkey import running_valkey

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("setpriv") is None,
        reason="only root can be another user (with setpriv, of Debian's util-linux)",
    ),
]

FLOW = """\
name: boxed
services:
  - {name: Preprocessor}
  - {name: Encoder, uses: Sleepy, py_path: sleepy.py}
  - {name: Indexer, uses: exact}
"""
PLUGIN = '''
"""An encoder that takes its time over one word."""
import time
from workers.encode.hashing import HashingEncoder

class Sleepy(HashingEncoder):
    """Feature hashing; the word "film" takes a while."""

    name = "Sleepy"
    aliases = ()

    def __init__(self, *, dim: int = 64) -> None:
        super().__init__(dim=dim)

    def encode(self, chunks):
        if any("film" in (chunk.text or "") for chunk in chunks):
            time.sleep(12)
        return super().encode(chunks)
'''


#: The image's user. What he may read besides stands for what a container has in its own place:
#: Python and its packages, wherever they are on this machine.
_AS_OTHER = (
    "setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups",
    "--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search",
)  # fmt: skip


@dataclass
class Image:
    """What the Dockerfile's last stage holds, in a folder: files, environment, commands."""

    root: Path
    environment: dict[str, str]
    check: list[str]
    command: list[str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a container of the image would."""
        return subprocess.run(
            [*_AS_OTHER, *command], cwd=self.root / "srv/gnes", env=self.environment,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    @contextmanager
    def running(self, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Keep a command running for the length of the block."""
        with (self.root / "log").open("ab") as log:
            process = subprocess.Popen(
                [*_AS_OTHER, *command], cwd=self.root / "srv/gnes", env=self.environment,
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(timeout=60)


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    """Follow the last stage of the slim Dockerfile, in a folder instead of a layer."""
    with (
        tempfile.TemporaryDirectory(prefix="gnes-image-") as folder,
        running_valkey(tmp_path) as broker,
    ):
        root = Path(folder)
        root.chmod(0o755)
        made = Image(root, {}, [], [])
        (root / "srv/gnes").mkdir(parents=True)
        (root / "flow").mkdir()
        (root / "data").mkdir()
        shutil.chown(root / "data", UID, UID)
        (root / "flow/flow.yml").write_text(FLOW)
        (root / "flow/sleepy.py").write_text(PLUGIN)
        text = dockerfile("slim").replace("\\\n", " ")
        for line in text.split("\nFROM ")[2].splitlines()[1:]:
            _follow(made, *line.partition(" ")[::2])
        made.environment |= {
            "GNES_BROKER_URL": broker.url, "GNES_DATA_DIR": str(root / "data"),
            "GNES_FLOW": str(root / "flow/flow.yml"), "GNES_PORT": str(free_port()),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
            "PYTHONPATH": str(root / "srv/gnes"),
        }  # fmt: skip
        yield made


def _follow(image: Image, instruction: str, rest: str) -> None:
    """Do what one instruction of a Dockerfile says."""
    if instruction == "ENV":
        image.environment |= dict(word.split("=", 1) for word in shlex.split(rest))
    elif instruction == "COPY" and not rest.startswith("--from"):
        source, target = rest.split()
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
        copy(ROOT / source, image.root / "srv/gnes" / target)
    elif instruction == "HEALTHCHECK":
        image.check = yaml.safe_load(rest.partition("CMD ")[2])
    elif instruction == "CMD":
        image.command = yaml.safe_load(rest)
    elif instruction == "USER":
        assert int(rest) == UID


def checked(image: Image, service: str) -> subprocess.CompletedProcess[str]:
    """Run the health check that the rendered Compose file gives a service."""
    document = yaml.safe_load(render_file(image.root / "flow/flow.yml", "docker-compose"))
    kind, *command = document["services"][service]["healthcheck"]["test"]
    assert kind == "CMD"
    return image.run(*command)


@contextmanager
def serving(image: Image) -> Iterator[str]:
    """Run the image's own command, on a port of this machine; give its URL once it answers."""
    port = image.environment["GNES_PORT"]
    command = [word.replace("8000", port).replace("0.0.0.0", "127.0.0.1") for word in image.command]  # noqa: S104 - replaced
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx2.get(f"{url}/livez").status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False

    with image.running(*command):
        wait_until(answers, 60, (image.root / "log").read_text)
        yield url


def test_the_api_starts_from_the_image_and_knows_its_health(image: Image) -> None:
    """Not root, nothing of the repository but what is copied; the check fails before, not after."""
    check = [word.replace("8000", image.environment["GNES_PORT"]) for word in image.check]
    assert image.run(*check).returncode == 1

    with serving(image) as url:
        assert image.run(*check).returncode == 0
        page = httpx2.get(f"{url}/board")

    assert page.status_code == httpx2.codes.OK
    assert {path.stat().st_uid for path in (image.root / "data").iterdir()} == {UID}


def test_the_image_s_gnes_command_is_ours(image: Image) -> None:
    """The script that the first stage writes starts the command line."""
    script = re.search(
        r"printf '%s\\n' (.+?) +> /opt/gnes/bin/gnes", dockerfile("slim").replace("\\\n", " ")
    )
    assert script is not None
    lines = shlex.split(script.group(1))
    (image.root / "gnes").write_text("\n".join([f"#!{sys.executable}", *lines[1:]]) + "\n")
    (image.root / "gnes").chmod(0o755)

    done = image.run(str(image.root / "gnes"), "--version")

    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)


def test_a_busy_worker_is_healthy_and_a_frozen_one_is_not(image: Image) -> None:
    """A task that takes long is no illness; a process that does nothing any more is one."""
    document = yaml.safe_load(render_file(image.root / "flow/flow.yml", "docker-compose"))
    others = ("preprocess", "index")
    assert checked(image, "encode").returncode == 1

    with (
        serving(image) as url,
        image.running(*document["services"][others[0]]["command"]),
        image.running(*document["services"][others[1]]["command"]),
        image.running(*document["services"]["encode"]["command"]) as encoder,
    ):
        wait_until(
            lambda: checked(image, "encode").returncode == 0, 60, (image.root / "log").read_text
        )
        httpx2.post(
            f"{url}/v1/collections/boxed/documents", json=[{"id": "a", "text": "a film"}]
        ).raise_for_status()
        wait_until(lambda: _is_busy(url), story=(image.root / "log").read_text)
        started = time.monotonic()

        busy = checked(image, "encode")
        took_s = time.monotonic() - started
        encoder.send_signal(signal.SIGSTOP)
        frozen = wait_until(lambda: (found := checked(image, "encode")).returncode and found)

    assert (busy.returncode, took_s < 5) == (0, True)
    assert "has no heartbeat" in frozen.stderr


def _is_busy(url: str) -> bool:
    workers = httpx2.get(f"{url}/v1/workers").json()["workers"]
    return any(worker["busy"] and worker["queues"] == ["encode"] for worker in workers)
