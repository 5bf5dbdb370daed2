"""A flow as SVG: drawn here, so that no page needs a script to show it.

Everything is placed along the way of a message (``u``) and across it (``v``); which of them is x is
decided last, so that a drawing runs from left to right or, for narrow pages, from the top down.
"""

from collections import defaultdict
from dataclasses import dataclass
from html import escape

from compose.flow import Flow
from compose.render.drawing import COLOURS, Arrow, Box, Drawing, draw

#: Sizes in pixels: of boxes, between them, around all, and of the lane that leads back.
_WIDTH, _LINE, _PADDING, _ALONG, _ACROSS, _MARGIN, _LANE = 150, 16, 10, 70, 22, 14, 26
_NARROW, _ALONG_DOWN = 142, 46
_LETTERS = {_WIDTH: 20, _NARROW: 18}
_ROUND = 10
_READABLE = 0.75  # of their size at which the letters can still be read
_INK, _ARROW = "#1c1c1c", "#607080"

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a box is: its corner and its size, along and across."""

    u: float
    v: float
    along: float
    across: float

    @property
    def middle(self) -> float:
        """Its middle across."""
        return self.v + self.across / 2


def svg(flow: Flow, *, down: bool = False) -> str:
    """Return the drawing of a flow as one SVG element, from left to right or from the top down."""
    drawing = draw(flow)
    sheet = _Sheet.of(drawing, down=down)
    boxes = "".join(sheet.box(box) for box in drawing.boxes)
    arrows = "".join(sheet.arrow(arrow) for arrow in drawing.arrows)
    title = escape(f"Workflow of {flow.name}")
    width, height = sheet.size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{title}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'font-family="system-ui, sans-serif" font-size="12"><title>{title}</title>'
        f'<defs><marker id="{sheet.tip}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="{_ARROW}"/></marker></defs>'
        f"{arrows}{boxes}</svg>\n"
    )


def in_cell(drawing: str) -> str:
    """Return a drawing as HTML for a place of any width: it shrinks a little, then scrolls."""
    least = _READABLE * int(drawing.partition(' width="')[2].partition('"')[0])
    style = f"max-width:100%;min-width:{least:.0f}px;height:auto"
    sized = drawing.replace("<svg ", f'<svg style="{style}" ', 1)
    return f'<div style="overflow-x:auto">{sized}</div>'


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The places of all boxes, and the paper they are on."""

    down: bool
    places: dict[str, _Place]
    columns: dict[str, int]
    size: Point

    @classmethod
    def of(cls, drawing: Drawing, *, down: bool) -> "_Sheet":
        """Place the boxes of a drawing: a layer after the other, each in the middle."""
        layers: dict[int, list[Box]] = defaultdict(list)
        for box in drawing.boxes:
            layers[box.layer].append(box)
        widest = max(
            sum(_across(box, down) + _ACROSS for box in layer) for layer in layers.values()
        )
        places: dict[str, _Place] = {}
        u = float(_MARGIN)
        for number in sorted(layers):
            layer = layers[number]
            along = max(_along(box, down) for box in layer)
            used = sum(_across(box, down) + _ACROSS for box in layer)
            v = _MARGIN + _LANE + (widest - used) / 2
            for box in layer:
                across = _across(box, down)
                places[box.id] = _Place(u, v, along if down else _along(box, down), across)
                v += across + _ACROSS
            u += along + (_ALONG_DOWN if down else _ALONG)
        # The last gap has room for the lane that leads back.
        length, breadth = u - (_ALONG_DOWN if down else _ALONG) + _LANE, widest + _MARGIN + _LANE
        columns = {box.id: len(layers[box.layer]) for box in drawing.boxes}
        return cls(down, places, columns, (breadth, length) if down else (length, breadth))

    def box(self, box: Box) -> str:
        """Return a box with its lines of text."""
        place = self.places[box.id]
        x, y = self._xy((place.u, place.v))
        width, height = self._xy((place.along, place.across))
        fill, line = COLOURS[box.kind]
        radius = height / 2 if box.is_router else 6
        first = y + (height - len(box.lines) * _LINE) / 2
        most = _LETTERS[_NARROW if self.down else _WIDTH]
        texts = "".join(
            f'<text x="{x + width / 2:.0f}" y="{first + _LINE * (row + 0.75):.0f}" '
            f'text-anchor="middle" fill="{_INK}"{weight}>{escape(_short(text, most))}</text>'
            for row, text in enumerate(box.lines)
            for weight in ["" if row else ' font-weight="600"']
        )
        return (
            f'<g data-node="{escape(box.id)}" data-kind="{box.kind}">'
            f"<title>{escape(' · '.join(box.lines))}</title>"
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" '
            f'rx="{radius:.0f}" fill="{fill}" stroke="{line}" stroke-width="1.5"/>{texts}</g>'
        )

    @property
    def tip(self) -> str:
        """The id of its arrow heads: a page may hold both drawings, and show one."""
        return "gnes-tip-down" if self.down else "gnes-tip"

    def arrow(self, arrow: Arrow) -> str:
        """Return a line from box to box, or along the lane back to the frontend."""
        source, target = self.places[arrow.source], self.places[arrow.target]
        dash = "" if arrow.label.lower().startswith("push") else ' stroke-dasharray="5 3"'
        if target.u > source.u:
            path = self._forth(source, target)
        else:
            path = self._back(source, target, is_alone=self.columns[arrow.source] == 1)
        return (
            f'<path d="{path}" fill="none" stroke="{_ARROW}" stroke-width="1.2"{dash} '
            f'marker-end="url(#{self.tip})"><title>{escape(arrow.label)}</title></path>'
        )

    def _forth(self, source: _Place, target: _Place) -> str:
        start, end = (source.u + source.along, source.middle), (target.u - 1, target.middle)
        bend = (_ALONG_DOWN if self.down else _ALONG) / 2
        near, far = (start[0] + bend, start[1]), (end[0] - bend, end[1])
        return f"M{self._at(start)}C{' '.join(map(self._at, (near, far, end)))}"

    def _back(self, source: _Place, target: _Place, *, is_alone: bool) -> str:
        """Go round everything; who stands beside others leaves by the far side, else by the top."""
        lane, home = float(_MARGIN), target.u + target.along / 2
        end = (home, target.v - 1)
        if is_alone:
            turn = source.u + source.along / 2
            begin = [(turn, source.v)]
        else:
            # Words may stand under a box.
            turn = source.u + source.along + (_LANE - 4 if self.down else _LANE / 2)
            begin = [(source.u + source.along, source.middle), (turn, source.middle)]
        return self._rounded([*begin, (turn, lane), (home, lane), end])

    def _rounded(self, points: list[Point]) -> str:
        """Return straight lines through points, with round corners."""
        path = f"M{self._at(points[0])}"
        for before, corner, after in zip(points, points[1:], points[2:], strict=False):
            path += f"L{self._at(_towards(corner, before))}Q{self._at(corner)} "
            path += self._at(_towards(corner, after))
        return f"{path}L{self._at(points[-1])}"

    def _xy(self, point: Point) -> Point:
        return (point[1], point[0]) if self.down else point

    def _at(self, point: Point) -> str:
        x, y = self._xy(point)
        return f"{x:.0f} {y:.0f}"


def _lines(box: Box) -> float:
    return len(box.lines) * _LINE + 2 * _PADDING


def _along(box: Box, down: bool) -> float:
    return _lines(box) if down else _WIDTH


def _across(box: Box, down: bool) -> float:
    return _NARROW if down else _lines(box)


def _towards(corner: Point, other: Point) -> Point:
    """Return the point a little way from a corner towards another point."""
    gap = max(abs(other[0] - corner[0]), abs(other[1] - corner[1]))
    part = min(_ROUND, gap / 2) / gap if gap else 0.0
    return (corner[0] + (other[0] - corner[0]) * part, corner[1] + (other[1] - corner[1]) * part)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
