"""What the export API answers of tasks, queries and credits: a view says who may call it, what it takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from flask import request

from tagapi.auth import Policy
from tagapi.jobs.errors import BadOffset, JobNotFound, NotFoundInData, NotReady, NotUnderstood
from tagapi.namespaces.base import NamespaceResource, Route, idempotency_key, load_body, load_query
from tagapi.namespaces.documentation import SUBMITTING, WITH_BODY, Answer, operation
from tagapi.namespaces.export import asked, render
from tagapi.namespaces.export import schemas as shapes
from tagapi.namespaces.export.front import ExportFront, NoRules
from tagapi.namespaces.export.reading import ReadsFull
from tagapi.namespaces.headers import KEY, REPLAYED
from tagapi.namespaces.problems import Invalid, NoPushes

TASK_ID = {"task_id": "The UUID of the task"}
KEY_HEADER = {KEY: "1 to 255 visible ASCII characters: the same key and body, the same task"}
BAD_QUERY = NotUnderstood(field="query", position=8, expected="a word, a phrase, a field or '('", found="the end")
EXPORTING = (
    Invalid("start", "is required"),
    BAD_QUERY,
    Invalid("target", "there is no such collector"),
    *SUBMITTING,
)
"""What an export may be refused for."""
STARTED = Answer("The export was accepted", shapes.TasksResponse)


class ExportResource(NamespaceResource):
    front: ExportFront
    query_token: ClassVar[str | None] = "access_token"  # noqa: S105 (the parameter, not a token)


class ExportingResource(ExportResource):
    def export(self, body: Any, scope: Callable[[], Any], of: str) -> Any:
        added = self.front.export(body, scope, f"export of {of}", self.caller, idempotency_key())
        return render.render_task(added.job), 200, {REPLAYED: "true"} if added.replayed else {}


class StreamExport(ExportingResource):
    @operation(
        policy=Policy.USER,
        path={"stream_id": "The stream"},
        body=asked.StreamExportRequest,
        headers=KEY_HEADER,
        answers={200: STARTED},
        errors=(
            *EXPORTING,
            NotFoundInData(thing="stream", name="stream_1"),
            NoRules(name="stream_1"),
        ),
    )
    def post(self, stream_id: str) -> Any:
        """Export what a stream's rules find, one of them at least, and the query."""
        body = load_body(asked.StreamExportRequest)
        return self.export(body, lambda: self.front.scope_of_stream(stream_id, self.caller), f"stream {stream_id}")


class ProjectExport(ExportingResource):
    @operation(
        policy=Policy.USER,
        path={"project_id": "The project"},
        body=asked.ProjectExportRequest,
        headers=KEY_HEADER,
        answers={200: STARTED},
        errors=(*EXPORTING, NotFoundInData(thing="project", name="project_1")),
    )
    def post(self, project_id: str) -> Any:
        """Export what a project's query finds, one of its topics or of those named, and the query."""
        body, front = load_body(asked.ProjectExportRequest), self.front
        topics = body["topics"]
        return self.export(
            body, lambda: front.scope_of_project(project_id, topics, self.caller), f"project {project_id}"
        )


class QueryExport(ExportingResource):
    @operation(
        policy=Policy.USER,
        body=asked.QueryExportRequest,
        headers=KEY_HEADER,
        answers={200: STARTED},
        errors=EXPORTING,
    )
    def post(self) -> Any:
        """Export what a query finds.

        Words and `"phrases"`, `AND`, `OR`, `NOT` (or `-word`), parentheses, `*` at a word's end, `?` for a letter,
        `"a b"~5`, `NEAR/5`, `ONEAR/5`, `field:value`, `field:(a OR b)`, `engagement:[10 TO *]`, `sentiment:>=1`,
        `has:image`; at most 4,096 characters and 50 operands.

        Fields: `title`, `content` (both where none is named), `author`, `author_id`, `gender`, `source_id`, `lang`,
        `sourcetype`, `posttype`, `domainurl`, `host_url`, `root_url`, `sentiment`, `engagement`, `word_count`,
        `sourcecountry`, `tag`, `hashtag`, `mention`, `published`.
        """
        return self.export(load_body(asked.QueryExportRequest), lambda: {"every": [], "any": []}, "query")


