"""The tasks API (`tasks.es.md`) as a front: every job of every front, and what it starts itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Protocol

from flask import Request, Response

from tagapi.auth import Admission, Gate, PermissionDenied, Principal
from tagapi.jobs.errors import JobNotFound, Unusable
from tagapi.jobs.lists import task_label
from tagapi.jobs.model import Job
from tagapi.jobs.notifying import Notifying
from tagapi.jobs.registry import Added
from tagapi.jobs.service import JobService
from tagapi.jobs.webhooks import Webhook
from tagapi.namespaces.base import Front, Route
from tagapi.namespaces.edge import request_id
from tagapi.namespaces.problems import Invalid, NoPushes, Problem
from tagapi.namespaces.tasks import schemas as shapes
from tagapi.namespaces.tasks.live import Live
from tagapi.namespaces.tasks.orders import Orders
from tagapi.namespaces.tasks.render import UUID, job_query, render_error, render_list
from tagapi.namespaces.tasks.told import render_service
from tagapi.serving.records import TAKE_OVER

WEBSOCKET_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes in base64


class Overview(Protocol):
    """What there is to see of the service; `app.py` hands one in."""

    def now(self, owner: str | None, caller: str) -> Mapping[str, Any]:
        """As it is. `owner` is whose schedules are meant; None for everybody's."""


