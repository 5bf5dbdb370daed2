"""Plain data to YAML that every reader understands alike, with anchors where people look.

A word is left bare only where YAML 1.1 and 1.2 agree that it is a word; all else is quoted as
JSON quotes it, which both understand.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_BARE = re.compile(r"(?:\./)?[A-Za-z_/][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
#: Lists of words up to this long stand on one line.
_LINE = 88
_NOT_BARE = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan"})
#: What YAML forbids inside a literal block; such text is quoted instead.
_NOT_LITERAL = re.compile(
    r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd]|^[ \t\n]|[ \t]+$|\t", re.MULTILINE
)
#: What YAML cannot hold as it is, even between quotes, or what its versions see differently.
_NOT_PRINTABLE = re.compile(
    r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


@dataclass(frozen=True, slots=True)
class Anchored:
    """A mapping that other places merge under its name: ``&name``."""

    name: str
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Alias:
    """The place where an anchored mapping is used: ``*name``."""

    name: str


def dump(data: Mapping[str, Any]) -> str:
    """Return the YAML text of a mapping, keys in the order given."""
    return "".join(f"{line}\n" for line in _mapping(data, ""))


def dump_all(documents: list[Mapping[str, Any]]) -> str:
    """Return several documents as one YAML stream."""
    return "---\n".join(map(dump, documents))


def _mapping(data: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in data.items():
        yield from _entry(f"{indent}{_key(key, value)}:", value, indent)


def _key(key: str, value: Any) -> str:
    """Return a key; ``<<`` stands bare only where it merges."""
    return key if isinstance(value, Alias) else _scalar(key)


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    """Yield the lines of one key (or of one dash) and its value."""
    if isinstance(value, Anchored):
        head, value = f"{head} &{value.name}", value.value
    if isinstance(value, Mapping) and value:
        yield head
        yield from _mapping(value, indent + "  ")
    elif isinstance(value, list | tuple) and value and not _fits_a_line(value):
        yield head
        yield from _sequence(value, indent + "  ")
    elif isinstance(value, str) and _is_literal(value):
        yield f"{head} |{'' if value.endswith(chr(10)) else '-'}"
        yield from (f"{indent}  {line}".rstrip() for line in value.removesuffix("\n").split("\n"))
    else:
        yield f"{head} {_inline(value)}".rstrip()


def _sequence(items: list[Any] | tuple[Any, ...], indent: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, Mapping) and item:
            first, *rest = _mapping(item, indent + "  ")
            yield f"{indent}- {first.strip()}"
            yield from rest
        else:
            yield from _entry(f"{indent}-", item, indent)


def _fits_a_line(items: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list, such as a command, is read best on one line."""
    are_scalars = not any(isinstance(item, Mapping | list | tuple | Alias) for item in items)
    return are_scalars and len(_inline(items)) <= _LINE


def _is_literal(text: str) -> bool:
    return "\n" in text.rstrip("\n") and not text.endswith("\n\n") and not _NOT_LITERAL.search(text)


def _inline(value: Any) -> str:
    if isinstance(value, Alias):
        return f"*{value.name}"
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_scalar, value))}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        is_bare = _BARE.fullmatch(value) and value.lower().strip(".") not in _NOT_BARE
        return value if is_bare else _quoted(value)
    text = json.dumps(value)
    needs_point = isinstance(value, float) and "." not in text  # else YAML 1.1 reads a word
    return text.replace("e", ".0e") if needs_point else text


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return _NOT_PRINTABLE.sub(lambda found: f"\\u{ord(found.group()):04x}", quoted)
