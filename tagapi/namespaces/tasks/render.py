"""What the tasks API asks of the core, and how it tells a job of any front: pure functions, without Flask."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tagapi.jobs.lists import Page, Query, task_label
from tagapi.jobs.model import EVENTS_KEPT, Event, EventKind, Job, JobState, Phase, Progress
from tagapi.jobs.registry import Added
from tagapi.namespaces.fields import iso, parked, tried
from tagapi.namespaces.headers import REPLAYED
from tagapi.namespaces.pace import percentage, seconds_left
from tagapi.namespaces.problems import Problem
from tagapi.namespaces.tasks import words

PREFIX = "/api/tasks"
UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
ACTIVE = frozenset(state for state in JobState if not state.final)

# -- what comes in -------------------------------------------------------------------------


def job_query(asked: Mapping[str, Any], owner: str | None, tasks: Sequence[str]) -> Query:
    """The jobs that a list asks for. `tasks` are the names of all that there are.

    A task that is alone in its namespace is found by that: its jobs of before are not labelled.
    """
    states = None
    if asked["status"] is not None:
        states = frozenset(state for state, word in words.STATUS.items() if word == asked["status"])
    if asked["active"] is not None:
        wanted = ACTIVE if asked["active"] else frozenset(JobState) - ACTIVE
        states = wanted if states is None else states & wanted
    task = asked["task"]
    namespace = None if task is None else task.partition(".")[0]
    alone = namespace is not None and sum(name.startswith(f"{namespace}.") for name in tasks) == 1
    return Query(
        namespace=namespace,
        owner=owner,
        states=states,
        label=None if task is None or alone else task_label(task),
        since=asked["since"],
        before=asked["cursor"],
        limit=asked["page_size"],
    )


# -- what goes out -------------------------------------------------------------------------


def status_of(job: Job) -> str:
    return words.STATUS[job.state]


def progress_of(job: Job) -> dict[str, Any]:
    return {"done": job.progress.done, "total": job.progress.total, "percentage": percentage(job)}


Limits = Mapping[str, int]
"""How many attempts a task has, by its name."""


def render_status(job: Job, limits: Limits) -> dict[str, Any]:
    return {
        "task_id": job.id,
        "status": status_of(job),
        "result": _result(job),
        "error": _error(job),
        "progress": progress_of(job),
        "attempt": tried(job),
        "max_attempts": limits.get(job.request.task),
        "task": job.request.task,
        "owner": job.request.owner,
        "created_at": iso(job.submitted_at),
        "started_at": iso(job.started_at),
        "completed_at": iso(job.finished_at),
        "retry_of": job.request.retry_of,
        "found": True,
        **({"undoing": True} if job.ending is not None and not job.finished else {}),
        **parked(job),
    }


NOTHING_KNOWN = (
    *("error", "progress", "attempt", "max_attempts", "task", "owner"),
    *("created_at", "started_at", "completed_at", "retry_of"),
)


def render_unknown(task_id: str) -> dict[str, Any]:
    """An id that is nobody's, that of a job which is kept no more, and that of somebody else's job: all alike."""
    told = {"task_id": task_id, "status": "PENDING", "result": words.PENDING}
    return {**told, **dict.fromkeys(NOTHING_KNOWN), "found": False}


def _result(job: Job) -> Any:
    if job.state is JobState.SUCCEEDED:
        return {"success": True, "message": words.DONE, **(job.result or {})}
    if job.state is JobState.FAILED:
        return words.FAILED.format(reason=job.error or words.NO_REASON)
    if job.state is JobState.QUEUED:
        return words.PENDING
    return words.IN_STATE.format(status=status_of(job))


def _error(job: Job) -> str | None:
    if job.state is JobState.FAILED:
        return job.cause or f"TaskFailed: {job.error or words.NO_REASON}"
    if job.ending is not None and not job.finished:
        return job.ending.cause or job.ending.reason
    return job.error if job.state is JobState.CANCELLED else None


def render_accepted(added: Added) -> tuple[dict[str, Any], int, dict[str, str]]:
    job = added.job
    told = {"task_id": job.id, "status": "PENDING", "status_url": f"{PREFIX}/status/{job.id}"}
    if job.request.retry_of is not None:
        told["retry_of"] = job.request.retry_of
    return told, 202, {REPLAYED: "true"} if added.replayed else {}


def render_list(page: Page, limits: Limits) -> dict[str, Any]:
    return {"tasks": [render_status(job, limits) for job in page.jobs], "total": page.total, "next": page.next}


def render_cancel(job: Job, limits: Limits) -> tuple[dict[str, Any], int]:
    return render_status(job, limits), 200 if job.state is JobState.CANCELLED else 202


def render_progress(job: Job, now: datetime) -> dict[str, Any]:
    running = job.phases[-1] if job.phases else None
    return {
        "task_id": job.id,
        "status": status_of(job),
        **progress_of(job),
        "phase": None if running is None or running.ended is not None else running.name,
        "phases": [_phase(phase, job, now) for phase in job.phases],
        "seconds_left": seconds_left(job, now),
    }


def _phase(phase: Phase, job: Job, now: datetime) -> dict[str, Any]:
    until = phase.ended or job.finished_at or now
    seconds = round(max(0.0, (until - phase.began).total_seconds()), 3)
    return {"name": phase.name, "done": phase.progress.done, "total": phase.progress.total, "seconds": seconds}


# -- what happened -------------------------------------------------------------------------

STATUS_AFTER: Mapping[EventKind, str] = {
    EventKind.ACCEPTED: "PENDING",
    EventKind.STARTED: "STARTED",
    EventKind.PHASE: "STARTED",
    EventKind.PROGRESS: "STARTED",
    EventKind.RETRIED: "RETRY",
    EventKind.UNDOING: "RETRY",
    EventKind.PARKED: "RETRY",
    EventKind.SETTLED: "RETRY",
}
"""What the status was after an event of this kind. After any other one it was what it had been."""


def render_events(job: Job) -> list[dict[str, Any]]:
    """Everything that is kept of what happened to the job, oldest first."""
    told, status, progress, phase = [], "PENDING", Progress(), None
    for event in job.events:
        status, progress = _status_after(event, status), _progress_after(job, event, progress)
        phase = _phase_after(job, event, phase)
        told.append(_event(job, event, status, progress, phase))
    return told


def _phase_after(job: Job, event: Event, before: Phase | None) -> Phase | None:
    """The phase that the job is in; of earlier attempts' phases nothing is kept."""
    if event.kind is EventKind.STARTED:
        return None
    if event.kind is not EventKind.PHASE or event.attempt != job.attempt:
        return before
    return next((phase for phase in job.phases if phase.name == event.detail), None)


