"""What the workers API asks of the core, and how it tells a job: pure functions, without Flask."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from tagapi.auth import PermissionDenied
from tagapi.jobs.errors import NoResult, NotFoundInData, ResultNotReady
from tagapi.jobs.lists import Page
from tagapi.jobs.lists import Query as JobQuery
from tagapi.jobs.model import Job, JobState
from tagapi.jobs.registry import Added
from tagapi.jobs.scheduling import Scheduled
from tagapi.namespaces.fields import iso, parked
from tagapi.namespaces.headers import REPLAYED
from tagapi.namespaces.pace import percentage, seconds_left
from tagapi.namespaces.problems import Invalid, Problem
from tagapi.namespaces.workers import words as words
from tagapi.namespaces.workers.filters import CLEANUP, EXPORTED, REPORT, FilterKinds, checked_filters

NAMESPACE = "workers"
PATH = "/api/v1/workers/"

# -- what comes in -------------------------------------------------------------------------


def job_arguments(body: Mapping[str, Any], kinds: FilterKinds) -> dict[str, Any]:
    """The arguments of the job that a valid body asks for. Raises Invalid for what only its task type forbids."""
    task_type, dates = body["task_type"], (body["date_from"], body["date_to"])
    if None not in dates and datetime.fromisoformat(dates[0]) > datetime.fromisoformat(dates[1]):
        raise Invalid("date_from", words.DATES)
    arguments = {key: body[key] for key in ("batch_size", "date_from", "date_to")}
    arguments["filters"] = checked_filters(task_type, body["filters"], kinds)
    for key, allowed, default, refusal in (
        ("format", task_type in EXPORTED, "csv", words.NO_FORMAT),
        ("language", task_type == REPORT, "ru", words.NO_LANGUAGE),
    ):
        if allowed:
            arguments[key] = body.get(key, default)
        elif key in body:
            raise Invalid(key, refusal)
    return arguments


def check_allowed(task_type: str, arguments: Mapping[str, Any], *, admin: bool) -> None:
    """Raise PermissionDenied for a cleanup that would write, unless an admin asks."""
    if task_type == CLEANUP and not arguments["filters"]["dry_run"] and not admin:
        raise PermissionDenied(what="clean up for real")


def label(task_type: str) -> str:
    return f"type:{task_type}"


def job_query(asked: Mapping[str, Any], owner: str | None) -> JobQuery:
    """The jobs that a list asks for, of one owner or of all."""
    return JobQuery(
        namespace=NAMESPACE,
        owner=owner,
        states=frozenset(state for state, word in words.STATUS.items() if word == asked["status"]) or None,
        label=None if asked["task_type"] is None else label(asked["task_type"]),
        before=asked["cursor"],
        after=asked["newer_than"],
        offset=((asked["page"] or 1) - 1) * asked["page_size"],
        limit=asked["page_size"],
    )


# -- what goes out -------------------------------------------------------------------------


def task_type(job: Job) -> str:
    return job.request.task.removeprefix(f"{NAMESPACE}.")


def result_file(job: Job) -> Mapping[str, Any]:
    """What is known of the job's file. Raises ResultNotReady, NoResult or NotFoundInData."""
    if not job.finished:
        raise ResultNotReady(job_id=job.id, state=job.state.value)
    if job.state is not JobState.SUCCEEDED:
        why = words.WHY_NO_RESULT[job.state].format(reason=job.error)
        raise NoResult(job_id=job.id, state=job.state.value, why=why)
    if job.result is None or "file" not in job.result:
        raise NotFoundInData(thing="result", name=job.id)
    file: Mapping[str, Any] = job.result["file"]
    return file


