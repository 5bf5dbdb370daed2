"""The nearest of the names that exist, for errors that say how to mend a typo."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, or None when nothing is close."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is not known, which one may have been meant, and which there are."""
    names = sorted(known)
    guess = nearest(name, names)
    hint = f"; did you mean {guess!r}?" if guess else ""
    return f"there is no {what} {name!r}{hint} (known: {', '.join(names) or 'none'})"
