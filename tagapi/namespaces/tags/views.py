"""What the tags API answers: a view says who may call it, what it takes and gives, and hands over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagapi.auth import PermissionDenied, Policy
from tagapi.jobs.changes import Verdict
from tagapi.jobs.errors import AlreadyFinished, JobNotFound, NotFoundInData, NotParked, NotReady
from tagapi.namespaces.base import NamespaceResource, Route, idempotency_key, load_body, load_query
from tagapi.namespaces.documentation import SUBMITTING, WITH_BODY, Answer, operation
from tagapi.namespaces.fields import iso
from tagapi.namespaces.headers import KEY
from tagapi.namespaces.problems import Invalid
from tagapi.namespaces.tags import schemas as shapes
from tagapi.namespaces.tags.front import TagsFront
from tagapi.namespaces.tags.render import (
    cursor_of,
    job_query,
    next_path,
    render_cancel,
    render_item,
    render_status,
    user_of,
)

TASK_ID = {"task_id": "任务ID (UUID)"}
TAG_ID = {"tag_id": "标签ID"}
NO_TASK = JobNotFound(job_id=shapes.EXAMPLE_ID)
NO_TAG, NO_USER = NotFoundInData(thing="tag", name=99), NotFoundInData(thing="user", name="nobody")
NO_SPARK = NotReady(part="Spark", retry_after=5)


class TagsResource(NamespaceResource):
    front: TagsFront


class Trigger(TagsResource):
    @operation(
        policy=Policy.USER,
        body=shapes.TriggerRequest,
        headers={KEY: "1 to 255 visible ASCII characters: the same key and body start one task only"},
        answers={202: Answer("任务已提交 (Accepted)", shapes.TriggerAnswer)},
        errors=(
            Invalid("tag_ids", "unknown tags", unknown_tag_ids=[999], available_tag_ids=list(range(1, 9))),
            Invalid("tag_ids", "is required"),
            *SUBMITTING,
        ),
    )
    def post(self) -> Any:
        """触发标签任务: compute tags for everyone, for what changed, or for a list of users.

        With `schedule` (`{"cron": "0 4 * * *", "timezone": "Asia/Shanghai"}` or `{"every_seconds": 3600}`) nothing is
        begun now, but at each of these times; `/api/celery_task/schedules/` lists, pauses and deletes schedules.
        """
        return self.front.trigger(load_body(shapes.TriggerRequest), self.caller, idempotency_key())


class TaskStatus(TagsResource):
    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        query=shapes.StatusQuery,
        answers={200: Answer("任务状态", shapes.StatusAnswer)},
        errors=(NO_TASK,),
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
            202: Answer("任务正在取消 (Still stopping)", shapes.CancelAnswer, shapes.STILL_STOPPING),
        },
        errors=(NO_TASK, AlreadyFinished(job_id=shapes.EXAMPLE_ID, state="succeeded")),
    )
    def delete(self, task_id: str) -> Any:
        """取消任务: stop a task; waits up to 5 s for it to leave."""
        return render_cancel(self.front.service.cancel(task_id, "tags", self.caller.only), self.front.environment)


class Settle(TagsResource):
    @operation(
        policy=Policy.ADMIN,
        path=TASK_ID,
        body=shapes.SettleRequest,
        answers={200: Answer("已裁定 (Settled; for retry: running once more)", shapes.StatusAnswer)},
        errors=(
            Invalid("outcome", "is required"),
            PermissionDenied(what="settle a task"),
            NO_TASK,
            NotParked(job_id=shapes.EXAMPLE_ID, state="succeeded"),
            *WITH_BODY,
        ),
    )
    def post(self, task_id: str) -> Any:
        """人工裁定: say what became of a parked task, whose commit it could not find out about itself.

        Look at the table first: its log names the task, or does not. `completed` and `failed` are taken at your word.
        """
        verdict = Verdict(load_body(shapes.SettleRequest)["outcome"])
        job = self.front.service.settle(task_id, verdict, by=self.caller.name, namespace="tags")
        return render_status(job, self.front.environment)


class Tasks(TagsResource):
    @operation(
        policy=Policy.USER,
        query=shapes.TasksQuery,
        answers={200: Answer("任务列表", shapes.TasksAnswer)},
        errors=(Invalid("page_size", "must be 1 to 100"),),
    )
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
    @operation(
        policy=Policy.USER,
        path=TAG_ID,
        answers={200: Answer("标签详情", shapes.TagAnswer)},
        errors=(NO_TAG, NO_SPARK),
    )
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
        errors=(Invalid("limit", "must be 1 to 10000"), NO_TAG, NO_SPARK),
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
        errors=(Invalid("explain", "must be true or false"), NO_USER, NO_SPARK),
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


ROUTES: Sequence[Route] = (
    ("/api/v1/tags/trigger", Trigger),
    ("/api/v1/tags/available", Available),
    ("/api/v1/tags/<int:tag_id>", Tag),
    ("/api/v1/tags/<int:tag_id>/users", Members),
    ("/api/v1/tasks", Tasks),
    ("/api/v1/tasks/<string:task_id>", Task),
    ("/api/v1/tasks/<string:task_id>/status", TaskStatus),
    ("/api/v1/tasks/<string:task_id>/settle", Settle),
    ("/api/v1/users/<anything:user_id>/tags", UserTags),
)
