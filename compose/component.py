"""One component as the catalog describes it: its kind, names, options, modalities, dimension."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_LITERAL = re.compile(r"Literal\[(.*)\]$|^one of (.*?)(?: or null)?$")
_KIND_OF_CLASS: Mapping[str, str] = {
    "Preprocessor": "preprocessor",
    "Encoder": "encoder",
    "ScoreFunction": "score",
    "Reducer": "reducer",
    "Reranker": "reranker",
}
#: Options that are components: in the catalog's words, or by the base class a plug-in names.
_INNER = re.compile(rf"a component of kind (\w+)|\b({'|'.join(_KIND_OF_CLASS)})\b")
_SCALARS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("int", "integer"), (int,)),
    **dict.fromkeys(("float", "number"), (int, float)),
    **dict.fromkeys(("str", "string", "text"), (str,)),
    **dict.fromkeys(("bool", "boolean"), (bool,)),
    **dict.fromkeys(("none", "null"), (type(None),)),
    **dict.fromkeys(("list", "tuple", "sequence", "array"), (list,)),
    **dict.fromkeys(("dict", "mapping", "object"), (dict,)),
}
#: What types of Python are called in documents and faults, as workers' components call them.
_WORDS: Mapping[str, str] = {
    "int": "integer", "float": "number", "str": "text", "bool": "true or false", "None": "null",
    " | ": " or ",
}  # fmt: skip
_PYTHON = re.compile(r"\b(?:int|float|str|bool|None)\b| \| ")


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a component, as the catalog describes it.

    ``shapes`` is False for what changes speed or place but never a chunk or a vector.
    """

    name: str
    type: str = "any"
    default: Any = None
    required: bool = False
    doc: str = ""
    choices: tuple[Any, ...] = ()
    shapes: bool = True

    def types(self) -> list[str]:
        """Return the words of its type, in small letters: "int | None" gives int and none."""
        return _alternatives(self.type)

    @property
    def words(self) -> str:
        """Its type for people: ``int | None`` is "integer or null", a literal its choices."""
        if self.allowed():
            return f"one of {', '.join(map(str, self.allowed()))}"
        return _PYTHON.sub(lambda found: _WORDS[found.group()], self.type)

    @property
    def component(self) -> str:
        """The kind of component it takes, of itself or in a list; "" for a plain value."""
        found = _INNER.search(self.type)
        if found is None:
            return ""
        return found.group(1) or _KIND_OF_CLASS[found.group(2)]

    def allowed(self) -> tuple[Any, ...]:
        """Return the values this option is limited to; () when it is not."""
        literal = _LITERAL.search(self.type)
        return self.choices or (_literals(literal.group(1) or literal.group(2)) if literal else ())

    def takes(self, value: Any) -> bool:
        """Whether the value has one of the option's types."""
        if self.allowed():
            is_optional = not self.required or not {"null", "none"}.isdisjoint(self.types())
            return value in self.allowed() or (value is None and is_optional)
        if value is None and self.default is None and not self.required:
            return True
        kinds = [_SCALARS.get(name) for name in self.types()]
        return any(kind is None or _is_a(value, kind) for kind in kinds)


#: What an encoder of vectors asks of their length: {"over": 400}, {"multiple of": 8}.
Widths = Mapping[str, int]


def unmet(widths: Widths, dim: int | None) -> str:
    """Return in words what vectors of this length should be as long as; "" where they fit."""
    over, step = widths.get("over", 0), widths.get("multiple of", 1)
    if dim is None or (dim > over and dim % step == 0):
        return ""
    return f"more than {over}" if dim <= over else f"a multiple of {step}"


@dataclass(frozen=True, slots=True)
class Component:
    """One component of the catalog."""

    kind: str
    name: str
    aliases: tuple[str, ...] = ()
    module: str = ""
    summary: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    dim: int | Mapping[str, Any] | None = None
    options: tuple[Option, ...] = ()
    former_options: Mapping[str, str | None] = field(default_factory=dict)  # as GNES called them
    open_options: bool = False
    learns: bool = False  # is of no use before it was trained
    metric: str = ""  # the only way an encoder's codes can be compared
    keeps_dim: bool = False  # makes vectors as long as those it is given
    takes_dim: Mapping[str, str] = field(default_factory=dict)  # what it asks of their length

    def option(self, name: str) -> Option | None:
        """Return the option of that name; None when there is none."""
        return next((option for option in self.options if option.name == name), None)

    def dimension(self, options: Mapping[str, Any]) -> int | None:
        """Return the length of its vectors under these options; None when only a run tells."""
        if isinstance(self.dim, Mapping):
            count = self._count(self.dim["option"], options)
            is_double = any(value in options.values() for value in self.dim.get("doubling", ()))
            return count * 2 if count and is_double else count
        return self.dim

    def taken(self, options: Mapping[str, Any]) -> Widths:
        """Return what it asks of the length of the vectors it is given, under these options."""
        asked = {rule: self._count(name, options) for rule, name in self.takes_dim.items()}
        return {rule: count for rule, count in asked.items() if count}

    def _count(self, name: str, options: Mapping[str, Any]) -> int | None:
        option = self.option(name)
        value = options.get(name, option.default if option else None)
        return value if isinstance(value, int) and value > 0 else None

    def with_defaults(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that shape results, defaults filled in: what a fingerprint covers."""
        filled = {option.name: option.default for option in self.options} | dict(options)
        aside = {option.name for option in self.options if not option.shapes}
        return {name: value for name, value in sorted(filled.items()) if name not in aside}


def _alternatives(text: str) -> list[str]:
    """Return the type words of "int | list[str | None]" or "integer or list of text"."""
    words = re.sub(r"\[[^\]]*\]+", "", text.replace("true or false", "bool"))
    parts = re.split(r"\||\bor\b", words.lower())
    return [part.split(" of ")[0].strip().rsplit(".", 1)[-1] for part in parts]


def _literals(text: str) -> tuple[Any, ...]:
    words = [word.strip() for word in text.split(",")]
    return tuple(
        int(word) if word.lstrip("-").isdigit() else word.strip("'\"") for word in words if word
    )


def _is_a(value: Any, kinds: tuple[type, ...]) -> bool:
    """``isinstance``, except that True is no number."""
    if isinstance(value, bool) and bool not in kinds:
        return False
    return isinstance(value, kinds)
