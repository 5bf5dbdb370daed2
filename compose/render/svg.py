"""A flow as SVG: drawn here, so that no page needs a script to show it."""

from collections import defaultdict
from html import escape

from compose.flow import Flow
from compose.render.drawing import COLOURS, Arrow, Box, Drawing, draw

#: Sizes in pixels.
_WIDTH, _LINE, _PADDING, _GAP_X, _GAP_Y, _MARGIN = 150, 16, 10, 70, 18, 16
#: Room over the drawing for the arrows that lead back to the frontend.
_RETURN = 40
_Place = tuple[float, float, float]


def svg(flow: Flow) -> str:
    """Return the drawing of a flow as one SVG element, from left to right."""
    drawing = draw(flow)
    places, width, height = _places(drawing)
    boxes = "".join(_box(box, places[box.id]) for box in drawing.boxes)
    arrows = "".join(_arrow(arrow, places) for arrow in drawing.arrows)
    title = escape(f"Workflow of {flow.name}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{title}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'font-family="system-ui, sans-serif" font-size="12"><title>{title}</title>'
        '<defs><marker id="gnes-tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#607080"/></marker></defs>'
        f"{arrows}{boxes}</svg>\n"
    )


def _height(box: Box) -> float:
    return len(box.lines) * _LINE + 2 * _PADDING


def _places(drawing: Drawing) -> tuple[dict[str, _Place], float, float]:
    """Return x, y and height of each box, then the size of the whole."""
    columns: dict[int, list[Box]] = defaultdict(list)
    for box in drawing.boxes:
        columns[box.layer].append(box)
    tallest = max(sum(_height(box) + _GAP_Y for box in column) for column in columns.values())
    places: dict[str, _Place] = {}
    for layer, column in columns.items():
        used = sum(_height(box) + _GAP_Y for box in column)
        y = _MARGIN + _RETURN + (tallest - used) / 2
        for box in column:
            places[box.id] = (_MARGIN + layer * (_WIDTH + _GAP_X), y, _height(box))
            y += _height(box) + _GAP_Y
    width = 2 * _MARGIN + (max(columns) + 1) * (_WIDTH + _GAP_X) - _GAP_X
    return places, width, 2 * _MARGIN + _RETURN + tallest - _GAP_Y


def _box(box: Box, place: _Place) -> str:
    x, y, height = place
    fill, line = COLOURS[box.kind]
    radius = height / 2 if box.is_router else 6
    texts = "".join(
        f'<text x="{x + _WIDTH / 2:.0f}" y="{y + _PADDING + _LINE * (row + 0.75):.0f}" '
        f'text-anchor="middle" fill="#1c1c1c"{weight}>{escape(_short(text))}</text>'
        for row, text in enumerate(box.lines)
        for weight in ["" if row else ' font-weight="600"']
    )
    return (
        f'<g data-node="{escape(box.id)}"><title>{escape(" · ".join(box.lines))}</title>'
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{_WIDTH}" height="{height:.0f}" '
        f'rx="{radius:.0f}" fill="{fill}" stroke="{line}" stroke-width="1.5"/>{texts}</g>'
    )


def _short(text: str) -> str:
    most = 20
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _arrow(arrow: Arrow, places: dict[str, _Place]) -> str:
    x1, y1, height1 = places[arrow.source]
    x2, y2, height2 = places[arrow.target]
    dash = "" if arrow.label.lower().startswith("push") else ' stroke-dasharray="5 3"'
    if x2 > x1:
        start, end = (x1 + _WIDTH, y1 + height1 / 2), (x2 - 1, y2 + height2 / 2)
        bend = _GAP_X / 2
        path = (
            f"M{start[0]:.0f} {start[1]:.0f}C{start[0] + bend:.0f} {start[1]:.0f} "
            f"{end[0] - bend:.0f} {end[1]:.0f} {end[0]:.0f} {end[1]:.0f}"
        )
    else:  # back to the frontend, over everything else
        start, end = (x1 + _WIDTH / 2, y1), (x2 + _WIDTH / 2, y2 - 1)
        path = (
            f"M{start[0]:.0f} {start[1]:.0f}C{start[0]:.0f} {_MARGIN} "
            f"{end[0]:.0f} {_MARGIN} {end[0]:.0f} {end[1]:.0f}"
        )
    return (
        f'<path d="{path}" fill="none" stroke="#607080" stroke-width="1.2"{dash} '
        f'marker-end="url(#gnes-tip)"><title>{escape(arrow.label)}</title></path>'
    )
