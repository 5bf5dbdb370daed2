"""What reading one flow may touch, and every fault it has found so far."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from compose.catalog import Catalog
from compose.component import Component
from compose.errors import Fault, FlowError, nearest, one_of
from compose.source import Mark, Node

#: Looking for the nearest name takes a millisecond or two, which hostile text must not multiply.
MAX_FAULTS = 50


@dataclass(slots=True)
class Reading:
    """What reading one flow may touch, and what it has found wrong so far.

    ``folder`` None means that no file is read and none may be named as a plug-in; ``environ`` None
    that ``$VAR`` stays as written: so is text treated that comes from a stranger.
    """

    catalog: Catalog
    folder: Path | None = None
    environ: Mapping[str, str] | None = None
    faults: list[Fault] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)
    plugins: dict[Path, tuple[Component, ...]] = field(default_factory=dict)

    def add(
        self, mark: Mark, key: str, problem: str, *, expected: str = "", near: str = ""
    ) -> None:
        """Note one fault and go on.

        Raises:
            FlowError: there are so many already that nobody would read further.
        """
        self.extend([mark.fault(key, problem, expected=expected, nearest=near)])

    def extend(self, faults: Iterable[Fault]) -> None:
        """Note the faults of a file that this one names; raises as ``add`` does."""
        self.faults.extend(faults)
        if len(self.faults) >= MAX_FAULTS:
            raise FlowError(*self.faults[:MAX_FAULTS])

    def check_keys(self, node: Node, allowed: tuple[str, ...], key: str) -> None:
        """Note every key that is not among the allowed ones."""
        for name, mark in node.keys.items():
            if name not in allowed:
                problem = f"unknown key{f' of {key}' if key else ''}"
                near = nearest(name, allowed)
                self.add(mark, name[:60], problem, expected=one_of(allowed), near=near)
