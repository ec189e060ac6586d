"""What the tags API asks of the core, and how it tells a job: pure functions, without Flask."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from tagapi.jobs.lists import Page
from tagapi.jobs.lists import Query as JobQuery
from tagapi.jobs.model import Job, JobState
from tagapi.jobs.registry import Added
from tagapi.jobs.scheduling import Scheduled
from tagapi.namespaces.fields import iso, parked
from tagapi.namespaces.headers import REPLAYED
from tagapi.namespaces.problems import Invalid, Problem
from tagapi.namespaces.tags import words as words

NEWEST = 1000  # tasks in a list without paging parameters
PAGE_SIZE = 20
LARGEST_PAGE = 100
IDS_NAMED = 100  # of unknown tag ids, in an error
TAG_IDS = re.compile(r"tag_ids(\[[0-9]+\])?")
USERS_TOLD = 100  # of those that a task is for; all of them are told where that is asked

# -- what comes in -------------------------------------------------------------------------


def trigger_arguments(body: Mapping[str, Any], available: Sequence[int]) -> dict[str, Any]:
    """The arguments of the job: ids count once. Raises Invalid for a tag that there is not."""
    tag_ids = list(dict.fromkeys(body["tag_ids"]))
    if unknown := [tag_id for tag_id in tag_ids if tag_id not in available]:
        facts = {"unknown_tag_ids": unknown[:IDS_NAMED], "available_tag_ids": list(available)}
        raise Invalid("tag_ids", "unknown tags", **facts)
    user_ids = body["user_ids"]
    return {**body, "tag_ids": tag_ids, "user_ids": None if user_ids is None else list(dict.fromkeys(user_ids))}


def labels(tag_ids: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"tag:{tag_id}" for tag_id in tag_ids)


def job_query(asked: Mapping[str, Any], owner: str | None) -> JobQuery:
    """The jobs that a list asks for, of one owner or of all: the newest NEWEST, or a page."""
    paged = any(asked[name] is not None for name in ("page", "page_size", "cursor"))
    page, size = asked["page"] or 1, asked["page_size"] or (PAGE_SIZE if paged else NEWEST)
    return JobQuery(
        namespace="tags",
        owner=owner,
        states=frozenset(state for state, word in words.STATUS.items() if word == asked["status"]) or None,
        label=None if asked["tag_id"] is None else f"tag:{asked['tag_id']}",
        before=asked["cursor"],
        offset=(page - 1) * size,
        limit=size,
    )


def next_path(asked: Mapping[str, Any], query: JobQuery, found: Page) -> str | None:
    """The path of the page that follows, with the same filters."""
    if found.next is None:
        return None
    kept = {name: asked[name] for name in ("status", "tag_id") if asked[name] is not None}
    return "/api/v1/tasks?" + urlencode({**kept, "page_size": min(query.limit, LARGEST_PAGE), "cursor": found.next})


def cursor_of(user_id: str) -> str:
    return base64.urlsafe_b64encode(user_id.encode()).decode().rstrip("=")


def user_of(cursor: str | None) -> str | None:
    """The user id after which a page begins. Raises Invalid for what no answer gave out."""
    if cursor is None:
        return None
    try:
        if not cursor:
            raise ValueError
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise Invalid("cursor", "is not a cursor that this service gave out") from None


# -- what goes out -------------------------------------------------------------------------


def render_accepted(added: Added, environment: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    job = added.job
    asked = job.request.arguments
    data = {
        "tag_ids": asked["tag_ids"],
        **_users(asked["user_ids"]),
        "mode": asked["mode"],
        "environment": environment,
        "submitted_at": iso(job.submitted_at),
        **_told_where_asked(job.request.arguments),
    }
    body = {"success": True, "task_id": job.id, "message": "标签任务已成功提交", "data": data}
    return body, 202, {REPLAYED: "true"} if added.replayed else {}


def render_scheduled(told: Scheduled, environment: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """`task_id` is null: each run has one of its own."""
    schedule, asked = told.schedule, told.schedule.arguments
    data = {
        "tag_ids": asked["tag_ids"],
        **_users(asked["user_ids"]),
        "mode": asked["mode"],
        "environment": environment,
        "submitted_at": iso(schedule.created_at),
        "next_run": iso(schedule.due_at),
        **_told_where_asked(asked),
    }
    body = {"success": True, "task_id": None, "schedule_id": schedule.id, "message": "标签任务已设为定时", "data": data}
    return body, 202, {REPLAYED: "true"} if told.replayed else {}


def render_status(job: Job, environment: str, *, full: bool = False) -> dict[str, Any]:
    """`full` tells all users that the job is for; who polls does not need them each time."""
    asked = job.request.arguments
    status = {
        "task_id": job.id,
        "tag_ids": asked["tag_ids"],
        **_users(asked["user_ids"], full=full),
        "mode": asked["mode"],
        "environment": environment,
        "status": words.STATUS[job.state],
        "submitted_at": iso(job.submitted_at),
        "started_at": iso(job.started_at),
        "completed_at": iso(job.finished_at),
        "progress": {"done": job.progress.done, "total": job.progress.total, "percentage": job.progress.percentage},
        "attempt": job.attempt,
        **parked(job),
        **_told_where_asked(job.request.arguments),
    }
    if job.state is JobState.SUCCEEDED:
        status["result"] = job.result
    if job.state is JobState.FAILED:
        status["error"] = job.error
    return {"success": True, "task_id": job.id, "status": status}


def render_item(job: Job) -> dict[str, Any]:
    return {
        "task_id": job.id,
        "tag_ids": job.request.arguments["tag_ids"],
        "status": words.STATUS[job.state],
        "submitted_at": iso(job.submitted_at),
        "completed_at": iso(job.finished_at),
        **parked(job),
    }


def render_cancel(job: Job, environment: str) -> tuple[dict[str, Any], int]:
    stopped = job.state is JobState.CANCELLED
    message = "任务已取消" if stopped else "任务正在取消"
    return {**render_status(job, environment), "message": message}, 200 if stopped else 202


def _users(user_ids: Sequence[str] | None, *, full: bool = False) -> dict[str, Any]:
    """The users that a job is for, or the first of them, and how many they are; null is everyone."""
    if user_ids is None:
        return {"user_ids": None, "user_ids_total": None}
    return {"user_ids": user_ids if full else user_ids[:USERS_TOLD], "user_ids_total": len(user_ids)}


def _told_where_asked(arguments: Mapping[str, Any]) -> dict[str, bool]:
    """What goes beyond the document."""
    return {name: True for name in ("dry_run", "diff") if arguments[name]}


def render_error(problem: Problem) -> dict[str, Any]:
    error, message = words.ERRORS.get(problem.code, (problem.detail, "请求参数错误"))
    if problem.code == "invalid":
        error, message = _invalid(problem)
    elif problem.code == "only_local":
        message = f"未设置 {problem.facts['setting']}，只允许本机访问"
    elif problem.code == "not_found_in_data":
        error, message = words.THINGS[problem.facts["thing"]]
    body: dict[str, Any] = {"success": False, "error": error, "message": message}
    if "available_tag_ids" in problem.facts:
        body["available_tag_ids"] = problem.facts["available_tag_ids"]
    elif problem.wrong is not None:
        body["details"] = {problem.wrong: [problem.reason]}
    return body


def error_line(body: Mapping[str, Any]) -> str:
    return f"{body['message']} ({body['error']})"


def _invalid(problem: Problem) -> tuple[str, str]:
    """`error` and `message`: the document's where it has some for what is wrong."""
    if unknown := problem.facts.get("unknown_tag_ids"):
        return f"Invalid tag_ids: {unknown}", f"无效的标签ID: {unknown}"
    if (problem.wrong, problem.reason) == ("tag_ids", "is required"):
        return words.TAG_IDS_REQUIRED
    if TAG_IDS.fullmatch(str(problem.wrong)):
        return words.TAG_IDS_LIST
    return problem.detail, f"参数无效: {problem.wrong}"
