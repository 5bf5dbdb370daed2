"""The steps of a flow under construction, as data, and what can be done with a row of them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from compose.catalog import KIND_OF_SERVICE
from compose.errors import Fault, FlowError, FlowTopologyError, nearest, one_of
from compose.flow import FRONTEND
from compose.keys import BRANCH_SERVICES, BRANCHES, STEP, names

#: What is called a file of a fault in YAML that stands in a string: where that string stands.
_IN_STRING = re.compile(r"[^:]*:(\d+) ")


@dataclass(frozen=True, slots=True)
class Service:
    """One step as it was added: what it is, what it follows, and its keys as YAML has them."""

    name: str
    service: str
    needs: tuple[str, ...]
    keys: Mapping[str, Any]

    def following(self, name: str) -> "Service":
        """Return the step, following one more."""
        return replace(self, needs=tuple(dict.fromkeys((*self.needs, name))))

    def not_following(self, name: str) -> "Service":
        """Return the step, not following that one."""
        return replace(self, needs=tuple(other for other in self.needs if other != name))

    def written(self) -> dict[str, Any]:
        """Return the step as a flow file has it."""
        return {"name": self.service, "id": self.name, "needs": list(self.needs), **self.keys}

    def call(self) -> str:
        """Return the arguments of the ``add`` that makes this step."""
        needs = f"needs={list(self.needs)!r}" if self.needs else "needs=Flow.Frontend"
        keys = [
            f"{'with_' if key == 'with' else key}={value!r}" for key, value in self.keys.items()
        ]
        return ", ".join([repr(self.service), repr(self.name), needs, *keys])


Services = tuple[Service, ...]


def refused(
    name: str, problem: str, *, expected: str = "", kind: type[FlowError] = FlowError
) -> FlowError:
    """Return the error of a step that cannot be as it was asked for."""
    return kind(Fault("flow", 0, 0, name, problem, expected))


def sent_to(services: Services, name: str, targets: Iterable[str]) -> Services:
    """Let other steps follow this one as well, and put all in order."""
    chosen = set(targets)
    return in_order(
        tuple(item.following(name) if item.name in chosen else item for item in services)
    )


def in_order(services: Services) -> Services:
    """Put each step after those it follows, else as they were.

    Raises:
        FlowTopologyError: steps wait for each other.
    """
    waiting, ready = list(services), list[Service]()
    while waiting:
        done = {item.name for item in ready}
        free = [item for item in waiting if set(item.needs) <= done]
        if not free:
            names = one_of(item.name for item in waiting)
            raise refused(names, "wait for each other", kind=FlowTopologyError)
        ready += free
        waiting = [item for item in waiting if item not in free]
    return tuple(ready)


def free_name(services: Services, service: str) -> str:
    """Return the name a step gets when it is given none: ``Encoder0``, ``Encoder1``, ..."""
    taken = {item.name for item in services}
    number = sum(item.service == service for item in services)
    while f"{service}{number}" in taken:
        number += 1
    return f"{service}{number}"


def checked_keys(service: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments as keys of YAML: ``with_`` is ``with``.

    Raises:
        FlowTopologyError: it is a second frontend.
        FlowError: there is no such service, or it has no such keys; all of them at once.
    """
    if service == FRONTEND:
        raise refused(service, "is there already", kind=FlowTopologyError)
    if service not in KIND_OF_SERVICE:
        known = [name for name in KIND_OF_SERVICE if name != FRONTEND]
        near = nearest(service, known)
        raise FlowError(Fault("flow", 0, 0, service, "is no service", one_of(known), near))
    branches = names(BRANCHES) if service in BRANCH_SERVICES else ()
    allowed = {*names(STEP), *branches, "recv_from"} - {"name", "id", "needs"}
    written = {key.removesuffix("_"): value for key, value in keys.items()}
    faults = [
        Fault("flow", 0, 0, key, f"unknown key of {service}", "", nearest(key, allowed))
        for key in written
        if key not in allowed
    ]
    if faults:
        raise FlowError(*faults)
    return written


def by_step(name: str, services: Services, text: str, error: FlowError) -> FlowError:
    """Return the error of a flow's YAML with the names of steps for lines: nobody saw the file."""
    steps, step, of_line = iter(services), "", [""]
    for line in text.splitlines():
        if line.startswith("  - name: "):
            step = f"{next(steps).name}."
        elif not line.startswith(" "):
            step = ""
        of_line.append(step)
    faults = [
        fault._replace(file=name, line=0, column=0, key=of_line[_line(fault)] + fault.key)
        for fault in error.faults
    ]
    return type(error)(*faults)


def _line(fault: Fault) -> int:
    """Return the line of the flow that a fault is in; YAML in a string has lines of its own."""
    around = _IN_STRING.match(fault.file)
    return int(around.group(1)) if around else fault.line