def render_worker(job: Job, site: str) -> dict[str, Any]:
    """`site` is what a link begins with, such as `http://localhost:5000`.

    The link has the UUID: numbers begin anew where jobs are not kept, and an old link must not lead to another job.
    """
    done = job.state is JobState.SUCCEEDED and "file" in (job.result or {})
    return {
        "id": job.number,
        "task_id": job.id,
        "task_type": task_type(job),
        "task_type_display": words.TYPE_DISPLAY[task_type(job)],
        "status": words.STATUS[job.state],
        "status_display": words.STATUS_DISPLAY[words.STATUS[job.state]],
        "created_by": job.request.owner,
        **_progress(job),
        "result_file": f"{site}{PATH}{job.id}/result/" if done else None,
        "error_message": _error(job),
        "created_at": iso(job.submitted_at),
        "started_at": iso(job.started_at),
        "completed_at": iso(job.finished_at),
        **parked(job),
    }


def render_scheduled(told: Scheduled) -> tuple[dict[str, Any], int, dict[str, str]]:
    schedule = told.schedule
    body = {
        "schedule_id": schedule.id,
        "task_type": schedule.task.partition(".")[2],
        "next_run": iso(schedule.due_at),
    }
    return body, 202, {REPLAYED: "true"} if told.replayed else {}


def render_created(added: Added, site: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    replayed = {REPLAYED: "true"} if added.replayed else {}
    return render_worker(added.job, site), 201, {"Location": f"{PATH}{added.job.id}/", **replayed}


def render_status(job: Job, now: datetime) -> dict[str, Any]:
    progress = job.progress
    return {
        "id": job.number,
        "status": words.STATUS[job.state],
        **_progress(job),
        "estimated_time_remaining": seconds_left(job, now),
        "error_message": _error(job),
        "progress": {"done": progress.done, "total": progress.total, "percentage": percentage(job)},
        "attempt": job.attempt,
        **parked(job),
    }


def render_page(found: Page, asked: Mapping[str, Any], site: str) -> dict[str, Any]:
    """A page with links to its neighbours. Raises NotFoundInData for one beyond the last.

    The links lead on from the jobs that the page shows: by their numbers pages shift with every job that comes in.
    """
    if asked["page"] is not None and asked["page"] > max(1, math.ceil(found.total / asked["page_size"])):
        raise NotFoundInData(thing="page", name=asked["page"])
    return {
        "count": found.total,
        "next": _page_link(asked, site, cursor=found.next),
        "previous": _page_link(asked, site, newer_than=found.previous),
        "results": [render_worker(job, site) for job in found.jobs],
    }


def render_cancel(job: Job) -> tuple[dict[str, Any], int]:
    return {"status": words.STATUS[job.state]}, 200 if job.state is JobState.CANCELLED else 202


def render_error(problem: Problem) -> dict[str, Any]:
    details: dict[str, list[str]] = {}
    if problem.code == "invalid":
        wrong = problem.wrong or "body"
        reason = words.REASONS.get(problem.reason, problem.reason)
        code, message = (
            "VALIDATION_ERROR",
            reason if reason in words.SENTENCES else f"Неверное значение «{wrong}»: {reason}",
        )
        details = {wrong: [reason]}
    elif problem.code == "not_found_in_data":
        code, message = words.MISSING[problem.facts["thing"]]
    elif problem.code in words.ERRORS:
        code, message = words.ERRORS[problem.code]
        message = message.format(**problem.facts)
    else:
        code, message = "VALIDATION_ERROR", problem.detail
    return {"error": {"code": code, "message": message, "details": details}}


def _progress(job: Job) -> dict[str, Any]:
    return {
        "total_records": job.progress.total or 0,
        "processed_records": job.progress.done,
        "progress_percentage": percentage(job),
    }


def _error(job: Job) -> str | None:
    """Why it failed; a reason for another attempt is nobody's concern yet."""
    return job.error if job.state is JobState.FAILED else None


def _page_link(asked: Mapping[str, Any], site: str, **place: int | None) -> str | None:
    """The same list from another place on; None where there is no such place."""
    if None in place.values():
        return None
    kept = {name: asked[name] for name in ("status", "task_type", "page_size") if asked[name] is not None}
    return f"{site}{PATH}?{urlencode({**kept, **place})}"
