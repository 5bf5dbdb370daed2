"""`gnes search`: one question, its hits."""

import re
from html import escape, unescape
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

SHOWN_CHARS = 240
Mode = Literal["vector", "text", "hybrid"]
_EM = re.compile(r"</?em>")


def add_to(cli: typer.Typer) -> None:
    """Add this group's commands to the command line."""
    cli.command()(search)


def search(  # noqa: PLR0913  # each is an option of the command line
    text: Annotated[str, typer.Argument(help="What to look for.")],
    *,
    limit: Annotated[int, typer.Option("--limit", "-l", help="Hits to show.", min=1)] = 10,
    filter_json: Annotated[
        str | None, typer.Option("--filter", help="Filter, as JSON of the REST API.")
    ] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="Indexes to ask; by default all that the flow has.")
    ] = None,
    explain: Annotated[bool, typer.Option(help="Show how each score was made up.")] = False,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the documents nearest to a text: in meaning, in words, or in both."""
    request: dict[str, Any] = {"query": {"text": text}, "limit": limit, "highlight": True}
    request |= {"mode": mode} if mode else {}
    request |= {"explain": True} if explain else {}
    request |= {"filter": _filter(filter_json)} if filter_json else {}
    with client(server) as api:
        answer = api.search(collection or api.collection(), request)
    emit(answer, as_json=as_json, show=lambda: show_answer(answer))
    if answer["coverage"]["degraded"]:
        raise typer.Exit(ExitCode.PARTIAL)


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
        words = _marked(hit.get("highlight") or escape(_content(hit)))
    words.truncate(shown_chars, overflow="ellipsis")
    lines.append(Padding(words, (0, 0, 0, 11)))
    if explanation := hit.get("explanation"):
        lines.append(Padding(tree_of(explanation), (0, 0, 1, 4)))
    return Group(*lines)


def _content(hit: dict[str, Any]) -> str:
    content = hit.get("content") or {}
    return " ".join(str(content.get("text") or ", ".join(content)).split())


def _marked(excerpt: str) -> Text:
    """Return an excerpt on one line, with what the API has put between <em> tags in bold."""
    flat = Text()
    for number, piece in enumerate(_EM.split(excerpt)):
        words = unescape(piece).replace("\n", " ")
        flat.append(words, style="bold yellow" if number % 2 else "")
    return flat
