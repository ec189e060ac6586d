"""`celery_task.domain_task_sync_task`: what a finished job found becomes assets of a scope, as far as it is new."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from tag_tasks.assets.found import KEPT, Kind
from tag_tasks.assets.results import FoundFiles
from tag_tasks.assets.scope import Scope
from tag_tasks.assets.scope_file import ScopeError
from tag_tasks.assets.store import AssetStore, Into, Stored
from tag_tasks.assets.table import AssetTable
from tag_tasks.assets.told import Phases, statistic
from tag_tasks.assets.within import within
from tagapi.jobs.errors import TaskFailed
from tagapi.jobs.model import Job, Json
from tagapi.jobs.task import Task, TaskContext

DONE = "同步完成"


class SyncTask(Task):
    """Arguments: `task_id`, a job that has succeeded, `scope_id`, `user`. Its own result files hold the new rows."""

    name = "celery_task.domain_task_sync_task"
    lane = "scans"
    phases = ("compare", "store")

    def __init__(
        self, files: FoundFiles, table: AssetTable, store: AssetStore, scopes: Callable[[], Sequence[Scope]]
    ) -> None:
        """`scopes` are all there are, or raises ScopeError."""
        self._files = files
        self._table = table
        self._store = store
        self._scopes = scopes

    def find_commit(self, job: Job) -> Json | None:
        return self._store.find_commit(job)

    def run(self, context: TaskContext) -> Json:
        task_id, scope = context.arguments["task_id"], self._scope(context)
        if not self._files.there(task_id):
            raise TaskFailed(reason=f"任务 {task_id} 的结果不存在或已过期")
        phases = Phases(context)
        phases.begin("compare")

        def result(stored: Stored) -> Json:
            phases.begin("store")
            return {
                "message": DONE,
                "statistic": statistic(stored.new),
                "service": phases.service(),
                "new": dict(stored.new),
            }

        with self._table.scratch(context.attempt_name) as staged, self._files.writing(context) as report:
            into = self._staged(context, staged, task_id, scope)
            return self._store.store(context, into, result, report)

    def _scope(self, context: TaskContext) -> Scope:
        """As it is now: it may have changed since the job was accepted."""
        scope_id, user = context.arguments["scope_id"], context.arguments["user"]
        try:
            scopes = self._scopes()
        except ScopeError as error:
            raise TaskFailed(reason="授权范围文件不可用") from error
        for scope in scopes:
            if scope.id == scope_id and (user is None or scope.open_to(user)):
                return scope
        raise TaskFailed(reason=f"授权范围 {scope_id} 不存在")

    def _staged(self, context: TaskContext, folder: str, task_id: str, scope: Scope) -> list[Into]:
        """The job's rows that lie in the scope, where Spark reads them."""
        found = []
        for kind in KEPT:
            groups = self._within(context, task_id, kind, scope)
            rows = self._table.write_all(f"{folder}/{kind.value}", groups)
            if rows is not None:
                found.append(Into(kind=kind, scope_id=scope.id, rows=rows))
        return found

    def _within(self, context: TaskContext, task_id: str, kind: Kind, scope: Scope) -> Iterator[pa.Table]:
        for group in self._files.groups(task_id, kind):
            context.check()
            mask = [within(scope, kind, _facts(text)) for text in group["facts"].to_pylist()]
            if any(mask):
                yield group.filter(pa.array(mask))


def _facts(text: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(text)
    return facts
