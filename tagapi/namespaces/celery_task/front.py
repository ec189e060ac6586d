"""The celery_task API (`celery_task.zh.md`) as a front: its paths, its codes, and how its tasks are begun and ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from tagapi.auth import Principal, RightNeeded
from tagapi.jobs.errors import (
    AlreadyFinished,
    IsRunning,
    JobError,
    JobNotFound,
    NoResult,
    NotFoundInData,
    ResultNotReady,
    Unusable,
)
from tagapi.jobs.lists import Page, Query, task_label
from tagapi.jobs.model import Job, JobState, Json
from tagapi.jobs.registry import Added
from tagapi.jobs.scheduling import Scheduling
from tagapi.jobs.service import JobService
from tagapi.namespaces.base import Front, Route
from tagapi.namespaces.celery_task import render, words
from tagapi.namespaces.celery_task import schemas as shapes
from tagapi.namespaces.celery_task.asked import ASSETS, LEAST_SECONDS
from tagapi.namespaces.edge import request_id
from tagapi.namespaces.headers import REPLAYED
from tagapi.namespaces.problems import Conflict, Invalid, Problem
from tagapi.namespaces.timing import begin_by_clock

RIGHT = "scan"
ROUTE = "celery_task.create"
MONITORS = "monitors"
"""The lane of what is begun by the clock: whoever asks by hand does not wait for it."""
UNFINISHED = frozenset(state for state in JobState if not state.final)
READ_AT_ONCE = 500
LEAKS = "leaks"


class TaskNotFound(JobNotFound):
    """By its number."""

    code = "task_not_found"


class TaskIsRunning(Conflict):
    message = "Job {job_id} has not ended yet."
    code = "task_is_running"


class AssetOrders(Protocol):
    """Whether a job may be begun; `app.py` hands one in. `user` is None for one who sees every scope."""

    def scopes(self, user: str | None) -> Sequence[Any]:
        """Those that a user sees. Raises Unusable."""

    def arguments(self, task_type: str, data: Json, user: str | None) -> dict[str, Any]:
        """What the task is told. Raises Unusable."""


class AssetReader(Protocol):
    """What is read of what jobs have found. Raises NotReady while that cannot be read."""

    def found(self, job_id: str, kind: str | None, page: int, size: int) -> Json:
        """`total` and `items`. Raises NotFoundInData."""

    def assets(self, kind: str, page: int, size: int, *, scope_id: str | None = None, owner: str | None = None) -> Json:
        """`total` and `items`, with `found_at` and `changed_at`: of a scope, or what an owner has without one."""


class CeleryTaskFront(Front):
    """See the module."""

    name = "celery_task"
    title = "Celery任务: one's own assets found, watched and checked, inside a scope that cannot be left"
    prefixes = ("/api/celery_task",)
    error_schema = shapes.CeleryTaskError

    def __init__(self, service: JobService, scheduling: Scheduling, orders: AssetOrders, reader: AssetReader) -> None:
        self.service = service
        self.scheduling = scheduling
        self.orders = orders
        self.reader = reader

    def routes(self) -> Sequence[Route]:
        # The views know their front, so it can name them only later.
        from tagapi.namespaces.celery_task.assets import ASSET_ROUTES
        from tagapi.namespaces.celery_task.schedules import SCHEDULE_ROUTES
        from tagapi.namespaces.celery_task.views import ROUTES

        return (*ROUTES, *ASSET_ROUTES, *SCHEDULE_ROUTES)

    def render_problem(self, problem: Problem) -> Mapping[str, Any]:
        return render.render_error(problem)

    def error_line(self, body: Mapping[str, Any]) -> str:
        return f"{body['code']} {body['message']}"

    # -- jobs ------------------------------------------------------------------------------

    def job(self, given: str, caller: Principal) -> Job:
        """A job of this front that the caller may see, by its id or its number. Raises JobNotFound, and TaskNotFound
        for a number that is no such job's."""
        number = render.number_of(given)
        if number is None and not render.UUID.fullmatch(given):
            raise JobNotFound(job_id=given)
        try:
            job_id = given.lower() if number is None else self.service.id_of(number)
            return self.service.get(job_id, render.NAMESPACE, caller.only)
        except JobNotFound:
            raise (JobNotFound if number is None else TaskNotFound)(job_id=given) from None

    def find(self, asked: Json, caller: Principal) -> dict[str, Any]:
        if asked["celery_id"] is None:
            return render.render_list(self.service.find(render.job_query(asked, caller.only)), asked)
        try:
            found = [self.job(asked["celery_id"], caller)]
        except JobNotFound:
            found = []
        found = [job for job in found if render.matches(job, asked)]
        shown = found if asked["page"] == 1 else []
        return render.render_list(Page(jobs=shown, total=len(found)), asked)

    def active(self, caller: Principal) -> dict[str, Any]:
        """All that are not over, those that run first."""
        jobs: list[Job] = []
        query = Query(namespace=render.NAMESPACE, owner=caller.only, states=UNFINISHED, limit=READ_AT_ONCE)
        while True:
            page = self.service.find(query)
            jobs += page.jobs
            if page.next is None:
                break
            query = replace(query, before=page.next)
        order = {"active": 0, "scheduled": 1, "reserved": 2}
        return render.render_active(sorted(jobs, key=lambda job: (order[words.ACTIVE[job.state]], job.number)))

    def found(self, given: str, asked: Json, caller: Principal) -> dict[str, Any]:
        """What a job has found. Raises JobNotFound, ResultNotReady, NoResult, NotFoundInData."""
        job = self.job(given, caller)
        if not job.finished:
            raise ResultNotReady(job_id=given, state=job.state.value)
        if job.state is not JobState.SUCCEEDED:
            raise NoResult(job_id=given, state=words.STATUS[job.state])
        told = self.reader.found(job.id, asked["kind"], asked["page"], asked["size"])
        return render.paged(told["total"], asked, told["items"])

    def assets(self, kind: str, asked: Json, caller: Principal) -> dict[str, Any]:
        """What is known of a scope. Raises NotFoundInData, Invalid, Unusable."""
        if kind not in ASSETS:
            raise NotFoundInData(thing="kind", name=kind)
        scope_id, own = asked["scope_id"], kind == LEAKS
        if own and scope_id is not None:
            raise Invalid("scope_id", "leaks are of no scope: they are your own")
        if not own:
            if scope_id is None:
                raise Invalid("scope_id", "is required")
            if scope_id not in {scope.id for scope in self.orders.scopes(caller.only)}:
                raise Invalid("scope_id", "there is no such scope")
        whose = {"owner": caller.name} if own else {"scope_id": scope_id}
        return render.render_assets(self.reader.assets(kind, asked["page"], asked["size"], **whose), asked)

    def scopes(self, caller: Principal) -> dict[str, Any]:
        """The scopes that the caller may use; none, and why, while the file cannot be used."""
        try:
            return render.render_scopes(self.orders.scopes(caller.only))
        except Unusable as error:
            return render.success({"scopes": [], "reason": error.facts["reason"]})

    # -- beginning -------------------------------------------------------------------------

    def create(self, body: Json, caller: Principal, key: str | None) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Accept a valid body, as a job or as a schedule. Raises RightNeeded, Unusable, and as a submission does."""
        if not caller.may(RIGHT):
            raise RightNeeded(right=RIGHT, what="begin these tasks")
        task, given = f"{render.NAMESPACE}.{body['task_type']}", body["data"].get("schedule")
        asking: dict[str, Any] = {
            "owner": caller.name,
            "route": ROUTE,
            "key": key,
            "asked": body,
            "labels": (task_label(task),),
        }
        if given is not None:
            told = begin_by_clock(
                self.service,
                self.scheduling,
                task,
                lambda: self._arguments(body, caller),
                given,
                field="data.schedule",
                lane=MONITORS,
                least=LEAST_SECONDS,
                at_once=True,
                **asking,
            )
            return _accepted(told.job, told.replayed, schedule_id=told.schedule.id)
        added = self._known(task, body, caller, key) or self.service.submit(
            task, self._arguments(body, caller), request_id=request_id(), **asking
        )
        return _accepted(added.job, added.replayed)

    def _known(self, task: str, body: Json, caller: Principal, key: str | None) -> Added | None:
        """The job that was begun under this key. Raises KeyReused where something else was."""
        if key is None:
            return None
        self.scheduling.check_unused(owner=caller.name, route=ROUTE, key=key)
        return self.service.known(task, body, owner=caller.name, route=ROUTE, key=key)

    def _arguments(self, body: Json, caller: Principal) -> dict[str, Any]:
        data = {name: value for name, value in body["data"].items() if name != "schedule"}
        told = self.orders.arguments(body["task_type"], data, caller.only)
        if "task_id" in data:
            told["task_id"] = self._finished(data["task_id"], caller).id
        return told

    def _finished(self, given: str, caller: Principal) -> Job:
        """The job whose findings are taken over. Raises TaskNotFound, TaskIsRunning, and Unusable for one without."""
        try:
            job = self.job(given, caller)
        except JobNotFound:
            raise TaskNotFound(job_id=given) from None
        if not job.finished:
            raise TaskIsRunning(job_id=given)
        if job.state is not JobState.SUCCEEDED:
            raise Invalid("data.task_id", f"the task is {words.STATUS[job.state]}: it has no results")
        return job

    def recheck(self, job: Job, caller: Principal) -> None:
        """Raises RightNeeded, and Unusable for what has left the scopes since, or was begun by one who saw more."""
        if not caller.may(RIGHT):
            raise RightNeeded(right=RIGHT, what="begin these tasks")
        if caller.only is not None and job.request.arguments.get("user") != caller.only:
            raise Unusable(field="task_id", reason="it was begun by an admin, who sees every scope: begin it anew")
        asked = {name: value for name, value in job.request.arguments.items() if name != "user"}
        self.orders.arguments(render.type_of(job), asked, caller.only)

    # -- ending ----------------------------------------------------------------------------

    def revoke(self, given: str, caller: Principal, *, terminate: bool = True) -> dict[str, Any]:
        """Cancel a job. Raises JobNotFound, AlreadyFinished, IsRunning, and TaskIsRunning for one that still stops."""
        job_id = self.job(given, caller).id
        try:
            job = self.service.cancel(job_id, render.NAMESPACE, caller.only, running=terminate)
        except (AlreadyFinished, IsRunning) as error:
            raise type(error)(**{**error.facts, "job_id": given}) from None
        if not job.finished:
            raise TaskIsRunning(job_id=given)
        return render.success({"celery_id": given, "status": words.REVOKED})

    def revoke_all(self, given: Sequence[str], caller: Principal, *, terminate: bool) -> dict[str, Any]:
        """Cancel jobs, and say of each what became of it, in the order asked."""
        ids: dict[str, str] = {}
        for one in dict.fromkeys(given):
            try:
                ids[one] = self.job(one, caller).id
            except JobNotFound:
                continue
        cancelled = self.service.cancel_all([*ids.values()], render.NAMESPACE, caller.only, running=terminate)
        told = dict(zip(ids, map(_revoked, cancelled), strict=True))
        unknown = words.NAMES[words.ID_NOT_FOUND]
        return render.success({"results": [{"celery_id": one, "status": told.get(one, unknown)} for one in given]})


def _revoked(answer: Job | JobError) -> str:
    if isinstance(answer, Job):
        return words.REVOKED if answer.finished else words.NAMES[words.RUNNING]
    return words.NAMES[words.CODES[answer.code]]


def _accepted(job: Job | None, replayed: bool, **more: Any) -> tuple[dict[str, Any], int, dict[str, str]]:
    """`job` is None where the first run of a schedule is forgotten by now."""
    first = {"celery_id": job and job.id, "status": job and words.STATUS[job.state]}
    return render.success({**first, **more}), 200, {REPLAYED: "true"} if replayed else {}
