"""`gnes eval`: how good the answers to judged queries are."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import orjson
import typer
from rich.progress import Progress as Bar
from rich.table import Table

from app.cli.common import (
    CollectionOption,
    JsonOption,
    ServerOption,
    UsageFaultError,
    client,
    console,
    emit,
    errors,
)
from app.cli.following import collection_path
from app.cli.judgements import Judgements, judgements_of, queries_of
from app.cli.searching import Mode
from app.client import Client
from app.evaluation import (
    Grades,
    average_precision_at,
    ndcg_at,
    recall_at,
    reciprocal_rank_at,
    significance,
)

Rankings = dict[str, list[str]]  # query: documents, best first
MEASURES: Mapping[str, Callable[[Sequence[str], Grades], float]] = {
    "nDCG@10": partial(ndcg_at, 10),
    "recall@10": partial(recall_at, 10),
    "recall@100": partial(recall_at, 100),
    "MRR@10": partial(reciprocal_rank_at, 10),
    "MAP@100": partial(average_precision_at, 100),
}
_DEEP = 100  # documents of a ranking that measures look at


def add_to(cli: typer.Typer) -> None:
    """Add this group's commands to the command line."""
    cli.command("eval")(evaluate)


def evaluate(
    queries: Annotated[Path, typer.Argument(help="Queries: JSON lines, or id<TAB>text.")],
    qrels: Annotated[Path, typer.Argument(help="Judgements: TREC's qrels, or BEIR's table.")],
    *,
    mode: Annotated[
        list[str] | None,
        typer.Option(help="vector, text or hybrid; several to compare; default: all."),
    ] = None,
    runs: Annotated[
        Path | None, typer.Option("--runs", help="Write each mode's ranking here, as TREC's.")
    ] = None,
    collection: CollectionOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask judged queries and say how good the rankings are: nDCG, recall, MRR, MAP.

    p tells how easily chance would make the difference in nDCG@10 to the first mode.
    """
    for one in mode or ():
        if one not in get_args(Mode):
            raise UsageFaultError(f"--mode {one!r}: there are {', '.join(get_args(Mode))}")
    texts, judged = queries_of(queries), judgements_of(qrels)
    wanted = {query: text for query, text in texts.items() if any(judged.get(query, {}).values())}
    if not wanted:
        raise UsageFaultError(f"{qrels} judges none of the {len(texts)} queries of {queries}")
    with client(server) as api:
        path = f"{collection_path(api, collection)}/search"
        rankings = {
            one: _ranked(api, path, wanted, one, quiet=as_json) for one in mode or _modes(api)
        }
    if runs is not None:
        _write_runs(runs, rankings)
    scores = {one: _scores(found, judged) for one, found in rankings.items()}
    rows = _rows(scores)
    emit(
        {"queries": len(wanted), "modes": rows},
        as_json=as_json,
        show=lambda: _show_scores(rows, len(wanted)),
    )


def _modes(api: Client) -> list[str]:
    kinds = {index["kind"] for index in api.call("GET", "/v1/flow")["indexes"]}
    return [*sorted(kinds, reverse=True), *(["hybrid"] if len(kinds) > 1 else [])]


def _ranked(
    api: Client, path: str, queries: Mapping[str, str], mode: str, *, quiet: bool
) -> Rankings:
    found: Rankings = {}
    with Bar(console=errors, disable=quiet) as bar:
        for query, text in bar.track(queries.items(), description=mode):
            asked = {
                "query": {"text": text}, "mode": mode, "limit": _DEEP, "with_content": False,
            }  # fmt: skip
            answer = api.call("POST", path, body=orjson.dumps(asked), retries=3)
            found[query] = [hit["id"] for hit in answer["hits"]]
    return found


def _scores(rankings: Rankings, judged: Judgements) -> dict[str, np.ndarray[Any, Any]]:
    return {
        name: np.array([measured(found, judged[query]) for query, found in rankings.items()])
        for name, measured in MEASURES.items()
    }


def _rows(scores: Mapping[str, Mapping[str, np.ndarray[Any, Any]]]) -> list[dict[str, Any]]:
    first = next(iter(scores.values()))["nDCG@10"]
    return [
        {
            "mode": mode,
            **{name: round(float(values.mean()), 4) for name, values in mine.items()},
            "p": None if mine["nDCG@10"] is first else significance(mine["nDCG@10"], first),
        }
        for mode, mine in scores.items()
    ]


def _show_scores(rows: list[dict[str, Any]], queries: int) -> None:
    table = Table("mode", *MEASURES, "p", box=None, title=f"{queries} judged queries")
    for row in rows:
        cells = (f"{row[name]:.4f}" for name in MEASURES)
        table.add_row(row["mode"], *cells, "" if row["p"] is None else f"{row['p']:.4f}")
    console.print(table)


def _write_runs(folder: Path, rankings: Mapping[str, Rankings]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for mode, found in rankings.items():
        with (folder / f"{mode}.run").open("w", encoding="utf-8") as file:
            for query, documents in found.items():
                for rank, doc_id in enumerate(documents, 1):
                    file.write(f"{query} Q0 {doc_id} {rank} {1 / rank:.6f} gnes-{mode}\n")
