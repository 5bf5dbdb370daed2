"""Filters over tags: must / should / must_not / min_should, nested as deep as the limit allows."""

from typing import Annotated, Any, Self

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from app.api.schemas.base import Input


def _scalar(value: Any) -> str | int | float | bool:
    """Return what a tag can be compared with."""
    if isinstance(value, str | int | float):
        return value
    raise ValueError("expected a string, a number, true or false")


def _bound(value: Any) -> str | int | float:
    """Return what can bound a range."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    raise ValueError("expected a number, or a string such as a date")


Scalar = Annotated[
    str | int | float | bool,
    PlainValidator(_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
Bound = Annotated[
    str | int | float, PlainValidator(_bound), WithJsonSchema({"type": ["string", "number"]})
]
Name = Annotated[str, Field(min_length=1, max_length=256)]
SHAPES = ("match", "range", "is_empty", "has_id")


class Match(Input):
    """A tag's value equals one, equals any, equals none, or holds words; exactly one of these."""

    value: Scalar | None = None
    any_of: list[Scalar] | None = Field(None, alias="any", min_length=1)
    none_of: list[Scalar] | None = Field(None, alias="except", min_length=1)
    text: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one(self) -> Self:
        """Exactly one comparison."""
        given = (self.value, self.any_of, self.none_of, self.text)
        if sum(value is not None for value in given) != 1:
            raise ValueError("give exactly one of value, any, except and text")
        return self


class Range(Input):
    """A tag's value lies between bounds; numbers with numbers, strings with strings."""

    gt: Bound | None = None
    gte: Bound | None = None
    lt: Bound | None = None
    lte: Bound | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        """At least one bound."""
        if self.gt is self.gte is self.lt is self.lte is None:
            raise ValueError("give at least one of gt, gte, lt and lte")
        return self


class MinShould(Input):
    """At least so many of these conditions hold."""

    conditions: list["Condition"] = Field(min_length=1)
    min_count: int = Field(ge=1)


class Filter(Input):
    """All of ``must``, any of ``should``, none of ``must_not``."""

    must: list["Condition"] | None = None
    should: list["Condition"] | None = None
    must_not: list["Condition"] | None = None
    min_should: MinShould | None = None

    @property
    def is_group(self) -> bool:
        """Tell whether it holds any condition."""
        groups = (self.must, self.should, self.must_not, self.min_should)
        return any(group is not None for group in groups)

    def plain(self) -> dict[str, Any]:
        """Return the filter as the JSON it came as."""
        return self.model_dump(by_alias=True, exclude_none=True)

    def depth(self) -> int:
        """Return how deep groups nest; a filter without nested groups is 1 deep."""
        inner = [*(self.must or ()), *(self.should or ()), *(self.must_not or ())]
        if self.min_should is not None:
            inner += self.min_should.conditions
        return 1 + max((condition.depth() for condition in inner if condition.is_group), default=0)


class Condition(Filter):
    """One condition on a tag (``key``), on ids, or a nested group."""

    key: Name | None = Field(None, description="a tag's name; a dot descends: author.name")
    match: Match | None = None
    range: Range | None = None
    is_empty: bool | None = Field(None, description="the tag is missing, null or an empty list")
    has_id: list[Name] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        """A condition is of exactly one shape."""
        given = [name for name in SHAPES if getattr(self, name) is not None]
        given += ["a nested group"] if self.is_group else []
        if len(given) != 1:
            got = ", ".join(given) or "none"
            raise ValueError(f"give exactly one of {', '.join(SHAPES)} or a group; got {got}")
        if (self.key is not None) != (given[0] in {"match", "range", "is_empty"}):
            raise ValueError(f"{given[0]} " + ("takes no key" if self.key else "needs a key"))
        return self


for _model in (MinShould, Filter, Condition):
    _model.model_rebuild()
