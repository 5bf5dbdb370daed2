"""The flow's encoder as a service: our own shape, and the one that OpenAI's clients speak."""

import base64
import time
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray
from pydantic import Field
from starlette.responses import Response

from app.api.body import read_json
from app.api.house import House, answer, house_of
from app.api.limits import check_timeout
from app.api.openapi import answers, takes
from app.api.problems import invalid
from app.api.schemas.base import Input, Output
from app.api.waiting import WhileConnected

router = APIRouter(prefix="/v1", tags=["encode"])

#: Texts in one request, as OpenAI has it.
MAX_TEXTS = 2_048
#: Texts that travel together: short enough that searches need not wait long behind them.
SLICE = 32
_PROBLEMS = (400, 413, 415, 422, 500, 503, 504)


class EncodeBody(Input):
    """Texts to embed, each as one chunk."""

    texts: list[str] = Field(min_length=1, max_length=MAX_TEXTS)
    timeout_ms: int | None = Field(None, ge=1)


class EncodeResult(Output):
    """One embedding a text, in order."""

    embeddings: list[list[float]]
    dim: int
    fingerprint: str


class EmbeddingsBody(Input):
    """OpenAI's request; ``model`` and ``user`` are taken and change nothing."""

    input: str | list[str] = Field(min_length=1, max_length=1_000_000)
    model: str | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, description="the flow's own; another is refused")
    user: str | None = None


class EmbeddingsResult(Output):
    """OpenAI's answer; ``usage`` counts words, for tokens are the encoder's affair."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    model: str
    usage: dict[str, int]


@router.post(
    "/encode",
    summary="Embed texts",
    response_model=None,
    responses=answers(EncodeResult, *_PROBLEMS),
    openapi_extra=takes(EncodeBody, example={"texts": ["how do I join two paths"]}),
)
async def encode(request: Request) -> Response:
    """Return the flow's embedding of each text."""
    house = house_of(request)
    body = EncodeBody.read(await read_json(request))
    timeout_s = house.config.search_timeout_s
    if body.timeout_ms is not None:
        timeout_s = check_timeout(body.timeout_ms / 1000, house.limits, field="timeout_ms")
    rows = await _embedded(body.texts, request, timeout_s=timeout_s, field="texts")
    fingerprint = house.plan.fingerprint
    return answer({"embeddings": rows, "dim": rows.shape[1], "fingerprint": fingerprint})


@router.post(
    "/embeddings",
    summary="Embed texts, as OpenAI does",
    response_model=None,
    responses=answers(EmbeddingsResult, *_PROBLEMS),
    openapi_extra=takes(EmbeddingsBody, example={"input": "how do I join two paths"}),
)
async def embeddings(request: Request) -> Response:
    """Return the flow's embeddings in the shape that OpenAI's clients expect."""
    house = house_of(request)
    body = EmbeddingsBody.read(await read_json(request))
    texts = [body.input] if isinstance(body.input, str) else body.input
    if len(texts) > MAX_TEXTS:
        raise invalid([{"field": "input", "reason": f"more than {MAX_TEXTS} texts"}])
    rows = await _embedded(texts, request, timeout_s=house.config.search_timeout_s, field="input")
    if body.dimensions not in {None, rows.shape[1]}:
        reason = f"the flow's encoder has {rows.shape[1]} dimensions, and no other"
        raise invalid([{"field": "dimensions", "reason": reason}])
    is_binary = body.encoding_format == "base64"
    data = [
        {"object": "embedding", "index": i, "embedding": _base64(row) if is_binary else row}
        for i, row in enumerate(rows)
    ]
    words = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": words, "total_tokens": words}
    model = _model_of(house)
    return answer({"object": "list", "data": data, "model": model, "usage": usage})


async def _embedded(
    texts: list[str], request: Request, *, timeout_s: float, field: str
) -> NDArray[np.float32]:
    """Return the embeddings of texts, float32 (n, d).

    Raises:
        Problem: 400 that names the text which is empty or too long.
    """
    house = house_of(request)
    limit = house.limits.max_query_chars
    for place, text in enumerate(texts):
        if not text.strip() or len(text) > limit:
            reason = f"a text has 1 to {limit} characters (the limit max_query_chars), not blank"
            raise invalid([{"field": f"{field}[{place}]", "reason": reason}])
    end = time.monotonic() + timeout_s
    async with WhileConnected(request):
        parts = [
            await house.dispatch.embed(texts[at : at + SLICE], timeout_s=end - time.monotonic())
            for at in range(0, len(texts), SLICE)
        ]
    return np.concatenate(parts)


def _base64(row: NDArray[np.float32]) -> str:
    """Return a row as OpenAI packs it: little-endian float32 in base64."""
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


def _model_of(house: House) -> str:
    """Return the name of the flow's encoder for text."""
    for stage in house.plan.stages_of("encode"):
        component = stage.component("text")
        if component is not None:
            return component.uses or "pipeline"
    return house.plan.collection
