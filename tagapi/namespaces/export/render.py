"""What the export API asks of the core, and how it tells jobs, definitions and errors: pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote_plus

from tagapi.jobs.lists import Page, task_label
from tagapi.jobs.lists import Query as JobQuery
from tagapi.jobs.model import Job, JobState, Json
from tagapi.namespaces.export import words
from tagapi.namespaces.export.asked import ExportQuery, ExportTasksQuery, ResultsQuery
from tagapi.namespaces.fields import parked
from tagapi.namespaces.problems import Problem

NAMESPACE = "export"
TASK = f"{NAMESPACE}.documents"
HIDDEN = "***"
PLAIN = re.compile("[a-z_]{1,40}")
SHOWN = frozenset().union(*(schema._declared_fields for schema in (ExportQuery, ResultsQuery, ExportTasksQuery)))
"""Parameters whose values are nobody's secret."""


def moment(at: datetime | None) -> str | None:
    """As the vendor tells it: UTC, milliseconds, `Z`."""
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


# -- around every answer -------------------------------------------------------------------


def envelope(body: Json, method: str, path: str, query: str, request_id: str) -> dict[str, Any]:
    """What stands before a result, or an error, which bring their own code."""
    code = str(body.get("status_code", words.OK))
    said = {"status_code": code, "status_message": body.get("status_message", words.MESSAGES[code])}
    asked = {"request": f"{method} {_asked(path, query)}", "request_id": f"#{request_id}#"}
    return {**said, **asked, **{key: value for key, value in body.items() if key not in said and key not in asked}}


def _asked(path: str, query: str) -> str:
    """As it was asked, but for what may be a secret: the values of all parameters that are not documented."""
    shown = quote(path, safe="/:@!$&'()*+,;=~")
    told = [_part(part) for part in query.split("&") if part]
    return f"{shown}?{'&'.join(told)}" if told else shown


def _part(part: str) -> str:
    name, assigned, value = part.partition("=")
    if not assigned:
        return HIDDEN  # somebody's token may stand there by itself
    name = unquote_plus(name)
    return f"{quote(name)}={quote(unquote_plus(value), safe=':') if name in SHOWN else HIDDEN}"


def render_error(problem: Problem) -> dict[str, Any]:
    code = code_of(problem)
    message = words.MESSAGES[code] if problem.status != 500 else words.MESSAGES[words.INTERNAL]
    details = {"param": _param(problem), "details": words.DETAILS.get(problem.code, problem.reason)}
    details |= {key: problem.facts.get(key) for key in ("position", "expected", "found")}
    data = [{"key": key, "value": [str(value)]} for key, value in details.items() if value is not None]
    return {
        "status_code": code,
        "status_message": message,
        "request": "",
        "request_id": "",
        "result_error": {"data": data},
    }


def _param(problem: Problem) -> str | None:
    """What is to blame; a parameter that is none may be somebody's token."""
    unknown = problem.reason == "unknown parameter" and not PLAIN.fullmatch(problem.wrong or "")
    return HIDDEN if unknown else problem.wrong


def code_of(problem: Problem) -> str:
    """The vendor's code."""
    if problem.code != "invalid":
        return words.CODES.get(problem.code, words.INTERNAL)
    if problem.wrong == "body":
        return words.BAD_JSON
    return words.MISSING if problem.reason in words.REQUIRED else words.VALUE


# -- tasks ---------------------------------------------------------------------------------


def task_labels(target: str) -> tuple[str, ...]:
    return task_label(TASK), _target_label(target)


def _target_label(target: str) -> str:
    return f"target:{target}"


def job_query(asked: Json, owner: str | None) -> JobQuery:
    label = task_label(TASK) if asked["target"] is None else _target_label(asked["target"])
    return JobQuery(namespace=NAMESPACE, owner=owner, label=label, before=asked["cursor"], limit=asked["page_size"])


