"""The OpenAPI description: request bodies that we parse ourselves, problems, keys, examples."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.api.problems import KINDS, MEDIA_TYPE, kinds
from app.api.schemas.base import Output

REF = "#/components/schemas/{model}"
DESCRIPTION = """\
Neural search: documents in, the nearest ones out, over sharded indexes.

Errors are problem documents (RFC 9457, `application/problem+json`) with a `code`; every answer
carries an `X-Request-Id`. Writes are acknowledged (202) once they are durable; pass the `token`
of a write to a search that must see it. When keys are set, send `Authorization: Bearer <key>`
or `api-key: <key>`.
"""


class ProblemDocument(Output):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[dict[str, str]] | None = None
    stage: str | None = None
    retry_after: float | None = None


def takes(
    model: type[BaseModel], *, example: Any = None, many: bool = False, required: bool = True
) -> dict[str, Any]:
    """Describe a JSON body that the route parses by itself; ``many``: one, a list, or NDJSON."""
    ref = {"$ref": REF.format(model=model.__name__)}
    schema: dict[str, Any] = (
        {"oneOf": [ref, {"type": "array", "minItems": 1, "items": ref}]} if many else ref
    )
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if example is not None:
        content["application/json"]["example"] = example
    if many:
        content["application/x-ndjson"] = {
            "schema": {"type": "string", "description": "one document as JSON a line"}
        }
    return {"requestBody": {"required": required, "content": content}}


def answers(
    model: type[BaseModel], *problems: int, status: int = 200, also: Mapping[int, str] | None = None
) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a route: the good one, and which problems it may give."""
    described: dict[int | str, dict[str, Any]] = {
        code: {"description": text, "model": model} for code, text in (also or {}).items()
    }
    described[status] = {"description": HTTPStatus(status).phrase, "model": model}
    for code in problems:
        titles = sorted({kind.title for kind in kinds().values() if kind.status == code})
        described[code] = {
            "description": "; ".join(titles) or HTTPStatus(code).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="ProblemDocument")}}},
        }
    return described


def install(app: FastAPI, *, bodies: Sequence[type[BaseModel]], schemas: Mapping[str, Any]) -> None:
    """Let the application describe itself: also the bodies and schemas that FastAPI cannot see."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app, bodies)
            app.openapi_schema["components"]["schemas"].update(schemas)
            _drop_orphans(app.openapi_schema)
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]  # FastAPI's documented way


def _describe(app: FastAPI, bodies: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """Return FastAPI's description with our bodies, problems and keys added."""
    described = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes
    )
    components = described.setdefault("components", {})
    wanted: list[type[BaseModel]] = [*bodies, ProblemDocument]
    _, made = models_json_schema([(m, "validation") for m in wanted], ref_template=REF)
    components.setdefault("schemas", {}).update(made["$defs"])
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "api_key": {"type": "apiKey", "in": "header", "name": "api-key"},
    }
    described["security"] = [{}, {"bearer": []}, {"api_key": []}]
    for path in described["paths"].values():
        for operation in path.values():
            _without_fastapi_faults(operation["responses"])
    return described


def _drop_orphans(described: dict[str, Any]) -> None:
    """Remove schemas that nothing refers to, until there is none."""
    schemas = described["components"]["schemas"]
    orphans: set[str] | None = None
    while orphans is None or orphans:
        text = orjson.dumps(described).decode()
        orphans = {name for name in schemas if f'"{REF.format(model=name)}"' not in text}
        for name in orphans:
            del schemas[name]


def _without_fastapi_faults(responses: dict[str, Any]) -> None:
    """Drop the 422 that FastAPI adds to every route with parameters: ours is a 400."""
    schema = responses.get("422", {}).get("content", {}).get("application/json", {})
    if schema.get("schema", {}).get("$ref", "").endswith("HTTPValidationError"):
        del responses["422"]
        responses.setdefault("400", _fault_response())


def _fault_response() -> dict[str, Any]:
    """Return the description of a 400."""
    return {
        "description": KINDS["invalid_request"].title,
        "content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="ProblemDocument")}}},
    }
