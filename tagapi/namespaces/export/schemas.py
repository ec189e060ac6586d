"""The shapes of the export API's answers, with an example of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, validate

from tagapi.namespaces.export import words
from tagapi.namespaces.fields import Moment

EXAMPLE_ID = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
EXAMPLE_TIME = "2026-01-20T10:30:00.250Z"
NULLABLE = {"x-nullable": True}


def _example(result: str, data: Any, request: str = "GET /api/v3/stream/c/collector_1?access_token=***") -> Any:
    said = {"status_code": words.OK, "status_message": words.MESSAGES[words.OK], "request": request}
    return {**said, "request_id": "#9f86d081884c7d65#", result: data}


def _task(**more: Any) -> Mapping[str, Any]:
    shown = {
        "creation_date": EXAMPLE_TIME,
        "type": "export",
        "id": EXAMPLE_ID,
        "processed": 0,
        "ready": 0,
        "progress": 0.0,
        "target": "collector_1",
        "status": "queued",
        "state": "QUEUED",
        "attempt": 0,
        "started_at": None,
        "completed_at": None,
        "error": None,
        "retry_of": None,
        "processed_before": 0,
    }
    return {**shown, **more}


class Envelope(Schema):
    status_code = fields.String(metadata={"example": "0"})
    status_message = fields.String(metadata={"example": "OK"})
    request = fields.String(metadata={"description": "as it was asked, secrets shown as ***"})
    request_id = fields.String(metadata={"example": "#9f86d081884c7d65#"})


class ErrorDetail(Schema):
    key = fields.String(metadata={"example": "param"})
    value = fields.List(fields.String(), metadata={"example": ["target"]})


class ErrorData(Schema):
    data = fields.List(fields.Nested(ErrorDetail))


class ExportError(Envelope):
    result_error = fields.Nested(ErrorData)


class IdentifiedQueryShown(Schema):
    id = fields.String()
    query = fields.String()


class ProjectTopicsShown(Schema):
    project = fields.String()
    topics = fields.List(fields.String(), metadata=NULLABLE)


class CollectorQueryShown(Schema):
    queries = fields.List(fields.Nested(IdentifiedQueryShown))
    project_topics = fields.Nested(ProjectTopicsShown, metadata=NULLABLE)
    filters = fields.List(fields.String())


class CollectorShown(Schema):
    collector_id = fields.String(metadata={"example": "collector_1"})
    collector_query = fields.Nested(CollectorQueryShown)
    creation_date = Moment()
    state = fields.String(validate=validate.OneOf(("ACTIVE", "PAUSED", "DELETED")))


class CollectorsData(Schema):
    collectors = fields.List(fields.Nested(CollectorShown))


class CollectorResponse(Envelope):
    result_stream = fields.Nested(CollectorsData)

    example = _example(
        "result_stream",
        {
            "collectors": [
                {
                    "collector_id": "collector_1",
                    "collector_query": {},
                    "creation_date": EXAMPLE_TIME,
                    "state": "PAUSED",
                }
            ]
        },
    )


def collector_example(method: str, path: str, state: str) -> Any:
    """The same collector, as another operation answers."""
    shown = CollectorResponse.example["result_stream"]["collectors"][0]
    query = {"queries": [{"id": "coffee", "query": "coffee"}], "project_topics": None, "filters": ["lang:en"]}
    live = {"state": state, "collector_query": query}
    request = f"{method} /api/v3/stream/c/collector_1{path}?access_token=***"
    return _example("result_stream", {"collectors": [{**shown, **live}]}, request)


class StreamRuleShown(Schema):
    rule_id = fields.String()
    query = fields.String()


class StreamShown(Schema):
    stream_id = fields.String()
    enabled = fields.Boolean()
    rules = fields.List(fields.Nested(StreamRuleShown))


class StreamData(Schema):
    data = fields.List(fields.Nested(StreamShown))


class StreamResponse(Envelope):
    result_stream = fields.Nested(StreamData)

    example = _example(
        "result_stream",
        {
            "data": [
                {
                    "stream_id": "stream_1",
                    "enabled": True,
                    "rules": [{"rule_id": "coffee", "query": "coffee AND lang:en"}],
                }
            ]
        },
        "GET /api/v3/stream/s/stream_1?access_token=***",
    )


class StreamBrief(Schema):
    stream_id = fields.String()
    enabled = fields.Boolean()


class CollectorBrief(Schema):
    collector_id = fields.String()
    state = fields.String()


class ProjectBrief(Schema):
    project_id = fields.String()
    title = fields.String(metadata=NULLABLE)


class InfoData(Schema):
    streams = fields.List(fields.Nested(StreamBrief))
    collectors = fields.List(fields.Nested(CollectorBrief))
    projects = fields.List(fields.Nested(ProjectBrief))


class InfoResponse(Envelope):
    result_stream = fields.Nested(InfoData)

    example = _example(
        "result_stream",
        {
            "streams": [{"stream_id": "stream_1", "enabled": True}],
            "collectors": [{"collector_id": "collector_1", "state": "PAUSED"}],
            "projects": [{"project_id": "project_1", "title": "Coffee"}],
        },
        "GET /api/v3/stream/info?access_token=***",
    )


class TopicShown(Schema):
    id = fields.String()
    title = fields.String(metadata=NULLABLE)
    query = fields.String()


class ProjectShown(Schema):
    project_id = fields.String()
    title = fields.String(metadata=NULLABLE)
    query = fields.String(metadata=NULLABLE)
    topics = fields.List(fields.Nested(TopicShown))


class ProjectsData(Schema):
    projects = fields.List(fields.Nested(ProjectShown))


class ProjectResponse(Envelope):
    result_project = fields.Nested(ProjectsData)

    example = _example(
        "result_project",
        {
            "projects": [
                {
                    "project_id": "project_1",
                    "title": "Coffee",
                    "query": "lang:(en OR es)",
                    "topics": [{"id": "free", "title": "For free", "query": '"free coffee"'}],
                }
            ]
        },
        "GET /api/v3/stream/p/project_1?access_token=***",
    )


class TaskError(Schema):
    code = fields.String(metadata={"description": "of the catalogue of codes"})
    message = fields.String()


class TaskShown(Schema):
    creation_date = Moment()
    type = fields.String(metadata={"example": "export"})
    id = fields.String(metadata={"example": EXAMPLE_ID})
    processed = fields.Integer(metadata={"description": "documents that were exported"})
    ready = fields.Integer(metadata={"description": "documents that can be read"})
    progress = fields.Float(metadata={"description": "0 to 1"})
    target = fields.String()
    status = fields.String(metadata={"example": "running"})
    state = fields.String(metadata={"example": "RUNNING"})
    attempt = fields.Integer()
    started_at = Moment(metadata={"format": "date-time", **NULLABLE})
    completed_at = Moment(metadata={"format": "date-time", **NULLABLE})
    error = fields.Nested(TaskError, metadata=NULLABLE)
    retry_of = fields.String(metadata=NULLABLE)
    processed_before = fields.Integer(metadata={"description": "by the tasks that this one does again"})
    parked = fields.Boolean(metadata={"description": "only where an admin has to settle it"})


class TasksData(Schema):
    tasks = fields.List(fields.Nested(TaskShown))
    total = fields.Integer()
    next = fields.Integer(metadata=NULLABLE)


class TasksResponse(Envelope):
    result_tasks = fields.Nested(TasksData)

    example = _example("result_tasks", {"tasks": [_task()]}, "POST /api/v3/stream/export?access_token=***")


class CreditInfo(Schema):
    used_credits_monthly = fields.Integer()
    remaining_credits_monthly = fields.Integer(metadata={"description": "null: without limit", **NULLABLE})
    monthly_total = fields.Integer(metadata={"description": "0: without limit"})
    next_billing_period = Moment()


class CreditsResponse(Envelope):
    result_creditinfo = fields.Nested(CreditInfo)

    example = _example(
        "result_creditinfo",
        {
            "used_credits_monthly": 1000,
            "remaining_credits_monthly": 9000,
            "monthly_total": 10000,
            "next_billing_period": "2026-02-01T00:00:00.000Z",
        },
        "GET /api/v1/status/credits",
    )


class QueryInfo(Schema):
    valid = fields.Boolean()


class QueryResponse(Envelope):
    result_query = fields.Nested(QueryInfo)

    example = _example("result_query", {"valid": True}, "POST /api/v3/stream/query/validate?access_token=***")


class DayCount(Schema):
    day = fields.String(metadata={"example": "2022-04-01"})
    count = fields.Integer()


class CountInfo(Schema):
    total = fields.Integer()
    days = fields.List(fields.Nested(DayCount))


class CountResponse(Envelope):
    result_count = fields.Nested(CountInfo)

    example = _example(
        "result_count",
        {"total": 3, "days": [{"day": "2022-04-01", "count": 2}, {"day": "2022-04-03", "count": 1}]},
        "POST /api/v3/stream/count?access_token=***",
    )


def _ended(status: str, request: str) -> Any:
    return _example("result_tasks", {"tasks": [{"id": EXAMPLE_ID, "status": status}]}, request)


FINISHED = _example(
    "result_tasks",
    {
        "tasks": [
            _task(
                processed=1000,
                ready=1000,
                progress=1.0,
                status="finished",
                state="FINISHED",
                attempt=1,
                started_at=EXAMPLE_TIME,
                completed_at=EXAMPLE_TIME,
            )
        ]
    },
    f"GET /api/v3/tasks/export/{EXAMPLE_ID}?access_token=***",
)
DELETED = _ended("deleted", f"DELETE /api/v3/tasks/export/{EXAMPLE_ID}?access_token=***")
STOPPING = _ended("running", f"DELETE /api/v3/tasks/export/{EXAMPLE_ID}?access_token=***")
PAGE = _example(
    "result_tasks",
    {"tasks": [_task()], "total": 1, "next": None},
    "GET /api/v3/tasks/export?access_token=***",
)