def render_page(page: Page) -> dict[str, Any]:
    tasks = [_task(job) for job in page.jobs]
    return {"result_tasks": {"tasks": tasks, "total": page.total, "next": page.next}}


def render_task(job: Job) -> dict[str, Any]:
    return {"result_tasks": {"tasks": [_task(job)]}}


def render_unknown(task_id: str) -> dict[str, Any]:
    return _tasks(task_id, words.UNKNOWN_TASK)


def render_deleted(job: Job) -> tuple[dict[str, Any], int]:
    """Of a task that was just stopped, of one that was over, and of one that is still stopping."""
    if not job.finished:
        return _tasks(job.id, status_of(job)), 202
    return _tasks(job.id, status_of(job)), 200


def render_stopped(job: Job) -> dict[str, Any]:
    return _tasks(job.id, words.DELETED)


def _tasks(task_id: str, status: str) -> dict[str, Any]:
    return {"result_tasks": {"tasks": [{"id": task_id, "status": status}]}}


def status_of(job: Job) -> str:
    if job.state is JobState.SUCCEEDED and job.result is not None and job.result["limit_reached"]:
        return words.LIMIT_REACHED
    return words.STATUS[job.state]


def _task(job: Job) -> dict[str, Any]:
    kept = job.kept or {}
    processed, status = int(kept.get("processed", 0)), status_of(job)
    done = job.state is JobState.SUCCEEDED
    return {
        "creation_date": moment(job.submitted_at),
        "type": "export",
        "id": job.id,
        "processed": processed,
        "ready": processed,
        "progress": 1.0 if done else float(kept.get("progress", 0.0)),
        "target": job.request.arguments["target"],
        "status": status,
        "state": status.upper(),
        "attempt": job.attempt,
        "started_at": moment(job.started_at),
        "completed_at": moment(job.finished_at),
        "error": _failure(job),
        "retry_of": job.request.retry_of,
        "processed_before": int(kept.get("before", 0)),
        **parked(job),
    }


def _failure(job: Job) -> dict[str, str] | None:
    if job.state is not JobState.FAILED:
        return None
    kind = (job.cause or "").partition(":")[0]
    return {"code": words.FAILURES.get(kind, words.INTERNAL), "message": job.error or ""}


# -- definitions ---------------------------------------------------------------------------


def render_collector(name: str, told: Json, state: str | None = None) -> dict[str, Any]:
    shown = {
        "collector_id": name,
        "collector_query": told["collector_query"] or {},
        "creation_date": moment(datetime.fromisoformat(told["creation_date"])),
        "state": state or told["state"],
    }
    return {"result_stream": {"collectors": [shown]}}


def render_stream(name: str, told: Json, *, enabled: bool = True) -> dict[str, Any]:
    return {"result_stream": {"data": [{"stream_id": name, "enabled": enabled, "rules": told["rules"]}]}}


def render_project(name: str, told: Json) -> dict[str, Any]:
    return {"result_project": {"projects": [{"project_id": name, **told}]}}


def render_info(
    streams: Mapping[str, Json], collectors: Mapping[str, Json], projects: Mapping[str, Json]
) -> dict[str, Any]:
    return {
        "result_stream": {
            "streams": [{"stream_id": name, "enabled": True} for name in streams],
            "collectors": [{"collector_id": name, "state": told["state"]} for name, told in collectors.items()],
            "projects": [{"project_id": name, "title": told["title"]} for name, told in projects.items()],
        }
    }


# -- credits and counts --------------------------------------------------------------------


def render_credits(told: Json) -> dict[str, Any]:
    used, total = told["used"], told["total"]
    return {
        "result_creditinfo": {
            "used_credits_monthly": used,
            "remaining_credits_monthly": max(0, total - used) if total else None,
            "monthly_total": total,
            "next_billing_period": moment(told["next"]),
        }
    }


def render_count(days: Sequence[tuple[str, int]]) -> dict[str, Any]:
    told = [{"day": day, "count": count} for day, count in days]
    return {"result_count": {"total": sum(count for _, count in days), "days": told}}
