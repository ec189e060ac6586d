"""What the celery_task API answers of what was found: by a job, and in a scope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagapi.auth import Policy
from tagapi.jobs.errors import NoResult, NotFoundInData, NotReady, ResultNotReady
from tagapi.namespaces.base import Route, load_query
from tagapi.namespaces.celery_task import asked
from tagapi.namespaces.celery_task import schemas as shapes
from tagapi.namespaces.celery_task.views import A_TASK, CELERY_ID, NO_TASK, PREFIX, CeleryResource
from tagapi.namespaces.documentation import Answer, operation
from tagapi.namespaces.problems import Invalid

NO_READ = NotReady(part="The data", retry_after=5)


class CeleryFound(CeleryResource):
    @operation(
        policy=Policy.USER,
        path=CELERY_ID,
        query=asked.FoundQuery,
        answers={200: Answer("任务发现的内容", shapes.FoundResponse)},
        errors=(
            Invalid("kind", "must be one of: domains, …"),
            *NO_TASK,
            ResultNotReady(job_id=shapes.EXAMPLE_ID, state="running"),
            NoResult(job_id=shapes.EXAMPLE_ID, state="FAILURE"),
            NO_READ,
        ),
    )
    def get(self, celery_id: str) -> Any:
        """任务结果: what a finished task has found, page by page, in the order in which it was found.

        What was refused, since it lies outside of the scope, and what did not answer are findings, too: their
        `check` is `refused` or `skipped`.
        """
        return self.front.found(celery_id, load_query(asked.FoundQuery), self.caller)


class CeleryAssets(CeleryResource):
    @operation(
        policy=Policy.USER,
        path={"kind": "domains, addresses, sites, certificates, findings, leaks or wih"},
        query=asked.AssetsQuery,
        answers={200: Answer("授权范围的资产", shapes.FoundResponse)},
        errors=(Invalid("scope_id", "is required"), NotFoundInData(thing="kind", name="nothing"), NO_READ),
    )
    def get(self, kind: str) -> Any:
        """资产列表: what is known of a scope, page by page, the oldest first; leaks are your own."""
        return self.front.assets(kind, load_query(asked.AssetsQuery), self.caller)


class CeleryScopes(CeleryResource):
    @operation(
        policy=Policy.USER,
        answers={200: Answer("可用的授权范围", shapes.ScopesResponse)},
    )
    def get(self) -> Any:
        """授权范围: the scopes that you may use, as the scope file has them now; none while it cannot be used."""
        return self.front.scopes(self.caller)


ASSET_ROUTES: Sequence[Route] = (
    (f"{PREFIX}/{A_TASK}/result/", CeleryFound),
    (f"{PREFIX}/assets/<string:kind>/", CeleryAssets),
    (f"{PREFIX}/scopes/", CeleryScopes),
)
