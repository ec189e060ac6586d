"""What earlier releases stored, made into what this one stores: a step for each version, one after the other.

A value that was read is brought up to date in memory, and written in the present version with the job's
next write: a store of a million jobs is opened at once, and a finished job stays as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tagapi.jobs.errors import StoreTooNew

Stored = dict[str, Any]
RETRY_AFTER = 60  # seconds: until somebody has put the right release in its place, as a guess

VERSION = 3
"""Of a request and of a moving part. Version 1 carried none; a request was the list of its four facts then."""


def _request_2(stored: list[Any]) -> Stored:
    task, owner, arguments, labels = stored
    return {"task": task, "owner": owner, "arguments": arguments, "labels": labels, "request_id": None}


def _moving_2(stored: Stored) -> Stored:
    return {**stored, "tries": 0, "doubts": 0, "claim_token": ""}


def _request_3(stored: Stored) -> Stored:
    return {**stored, "lane": None, "retry_of": None, "kept_before": None, "asked": None}


def _moving_3(stored: Stored) -> Stored:
    """Events had no numbers: they are those that are there."""
    events = [{**event, "number": number} for number, event in enumerate(stored["events"], 1)]
    return {
        **stored,
        "events": events,
        "phases": [],
        "journal": [],
        "kept": None,
        "ending": None,
        "undos": 0,
        "left": None,
        "cause": None,
    }


REQUEST_STEPS: Mapping[int, Callable[[Any], Stored]] = {2: _request_2, 3: _request_3}
MOVING_STEPS: Mapping[int, Callable[[Any], Stored]] = {2: _moving_2, 3: _moving_3}
"""By the version that a step leads to."""


def up_to_date(stored: Any, steps: Mapping[int, Callable[[Any], Stored]], present: int = VERSION) -> Stored:
    """The facts in the present version, without its number. Raises StoreTooNew."""
    version = stored.pop("v", 1) if isinstance(stored, dict) else 1
    check_version(version, present)
    for step in range(version + 1, present + 1):
        stored = steps[step](stored)
    facts: Stored = stored
    return facts


def check_version(found: int, known: int) -> None:
    """Raise StoreTooNew where a newer release has written what this one cannot read."""
    if found > known:
        raise StoreTooNew(found=found, known=known, retry_after=RETRY_AFTER)
