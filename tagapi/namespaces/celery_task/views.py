"""What the celery_task API answers of tasks: a view says who may call it, what it takes and gives, and hands over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagapi.auth import Policy, RightNeeded
from tagapi.jobs.errors import AlreadyFinished, JobNotFound, Unusable
from tagapi.namespaces.base import NamespaceResource, Route, idempotency_key, load_body, load_query
from tagapi.namespaces.celery_task import asked, render, words
from tagapi.namespaces.celery_task import schemas as shapes
from tagapi.namespaces.celery_task.front import RIGHT, CeleryTaskFront, TaskIsRunning, TaskNotFound
from tagapi.namespaces.documentation import SUBMITTING, WITH_BODY, Answer, operation
from tagapi.namespaces.headers import KEY
from tagapi.namespaces.problems import Invalid

PREFIX = "/api/celery_task"
A_TASK = '<unlike("types", "revoke", "batch_revoke", "active", "scopes", "assets", "schedules"):celery_id>'
"""In a path: the id of a task, and no place of its own."""
CELERY_ID = {"celery_id": "Celery任务ID, or the task's 24 hexadecimal digits"}
NO_TASK = (JobNotFound(job_id=shapes.EXAMPLE_ID), TaskNotFound(job_id=shapes.EXAMPLE_NUMBER))
"""By either id."""
IS_DONE = AlreadyFinished(job_id=shapes.EXAMPLE_ID, state="succeeded")
IS_RUNNING = TaskIsRunning(job_id=shapes.EXAMPLE_ID)


class CeleryResource(NamespaceResource):
    front: CeleryTaskFront


class CeleryTypes(CeleryResource):
    @operation(policy=Policy.USER, answers={200: Answer("所有支持的任务类型", shapes.CeleryTypesResponse)})
    def get(self) -> Any:
        """获取任务类型: every type of task."""
        return render.success({"task_types": words.TYPES})


class CeleryTasks(CeleryResource):
    @operation(
        policy=Policy.USER,
        query=asked.CeleryTasksQuery,
        answers={200: Answer("任务列表", shapes.CeleryTasksResponse)},
        errors=(Invalid("size", "must be 1 to 100"),),
    )
    def get(self) -> Any:
        """查询任务列表: your own, newest first; an admin sees all."""
        return self.front.find(load_query(asked.CeleryTasksQuery), self.caller)

    @operation(
        policy=Policy.USER,
        body=asked.CreateTaskRequest,
        headers={KEY: "1 to 255 visible ASCII characters: the same key and body start one task only"},
        answers={200: Answer("任务已创建", shapes.CeleryAcceptedResponse)},
        errors=(
            Invalid("data.target", "is required"),
            Unusable(field="data.target", reason="is outside"),
            RightNeeded(right=RIGHT, what="begin these tasks"),
            TaskNotFound(job_id=shapes.EXAMPLE_NUMBER),
            IS_RUNNING,
            *SUBMITTING,
        ),
    )
    def post(self) -> Any:
        """创建执行任务: begin a task, or, with a schedule, a monitor that is repeated.

        Targets have to lie in the authorised scope, and nothing else is ever contacted. Options are false where they
        are not given: `domain_brute`, `alt_dns`, `port_scan`, `ssl_cert`, `service_detection`, `find_site`,
        `site_identify`, `site_spider`, `web_info_hunter`.
        """
        return self.front.create(load_body(asked.CreateTaskRequest), self.caller, idempotency_key())


class CeleryTask(CeleryResource):
    @operation(
        policy=Policy.USER,
        path=CELERY_ID,
        answers={200: Answer("任务状态和详情", shapes.CeleryTaskResponse)},
        errors=NO_TASK,
    )
    def get(self, celery_id: str) -> Any:
        """查询任务状态: how far a task is, and what came of it."""
        return render.render_status(self.front.job(celery_id, self.caller))

    @operation(
        policy=Policy.USER,
        path=CELERY_ID,
        answers={200: Answer("任务已终止", shapes.CeleryRevokedResponse)},
        errors=(*NO_TASK, IS_DONE, IS_RUNNING),
    )
    def delete(self, celery_id: str) -> Any:
        """终止任务: stop a task; waits up to 5 seconds for it to leave, and answers 104 where it is stopping still."""
        return self.front.revoke(celery_id, self.caller)


class CeleryRevoke(CeleryResource):
    @operation(
        policy=Policy.USER,
        body=asked.RevokeRequest,
        answers={200: Answer("任务已撤销", shapes.CeleryRevokedResponse)},
        errors=(Invalid("celery_id", "is required"), *NO_TASK, IS_DONE, IS_RUNNING, *WITH_BODY),
    )
    def post(self) -> Any:
        """撤销任务: stop a task; with `terminate: false` only where it waits."""
        body = load_body(asked.RevokeRequest)
        return self.front.revoke(body["celery_id"], self.caller, terminate=body["terminate"])


class CeleryBatchRevoke(CeleryResource):
    @operation(
        policy=Policy.USER,
        body=asked.BatchRevokeRequest,
        answers={200: Answer("每个任务的结果", shapes.CeleryBatchResponse)},
        errors=(Invalid("celery_ids", "must name 1 to 1000 tasks"), *WITH_BODY),
    )
    def post(self) -> Any:
        """批量撤销任务: stop tasks, all of them at once; each has its own answer, in the order asked."""
        body = load_body(asked.BatchRevokeRequest)
        return self.front.revoke_all(body["celery_ids"], self.caller, terminate=body["terminate"])


class CeleryActive(CeleryResource):
    @operation(policy=Policy.USER, answers={200: Answer("活跃任务列表", shapes.CeleryActiveResponse)})
    def get(self) -> Any:
        """活跃任务列表: what runs, is queued or waits for its next attempt, in every process."""
        return self.front.active(self.caller)


ROUTES: Sequence[Route] = (
    (f"{PREFIX}/types/", CeleryTypes),
    (f"{PREFIX}/", CeleryTasks),
    (f"{PREFIX}/revoke/", CeleryRevoke),
    (f"{PREFIX}/batch_revoke/", CeleryBatchRevoke),
    (f"{PREFIX}/active/", CeleryActive),
    (f"{PREFIX}/{A_TASK}/", CeleryTask),
)
