"""Regular expressions over texts of strangers, in steps: one call over a whole text would hold up every thread of the
process until it is through, and with them the loops, whose clocks run on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

STEP = 8 * 1024  # characters in which a match may begin, before others have their turn
REACH = 1024  # characters behind those; no pattern here looks further before it knows whether it fits


def first(pattern: re.Pattern[str], text: str, at: int = 0) -> re.Match[str] | None:
    """The first match from there on, as `pattern.search` has it."""
    while at <= len(text):
        stop = at + STEP + REACH
        found = pattern.search(text, at, stop)
        if found is None or found.start() >= at + STEP:
            at += STEP
            continue
        whole = found if found.end() < stop else pattern.match(text, found.start())  # it may go on behind that
        if whole is not None:
            return whole
        at = found.start() + 1
    return None


def matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """All matches, as `pattern.finditer` has them; none of them may be empty."""
    at = 0
    while (found := first(pattern, text, at)) is not None:
        yield found
        at = found.end()
