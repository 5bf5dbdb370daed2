"""What all schemas share: strict types, no unknown fields, vectors as rows of numbers."""

from difflib import get_close_matches
from typing import Annotated, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)

from app.api.problems import faults_of, invalid

S = TypeVar("S", bound="Input")


class Input(BaseModel):
    """What a client sends: JSON's own types without coercion, and no field we do not know."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def read(cls, value: Any) -> Self:
        """Check a parsed JSON value.

        Raises:
            Problem: 400 ``invalid_request`` that lists every fault with its field.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise invalid(with_hints(faults_of(error), cls)) from None


class Output(BaseModel):
    """What we send; only described here, rendered by orjson."""

    model_config = ConfigDict(extra="allow")


def with_hints(faults: list[dict[str, str]], model: type[BaseModel]) -> list[dict[str, str]]:
    """Add the nearest known name to every fault about an unknown field."""
    return [
        {**fault, "reason": fault["reason"] + _hint(fault["field"], model)}
        if fault["reason"] == "there is no such field"
        else fault
        for fault in faults
    ]


def _hint(field: str, model: type[BaseModel]) -> str:
    """Return the known fields of the object that ``field`` stands in, nearest first."""
    known = _fields_beside(field, model)
    near = get_close_matches(field.rpartition(".")[2], known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(known)}"


def _fields_beside(field: str, model: type[BaseModel]) -> list[str]:
    """Return the names that the object around ``field`` takes."""
    for part in field.split(".")[:-1]:
        info = model.model_fields.get(part.partition("[")[0])
        inner = _model_in(info.annotation) if info is not None else None
        if inner is None:
            return []
        model = inner
    return [info.alias or name for name, info in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside an annotation such as ``list[Model] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = map(_model_in, getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)


def _row(value: Any) -> NDArray[np.float32]:
    """Return a list of numbers as one float32 row, refusing all else."""
    if not isinstance(value, list) or not value:
        raise ValueError("a vector is a list of one or more numbers")
    if not set(map(type, value)) <= {float, int}:
        place, wrong = next((i, v) for i, v in enumerate(value) if type(v) not in {float, int})
        raise ValueError(f"a vector holds numbers only; number {place} is {_shown(wrong)}")
    with np.errstate(over="ignore"):
        row = np.array(value, np.float32)
    if not np.isfinite(row).all():
        place = int(np.flatnonzero(~np.isfinite(row))[0])
        raise ValueError(f"number {place} is too large for 32 bits")
    return row


def _shown(value: Any) -> str:
    """Return a short picture of a value for an error text."""
    return (
        {True: "true", False: "false", None: "null"}.get(value, repr(value)[:40])
        if (value is None or isinstance(value, bool))
        else repr(value)[:40]
    )


Vector = Annotated[
    NDArray[np.float32],
    PlainValidator(_row),
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 1}),
]
