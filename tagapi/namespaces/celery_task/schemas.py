"""The shapes of the celery_task API's answers, with an example of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields

from tagapi.namespaces.celery_task import words

EXAMPLE_ID = "c6a1e0b3-5263-4d8c-ae38-f5c4f9ad7c32"
EXAMPLE_SCHEDULE = "0b6f7a52-6f43-4c3e-9a2c-1c5c6e1f9d10"
EXAMPLE_NUMBER = "000000000000000000000019"
NULLABLE = {"x-nullable": True}
START, END = "2023-07-10T08:30:00.000Z", "2023-07-10T09:15:00.000Z"
ITEM: Mapping[str, Any] = {
    "name": "示例任务",
    "target": "example.com",
    "status": "SUCCESS",
    "type": "domain",
    "task_tag": "task",
    "task_type": "domain_task",
    "start_time": START,
    "end_time": END,
    "celery_id": EXAMPLE_ID,
}
SCHEDULE: Mapping[str, Any] = {
    "schedule_id": EXAMPLE_SCHEDULE,
    "task": "celery_task.domain_exec_task",
    "task_type": "domain_exec_task",
    "name": "域名监测任务",
    "target": "example.com",
    "every_seconds": None,
    "cron": "0 3 * * *",
    "timezone": "Asia/Shanghai",
    "paused": None,
    "next_run": "2023-07-10T19:00:00.000Z",
    "last_run": START,
    "last_celery_id": EXAMPLE_ID,
    "runs": 12,
    "missed": 1,
    "created": "2023-06-28T08:30:00.000Z",
}


def _told(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"code": 200, "message": words.SUCCESS, "data": data}


def _page(*items: Mapping[str, Any]) -> Mapping[str, Any]:
    return _told({"total": len(items), "page": 1, "size": 10, "items": [*items]})


def _null(kind: type[fields.Field[Any]], **about: Any) -> fields.Field[Any]:
    return kind(metadata={**NULLABLE, **about})


class CeleryEnvelope(Schema):
    code = fields.Integer(metadata={"description": "200, or a code of the document, or the status"})
    message = fields.String()


class CeleryTaskError(CeleryEnvelope):
    data = fields.Dict(keys=fields.String(), metadata={"description": "what is wrong: field and reason, or the id"})

    example = {"code": 102, "message": "CeleryIdNotFound", "data": {"celery_id": EXAMPLE_ID}}


class CeleryTypesData(Schema):
    task_types = fields.Dict(keys=fields.String(), values=fields.String())


class CeleryTypesResponse(CeleryEnvelope):
    data = fields.Nested(CeleryTypesData)

    example = _told({"task_types": words.TYPES})


class CeleryTaskShown(Schema):
    name = fields.String()
    target = _null(fields.String)
    status = fields.String(metadata={"description": "PENDING, STARTED, RETRY, SUCCESS, FAILURE or REVOKED"})
    type = _null(fields.String)
    task_tag = _null(fields.String)
    task_type = fields.String()
    start_time = _null(fields.String)
    end_time = _null(fields.String)
    celery_id = fields.String()
    parked = fields.Boolean(metadata={"description": "true while an admin has to settle it; else left out"})


class CeleryTaskListed(CeleryTaskShown):
    id24 = fields.String(data_key="_id", metadata={"description": "the job's number, as 24 hexadecimal digits"})


class CeleryTaskList(Schema):
    total = fields.Integer()
    page = fields.Integer()
    size = fields.Integer()
    items = fields.List(fields.Nested(CeleryTaskListed))


class CeleryTasksResponse(CeleryEnvelope):
    data = fields.Nested(CeleryTaskList)

    example = _page({"_id": EXAMPLE_NUMBER, **ITEM})


class CeleryProgress(Schema):
    done = fields.Integer()
    total = _null(fields.Integer)
    percentage = fields.Float()
    phase = _null(fields.String)


class CeleryPhase(Schema):
    name = fields.String()
    seconds = fields.Float()


class CeleryTaskStatus(CeleryTaskShown):
    task_id = fields.String(metadata={"description": "the job's number, as 24 hexadecimal digits"})
    progress = fields.Nested(CeleryProgress)
    attempt = fields.Integer()
    submit_time = _null(fields.String)
    options = _null(fields.Dict)
    message = fields.String(metadata={"description": "of a finished one"})
    statistic = fields.Dict(keys=fields.String(), metadata={"description": "of a finished one: site_cnt, …"})
    service = fields.List(fields.Nested(CeleryPhase), metadata={"description": "of a finished one: its phases"})
    new = fields.Dict(keys=fields.String(), metadata={"description": "what its scope did not know, by kind"})
    error = fields.String(metadata={"description": "why it failed, or waits for another attempt"})


class CeleryTaskResponse(CeleryEnvelope):
    data = fields.Nested(CeleryTaskStatus)

    example = _told(
        {
            "task_id": EXAMPLE_NUMBER,
            **ITEM,
            "progress": {"done": 12, "total": 12, "percentage": 100.0, "phase": "site_identify"},
            "attempt": 1,
            "submit_time": START,
            "options": {"site_identify": True},
            "message": "完成",
            "statistic": {"domain_cnt": 12, "site_cnt": 5},
            "service": [{"name": "site_identify", "seconds": 2.5}],
        }
    )


class CeleryAccepted(Schema):
    celery_id = _null(fields.String)
    status = _null(fields.String)
    schedule_id = fields.String(metadata={"description": "where data.schedule was given"})


class CeleryAcceptedResponse(CeleryEnvelope):
    data = fields.Nested(CeleryAccepted)

    example = _told({"celery_id": EXAMPLE_ID, "status": "PENDING"})


class CeleryRevoked(Schema):
    celery_id = fields.String()
    status = fields.String()


class CeleryRevokedResponse(CeleryEnvelope):
    data = fields.Nested(CeleryRevoked)

    example = _told({"celery_id": EXAMPLE_ID, "status": words.REVOKED})


class CeleryRevokedList(Schema):
    results = fields.List(fields.Nested(CeleryRevoked))


class CeleryBatchResponse(CeleryEnvelope):
    data = fields.Nested(CeleryRevokedList)

    example = _told(
        {
            "results": [
                {"celery_id": EXAMPLE_ID, "status": words.REVOKED},
                {"celery_id": "d7b2f1c4-6374-5e9d-bf49-g6d5g0be8d43", "status": "CeleryIdNotFound"},
            ]
        }
    )


class CeleryActiveTask(Schema):
    id = fields.String()
    name = fields.String()
    args = fields.List(fields.String())
    kwargs = fields.Dict()
    type = _null(fields.String)
    hostname = _null(fields.String)
    time_start = _null(fields.Float, description="seconds since 1970")
    worker = _null(fields.String)
    state = fields.String(metadata={"description": "active, reserved or scheduled"})
    eta = _null(fields.String, description="of a scheduled one: when its next attempt may begin")


class CeleryActiveList(Schema):
    active_tasks = fields.List(fields.Nested(CeleryActiveTask))


class CeleryActiveResponse(CeleryEnvelope):
    data = fields.Nested(CeleryActiveList)

    example = _told(
        {
            "active_tasks": [
                {
                    "id": EXAMPLE_ID,
                    "name": "app.celerytask.casm_task",
                    "args": [],
                    "kwargs": {"options": {"celery_action": "domain_task", "data": {"task_id": EXAMPLE_NUMBER}}},
                    "type": "host-4711",
                    "hostname": "host-4711",
                    "time_start": 1689012345.6789,
                    "worker": "celery@host-4711",
                    "state": "active",
                }
            ]
        }
    )


class FoundList(Schema):
    total = fields.Integer()
    page = fields.Integer()
    size = fields.Integer()
    items = fields.List(fields.Dict(), metadata={"description": "each with its kind, and what is known of it"})


class FoundResponse(CeleryEnvelope):
    data = fields.Nested(FoundList)

    example = _page(
        {
            "kind": "sites",
            "key": "https://www.example.com/",
            "url": "https://www.example.com/",
            "status": 200,
            "title": "Example",
            "server": "nginx/1.25.3",
            "content_type": "text/html",
            "favicon": -1234567890,
            "fingerprints": [{"name": "nginx", "version": "1.25.3"}],
        }
    )


class ScopeShown(Schema):
    id = fields.String()
    name = fields.String()
    domains = fields.List(fields.String())
    networks = fields.List(fields.String())
    left_out = fields.List(fields.String(), data_key="exclude")
    ports = fields.List(fields.Integer())


class ScopeList(Schema):
    scopes = fields.List(fields.Nested(ScopeShown))
    reason = fields.String(metadata={"description": "why there is none, while the scope file cannot be used"})


class ScopesResponse(CeleryEnvelope):
    data = fields.Nested(ScopeList)

    example = _told(
        {
            "scopes": [
                {
                    "id": "corp",
                    "name": "Our own",
                    "domains": ["example.com"],
                    "networks": ["198.51.100.0/24"],
                    "exclude": ["legacy.example.com"],
                    "ports": [80, 443],
                }
            ]
        }
    )


class ScheduleShown(Schema):
    schedule_id = fields.String()
    task = fields.String()
    task_type = fields.String()
    name = _null(fields.String)
    target = _null(fields.String)
    every_seconds = _null(fields.Integer)
    cron = _null(fields.String)
    timezone = _null(fields.String)
    paused = _null(fields.String, description="why nothing is begun; null where it is")
    next_run = _null(fields.String)
    last_run = _null(fields.String)
    last_celery_id = _null(fields.String)
    runs = fields.Integer()
    missed = fields.Integer(metadata={"description": "times that had no run of their own"})
    created = fields.String()


class ScheduleList(Schema):
    total = fields.Integer()
    page = fields.Integer()
    size = fields.Integer()
    items = fields.List(fields.Nested(ScheduleShown))


class SchedulesResponse(CeleryEnvelope):
    data = fields.Nested(ScheduleList)

    example = _page(SCHEDULE)


class ScheduleResponse(CeleryEnvelope):
    data = fields.Nested(ScheduleShown)

    example = _told(SCHEDULE)


class ScheduleGone(Schema):
    schedule_id = fields.String()
    status = fields.String()


class ScheduleGoneResponse(CeleryEnvelope):
    data = fields.Nested(ScheduleGone)

    example = _told({"schedule_id": EXAMPLE_SCHEDULE, "status": "deleted"})
