"""The second opinion on lists and totals: go through all jobs and look at each. Shares no code with the registries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

from tagapi.jobs.lists import Query
from tagapi.jobs.model import Job, JobState
from tagapi.jobs.registry import JobRegistry

NAMESPACES = ("tags", "campaigns")
OWNERS = ("ann", "bob")
LABELS = ("tag:1", "tag:2")
SOME_STATES = (
    None,
    *(frozenset({state}) for state in JobState),
    frozenset({JobState.QUEUED, JobState.WAITING}),
    frozenset({JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED}),
    frozenset(),
)


def queries() -> Iterator[Query]:
    """Every combination of filters; a label is meant within its namespace."""
    for owner, states in product((None, *OWNERS), SOME_STATES):
        yield Query(owner=owner, states=states, limit=1000)
        for namespace, label in product(NAMESPACES, (None, *LABELS)):
            yield Query(namespace=namespace, owner=owner, states=states, label=label, limit=1000)


def recount(jobs: Iterable[Job], query: Query) -> list[Job]:
    """All that the query asks for, newest first, whatever its offset and limit."""
    found = [
        job
        for job in jobs
        if query.namespace in (None, job.request.task.split(".")[0])
        and query.owner in (None, job.request.owner)
        and (query.states is None or job.state in query.states)
        and (query.label is None or query.label in job.request.labels)
        and (query.since is None or job.submitted_at >= query.since)
    ]
    return sorted(found, key=lambda job: -job.number)


def assert_lists_agree(registry: JobRegistry, jobs: Iterable[Job]) -> None:
    """Every list and every total, against the recount."""
    known = list(jobs)
    for query in queries():
        page, wanted = registry.find(query), recount(known, query)
        assert (list(page.jobs), page.total, page.next) == (wanted, len(wanted), None), query
    some = Query(namespace=NAMESPACES[0], limit=2)
    moments = sorted({job.submitted_at for job in known})[:: max(1, len(known) // 3)]
    for paged in (some, *(replace(some, namespace=None, since=moment) for moment in moments)):
        assert_pages_follow(registry, paged, recount(known, paged))


def assert_pages_follow(registry: JobRegistry, query: Query, wanted: list[Job]) -> None:
    """Every job once and in order, followed page by page."""
    page = registry.find(query)
    seen = list(page.jobs)
    while page.next is not None:
        page = registry.find(replace(query, before=page.next))
        assert page.jobs and page.total == len(wanted)
        seen += page.jobs
    assert seen == wanted


def assert_counters_agree(registry: JobRegistry, jobs: Iterable[Job]) -> None:
    """The queue, the leases and the finished, against the recount."""
    known = list(jobs)
    waiting = [job for job in known if job.state in (JobState.QUEUED, JobState.WAITING)]
    times = [job.not_before or job.submitted_at for job in waiting]
    assert registry.queued() == len(waiting)
    assert registry.next_due_at() == min(times, default=None)
    leased = {job.id for job in known if job.state in (JobState.RUNNING, JobState.COMMITTING)}
    active = [job.id for job in registry.active()]
    assert (len(active), set(active)) == (len(leased), leased)
    ended = sorted((job.finished_at, job.number, job.id) for job in known if job.finished_at is not None)
    past = [job_id for moment, _, job_id in ended if moment < registry.now()]
    assert list(registry.finished_before(registry.now(), 1000)) == past
