"""The tags API (`tags.zh.md`): trigger tag jobs, follow and cancel them, read tags and members."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from tagapi.auth import Policy
from tagapi.jobs.service import JobService
from tagapi.namespaces import tags_schemas as shapes
from tagapi.namespaces.base import (
    Front,
    NamespaceResource,
    idempotency_key,
    load_body,
    load_query,
)
from tagapi.namespaces.documentation import Answer, operation
from tagapi.namespaces.fields import iso
from tagapi.namespaces.headers import KEY
from tagapi.namespaces.problems import Problem
from tagapi.namespaces.tags_render import (
    cursor_of,
    job_query,
    labels,
    next_path,
    render_accepted,
    render_cancel,
    render_error,
    render_item,
    render_status,
    trigger_arguments,
    user_of,
)

TASK = "tags.compute"


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
        return render_error(problem)


# -- views ---------------------------------------------------------------------------------

TASK_ID = {"task_id": "任务ID (UUID)"}
TAG_ID = {"tag_id": "标签ID"}


class TagsResource(NamespaceResource):
    front: TagsFront


class Trigger(TagsResource):
    @operation(
        policy=Policy.USER,
        body=shapes.TriggerRequest,
        headers={KEY: "1 to 255 visible ASCII characters: the same key and body start one task only"},
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
    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        query=shapes.StatusQuery,
        answers={200: Answer("任务状态", shapes.StatusAnswer)},
        errors=(404,),
    )
    def get(self, task_id: str) -> Any:
        """查询任务状态: how far a task is, and what came of it."""
        full = load_query(shapes.StatusQuery)["full"]
        job = self.front.service.get(task_id, "tags", self.caller.only)
        return render_status(job, self.front.environment, full=full)


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
