"""The tags API (`tags.zh.md`) as a front: its paths, its errors, and what it reads beside jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tagapi.auth import Principal
from tagapi.jobs.scheduling import Scheduling
from tagapi.jobs.service import JobService
from tagapi.namespaces.base import Front, Route
from tagapi.namespaces.edge import request_id
from tagapi.namespaces.problems import Problem
from tagapi.namespaces.tags import schemas as shapes
from tagapi.namespaces.tags.render import (
    error_line,
    labels,
    render_accepted,
    render_error,
    render_scheduled,
    trigger_arguments,
)
from tagapi.namespaces.timing import begin_by_clock

TASK, ROUTE = "tags.compute", "tags.trigger"
LEAST_SECONDS = 60
"""Between two runs of a schedule."""
Triggered = tuple[dict[str, Any], int, dict[str, str]]


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
    prefixes = ("/api/v1/tags", "/api/v1/tasks", "/api/v1/users")
    error_schema = shapes.TagsError

    def __init__(self, service: JobService, scheduling: Scheduling, reader: TagReader, environment: str) -> None:
        self.service = service
        self.scheduling = scheduling
        self.reader = reader
        self.environment = environment

    def routes(self) -> Sequence[Route]:
        from tagapi.namespaces.tags.views import ROUTES  # the views know their front, so it can name them only later

        return ROUTES

    def render_problem(self, problem: Problem) -> Mapping[str, Any]:
        return render_error(problem)

    def error_line(self, body: Mapping[str, Any]) -> str:
        return error_line(body)

    def trigger(self, body: dict[str, Any], caller: Principal, key: str | None) -> Triggered:
        """Accept a valid body, as a job or as a schedule. Raises Invalid, and as a submission does."""
        given = body.pop("schedule")
        arguments = trigger_arguments(body, self.reader.tag_ids())
        asking: dict[str, Any] = {
            "owner": caller.name,
            "labels": labels(arguments["tag_ids"]),
            "route": ROUTE,
            "key": key,
        }
        if given is not None:
            asked = {**arguments, "schedule": given}
            told = begin_by_clock(
                self.service,
                self.scheduling,
                TASK,
                lambda: arguments,
                given,
                field="schedule",
                asked=asked,
                least=LEAST_SECONDS,
                **asking,
            )
            return render_scheduled(told, self.environment)
        if key is not None:
            self.scheduling.check_unused(owner=caller.name, route=ROUTE, key=key)
        added = self.service.submit(TASK, arguments, request_id=request_id(), **asking)
        return render_accepted(added, self.environment)
