"""From a flow file to a checked ``Flow``: every fault of the file in one error.

``load_flow`` reads what the operator wrote, with component files, plug-ins and variables;
``parse_flow`` reads text that may come from anybody and touches nothing but the text.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compose.catalog import KIND_OF_SERVICE, Catalog, default_catalog, kinds_for
from compose.check import check_flow
from compose.errors import Fault, FlowError, nearest, one_of
from compose.flow import DEFAULT_NAME, DEFAULT_PORT, FRONTEND, Flow, Step
from compose.keys import (
    BRANCH_SERVICES,
    BRANCHES,
    FLOW,
    MAX_COPIES,
    MODALITIES,
    STEP,
    WORKERS,
    names,
)
from compose.reading import Reading
from compose.scoring import read_score
from compose.source import MAX_CHARACTERS, Mark, Node, read_yaml
from compose.specs import Resolved, SpecReader

#: What a service hosts when the flow names no component.
DEFAULT_USES = {"Preprocessor": "SentenceSplitter", "Encoder": "MiniLM", "Indexer": "hnsw"}

MAX_NAME = 100
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_QUEUE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,49}")
#: Queues with a meaning of their own, and names that containers beside the workers have.
_RESERVED_QUEUE = re.compile(
    r"(index|reduce|build|search|fetch|preview)([.-].*)?|celery|api|broker|database"
)
_HAS_WORD = re.compile(r"[A-Za-z0-9]")


def load_flow(
    source: str | Path,
    *,
    catalog: Catalog | None = None,
    environ: Mapping[str, str] | None = None,
    expand: bool = True,
) -> Flow:
    """Read and check a flow file, or the text of one.

    Args:
        source: a path, or YAML text (anything with a line break in it). Relative paths in it begin
            at the file's folder, or at the working directory for text.
        catalog: the components that may be named; those of this house by default.
        environ: what ``$VAR`` is looked up in; the process's environment by default.
        expand: whether ``$VAR`` is looked up at all; a renderer leaves it as written.

    Raises:
        FlowError: with every fault of the file.
        OSError: the file cannot be read.
    """
    is_text = isinstance(source, str) and "\n" in source
    path = Path("flow.yml") if is_text else Path(source)
    text = str(source) if is_text else _text_of(path)
    folder = Path.cwd() if is_text else path.resolve().parent
    variables = (os.environ if environ is None else environ) if expand else None
    return _read(text, str(path), Reading(catalog or default_catalog(), folder, variables))


def parse_flow(text: str, *, catalog: Catalog | None = None, file: str = "flow.yml") -> Flow:
    """Read and check a flow that may come from anybody: no file, variable or plug-in is touched.

    A ``yaml_path`` that names a file stays a name, so that GNES's examples can be drawn.

    Raises:
        FlowError: with every fault of the text.
    """
    return _read(text, file, Reading(catalog or default_catalog()))


def _text_of(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(4 * MAX_CHARACTERS + 1)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is no UTF-8"
        raise FlowError(Fault(str(path), 0, 0, "", problem, "a text file")) from None


def _read(text: str, file: str, reading: Reading) -> Flow:
    root = read_yaml(text, file=file)
    if not root.is_mapping:
        expected = "a mapping with `services`"
        raise FlowError(root.mark.fault("", "the file is no mapping", expected=expected))
    try:
        flow = _FlowReader(reading, root).flow()
    except FlowError as error:
        raise _in_order(error.faults) from None
    if reading.faults:
        raise _in_order(reading.faults)
    return flow


def _in_order(faults: Iterable[Fault]) -> FlowError:
    """Return the error with each fault once, as they stand in the file."""
    return FlowError(*sorted(set(faults), key=lambda fault: fault[:3]))


class _FlowReader:
    """Reads one file's mapping; notes faults in ``reading`` and carries on."""

    def __init__(self, reading: Reading, root: Node) -> None:
        self._reading = reading
        self._root = root
        self._resolved: dict[str, dict[str, Resolved]] = {}
        self._needed: dict[tuple[str, str], Mark] = {}  # where it stands that a step needs another
        self._counts: dict[str, int] = {}

    def flow(self) -> Flow:
        """Return the flow as far as it could be understood."""
        root = self._root
        self._reading.check_keys(root, names(FLOW), "the flow")
        steps = self._steps()
        indexes = [step.id.lower() for step in steps if step.service == "Indexer"]
        flow = Flow(
            name=self._name(),
            port=self._integer(root, "port", DEFAULT_PORT, 1, 65535),
            steps=steps,
            score=read_score(root.value.get("score"), self._reading, indexes=indexes),
            workers=self._workers(),
            volumes=self._mapping("volumes"),
            networks=self._mapping("networks"),
            file=root.mark.file,
            plugin_digests=tuple(sorted(self._reading.digests)),
        )
        return check_flow(flow, self._resolved, self._reading)

    # -- keys of the flow

    def _name(self) -> str:
        node = self._root.value.get("name")
        name = DEFAULT_NAME if node is None or node.value is None else str(node.plain())
        if len(name) > MAX_NAME or not _HAS_WORD.search(name):
            mark = self._root.keys["name"]
            expected = f"at most {MAX_NAME} characters, a letter a-z or a digit among them"
            self._reading.add(mark, "name", f"{name[:40]!r} names no collection", expected=expected)
        return name

    def _mapping(self, key: str) -> Mapping[str, Any]:
        node = self._root.value.get(key)
        if node is None or node.value is None:
            return {}
        if not node.is_mapping:
            self._reading.add(node.mark, key, "is no mapping", expected="key: value")
            return {}
        plain: Mapping[str, Any] = node.plain()
        return plain

    def _workers(self) -> Mapping[str, int]:
        node = self._root.value.get("workers")
        if node is None or not node.is_mapping:
            return self._mapping("workers")
        self._reading.check_keys(node, names(WORKERS), "workers")
        known = [name for name in node.value if name in names(WORKERS)]
        return {name: self._integer(node, name, 1, 1, MAX_COPIES) for name in known}

    def _integer(self, node: Node, key: str, default: int, least: int, most: int) -> int:
        found = node.value.get(key)
        if found is None or found.value is None:
            return default
        value = found.value
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        expected = f"a whole number from {least} to {most}"
        shown = "no number" if found.is_mapping or found.is_list else repr(value)[:40]
        self._reading.add(found.mark, key, f"{shown} does not fit", expected=expected)
        return default

    # -- services

    def _steps(self) -> tuple[Step, ...]:
        services = self._root.value.get("services")
        if services is None:
            near = nearest("services", self._root.keys)
            expected = "a list of services"
            problem = "the key is missing"
            self._reading.add(self._root.mark, "services", problem, expected=expected, near=near)
            return ()
        if services.value is None:
            return ()
        if not services.is_list:
            self._reading.add(
                services.mark, "services", "is no list", expected="a list of services"
            )
            return ()
        steps: list[Step] = []
        previous: tuple[str, ...] = ()
        for layer in services.value:
            found = [*self._layer(layer, previous)]
            steps += found
            previous = tuple(step.id for step in found) or previous
        return self._joined(steps)

    def _layer(self, node: Node, previous: tuple[str, ...]) -> Iterator[Step]:
        for item in node.value if node.is_list else [node]:
            if not item.is_mapping:
                expected = "a service, as in `name: Encoder`"
                self._reading.add(item.mark, "services", "is no service", expected=expected)
            elif step := self._step(item, previous):
                yield step

    def _service(self, node: Node) -> str | None:
        found = node.value.get("name")
        if found is None:
            problem = "a service without a name"
            self._reading.add(node.mark, "name", problem, expected=one_of(KIND_OF_SERVICE))
            return None
        if found.value in KIND_OF_SERVICE:
            return str(found.value)
        near = nearest(found.value, KIND_OF_SERVICE)
        problem = f"{str(found.plain())[:40]!r} is no service"
        expected = one_of(KIND_OF_SERVICE)
        self._reading.add(found.mark, "name", problem, expected=expected, near=near)
        return None

    def _step(self, node: Node, previous: tuple[str, ...]) -> Step | None:
        service = self._service(node)
        keys = names(STEP) + (names(BRANCHES) if service in BRANCH_SERVICES else ())
        self._reading.check_keys(node, keys, service or "a service")
        if service is None or service == FRONTEND:
            return None
        name = self._id(node, service)
        self._resolved[name] = dict(self._branches(node, service))
        step = Step(
            id=name,
            service=service,  # type: ignore[arg-type]  # one of KIND_OF_SERVICE, just checked
            branches={key: found.spec for key, found in self._resolved[name].items()},
            needs=self._needs(node, name, previous),
            replicas=self._integer(node, "replicas", 1, 1, MAX_COPIES),
            shards=self._integer(node, "shards", 0, 1, MAX_COPIES) or None,
            income=self._income(node),
            queue=self._queue(node),
            image=self._image(node),
            vector=self._word(node, "vector"),
            written={key: value.plain() for key, value in node.value.items()},
            mark=node.mark,
        )
        if step.shards and service != "Indexer":
            mark = node.keys["shards"]
            self._reading.add(mark, "shards", f"{service}s have none", expected="`replicas`")
        return replace(step, shards=None) if service != "Indexer" else step

    def _id(self, node: Node, service: str) -> str:
        number = self._counts.get(service, 0)
        self._counts[service] = number + 1
        found = node.value.get("id")
        if found is None:
            return f"{service}{number}"
        name = str(found.plain())
        if not _IDENTIFIER.fullmatch(name):
            expected = "letters, digits, - and _, beginning with a letter"
            self._reading.add(found.mark, "id", f"{name[:40]!r} is no name", expected=expected)
        if name in self._resolved:
            self._reading.add(found.mark, "id", f"two steps are called {name!r}")
        return name

    def _needs(self, node: Node, name: str, previous: tuple[str, ...]) -> tuple[str, ...]:
        found = node.value.get("needs")
        if found is None:
            return previous
        items = found.value if found.is_list else [found]
        named = {str(item.value): item.mark for item in items if item.value is not None}
        self._needed.update({(name, need): mark for need, mark in named.items()})
        return tuple(named)

    def _income(self, node: Node) -> Any:
        found = node.value.get("income")
        if found is None or found.value in ("pull", "sub"):
            return found.value if found else "pull"
        near = nearest(found.value, ("pull", "sub"))
        problem = f"{str(found.plain())[:40]!r} is no way in"
        self._reading.add(found.mark, "income", problem, expected="pull or sub", near=near)
        return "pull"

    def _queue(self, node: Node) -> str | None:
        queue = self._word(node, "queue")
        if queue is None or (_QUEUE.fullmatch(queue) and not _RESERVED_QUEUE.fullmatch(queue)):
            return queue
        expected = "letters, digits, . - and _, and no name that another process has"
        mark = node.value["queue"].mark
        self._reading.add(mark, "queue", f"{queue[:40]!r} cannot be used", expected=expected)
        return None

    def _word(self, node: Node, key: str) -> str | None:
        found = node.value.get(key)
        if found is None or found.value is None:
            return None
        if found.is_mapping or found.is_list:
            self._reading.add(found.mark, key, "is no word", expected="one word")
            return None
        return str(found.value)

    # -- components

    def _is_branch(self, node: Node, key: str, service: str) -> bool:
        """``image`` is GNES's Docker image where it is a word no component has.

        Beside a plug-in file, what reads like a class is one of its classes.
        """
        found = node.value.get(key)
        if found is None or service not in BRANCH_SERVICES:
            return False
        if key != "image" or not isinstance(found.value, str) or found.tag:
            return True
        is_class = found.value.isidentifier() and found.value[0].isupper()
        if is_class and node.value.get("py_path") is not None:
            return True
        return self._reading.catalog.find(found.value, kinds_for(service)) is not None

    def _image(self, node: Node) -> str | None:
        service = str(node.value["name"].value)
        return None if self._is_branch(node, "image", service) else self._word(node, "image")

    def _branches(self, node: Node, service: str) -> Iterator[tuple[str, Resolved]]:
        """Yield the components of a service by modality; "*" when it has only one."""
        reader = SpecReader(self._reading, kinds_for(service), self._reading.folder)
        reader = reader.with_plugins(node.value.get("py_path"))
        keys = [key for key in MODALITIES if self._is_branch(node, key, service)]
        for key in keys:
            if found := reader.read(node.value[key], key):
                yield key, found
        if node.value.get("uses") or node.value.get("yaml_path"):
            if keys:
                problem = "stands beside branches by modality"
                mark = node.keys.get("uses") or node.keys["yaml_path"]
                self._reading.add(mark, "uses", problem, expected="one of both")
            elif found := reader.of_keys(node, ""):
                yield "*", found
        elif not keys and service in DEFAULT_USES:
            options = node.value.get("with")
            default = DEFAULT_USES[service]
            if found := reader.named(default, node.mark, "uses", options=options):
                yield "*", found

    # -- order

    def _joined(self, steps: list[Step]) -> tuple[Step, ...]:
        """Return the steps, each after what it needs; unknown names and circles are faults."""
        known = [step.id for step in steps]
        for step in steps:
            for name in step.needs:
                if name not in known:
                    near = nearest(name, known)
                    problem = f"no step {name[:60]!r}"
                    mark = self._needed.get((step.id, name), step.mark)
                    self._reading.add(mark, "needs", problem, expected=one_of(known), near=near)
        return tuple(self._ordered(steps, set(known)))

    def _ordered(self, steps: list[Step], known: set[str]) -> Iterator[Step]:
        waiting, done = list(steps), set[str]()
        while waiting:
            ready = [step for step in waiting if set(step.needs) & known <= done]
            if not ready:
                names = one_of(step.id for step in waiting[:5])
                problem = f"{names} wait for each other"
                self._reading.add(waiting[0].mark, "needs", problem, expected="no circle")
                return
            yield from ready
            done |= {step.id for step in ready}
            waiting = [step for step in waiting if step.id not in done]
