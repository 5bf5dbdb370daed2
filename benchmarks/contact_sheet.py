"""A contact sheet: questions and what was found, as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from app.client import Client
from app.local_files import LocalFile

SIZE = 192
_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 80rem; margin: 1rem auto; padding: 0 1rem; }
section { border-top: 1px solid #8884; padding: .75rem 0; }
h2 { font-size: 1rem; margin: 0 0 .5rem; }
.row {
  display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(9.5rem, 45%), 1fr));
}
figure { margin: 0; }
figure.asked { border-right: 3px solid #0b57d0; padding-right: .75rem; }
figure img {
  width: 100%; height: 8rem; object-fit: contain; background: #8882; border-radius: .4rem;
}
figcaption { font-size: .8rem; overflow-wrap: anywhere; }
.words { display: grid; place-items: center; height: 8rem; font-style: italic; text-align: center; }
"""


class Sheet:
    """Gathers questions and hits; what is seen of them comes from the server as thumbnails."""

    def __init__(self, api: Client) -> None:
        self._api = api
        self._sections: list[str] = []

    def add(self, title: str, query: Mapping[str, Any], hits: Sequence[Mapping[str, Any]]) -> None:
        """Add a question and what was found."""
        figures = [*self._asked(query), *map(self._hit, hits)]
        row = f'<div class="row">{"".join(figures)}</div>'
        self._sections.append(f"<section><h2>{html.escape(title)}</h2>{row}</section>")

    def html(self) -> str:
        """Return the page."""
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Contact sheet</title>'
        view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
        body = f"<h1>What was asked, and what was found</h1>{''.join(self._sections)}"
        return f"{head}{view}<style>{_STYLE}</style>{body}</html>"

    def _asked(self, query: Mapping[str, Any]) -> Iterator[str]:
        for kind, value in query.items():
            if kind == "text":
                yield _figure(f'<div class="words">{html.escape(str(value))}</div>', "", "asked")
            elif isinstance(value, LocalFile):
                blob = self._api.upload(value.path)["blob"]
                yield _figure(self._seen({"blob": blob}, kind, []), value.path.name, "asked")

    def _hit(self, hit: Mapping[str, Any]) -> str:
        kind, content = next(iter(hit["content"].items()))
        span = hit["chunks"][0].get("span") or []
        caption = f"{hit['score']:.3f} {hit['id']}"
        if len(span) == 2:  # noqa: PLR2004  (start and end)
            caption += f", {span[0]:.1f} to {span[1]:.1f} s"
        if not isinstance(content, Mapping):
            return _figure(f'<div class="words">{html.escape(str(content))}</div>', caption)
        return _figure(self._seen(content, kind, span), caption)

    def _seen(self, content: Mapping[str, Any], kind: str, span: Sequence[float]) -> str:
        """Return a medium as it is seen: a moving clip of a film's moment, else a thumbnail."""
        path = f"/v1/blobs/{content['blob']}"
        if kind == "video":
            start = span[0] if span else 0.0
            end = min(span[1] if span else 3.0, start + 3.0)
            options = {"from": start, "to": max(end, start + 0.2), "format": "webp", "size": SIZE}
            return _image(self._api.content(f"{path}/clip?{urlencode(options)}"))
        return _image(self._api.content(f"{path}/thumbnail?size={SIZE}"))


def _image(data: bytes) -> str:
    return f'<img alt="" src="data:image/webp;base64,{base64.b64encode(data).decode()}">'


def _figure(inside: str, caption: str, name: str = "found") -> str:
    return (
        f'<figure class="{name}">{inside}<figcaption>{html.escape(caption)}</figcaption></figure>'
    )
