"""Chroma's own server, in an environment of its own, filled and asked over plain HTTP.

The environment is made once, under the cache folder, from a pinned version; the server runs on a
free port with a data folder that goes with it, and is stopped by its process id.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.load import Target
from benchmarks.deployment import free_port
from benchmarks.vectors import Vectors

VERSION = "1.5.9"
START_S = 60.0
ADD_BATCH = 1_000
_COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"


def environment() -> Path:
    """Return the folder of a virtual environment that holds Chroma, made when it is missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "gnes-benchmarks" / f"chroma-{VERSION}"
    ready = folder / ".ready"
    if not ready.exists():
        print(f"installing chromadb {VERSION} in {folder} (once)", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, f"chromadb=={VERSION}"], check=True)
        ready.touch()
    return folder


@dataclass(frozen=True, slots=True)
class Chroma:
    """A running server with one collection."""

    port: int
    collection: str = ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request and return the answer's JSON."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=600) as response:  # noqa: S310
            return json.loads(response.read() or b"null")

    def filled(self, rows: Vectors, texts: list[str], *, m: int, ef_construction: int) -> Chroma:
        """Return the server with a collection of these rows, indexed to the last."""
        hnsw = {"space": "ip", "max_neighbors": m, "ef_construction": ef_construction}
        made = self.call("POST", _COLLECTIONS, {"name": "bench", "configuration": {"hnsw": hnsw}})
        chroma = Chroma(self.port, made["id"])
        for start in range(0, len(rows), ADD_BATCH):
            stop = min(start + ADD_BATCH, len(rows))
            chroma.call(
                "POST",
                f"{_COLLECTIONS}/{chroma.collection}/add",
                {
                    "ids": [f"v{i}" for i in range(start, stop)],
                    "embeddings": rows[start:stop].tolist(),
                    "documents": texts[start:stop],
                },
            )
        # The first query makes the index catch up with everything that was added.
        chroma.call("POST", chroma.query_path, json.loads(query_body(rows[0].tolist(), 10)))
        return chroma

    @property
    def query_path(self) -> str:
        """The path that answers queries."""
        return f"{_COLLECTIONS}/{self.collection}/query"

    def set_ef(self, ef: int) -> None:
        """Set how wide the index searches."""
        body = {"new_configuration": {"hnsw": {"ef_search": ef}}}
        self.call("PUT", f"{_COLLECTIONS}/{self.collection}", body)

    def found(self, body: bytes) -> list[int]:
        """Return the row numbers that a query finds, best first."""
        answer = self.call("POST", self.query_path, json.loads(body))
        return [int(name[1:]) for name in answer["ids"][0]]

    def target(self, bodies: tuple[bytes, ...]) -> Target:
        """Return what a load generator asks."""
        return Target(self.port, self.query_path, bodies)


def query_body(vector: list[float], limit: int) -> bytes:
    """Return the body of a query that wants what ours returns: ids, scores and contents."""
    return json.dumps(
        {
            "query_embeddings": [vector],
            "n_results": limit,
            "include": ["documents", "distances"],
        },
        separators=(",", ":"),
    ).encode()


@contextmanager
def running() -> Iterator[Chroma]:
    """Run the server on a free port, in a folder that goes with it."""
    program = environment() / "bin" / "chroma"
    folder = Path(tempfile.mkdtemp(prefix="chroma-bench-"))
    port = free_port()
    command = [str(program), "run", "--path", str(folder / "data"), "--port", str(port)]
    env = {**os.environ, "ANONYMIZED_TELEMETRY": "False", "DO_NOT_TRACK": "1"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        chroma = Chroma(port)
        _wait(chroma, server, folder / "log")
        yield chroma
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(chroma: Chroma, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            chroma.call("GET", "/api/v2/heartbeat")
        except (OSError, urllib.error.URLError) as error:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(
                    f"Chroma does not start: {log.read_text(errors='replace')[-800:]}"
                ) from error
            time.sleep(0.05)
        else:
            return
