"""Jobs as bytes: the request, which never changes, apart from the moving part, which every write replaces."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from cachetools import LRUCache

from tagapi.jobs.lists import due
from tagapi.jobs.model import Ending, Entry, Event, EventKind, Job, JobState, Phase, Progress, Request
from tagapi.registries.versions import MOVING_STEPS, REQUEST_STEPS, VERSION, up_to_date

ASKED = ("task", "owner", "arguments", "labels", "request_id", "lane", "retry_of", "kept_before", "asked")
MOVING = (
    "submitted_at",
    "state",
    "token",
    "epoch",
    "attempt",
    "tries",
    "recoveries",
    "claim_token",
    "worker",
    "lease_until",
    "not_before",
    "cancel_requested",
    "commit_unsettled",
    "doubts",
    "progress",
    "phases",
    "result",
    "error",
    "cause",
    "journal",
    "kept",
    "ending",
    "undos",
    "left",
    "started_at",
    "finished_at",
    "events",
)
MOMENTS = ("submitted_at", "lease_until", "not_before", "started_at", "finished_at")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REQUESTS_KEPT = 32 * 1024 * 1024  # bytes, as stored
FACTS_KEPT = 16 * 1024 * 1024  # bytes, as stored: a list of a thousand jobs has to fit, or none of it is found again
LARGEST_FACTS = 16 * 1024  # bytes: to look for a job with a larger result costs more than to decode it


def dump_request(request: Request) -> bytes:
    return _dump(request, ASKED)


def load_request(job_id: str, stored: bytes) -> Request:
    return request_of(job_id, orjson.loads(stored))


def request_of(job_id: str, stored: Any) -> Request:
    """From what JSON says."""
    asked = up_to_date(stored, REQUEST_STEPS)
    return Request(job_id=job_id, **{**asked, "labels": tuple(asked["labels"])})


def dump_moving(job: Job) -> bytes:
    return _dump(job, MOVING)


def _dump(one: Request | Job, names: Sequence[str]) -> bytes:
    """With the version that it is in, as all that is stored."""
    return orjson.dumps({"v": VERSION, **{name: getattr(one, name) for name in names}})


def load_facts(stored: bytes) -> dict[str, Any]:
    """The moving part, as a Job takes it."""
    return facts_of(orjson.loads(stored))


def facts_of(stored: Any) -> dict[str, Any]:
    """From what JSON says."""
    facts = up_to_date(stored, MOVING_STEPS)
    for name in MOMENTS:
        facts[name] = _moment(facts[name])
    facts["state"] = JobState(facts["state"])
    facts["progress"] = Progress(**facts["progress"])
    facts["events"] = tuple(_event(event) for event in facts["events"])
    facts["phases"] = tuple(_phase(phase) for phase in facts["phases"])
    facts["journal"] = tuple(_entry(entry) for entry in facts["journal"])
    if (ending := facts["ending"]) is not None:
        facts["ending"] = Ending(state=JobState(ending["state"]), reason=ending["reason"], cause=ending["cause"])
    return facts


def micros(moment: datetime) -> int:
    """Microseconds since 1970: what an index is ordered by."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def places(job: Job) -> tuple[int | None, int | None, bool]:
    """When it is due and when it finished, in microseconds, and whether it is leased: what jobs are looked up by."""
    claimable = due(job)
    return (
        None if claimable is None else micros(claimable),
        None if job.finished_at is None else micros(job.finished_at),
        job.lease_until is not None,
    )


def from_micros(stored: int) -> datetime:
    return EPOCH + timedelta(microseconds=stored)


def _moment(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored)


def _event(stored: dict[str, Any]) -> Event:
    progress = stored["progress"]
    return Event(
        kind=EventKind(stored["kind"]),
        at=datetime.fromisoformat(stored["at"]),
        number=stored["number"],
        attempt=stored["attempt"],
        detail=stored["detail"],
        progress=None if progress is None else Progress(**progress),
    )


def _phase(stored: dict[str, Any]) -> Phase:
    return Phase(
        name=stored["name"],
        began=datetime.fromisoformat(stored["began"]),
        ended=_moment(stored["ended"]),
        progress=Progress(**stored["progress"]),
        place=stored["place"],
        places=stored["places"],
    )


def _entry(stored: dict[str, Any]) -> Entry:
    return Entry(step=stored["step"], fact=stored["fact"], at=datetime.fromisoformat(stored["at"]))


class Decoded:
    """What was read lately: a job that is polled, or that has 100,000 user ids, is not decoded each time anew.

    A request never changes, so its id finds it. The moving part is found by the very bytes that
    were read from the store, so it is never older than the store is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: LRUCache[str, tuple[int, Request]] = LRUCache(REQUESTS_KEPT, getsizeof=_size)
        self._facts: LRUCache[bytes, tuple[int, dict[str, Any]]] = LRUCache(FACTS_KEPT, getsizeof=_size)

    def request(self, job_id: str) -> Request | None:
        with self._lock:
            kept = self._requests.get(job_id)
            return kept and kept[1]

    def load_request(self, job_id: str, stored: bytes) -> Request:
        request = load_request(job_id, stored)
        with self._lock:
            if len(stored) <= REQUESTS_KEPT:
                self._requests[job_id] = (len(stored), request)
        return request

    def load_job(self, request: Request, number: int, version: int, stored: bytes) -> Job:
        return Job(request=request, number=number, version=version, **self._load_facts(stored))

    def _load_facts(self, stored: bytes) -> dict[str, Any]:
        if len(stored) > LARGEST_FACTS:
            return load_facts(stored)
        with self._lock:
            kept = self._facts.get(stored)
        if kept is None:
            kept = (len(stored), load_facts(stored))
            with self._lock:
                self._facts[stored] = kept
        return kept[1]


def _size(kept: tuple[int, object]) -> int:
    return kept[0]
