"""The tags API (`tags.zh.md`): trigger tag jobs, follow and cancel them, read tags and members."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol
from urllib.parse import urlencode

from tagapi.auth import Policy
from tagapi.jobs.lists import Page
from tagapi.jobs.lists import Query as JobQuery
from tagapi.jobs.model import Job, JobState
from tagapi.jobs.registry import Added
from tagapi.jobs.service import JobService
from tagapi.namespaces import tags_schemas as shapes
from tagapi.namespaces.base import (
    KEY_HEADER,
    REPLAYED_HEADER,
    Front,
    NamespaceResource,
    idempotency_key,
    load_body,
    load_query,
)
from tagapi.namespaces.documentation import Answer, operation
from tagapi.namespaces.fields import iso
from tagapi.namespaces.problems import Invalid, Problem

TASK = "tags.compute"
NEWEST = 1000  # tasks in a list without paging parameters
PAGE_SIZE = 20
LARGEST_PAGE = 100
IDS_NAMED = 100  # of unknown tag ids, in an error

STATUS: Mapping[JobState, str] = {
    JobState.QUEUED: "submitted",
    JobState.RUNNING: "running",
    JobState.COMMITTING: "running",
    JobState.WAITING: "running",
    JobState.SUCCEEDED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}

ERRORS: Mapping[str, tuple[str, str]] = {
    "job_not_found": ("Task not found", "任务不存在"),
    "already_finished": ("Task already finished", "任务已结束"),
    "queue_full": ("Task queue is full", "任务队列已满，请稍后重试"),
    "owner_queue_full": ("Too many tasks of yours are waiting", "您等待中的任务过多，请稍后重试"),
    "key_reused": ("Idempotency-Key was used with another request", "Idempotency-Key 已用于另一个请求"),
    "transient": ("Data cannot be read now", "数据暂时无法读取，请稍后重试"),
    "task_failed": ("Data cannot be read now", "数据暂时无法读取，请稍后重试"),
    "shutting_down": ("Service is shutting down", "服务正在停止，请稍后重试"),
    "store_unavailable": ("Job store is not available", "任务存储暂时不可用，请稍后重试"),
    "not_ready": ("Service is not ready", "服务尚未就绪，请稍后重试"),
    "authentication_required": ("Authentication required", "需要有效的访问令牌"),
    "permission_denied": ("Permission denied", "没有权限"),
    "rate_limited": ("Too many wrong tokens", "错误的访问令牌过多，请稍后重试"),
    "tokens_unavailable": ("Tokens cannot be checked now", "暂时无法验证访问令牌，请稍后重试"),
    "not_found": ("Not found", "资源不存在"),
    "method_not_allowed": ("Method not allowed", "不支持的请求方法"),
    "too_large": ("Request body is larger than 8 MiB", "请求体超过 8 MiB"),
    "unsupported_media_type": ("Content-Type must be application/json", "Content-Type 必须是 application/json"),
    "internal": ("Internal server error", "服务器内部错误"),
}
"""What a problem's code reads like: `error` and `message`."""

REASONS: Mapping[str, str] = {
    shapes.TAG_IDS_REQUIRED: "标签ID列表是必需的",
    shapes.TAG_IDS_LIST: "标签ID必须是非空列表",
}
THINGS: Mapping[str, tuple[str, str]] = {
    "tag": ("Tag not found", "标签不存在"),
    "user": ("User not found", "用户不存在"),
}


class TagReader(Protocol):
    """What this front reads beside jobs; `app.py` hands one in."""

    def available(self) -> Sequence[Mapping[str, Any]]: ...
    def tag_ids(self) -> Sequence[int]: ...
    def tag(self, tag_id: int) -> Mapping[str, Any]: ...
    def members(self, tag_id: int, after: str | None, limit: int) -> Sequence[str]: ...
    def tags_of(self, user_id: str) -> Sequence[int]: ...
    def explain(self, user_id: str) -> Sequence[Mapping[str, Any]]: ...


