"""The export API (`export.es.md`) as a front: its paths, its envelope, its errors, and how an export is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from flask import Request, Response, request

from tagapi.auth import Admission, Gate, Principal
from tagapi.jobs.errors import AlreadyFinished, JobNotFound, NotFoundInData
from tagapi.jobs.model import Job, Json
from tagapi.jobs.registry import Added
from tagapi.jobs.service import JobService
from tagapi.namespaces.answers import respond
from tagapi.namespaces.base import Front, Route
from tagapi.namespaces.edge import request_id
from tagapi.namespaces.export import render
from tagapi.namespaces.export import schemas as shapes
from tagapi.namespaces.export.asked import ExportQuery
from tagapi.namespaces.export.reading import Readings
from tagapi.namespaces.export.stream import Reading
from tagapi.namespaces.problems import Conflict, Invalid, NoPushes, Problem
from tagapi.serving.records import TAKE_OVER


class BadOperation(Conflict):
    message = "The collector {name} has no query of its own: it cannot be active."
    code = "bad_operation"


class NoRules(Conflict):
    message = "The stream {name} has no rules: it finds nothing."
    code = "no_rules"


class Documents(Protocol):
    """What is read of documents, and what people define of them; `app.py` hands one in.

    Raises NotReady where there is no answer, and what each call says.
    """

    collector: str
    stream: str
    project: str

    def define(self, what: Callable[[Any], Any]) -> Any:
        """What `what` makes of the definitions."""

    def check_query(self, field: str, query: str) -> None:
        """Raises NotUnderstood."""

    def credits(self, owner: str) -> Json: ...
    def open(self, collector_id: str, owner: str, resume_offset: str | None) -> Reading:
        """Raises NotFoundInData and BadOffset."""

    def owner_key(self, owner: str) -> str: ...
    def count(self, query: str, start: int, stop: int) -> Sequence[tuple[str, int]]: ...


class ExportFront(Front):
    """See the module."""

    name = "export"
    title = (
        "Export tasks: copy the documents that a query finds into a collector, and read it from any point. "
        "A token may stand in the query of /api/v3, as access_token"
    )
    prefixes = ("/api/v3", "/api/v1/status")
    error_schema = shapes.ExportError
    every_query = ExportQuery
    statuses: ClassVar[Mapping[str, int]] = {
        "bad_operation": 400,
        "no_rules": 403,
        "reads_full": 429,
        "own_reads_full": 429,
    }

    def __init__(self, service: JobService, documents: Documents, readings: Readings | None) -> None:
        """`readings` is None where no connection can be kept open."""
        self.service = service
        self.documents = documents
        self.readings = readings

    def routes(self) -> Sequence[Route]:
        # The views know their front, so it can name them only later.
        from tagapi.namespaces.export.definitions import DEFINITION_ROUTES
        from tagapi.namespaces.export.views import ROUTES

        return (*ROUTES, *DEFINITION_ROUTES)

    # -- answers ---------------------------------------------------------------------------

    def answer(self, body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        query = request.query_string.decode("latin-1")
        told = render.envelope(body, request.method, request.path, query, str(request_id()))
        return respond(told, status, headers, indented=request.args.get("pretty") == "true")

    def render_problem(self, problem: Problem) -> Mapping[str, Any]:
        return render.render_error(problem)

    def error_line(self, body: Mapping[str, Any]) -> str:
        details = {one["key"]: one["value"][0] for one in body["result_error"]["data"]}
        return f"{body['status_code']} {body['status_message']}: {details.get('details', '')}"

    # -- tasks -----------------------------------------------------------------------------

    def job(self, task_id: str, caller: Principal) -> Job:
        """An export that the caller may see. Raises JobNotFound."""
        job = self.service.get(task_id.lower(), render.NAMESPACE, caller.only)
        if job.request.task != render.TASK:
            raise JobNotFound(job_id=task_id)
        return job

    def find(self, asked: Json, caller: Principal) -> dict[str, Any]:
        return render.render_page(self.service.find(render.job_query(asked, caller.only)))

    def stop(self, task_id: str, caller: Principal) -> tuple[dict[str, Any], int]:
        """Abort an export, or say how it ended. Raises JobNotFound."""
        job = self.job(task_id, caller)
        if job.finished:
            return render.render_deleted(job)
        try:
            job = self.service.cancel(job.id, render.NAMESPACE, caller.only)
        except AlreadyFinished:
            return render.render_deleted(self.job(task_id, caller))
        return (render.render_stopped(job), 200) if job.finished else render.render_deleted(job)

    def export(self, body: Json, scope: Callable[[], Json], route: str, caller: Principal, key: str | None) -> Added:
        """Accept a valid body; `scope` says of what. Raises NotUnderstood, Invalid, what `scope` raises, and as a
        submission does. One that comes again under its key is answered whatever has become of all that it names."""
        known = None
        if key is not None:
            known = self.service.known(render.TASK, body, owner=caller.name, route=route, key=key)
        return known or self._start(body, scope(), route, caller, key)

    def _start(self, body: Json, scope: Json, route: str, caller: Principal, key: str | None) -> Added:
        _check_past(body)
        target = self._target(body["target"], caller.name)
        every = list(scope["every"])
        if body["query"] is not None:
            self.documents.check_query("query", body["query"])
            every.append(body["query"])
        arguments = {
            "owner": self.documents.owner_key(caller.name),
            "target": body["target"],
            "generation": target["generation"],
            "every": every,
            "any": list(scope["any"]),
            **{name: body[name] for name in ("start", "stop", "limit")},
        }
        return self.service.submit(
            render.TASK,
            arguments,
            owner=caller.name,
            labels=render.task_labels(body["target"]),
            route=route,
            key=key,
            request_id=request_id(),
            asked=body,
        )

    def scope_of_stream(self, name: str, caller: Principal) -> Json:
        """Raises NotFoundInData, and NoRules for a stream that finds nothing."""
        scope: Json = self.documents.define(lambda known: known.scope_of_stream(caller.name, name))
        if not scope["any"]:
            raise NoRules(name=name)
        return scope

    def scope_of_project(self, name: str, topics: Sequence[str] | None, caller: Principal) -> Json:
        """Of these topics, or of all. Raises NotFoundInData, and Unusable for a topic that it has not."""
        scope: Json = self.documents.define(lambda known: known.scope_of_project(caller.name, name, topics))
        return scope

    def _target(self, name: str, owner: str) -> Json:
        try:
            target: Json = self.documents.define(lambda known: known.get(owner, self.documents.collector, name))
        except NotFoundInData:
            raise Invalid("target", "there is no such collector") from None
        if target["collector_query"] is not None:
            raise Invalid("target", "the collector has a query of its own: exports go into one without")
        return target

    def recheck(self, job: Job, caller: Principal) -> None:
        """Into a collector of somebody else's, and for their credits, an admin could not export either."""
        if job.request.task != render.TASK:
            return  # what upkeep starts may be started by whoever sees it
        target = self._target(job.request.arguments["target"], caller.name)
        if target["generation"] != job.request.arguments["generation"]:
            raise Invalid("target", "the collector was deleted; another one has its name now")

    def resume(self, name: str, caller: Principal) -> Json:
        """Make a collector active. Raises NotFoundInData, and BadOperation for one without a query."""
        told: Json = self.documents.define(lambda known: known.resume(caller.name, name))
        if told["collector_query"] is None:
            raise BadOperation(name=name)
        return told

    def read(self, asked: Request, name: str, options: Json, admission: Admission, gate: Gate) -> Response:
        """Go on with the connection as a stream. Raises NotFoundInData, BadOffset, ReadsFull, NoPushes."""
        if self.readings is None or TAKE_OVER not in asked.environ:
            raise NoPushes
        told = Response(status=200, mimetype="text/plain")
        if asked.method == "HEAD":
            self.documents.open(name, admission.principal.name, options["resume_offset"])
            return told
        take = self.readings.open(
            name,
            admission.principal.name,
            options["resume_offset"],
            options["end_behaviour"] == "wait",
            options["max_hits"],
            request_id=str(request_id()),
            chunked=asked.environ["SERVER_PROTOCOL"] != "HTTP/1.0",
            holds=lambda: gate.holds(admission),
        )
        asked.environ[TAKE_OVER].append(take)
        return told

    # -- queries ---------------------------------------------------------------------------

    def check_queries(self, field: str, rules: Sequence[Json]) -> None:
        """Of a list in a body. Raises NotUnderstood."""
        for place, rule in enumerate(rules):
            self.documents.check_query(f"{field}[{place}].query", rule["query"])

    def count(self, body: Json) -> dict[str, Any]:
        _check_past(body)
        self.documents.check_query("query", body["query"])
        stop = _now() if body["stop"] is None else body["stop"]
        return render.render_count(self.documents.count(body["query"], body["start"] or 0, stop))


def _now() -> int:
    """Milliseconds since 1970."""
    return int(datetime.now(UTC).timestamp() * 1000)


def _check_past(body: Json) -> None:
    """Raises Invalid for a range that ends now and has not begun yet."""
    if body["stop"] is None and (body["start"] or 0) > _now():
        raise Invalid("start", "must not be later than now, where there is no stop")
