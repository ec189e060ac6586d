"""The tags API (`tags.zh.md`) as a front: its paths, its errors, and what it reads beside jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tagapi.jobs.service import JobService
from tagapi.namespaces.base import Front, Route
from tagapi.namespaces.problems import Problem
from tagapi.namespaces.tags import schemas as shapes
from tagapi.namespaces.tags.render import error_line, render_error


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

    def __init__(self, service: JobService, reader: TagReader, environment: str) -> None:
        self.service = service
        self.reader = reader
        self.environment = environment

    def routes(self) -> Sequence[Route]:
        from tagapi.namespaces.tags.views import ROUTES  # the views know their front, so it can name them only later

        return ROUTES

    def render_problem(self, problem: Problem) -> Mapping[str, Any]:
        return render_error(problem)

    def error_line(self, body: Mapping[str, Any]) -> str:
        return error_line(body)
