"""What the service says in the end, and what a checker finds in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.server import FINISHED, Client


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """A job of the workers API as it is told in the end."""

    number: int
    task_type: str
    state: str
    told: tuple[int, str] | None = None
    """Size and SHA-256 of its result, where it has one."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Census:
    """Every job that the service lists, or had acknowledged."""

    listed: frozenset[str]
    totals: Mapping[str | None, int]
    """Of the list, by its filter."""
    statuses: Mapping[str, Mapping[str, Any]]
    """By job; nothing for one that is unknown."""
    worker_jobs: Mapping[str, WorkerJob] = field(default_factory=dict)
    """By job: those of the workers API."""


@dataclass(slots=True)
class Verdict:
    """What was found, by kind, each with its evidence."""

    lost: list[str] = field(default_factory=list)
    """Acknowledged, and later unknown."""
    duplicated: list[str] = field(default_factory=list)
    """A job with two commits, a key or a request with two jobs, a job that nobody asked for."""
    stuck: list[str] = field(default_factory=list)
    """Not finished in the end."""
    lied: list[str] = field(default_factory=list)
    """A state that is not true, or that was taken back."""
    wrong: list[str] = field(default_factory=list)
    """Memberships that are not what the sources say, lists that do not agree with themselves."""
    failed: list[str] = field(default_factory=list)
    """Jobs that failed for a reason that is not chaos, and whatever else a part demands."""
    facts: Counter[str] = field(default_factory=Counter)
    """What was counted on the way."""

    @property
    def counts(self) -> dict[str, int]:
        return {kind: len(getattr(self, kind)) for kind in KINDS}

    @property
    def clean(self) -> bool:
        return not any(self.counts.values())

    def evidence(self, most: int = 5) -> Iterator[str]:
        for kind in KINDS:
            for one in getattr(self, kind)[:most]:
                yield f"{kind}: {one}"

    def add(self, other: Verdict) -> None:
        for kind in KINDS:
            getattr(self, kind).extend(getattr(other, kind))
        self.facts += other.facts


KINDS = ("lost", "duplicated", "stuck", "lied", "wrong", "failed")


def take_census(client: Client, acknowledged: Iterable[str]) -> Census:
    """Follow the list to its end, and read every job."""
    listed: list[str] = []
    path: str | None = "/api/v1/tasks?page_size=100"
    while path is not None:
        page = client.read(path)
        listed += [item["task_id"] for item in page["tasks"]]
        path = page["next"]
    totals: dict[str | None, int] = {None: client.total()}
    for state in ("submitted", "running", *FINISHED):
        totals[state] = int(client.read("/api/v1/tasks", page_size=1, status=state)["total"])
    statuses = {}
    for job in {*listed, *acknowledged}:
        answer = client.get(f"/api/v1/tasks/{job}/status")
        if answer.status_code != 404:
            statuses[job] = answer.json()["status"]
    assert len(listed) == len(set(listed)), "a job is listed twice"
    return Census(frozenset(listed), totals, statuses)