def _progress_after(job: Job, event: Event, before: Progress) -> Progress:
    match event.kind:
        case EventKind.PROGRESS if event.progress is not None:
            return event.progress
        case EventKind.STARTED | EventKind.PHASE:
            return Progress()
        case EventKind.FINISHED:
            return job.progress
    return before


def _status_after(event: Event, before: str) -> str:
    if event.kind is EventKind.FINISHED:
        return words.STATUS[JobState(event.detail)]
    return STATUS_AFTER.get(event.kind, before)


def _event(job: Job, event: Event, status: str, progress: Progress, phase: Phase | None) -> dict[str, Any]:
    so_far = progress.percentage if phase is None else phase.percentage_of_all(progress)
    if event.kind is EventKind.FINISHED:
        so_far = percentage(job)
    return {
        "task_id": job.id,
        "number": event.number,
        "event": event.kind.value,
        "status": status,
        "at": iso(event.at),
        "attempt": event.attempt,
        "detail": event.detail,
        "progress": {"done": progress.done, "total": progress.total, "percentage": so_far},
    }


def render_snapshot(job: Job, *, gap: bool = False) -> dict[str, Any]:
    """The job as it is: what a follower hears first, and after a gap."""
    last = job.events[-1]
    told = {"task_id": job.id, "number": last.number, "event": "snapshot", "status": status_of(job)}
    return {**told, "at": iso(last.at), "progress": progress_of(job), "gap": gap, "final": job.finished}


def news_after(job: Job, number: int) -> tuple[list[dict[str, Any]], bool]:
    """What happened after event `number`, and whether something of that is kept no more."""
    events = render_events(job)
    news = [event for event in events if event["number"] > number]
    if news and job.finished and news[-1]["number"] == events[-1]["number"]:
        news[-1] = {**news[-1], "final": True}
    gap = len(job.events) == EVENTS_KEPT and number + 1 < job.events[1].number and number > 0
    return news, gap


# -- what went wrong -----------------------------------------------------------------------


def render_error(problem: Problem) -> dict[str, Any]:
    told = {"error": problem.code, "message": _message(problem)}
    return {**told, "field": problem.wrong} if problem.wrong else told


def _message(problem: Problem) -> str:
    facts = {**problem.facts, "status": _word_of(problem.facts.get("state"))}
    if problem.code == "invalid":
        return words.INVALID.format(field=problem.wrong or "body", reason=_reason(problem.reason))
    if problem.code == "not_retryable":
        return words.NOT_RETRYABLE[facts["state"] == JobState.SUCCEEDED.value].format(**facts)
    if problem.code == "already_finished" and not JobState(facts["state"]).final:
        return words.PAST_RETURN.format(**facts)
    if problem.code == "not_found_in_data":
        return words.MISSING[facts["thing"]].format(**facts)
    if problem.code in words.ERRORS:
        return words.ERRORS[problem.code].format(**facts)
    return problem.detail


def _word_of(state: Any) -> str | None:
    return (
        words.STATUS[JobState(state)] if isinstance(state, str) and state in {one.value for one in JobState} else None
    )


def _reason(reason: str) -> str:
    if reason in words.REASONS:
        return words.REASONS[reason]
    return next((told for begins, told in words.KINDS.items() if reason.startswith(begins)), reason)


AUDIENCE_FACTS = (
    *("name", "platform", "simulated", "audience_id", "consent", "asked_by", "synced_at"),
    *("table_version", "members", "maybe"),
)


def render_audiences(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"audiences": [_render_audience(about) for about in found]}


def _render_audience(about: Mapping[str, Any]) -> dict[str, Any]:
    definition = {key: value for key, value in about["definition"].items() if key != "name" and value is not None}
    facts = {key: about[key] for key in AUDIENCE_FACTS}
    return {**facts, "definition": definition, "task_id": about["job_id"]}