class TagsFront(Front):
    """See the module."""

    name = "tags"
    title = "标签任务触发API: compute user tags, follow the jobs, read the members"
    prefixes = ("/api/v1/tags", "/api/v1/tasks", "/api/v1/users", "/health")
    error_schema = shapes.TagsError
    error_texts: ClassVar[Mapping[int, str]] = {
        400: "请求参数错误 (Bad request)",
        401: "需要有效的访问令牌 (A valid token is needed)",
        403: "没有权限 (Not allowed)",
        404: "资源不存在 (Not found)",
        409: "任务已结束 (Task already finished)",
        413: "请求体过大 (Body too large)",
        415: "不支持的内容类型 (Unsupported content type)",
        422: "Idempotency-Key 已用于另一个请求 (Key reused with another request)",
        429: "请求过多 (Too many tasks of yours are waiting, or too many wrong tokens: see Retry-After)",
        503: "暂时不可用 (Not now: see Retry-After)",
    }

    def __init__(
        self, service: JobService, reader: TagReader, environment: str, health: Callable[[], Mapping[str, Any]]
    ) -> None:
        self.service = service
        self.reader = reader
        self.environment = environment
        self.health = health

    def routes(self) -> Sequence[tuple[str, type[NamespaceResource]]]:
        return [
            ("/health", Health),
            ("/health/live", Live),
            ("/health/ready", Ready),
            ("/api/v1/tags/trigger", Trigger),
            ("/api/v1/tags/available", Available),
            ("/api/v1/tags/<int:tag_id>", Tag),
            ("/api/v1/tags/<int:tag_id>/users", Members),
            ("/api/v1/tasks", Tasks),
            ("/api/v1/tasks/<string:task_id>", Task),
            ("/api/v1/tasks/<string:task_id>/status", TaskStatus),
            ("/api/v1/users/<anything:user_id>/tags", UserTags),
        ]

    def render_problem(self, problem: Problem) -> Mapping[str, Any]:
        error, message = ERRORS.get(problem.code, (problem.detail, "请求参数错误"))
        if problem.code == "invalid":
            reason = problem.detail.partition(": ")[2]
            error, message = problem.detail, f"参数无效: {problem.wrong}"
            if reason in REASONS:
                error, message = reason, REASONS[reason]
            elif "unknown_tag_ids" in problem.facts:
                unknown = problem.facts["unknown_tag_ids"]
                error, message = f"Invalid tag_ids: {unknown}", f"无效的标签ID: {unknown}"
        elif problem.code == "only_local":
            message = f"未设置 {problem.facts['setting']}，只允许本机访问"
        elif problem.code == "not_found_in_data":
            error, message = THINGS[problem.facts["thing"]]
        body = {"success": False, "error": error, "message": message}
        if "available_tag_ids" in problem.facts:
            body["available_tag_ids"] = problem.facts["available_tag_ids"]
        return body


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
        states=frozenset(state for state, word in STATUS.items() if word == asked["status"]) or None,
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
        "user_ids": asked["user_ids"],
        "mode": asked["mode"],
        "environment": environment,
        "submitted_at": iso(job.submitted_at),
        **_extras(job),
    }
    body = {"success": True, "task_id": job.id, "message": "标签任务已成功提交", "data": data}
    return body, 202, {REPLAYED_HEADER: "true"} if added.replayed else {}


def render_status(job: Job, environment: str) -> dict[str, Any]:
    asked = job.request.arguments
    status = {
        "task_id": job.id,
        "tag_ids": asked["tag_ids"],
        "user_ids": asked["user_ids"],
        "mode": asked["mode"],
        "environment": environment,
        "status": STATUS[job.state],
        "submitted_at": iso(job.submitted_at),
        "started_at": iso(job.started_at),
        "completed_at": iso(job.finished_at),
        "progress": {"done": job.progress.done, "total": job.progress.total, "percentage": job.progress.percentage},
        "attempt": job.attempt,
        **_extras(job),
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
        "status": STATUS[job.state],
        "submitted_at": iso(job.submitted_at),
        "completed_at": iso(job.finished_at),
    }


def render_cancel(job: Job, environment: str) -> tuple[dict[str, Any], int]:
    stopped = job.state is JobState.CANCELLED
    message = "任务已取消" if stopped else "任务正在取消"
    return {**render_status(job, environment), "message": message}, 200 if stopped else 202


def _extras(job: Job) -> dict[str, bool]:
    """What goes beyond the document is told only where it was asked."""
    return {name: True for name in ("dry_run", "diff") if job.request.arguments[name]}


# -- views ---------------------------------------------------------------------------------

TASK_ID = {"task_id": "任务ID (UUID)"}
TAG_ID = {"tag_id": "标签ID"}


class TagsResource(NamespaceResource):
    front: TagsFront


class Trigger(TagsResource):
    @operation(
        policy=Policy.USER,
        body=shapes.TriggerRequest,
        headers={KEY_HEADER: "1 to 255 visible ASCII characters: the same key and body start one task only"},
        answers={202: Answer("任务已提交 (Accepted)", shapes.TriggerAnswer)},
        errors=(413, 415, 422, 429, 503),
    )
    def post(self) -> Any:
        """触发标签任务: compute tags for everyone, for what changed, or for a list of users."""
        arguments = trigger_arguments(load_body(shapes.TriggerRequest), self.front.reader.tag_ids())
        added = self.front.service.submit(
            TASK,
            arguments,
            owner=self.caller.name,
            labels=labels(arguments["tag_ids"]),
            route="tags.trigger",
            key=idempotency_key(),
        )
        return render_accepted(added, self.front.environment)


