"""`gnes search`: one question, its hits."""

import re
from html import escape, unescape
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer
from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from app.cli.common import (
    CollectionOption,
    ExitCode,
    JsonOption,
    ServerOption,
    UsageFaultError,
    client,
    console,
    emit,
)
from app.cli.explaining import tree_of
from app.local_files import LocalFile, modality_of, sent

SHOWN_CHARS = 240
Mode = Literal["vector", "text", "hybrid"]
_TIMES, _BOX = 2, 4  # numbers of a span
_EM = re.compile(r"</?em>")


def add_to(cli: typer.Typer) -> None:
    """Add this group's commands to the command line."""
    cli.command()(search)


MediumOption = Annotated[
    list[Path] | None,
    typer.Option("--like", help="An image, sound or video to look for, by file.", exists=True),
]
WeightOption = Annotated[
    list[str] | None,
    typer.Option("--weight", help="How much a part of the query counts, such as image=0.3."),
]


def search(  # noqa: PLR0913  # each is an option of the command line
    text: Annotated[str | None, typer.Argument(help="What to look for.")] = None,
    *,
    like: MediumOption = None,
    weight: WeightOption = None,
    limit: Annotated[int, typer.Option("--limit", "-l", help="Hits to show.", min=1)] = 10,
    filter_json: Annotated[
        str | None, typer.Option("--filter", help="Filter, as JSON of the REST API.")
    ] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="Indexes to ask; by default all that the flow has.")
    ] = None,
    using: Annotated[str | None, typer.Option(help="The one index to ask, by its name.")] = None,
    explain: Annotated[bool, typer.Option(help="Show how each score was made up.")] = False,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the documents nearest to a text, to a picture, a sound or a film, or to several."""
    request: dict[str, Any] = {"limit": limit, "highlight": True}
    request |= {"mode": mode} if mode else {}
    request |= {"using": using} if using else {}
    request |= {"explain": True} if explain else {}
    request |= {"filter": _filter(filter_json)} if filter_json else {}
    query = _query(text, like or [], weight or [])
    with client(server) as api:
        request["query"] = sent(query, api)
        answer = api.search(collection or api.collection(), request)
    emit(answer, as_json=as_json, show=lambda: show_answer(answer))
    if answer["coverage"]["degraded"]:
        raise typer.Exit(ExitCode.PARTIAL)


def _query(text: str | None, files: list[Path], weights: list[str]) -> dict[str, Any]:
    """Return what is asked, files still by their path.

    Raises: UsageFaultError: nothing, two of a kind, or a weight that is none.
    """
    query: dict[str, Any] = {"text": text} if text else {}
    for path in files:
        kind = modality_of(path)
        if kind is None:
            raise UsageFaultError(f"{path}: no known kind of image, sound or video")
        if kind in query:
            raise UsageFaultError(f"{path}: give one {kind} at most")
        query[kind] = LocalFile(path)
    if not query:
        raise UsageFaultError("nothing to look for: give a text, or --like FILE")
    return query | ({"weights": dict(map(_weight, weights))} if weights else {})


def _weight(text: str) -> tuple[str, float]:
    kind, _, number = text.partition("=")
    try:
        return kind, float(number)
    except ValueError:
        raise UsageFaultError(f"--weight {text}: write KIND=NUMBER, such as image=0.3") from None


def _filter(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        example = '{"must": [{"key": "year", "range": {"gte": 2000}}]}'
        raise UsageFaultError(f"--filter is not JSON ({error}); write {example}") from error


def show_answer(answer: dict[str, Any]) -> None:
    """Print hits with scores and highlights, and how long they took."""
    for rank, hit in enumerate(answer["hits"], 1):
        console.print(hit_lines(rank, hit))
    coverage = answer["coverage"]
    note = f"{len(answer['hits'])} hits in {answer['took_ms']:.1f} ms"
    if coverage["degraded"]:
        note += f", only {coverage['shards_ok']} of {coverage['shards_total']} shards answered"
    console.print(f"[dim]{note}[/]")


def hit_lines(rank: int, hit: dict[str, Any], shown_chars: int = SHOWN_CHARS) -> Group:
    """Return the lines that show one hit: rank, score, id, and its best chunk with marks."""
    head = Text.assemble(
        (f"{rank:>3} ", "dim"), (f"{hit['score']:.3f}  ", "cyan"), (str(hit["id"]), "bold")
    )
    lines: list[Any] = [head]
    best = max(hit.get("chunks") or [], key=lambda chunk: chunk["score"], default=None)
    if best and best.get("text"):
        words = _marked(best.get("highlight") or escape(best["text"]))
    else:
        words = _marked(hit.get("highlight") or escape(f"{_content(hit)}{_place(best)}"))
    words.truncate(shown_chars, overflow="ellipsis")
    lines.append(Padding(words, (0, 0, 0, 11)))
    if explanation := hit.get("explanation"):
        lines.append(Padding(tree_of(explanation), (0, 0, 1, 4)))
    return Group(*lines)


def _content(hit: dict[str, Any]) -> str:
    content = hit.get("content") or {}
    if content.get("text"):
        return " ".join(str(content["text"]).split())
    return ", ".join(
        f"{kind} {medium.get('media_type', '')}".strip() if isinstance(medium, dict) else kind
        for kind, medium in content.items()
    )


def _place(chunk: dict[str, Any] | None) -> str:
    """Say where in a film, a sound or a picture a chunk is."""
    span = (chunk or {}).get("span") or []
    if len(span) == _TIMES and span[0] >= 0:
        return f", {_clock(span[0])} to {_clock(span[1])}"
    if len(span) == _BOX:
        x0, y0, x1, y1 = (f"{corner:g}" for corner in span)
        return f", box {x0},{y0} to {x1},{y1}"
    return ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(float(seconds), 60)
    return f"{int(minutes)}:{rest:04.1f}"


def _marked(excerpt: str) -> Text:
    """Return an excerpt on one line, with what the API has put between <em> tags in bold."""
    flat = Text()
    for number, piece in enumerate(_EM.split(excerpt)):
        words = unescape(piece).replace("\n", " ")
        flat.append(words, style="bold yellow" if number % 2 else "")
    return flat
