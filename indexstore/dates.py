"""Dates and times as tags have them: texts, compared as moments."""

import re
from datetime import UTC, datetime

#: At least a whole date; what follows is left to the parser. Years alone stay plain texts.
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:$|[T ])")


def moment(text: str) -> float | None:
    """Return the moment that an ISO 8601 date or time names, in seconds since 1970.

    A date is its first moment; where no time zone is given it is UTC. None: it is no date.
    """
    if not _DATE.match(text):
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    try:
        return aware.timestamp()
    except (OverflowError, ValueError):  # the first and the last day of the calendar
        return None