class TasksFront(Front):
    """See the module."""

    name = "tasks"
    title = "Tareas: el estado de todas, campañas, audiencias y segmentos — one view of every job, and what it starts"
    prefixes = ("/api/tasks",)
    error_schema = shapes.TasksError

    def __init__(
        self,
        service: JobService,
        limits: Mapping[str, int],
        live: Live | None,
        orders: Orders,
        notifying: Notifying,
        overview: Overview,
    ) -> None:
        """`limits` has how many attempts a task has, by its name; `live` is None where nothing can be pushed."""
        self.service = service
        self.limits = limits
        self.live = live
        self.orders = orders
        self.notifying = notifying
        self.overview = overview

    def routes(self) -> Sequence[Route]:
        # The views know their front, so it can name them only later.
        from tagapi.namespaces.tasks.audiences import AUDIENCE_ROUTES
        from tagapi.namespaces.tasks.segments import SEGMENT_ROUTES
        from tagapi.namespaces.tasks.service import SERVICE_ROUTES
        from tagapi.namespaces.tasks.starting import STARTING_ROUTES
        from tagapi.namespaces.tasks.views import ROUTES
        from tagapi.namespaces.tasks.webhooks import WEBHOOK_ROUTES

        return (
            *ROUTES,
            *STARTING_ROUTES,
            *AUDIENCE_ROUTES,
            *SEGMENT_ROUTES,
            *SERVICE_ROUTES,
            *WEBHOOK_ROUTES,
        )

    def render_problem(self, problem: Problem) -> Mapping[str, Any]:
        return render_error(problem)

    def error_line(self, body: Mapping[str, Any]) -> str:
        return f"{body['error']}: {body['message']}"

    # -- jobs of every front ---------------------------------------------------------------

    def job(self, task_id: str, caller: Principal) -> Job:
        """A job that the caller may see. Raises JobNotFound."""
        if not UUID.fullmatch(task_id):
            raise JobNotFound(job_id=task_id)
        return self.service.get(task_id.lower(), owner=caller.only)

    def find(self, asked: Mapping[str, Any], caller: Principal) -> dict[str, Any]:
        """A page of the caller's jobs; of anybody's, where an admin asks. Raises Invalid and PermissionDenied."""
        if asked["task"] is not None:
            self._check_task("task", asked["task"])
        owner = asked["owner"] or caller.only
        if caller.only not in (None, owner):
            raise PermissionDenied(what="list the jobs of others")
        return render_list(self.service.find(job_query(asked, owner, [*self.limits])), self.limits)

    def _check_task(self, field: str, task: str) -> None:
        """Raises Invalid for the name of no task."""
        if task not in self.limits:
            raise Invalid(field, f"debe ser uno de: {', '.join(sorted(self.limits))}")

    def cancel(self, task_id: str, caller: Principal) -> Job:
        return self.service.cancel(self.job(task_id, caller).id, owner=caller.only)

    def retry(self, task_id: str, caller: Principal, *, force: bool, key: str | None) -> Added:
        """Do a job again. Raises JobNotFound, NotRetryable, PermissionDenied, Invalid, and what a submission raises."""
        job = self.job(task_id, caller)
        if force and key is None:
            raise Invalid("Idempotency-Key", "es obligatoria con force=true")
        for front in self.fronts:
            if front.name == job.request.namespace:
                front.recheck(job, caller)
        return self.service.retry(job.id, by=caller.name, force=force, request_id=request_id())

    def seen(self, caller: Principal) -> dict[str, Any]:
        """The service as the caller may see it."""
        told = self.overview.now(caller.only, caller.name)
        return render_service(told, self.service.parked(), self.service.accepting, admin=caller.admin)

    # -- what this front starts ------------------------------------------------------------

    def start(self, work: str, body: dict[str, Any], caller: Principal, key: str | None) -> Added:
        """Accept a valid body. Raises what `Orders.check` raises, and as a submission does."""
        self.orders.check(work, body, caller)
        task = f"{self.name}.{work}"
        return self.service.submit(
            task,
            self.orders.arguments(work, body),
            owner=caller.name,
            labels=(task_label(task),),
            route=task,
            key=key,
            request_id=request_id(),
        )

    def recheck(self, job: Job, caller: Principal) -> None:
        self.orders.check(job.request.task.partition(".")[2], job.request.arguments, caller)

    # -- webhooks --------------------------------------------------------------------------

    def create_webhook(self, asked: Mapping[str, Any], caller: Principal) -> Webhook:
        """Raises Invalid, PermissionDenied and TooManyWebhooks."""
        for place, task in enumerate(asked["tasks"] or ()):
            self._check_task(f"tasks[{place}]", task)
        self._check_everyone(asked["everyone"], caller)
        facts = {"owner": caller.name, "everyone": asked["everyone"]}
        try:
            return self.notifying.create(asked["url"], asked["events"], asked["tasks"], **facts)
        except Unusable as error:
            raise Invalid(error.field, error.reason) from None

    def resume_webhook(self, webhook_id: str, caller: Principal) -> Webhook:
        """Raises WebhookNotFound; and PermissionDenied where whoever made it for everybody's jobs is no admin any more:
        until that were noticed, its log would tell of them."""
        self._check_everyone(self.notifying.get(webhook_id, caller.only).everyone, caller)
        return self.notifying.resume(webhook_id, caller.only)

    def _check_everyone(self, everyone: bool, caller: Principal) -> None:
        if everyone and not caller.admin:
            raise PermissionDenied(what="hear of the jobs of others")

    # -- pushes ----------------------------------------------------------------------------

    def push_socket(self, asked: Request, admission: Admission, gate: Gate) -> Response:
        """Go on with the connection as a WebSocket. Raises Invalid, PushesFull, NoPushes."""
        key = _handshake(asked)
        live, caller = self._live(asked), admission.principal
        take = live.open_socket(key, str(request_id()), caller.name, caller.only, lambda: gate.holds(admission))
        asked.environ[TAKE_OVER].append(take)
        return Response(status=101)

    def push_events(self, asked: Request, job: Job, after: int, admission: Admission, gate: Gate) -> Response:
        """Go on with the connection as a stream of the job's events. Raises PushesFull, NoPushes."""
        if job.finished and after >= job.events[-1].number:
            return Response(status=204)  # which tells an EventSource that there is no use in asking again
        if asked.method == "HEAD":
            return Response(status=200, mimetype="text/event-stream")
        only = admission.principal.only
        take = self._live(asked).open_stream(job, after, str(request_id()), only, lambda: gate.holds(admission))
        asked.environ[TAKE_OVER].append(take)
        return Response(status=200, mimetype="text/event-stream")

    def _live(self, asked: Request) -> Live:
        if self.live is None or TAKE_OVER not in asked.environ:
            raise NoPushes
        return self.live


def _handshake(asked: Request) -> str:
    """The key of a WebSocket handshake (RFC 6455, 4.2.1). Raises Invalid."""
    headers = asked.headers
    tokens = {token.strip().lower() for token in headers.get("Connection", "").split(",")}
    if headers.get("Upgrade", "").lower() != "websocket" or "upgrade" not in tokens or asked.method != "GET":
        _no_handshake("Upgrade", "se espera un WebSocket: Upgrade: websocket, Connection: Upgrade")
    if headers.get("Sec-WebSocket-Version") != "13":
        _no_handshake("Sec-WebSocket-Version", "debe ser 13")
    key = headers.get("Sec-WebSocket-Key", "")
    if not WEBSOCKET_KEY.fullmatch(key):
        _no_handshake("Sec-WebSocket-Key", "deben ser 16 bytes en base64")
    return key


def _no_handshake(header: str, reason: str) -> NoReturn:
    raise Invalid(header, reason)
