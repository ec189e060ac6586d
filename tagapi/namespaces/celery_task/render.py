"""What the celery_task API asks of the core, and how it tells jobs and schedules: pure functions, without Flask."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tagapi.jobs.lists import Page, Query, task_label
from tagapi.jobs.model import Job, JobState
from tagapi.jobs.schedules import Cron, Every, Schedule
from tagapi.namespaces.celery_task import words
from tagapi.namespaces.fields import parked, tried
from tagapi.namespaces.problems import Problem

NAMESPACE = "celery_task"
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
NUMBER = re.compile(r"[0-9a-fA-F]{24}")
LARGEST = 2**63 - 1  # that a store can hold
CELERY_NAME = "app.celerytask.casm_task"
"""How the document calls what Celery runs."""
NAMED_BY = ("target", "query", "keyword", "scope_id", "task_id")
"""What says of a job what it is about, the first of them that is there."""
NOT_ECHOED = ("user",)

# -- what is asked -------------------------------------------------------------------------


def number_of(text: str) -> int | None:
    """The number of a job that a text of 24 hexadecimal digits means; None for another text. May be that of no job."""
    return min(int(text, 16), LARGEST) if NUMBER.fullmatch(text) else None


def id24(number: int) -> str:
    return f"{number:024x}"


def job_query(asked: Mapping[str, Any], owner: str | None) -> Query:
    states = frozenset(state for state, word in words.STATUS.items() if word == asked["status"]) or None
    return Query(
        namespace=NAMESPACE,
        owner=owner,
        states=states,
        label=None if asked["task_type"] is None else task_label(f"{NAMESPACE}.{asked['task_type']}"),
        offset=(asked["page"] - 1) * asked["size"],
        limit=asked["size"],
    )


def matches(job: Job, asked: Mapping[str, Any]) -> bool:
    """Whether a job is what the other filters of a list want."""
    return asked["status"] in (None, words.STATUS[job.state]) and asked["task_type"] in (None, type_of(job))


# -- what is told --------------------------------------------------------------------------


def success(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": 200, "message": words.SUCCESS, "data": data}


def type_of(job: Job) -> str:
    return job.request.task.partition(".")[2]


def paged(total: int, asked: Mapping[str, Any], items: Sequence[Any]) -> dict[str, Any]:
    return success({"total": total, "page": asked["page"], "size": asked["size"], "items": items})


def render_list(found: Page, asked: Mapping[str, Any]) -> dict[str, Any]:
    return paged(found.total, asked, [{"_id": id24(job.number), **_item(job)} for job in found.jobs])


def _item(job: Job) -> dict[str, Any]:
    asked = job.request.arguments
    return {
        "name": asked.get("name") or words.TYPES.get(type_of(job), type_of(job)),
        "target": next((asked[key] for key in NAMED_BY if asked.get(key)), None),
        "status": words.STATUS[job.state],
        "type": asked.get("type"),
        "task_tag": asked.get("task_tag"),
        "task_type": type_of(job),
        "start_time": moment(job.started_at),
        "end_time": moment(job.finished_at),
        "celery_id": job.id,
        **parked(job),
    }


def render_status(job: Job) -> dict[str, Any]:
    progress, phase = job.progress, job.phases[-1] if job.phases else None
    told: dict[str, Any] = {
        "task_id": id24(job.number),
        **_item(job),
        "progress": {
            "done": progress.done,
            "total": progress.total,
            "percentage": progress.percentage,
            "phase": None if phase is None else phase.name,
        },
        "attempt": tried(job),
        "submit_time": moment(job.submitted_at),
        "options": job.request.arguments.get("options"),
    }
    if job.state is JobState.SUCCEEDED and job.result is not None:
        told |= job.result
    if job.error is not None and job.state is not JobState.SUCCEEDED:
        told["error"] = job.error
    return success(told)


def render_active(jobs: Sequence[Job]) -> dict[str, Any]:
    return success({"active_tasks": [_active(job) for job in jobs]})


def _active(job: Job) -> dict[str, Any]:
    data = {key: value for key, value in job.request.arguments.items() if key not in NOT_ECHOED}
    state = words.ACTIVE[job.state]
    told: dict[str, Any] = {
        "id": job.id,
        "name": CELERY_NAME,
        "args": [],
        "kwargs": {"options": {"celery_action": type_of(job), "data": {"task_id": id24(job.number), **data}}},
        "type": job.worker if state == "active" else None,
        "hostname": job.worker if state == "active" else None,
        "time_start": job.started_at.timestamp() if job.started_at is not None else None,
        "worker": _celery_name(job.worker) if state == "active" and job.worker is not None else None,
        "state": state,
    }
    return {**told, "eta": moment(job.not_before)} if state == "scheduled" else told


def _celery_name(worker: str) -> str:
    """As Celery calls it: a worker of Celery brings its name, a process of the service gets one."""
    return worker if "@" in worker else f"celery@{worker}"


def render_assets(told: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    items = [{**one, **{name: moment(one[name]) for name in ("found_at", "changed_at")}} for one in told["items"]]
    return paged(told["total"], asked, items)


def render_scopes(scopes: Sequence[Any]) -> dict[str, Any]:
    return success({"scopes": [_scope(one) for one in scopes]})


def _scope(scope: Any) -> dict[str, Any]:
    return {
        "id": scope.id,
        "name": scope.name,
        "domains": list(scope.domains),
        "networks": [str(one) for one in scope.networks],
        "exclude": [str(one) for one in (*scope.exclude_domains, *scope.exclude_networks)],
        "ports": sorted(scope.ports),
    }


def render_schedules(total: int, asked: Mapping[str, Any], found: Sequence[Schedule]) -> dict[str, Any]:
    return paged(total, asked, [schedule_facts(one) for one in found])


def schedule_facts(schedule: Schedule) -> dict[str, Any]:
    timing, asked = schedule.timing, schedule.arguments
    namespace, _, work = schedule.task.partition(".")
    return {
        "schedule_id": schedule.id,
        "task": schedule.task,
        "task_type": work,
        "name": asked.get("name"),
        "target": next((asked[key] for key in NAMED_BY if asked.get(key)), None) if namespace == NAMESPACE else None,
        "every_seconds": timing.seconds if isinstance(timing, Every) else None,
        "cron": timing.expression if isinstance(timing, Cron) else None,
        "timezone": timing.timezone if isinstance(timing, Cron) else None,
        "paused": schedule.paused,
        "next_run": moment(schedule.due_at),
        "last_run": moment(schedule.last_begun_at),
        "last_celery_id": schedule.last_job_id,
        "runs": schedule.runs,
        "missed": schedule.missed,
        "created": moment(schedule.created_at),
    }


def moment(at: datetime | None) -> str | None:
    """UTC, in milliseconds, as the document has it."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# -- what went wrong -----------------------------------------------------------------------


def render_error(problem: Problem) -> dict[str, Any]:
    code = words.CODES.get(problem.code, problem.status)
    message = words.NAMES.get(code) or words.MESSAGES.get(problem.code, words.OTHER)
    if code in (words.ID_NOT_FOUND, words.TASK_NOT_FOUND, words.RUNNING, words.DONE):
        named = "task_id" if code == words.TASK_NOT_FOUND else "celery_id"
        return {"code": code, "message": message, "data": {named: problem.facts.get("job_id")}}
    if problem.wrong is not None:
        message = f"{message}: {problem.wrong}" if problem.code in ("invalid", "unusable") else message
        return {"code": code, "message": message, "data": {"field": problem.wrong, "reason": problem.reason}}
    return {"code": code, "message": message, "data": {"reason": problem.detail}}