class ExportList(ExportResource):
    @operation(
        policy=Policy.USER,
        query=asked.ExportTasksQuery,
        answers={200: Answer("The newest first", shapes.TasksResponse, shapes.PAGE)},
        errors=(Invalid("page_size", "must be from 1 to 1000"),),
    )
    def get(self) -> Any:
        """List exports: your own; an admin sees all."""
        return self.front.find(load_query(asked.ExportTasksQuery), self.caller)


class ExportStatus(ExportResource):
    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        answers={200: Answer("The task; an unknown one is `unknown`", shapes.TasksResponse, shapes.FINISHED)},
    )
    def get(self, task_id: str) -> Any:
        """How far an export is."""
        try:
            return render.render_task(self.front.job(task_id, self.caller))
        except JobNotFound:
            return render.render_unknown(task_id)

    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        answers={
            200: Answer("It has stopped: what was exported stays", shapes.TasksResponse, shapes.DELETED),
            202: Answer("It is still stopping", shapes.TasksResponse, shapes.STOPPING),
        },
    )
    def delete(self, task_id: str) -> Any:
        """Abort an export: waits up to 5 seconds until it has stopped."""
        try:
            return self.front.stop(task_id, self.caller)
        except JobNotFound:
            return render.render_unknown(task_id)


class Results(ExportResource):
    @operation(
        policy=Policy.USER,
        path={"collector_id": "The collector"},
        query=asked.ResultsQuery,
        answers={200: Answer("Lines of JSON: CT_RESULT has a document, CT_CONTROL where the reader is", None)},
        errors=(
            BadOffset(field="resume_offset"),
            NotFoundInData(thing="collector", name="collector_1"),
            ReadsFull(open=100, retry_after=5),
            NoPushes(),
        ),
        produces=("text/plain",),
    )
    def get(self, collector_id: str) -> Any:
        """Read a collector as a stream, from its beginning, its end, or any place that was told.

        What was read before a CT_CONTROL is whole: keep it, and then its `resume_offset`, to go on there, whenever
        and wherever. One is told after every thousand documents at most, at least every ten seconds, and at the end.
        """
        return self.front.read(request, collector_id, load_query(asked.ResultsQuery), self.admission, self.gate)


class QueryValidation(ExportResource):
    @operation(
        policy=Policy.USER,
        body=asked.ValidateRequest,
        answers={200: Answer("The query is understood", shapes.QueryResponse)},
        errors=(BAD_QUERY, *WITH_BODY),
    )
    def post(self) -> Any:
        """Check a query: where it is wrong, the position and what was expected there."""
        self.front.documents.check_query("query", load_body(asked.ValidateRequest)["query"])
        return {"result_query": {"valid": True}}


class Count(ExportResource):
    @operation(
        policy=Policy.USER,
        body=asked.CountRequest,
        answers={200: Answer("How many documents an export would find, by day in UTC", shapes.CountResponse)},
        errors=(Invalid("query", "is required"), BAD_QUERY, *WITH_BODY, NotReady(part="The data", retry_after=5)),
    )
    def post(self) -> Any:
        """Count what a query finds, by day, before it is exported. Costs no credits."""
        return self.front.count(load_body(asked.CountRequest))


class Credits(ExportResource):
    query_token = None

    @operation(policy=Policy.USER, answers={200: Answer("Credits of this month", shapes.CreditsResponse)})
    def get(self) -> Any:
        """Your credits: each exported document costs one."""
        return render.render_credits(self.front.documents.credits(self.caller.name))


ROUTES: Sequence[Route] = (
    ("/api/v3/stream/export", QueryExport),
    ("/api/v3/stream/s/<string:stream_id>/export", StreamExport),
    ("/api/v3/stream/p/<string:project_id>/export", ProjectExport),
    ("/api/v3/tasks/export", ExportList),
    ("/api/v3/tasks/export/<string:task_id>", ExportStatus),
    ("/api/v3/stream/c/<string:collector_id>/results", Results),
    ("/api/v3/stream/query/validate", QueryValidation),
    ("/api/v3/stream/count", Count),
    ("/api/v1/status/credits", Credits),
)
