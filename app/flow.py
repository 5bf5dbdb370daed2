"""The Flow of Python that runs: ``with`` starts its services on this machine.

    with Flow("notes").add("Preprocessor").add("Encoder").add("Indexer") as flow:
        flow.index(["red roses", "a train to the sea"])
        for question, answer in flow.query(["flowers"]):
            print(question, answer["hits"][0]["id"])

What it is made of, how it is drawn and rendered is ``compose.api``; what runs is what ``gnes up``
runs, as a child that ends with this process.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from app.client import Client
from app.feed import Feed, Progress
from app.supervisor.child import deployment
from app.supervisor.deployment import DataFolder
from compose import api
from compose.api import BuildLevel

#: A text, the bytes of one (as GNES's users give it), or a document as the REST API takes it.
Item = str | bytes | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Running:
    """What a started flow holds until it ends."""

    client: Client
    collection: str
    url: str
    ending: ExitStack


@dataclass(frozen=True, eq=False)
class Flow(api.Flow):
    """A workflow that can be started; ``data_dir`` keeps its documents beyond the block.

    Starting is the one thing that happens to a flow in place: the object of ``with`` is the one
    that runs. A flow edited meanwhile is another one, and has not been started.
    """

    data_dir: Path | None = None
    running: Running | None = field(default=None, init=False, repr=False)

    @property
    def url(self) -> str:
        """Where its API listens.

        Raises:
            FlowBuildLevelMismatch: it does not run.
        """
        return self._runtime().url

    def index(self, documents: Iterable[Item]) -> Progress:
        """Store documents and wait until they are searchable; say which failed, and why.

        Raises:
            FlowBuildLevelMismatch: it does not run.
        """
        runtime = self._runtime()
        feed = Feed(runtime.client, runtime.collection)
        for _ in feed.run(map(_document, documents)):
            pass
        return feed.progress

    def train(self, documents: Iterable[Item]) -> dict[str, Any]:
        """Let the components that learn do so from documents, and return the job when it has ended.

        Raises:
            FlowBuildLevelMismatch: it does not run.
            RefusedError: nothing in it learns, or the training failed.
        """
        runtime = self._runtime()
        body = orjson.dumps([_document(item) for item in documents])
        path = f"/v1/collections/{runtime.collection}/train"
        return runtime.client.call("POST", path, body=body, query=[("wait", "done")])

    def query(
        self, queries: Iterable[Item], *, limit: int = 10, **options: Any
    ) -> Iterator[tuple[Item, dict[str, Any]]]:
        """Yield each query with its answer, one after the other, as they are asked for.

        Args:
            queries: texts, or the ``query`` of a search as the REST API takes it.
            limit: documents in each answer.
            **options: further fields of a search, such as ``filter`` or ``highlight``.

        Raises:
            FlowBuildLevelMismatch: it does not run.
        """
        runtime = self._runtime()
        asked = {"limit": limit, **options}
        # What was indexed through this object is seen: `index` waited for it.
        return (
            (query, runtime.client.search(runtime.collection, {"query": _document(query), **asked}))
            for query in queries
        )

    def __enter__(self) -> Self:
        """Start broker, workers and API, and wait until they are ready.

        Raises:
            FlowError: it cannot be run; nothing has been started.
            SupervisorError: a process did not start; none is left.
        """
        built = self.build()
        with ExitStack() as ending:
            folder = DataFolder(self.data_dir or Path(ending.enter_context(_scratch())))
            folder.path.mkdir(parents=True, exist_ok=True)
            file = folder.path / "flow.yml"
            file.write_text(_with_absolute_paths(built).to_yaml(), encoding="utf-8")
            state = ending.enter_context(deployment(folder, flow=file))
            client = ending.enter_context(Client(state.url))
            running = Running(client, client.collection(), state.url, ending.pop_all())
        self._become(BuildLevel.RUNTIME, running)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        runtime = self._runtime()
        self._become(BuildLevel.EMPTY, None)
        runtime.ending.close()

    def _become(self, level: BuildLevel, running: Running | None) -> None:
        object.__setattr__(self, "build_level", level)
        object.__setattr__(self, "running", running)

    def _runtime(self) -> Running:
        self.require(BuildLevel.RUNTIME)
        if self.running is None:  # pragma: no cover - the level says that it is there
            raise AssertionError(self.name)
        return self.running


def _with_absolute_paths(flow: Flow) -> Flow:
    """Return the flow with plug-in files found from wherever the flow file lies."""
    services = tuple(
        replace(item, keys={key: _absolute(key, value) for key, value in item.keys.items()})
        for item in flow.services
    )
    return replace(flow, services=services)


def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="gnes-flow-", ignore_cleanup_errors=True)


def _absolute(key: str, value: Any) -> Any:
    if key != "py_path":
        return value
    paths = [value] if isinstance(value, str) else value
    return [str(Path(path).absolute()) for path in paths]


def _document(item: Item) -> Mapping[str, Any]:
    if isinstance(item, bytes):
        return {"text": item.decode("utf-8")}
    return {"text": item} if isinstance(item, str) else item
