"""Sections of a marked-up document: plain text under its headings, each character's place kept."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Stands between blocks; a sentence splitter behind takes it for the end of a sentence.
BREAK = "\n\n"


@dataclass(frozen=True, slots=True)
class Section:
    """The text under one heading, the heading included.

    Attributes:
        headings: the headings it stands under, the outermost first, its own last.
        text: plain text, blocks separated by blank lines.
        origins: for each character its place in the original.
    """

    headings: tuple[str, ...]
    text: str
    origins: NDArray[np.int32]


class SectionBuilder:
    """Collects plain text piece by piece; a heading closes one section and opens the next."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self._levels: Mapping[int, str] = {}
        self._parts: list[str] = []
        self._places: list[NDArray[np.int32]] = []

    def keep(self, text: str, start: int) -> None:
        """Add text that stands in the original as it is, from ``start`` on."""
        self._add(text, np.arange(start, start + len(text), dtype=np.int32))

    def insert(self, text: str, at: int) -> None:
        """Add text that stands for something else at one place, such as an entity."""
        self._add(text, np.full(len(text), at, np.int32))

    def separate(self, at: int) -> None:
        """End a block."""
        if self._parts and self._parts[-1] != BREAK:
            self.insert(BREAK, at)

    def heading(self, level: int, title: str) -> None:
        """Close the section; what follows stands under this heading."""
        self.close()
        self._levels = {**{k: v for k, v in self._levels.items() if k < level}, level: title}

    def name_heading(self, title: str) -> None:
        """Give the innermost heading its title, once it has been read."""
        innermost = max(self._levels)
        self._levels = {**self._levels, innermost: title}

    def close(self) -> None:
        """Close the section that is being collected; blank ones vanish."""
        text = "".join(self._parts)
        if text.strip():
            named = (self._levels[level] for level in sorted(self._levels))
            headings = tuple(title for title in named if title)
            self.sections.append(Section(headings, text, np.concatenate(self._places)))
        self._parts, self._places = [], []

    def _add(self, text: str, places: NDArray[np.int32]) -> None:
        if text:
            self._parts.append(text)
            self._places.append(places)