class TaskStatus(TagsResource):
    @operation(policy=Policy.USER, path=TASK_ID, answers={200: Answer("任务状态", shapes.StatusAnswer)}, errors=(404,))
    def get(self, task_id: str) -> Any:
        """查询任务状态: how far a task is, and what came of it."""
        return render_status(self.front.service.get(task_id, "tags", self.caller.only), self.front.environment)


class Task(TagsResource):
    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        answers={
            200: Answer("任务已取消 (Stopped, and nothing was written)", shapes.CancelAnswer),
            202: Answer("任务正在取消 (Still stopping)", shapes.CancelAnswer),
        },
        errors=(404, 409),
    )
    def delete(self, task_id: str) -> Any:
        """取消任务: stop a task; waits up to 5 s for it to leave."""
        return render_cancel(self.front.service.cancel(task_id, "tags", self.caller.only), self.front.environment)


class Tasks(TagsResource):
    @operation(policy=Policy.USER, query=shapes.TasksQuery, answers={200: Answer("任务列表", shapes.TasksAnswer)})
    def get(self) -> Any:
        """列出所有任务: newest first; without parameters the newest 1,000."""
        asked = load_query(shapes.TasksQuery)
        query = job_query(asked, self.caller.only)
        found = self.front.service.find(query)
        items = [render_item(job) for job in found.jobs]
        return {"success": True, "tasks": items, "total": found.total, "next": next_path(asked, query, found)}


class Available(TagsResource):
    @operation(policy=Policy.USER, answers={200: Answer("可用标签", shapes.AvailableAnswer)})
    def get(self) -> Any:
        """获取可用标签: every tag that can be computed."""
        return {"success": True, "available_tags": self.front.reader.available()}


class Tag(TagsResource):
    @operation(policy=Policy.USER, path=TAG_ID, answers={200: Answer("标签详情", shapes.TagAnswer)}, errors=(404, 503))
    def get(self, tag_id: int) -> Any:
        """标签详情: the rule in words, its source, its members, its last run over all users."""
        found = self.front.reader.tag(tag_id)
        return {"success": True, "tag": {**found, "last_run": iso(found["last_run"])}}


class Members(TagsResource):
    @operation(
        policy=Policy.USER,
        path=TAG_ID,
        query=shapes.MembersQuery,
        answers={200: Answer("标签用户", shapes.MembersAnswer)},
        errors=(404, 503),
    )
    def get(self, tag_id: int) -> Any:
        """标签用户: the members of a tag by ascending user id, a page at a time."""
        asked = load_query(shapes.MembersQuery)
        users = self.front.reader.members(tag_id, user_of(asked["cursor"]), asked["limit"] + 1)
        page = users[: asked["limit"]]
        more = cursor_of(page[-1]) if len(users) > len(page) else None
        return {"success": True, "tag_id": tag_id, "users": page, "next_cursor": more}


class UserTags(TagsResource):
    @operation(
        policy=Policy.USER,
        path={"user_id": "用户ID"},
        query=shapes.UserTagsQuery,
        answers={200: Answer("用户标签", shapes.UserTagsAnswer)},
        errors=(404, 503),
    )
    def get(self, user_id: str) -> Any:
        """用户标签: the tags that a user carries; with `explain=true`, why, rule by rule, as of now."""
        explain = load_query(shapes.UserTagsQuery)["explain"]
        reader = self.front.reader
        return {
            "success": True,
            "user_id": user_id,
            "tags": reader.explain(user_id) if explain else reader.tags_of(user_id),
        }


class Health(TagsResource):
    @operation(policy=Policy.PUBLIC, answers={200: Answer("健康检查", shapes.HealthAnswer)})
    def get(self) -> Any:
        """健康检查: is the service there, and what of it is ready."""
        told = {"status": "healthy", "timestamp": iso(datetime.now(UTC)), "environment": self.front.environment}
        return {**told, **self.front.health()}


class Live(TagsResource):
    needs_store = False

    @operation(policy=Policy.PUBLIC, answers={200: Answer("The process answers", shapes.ProbeAnswer)})
    def get(self) -> Any:
        """Liveness probe: restart the process where this does not answer."""
        return {"status": "alive"}


class Ready(TagsResource):
    @operation(
        policy=Policy.PUBLIC,
        answers={200: Answer("Jobs begin at once", shapes.ProbeAnswer), 503: Answer("Not yet", shapes.ProbeAnswer)},
    )
    def get(self) -> Any:
        """Readiness probe: send requests once this answers 200."""
        ready = self.front.service.accepting and self.front.health()["spark"] == "ready"
        return {"status": "ready" if ready else "starting"}, 200 if ready else 503
