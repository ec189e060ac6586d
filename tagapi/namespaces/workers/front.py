"""The workers API (`workers.ru.md`) as a front: its paths, its errors, and how a job is asked for and found."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, ClassVar, Protocol

from flask import Response, request

from tagapi.auth import Principal
from tagapi.jobs.errors import NotFoundInData
from tagapi.jobs.model import Job
from tagapi.jobs.registry import Added
from tagapi.jobs.scheduling import Scheduled, Scheduling
from tagapi.jobs.service import JobService
from tagapi.namespaces.base import Front, Route
from tagapi.namespaces.downloads import Download, lead_to, send
from tagapi.namespaces.edge import request_id
from tagapi.namespaces.problems import Problem
from tagapi.namespaces.timing import begin_by_clock
from tagapi.namespaces.workers import schemas as shapes
from tagapi.namespaces.workers.filters import FilterKinds
from tagapi.namespaces.workers.render import (
    NAMESPACE,
    check_allowed,
    job_arguments,
    label,
    render_error,
    result_file,
    task_type,
)

log = logging.getLogger(__name__)

ROUTE = "workers.create"
LEAST_SECONDS = 60
"""Between two runs of a schedule."""
NUMBER = re.compile(r"[1-9][0-9]{0,17}")


class Published(Protocol):
    """The files of a finished job."""

    def open(self, name: str) -> BinaryIO | None:
        """The file, or None where there is none."""

    def link(self, name: str, content_type: str) -> str | None:
        """Where it can be had without this service; None where it has to be sent by it."""


class ResultFiles(Protocol):
    """Where the files of finished jobs lie; `app.py` hands one in."""

    def published(self, job_id: str) -> Published | None:
        """Those of a job, or None where there are none."""


class WorkersFront(Front):
    """See the module."""

    name = "workers"
    title = (
        "Задачи обработки данных: экспорт, очистка, анализ и отчеты — свои у каждого пользователя. "
        "Exports, cleanup, analysis and reports as tasks, each user their own"
    )
    prefixes = ("/api/v1/workers",)
    error_schema = shapes.WorkersError
    statuses: ClassVar[Mapping[str, int]] = {"already_finished": 400}

    def __init__(self, service: JobService, scheduling: Scheduling, filters: FilterKinds, results: ResultFiles) -> None:
        self.service = service
        self.scheduling = scheduling
        self.filters = filters
        self.results = results

    def routes(self) -> Sequence[Route]:
        from tagapi.namespaces.workers.views import ROUTES  # the views know their front: it can name them only later

        return ROUTES

    def render_problem(self, problem: Problem) -> Mapping[str, Any]:
        return render_error(problem)

    def error_line(self, body: Mapping[str, Any]) -> str:
        return f"{body['error']['code']}: {body['error']['message']}"

    def recheck(self, job: Job, caller: Principal) -> None:
        check_allowed(task_type(job), job.request.arguments, admin=caller.admin)

    def id_of(self, reference: str) -> str:
        """A job's id, by its id or its number. Raises JobNotFound."""
        return self.service.id_of(int(reference)) if NUMBER.fullmatch(reference) else reference

    def job(self, reference: str, caller: Principal) -> Job:
        """A job that the caller may see. Raises JobNotFound."""
        return self.service.get(self.id_of(reference), NAMESPACE, caller.only)

    def create(self, body: dict[str, Any], caller: Principal, key: str | None) -> Added | Scheduled:
        """Accept what a valid body asks for, as a job or as a schedule.

        Raises PermissionDenied, Invalid, and what JobService.submit raises.
        """
        task_type, given = body["task_type"], body.pop("schedule")
        task, arguments = f"{NAMESPACE}.{task_type}", job_arguments(body, self.filters)
        check_allowed(task_type, arguments, admin=caller.admin)
        asking: dict[str, Any] = {"owner": caller.name, "labels": (label(task_type),), "route": ROUTE, "key": key}
        if given is not None:
            return begin_by_clock(
                self.service,
                self.scheduling,
                task,
                lambda: arguments,
                given,
                field="schedule",
                asked={**arguments, "schedule": given},
                least=LEAST_SECONDS,
                **asking,
            )
        if key is not None:
            self.scheduling.check_unused(owner=caller.name, route=ROUTE, key=key)
        return self.service.submit(task, arguments, request_id=request_id(), **asking)

    def send_result(self, job: Job, link: bool) -> Response:
        """The job's file, or a link to where it lies, where there are such and they are wanted, and it is a GET.

        Raises ResultNotReady, NoResult, or NotFoundInData where it is gone, or another than it was.
        """
        told = result_file(job)
        name, content_type = told["name"], told["content_type"]
        published = self.results.published(job.id)
        if published is not None and link and request.method == "GET" and (url := published.link(name, content_type)):
            return lead_to(url)
        file = None if published is None else published.open(name)
        if file is not None and file.seek(0, os.SEEK_END) != told["size"]:
            log.error("result_changed", extra={"job_id": job.id, "size": file.tell(), "told": told["size"]})
            file.close()
            file = None
        if file is None:
            raise NotFoundInData(thing="result", name=job.id)
        file.seek(0)
        return send(Download(file, name, content_type, told["size"], told["sha256"]))
