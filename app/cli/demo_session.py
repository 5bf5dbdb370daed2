"""The demo: start a deployment, feed it a real corpus, ask it real questions, stop it cleanly."""

import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from rich.console import Console, Group
from rich.panel import Panel
from rich.rule import Rule

from app.cli.documents import watch
from app.cli.searching import hit_lines
from app.client import Client
from app.demo.corpus import corpus
from app.demo.questions import QUESTIONS
from app.feed import Feed
from app.supervisor import child
from app.supervisor.deployment import DataFolder

HITS = 3
SHOWN_CHARS = 200


def run(*, documents: int, keep: Path | None, console: Console) -> int:
    """Run the demo from start to end; return how many documents failed."""
    began = time.monotonic()
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="gnes-demo-") as scratch:
        folder = DataFolder(keep or Path(scratch))
        console.print(
            Rule("[bold]GNES on Celery: search everything your Python can do", align="left")
        )
        with deployment(folder, console) as server, Client(server) as client:
            texts = _read_corpus(documents, console)
            failed = _ingest(client, texts, console)
            _ask(client, console)
        console.print(
            f"[bold green]done[/] in {time.monotonic() - began:.1f} s: "
            "every process has ended, every file was removed"
            if keep is None
            else f"done; `gnes up --data-dir {keep}` goes on from here"
        )
    return failed


def _leave(number: int, _: FrameType | None) -> NoReturn:
    """End as Ctrl-C would: what was started is stopped, what was written is removed."""
    raise SystemExit(128 + number)


@contextmanager
def deployment(folder: DataFolder, console: Console) -> Iterator[str]:
    """Run a deployment for the length of the block, saying what it does; give its URL."""
    began = time.monotonic()
    with ExitStack() as ending:
        with console.status("starting broker, workers and API"):
            state = ending.enter_context(child.deployment(folder))
        console.print(
            f"started {len(state.processes)} processes in {time.monotonic() - began:.1f} s: "
            f"{', '.join(status.name for status in state.processes)}"
        )
        try:
            yield state.url
        finally:
            with console.status("stopping"):
                ending.close()


def _read_corpus(limit: int, console: Console) -> list[dict[str, Any]]:
    began = time.monotonic()
    with console.status("reading docstrings"):
        texts = corpus(limit)
    packages = len({text["tags"]["package"] for text in texts}) - 1
    others = f" and {packages} installed packages" if packages > 1 else ""
    console.print(
        f"read {len(texts)} docstrings of the standard library{others} "
        f"in {time.monotonic() - began:.1f} s"
    )
    return texts


def _ingest(client: Client, texts: list[dict[str, Any]], console: Console) -> int:
    began = time.monotonic()
    done = watch(Feed(client, client.collection()), texts, label="embedding and indexing")
    took_s = time.monotonic() - began
    console.print(
        f"{done.indexed} documents can be found, {len(done.failures)} failed: "
        f"{took_s:.1f} s, {done.indexed / took_s:.0f} documents/s\n"
    )
    for failure in done.failures[:5]:
        console.print(f"  [red]failed[/] {failure.doc_id}: {failure.reason}")
    return len(done.failures)


def _ask(client: Client, console: Console) -> None:
    """Ask every question and show the best hits and how long each took."""
    collection = client.collection()
    client.search(collection, {"query": {"text": "warm up"}, "limit": 1})
    times: list[float] = []
    for question in QUESTIONS:
        began = time.perf_counter()
        answer = client.search(
            collection, {"query": {"text": question}, "limit": HITS, "highlight": True}
        )
        times.append((time.perf_counter() - began) * 1000)
        hits = [hit_lines(rank, hit, SHOWN_CHARS) for rank, hit in enumerate(answer["hits"], 1)]
        note = f"{times[-1]:.1f} ms, {answer['coverage']['shards_ok']} shards"
        console.print(
            Panel(Group(*hits), title=f"[bold]{question}[/]", title_align="left", subtitle=note)
        )
    console.print(
        f"{len(times)} questions, median {statistics.median(times):.1f} ms over HTTP, "
        f"slowest {max(times):.1f} ms"
    )
