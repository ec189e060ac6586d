"""The shapes of the tags API: what validates is what documents."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from tagapi.jobs.changes import Verdict
from tagapi.namespaces.fields import (
    Input,
    Moment,
    Query,
    QueryBoolean,
    QueryInteger,
    StrictBoolean,
    StrictInteger,
    StrictList,
    StrictText,
)
from tagapi.namespaces.timing import TimingRequest

MOST_USERS = 100_000
STATUSES = ("submitted", "running", "completed", "failed", "cancelled")
OUTCOMES = tuple(verdict.value for verdict in Verdict)
PARKED = "true while nobody knows whether the commit happened and an admin has to settle it; else left out"
MODES = ("full", "incremental")
EXAMPLE_ID = "550e8400-e29b-41d4-a716-446655440000"
EXAMPLE_TIME = "2024-01-20T10:30:00+00:00"
NOT_NEGATIVE = validate.Range(0, error="must be 0 or more")


class TriggerRequest(Input):
    tag_ids = StrictList(
        StrictInteger(),
        required=True,
        validate=validate.Length(min=1, error="must not be empty"),
        metadata={"description": "标签ID列表", "example": [1, 2, 3]},
    )
    user_ids = StrictList(
        StrictText(validate=validate.Length(1, 255, error="must be 1 to 255 characters long")),
        allow_none=True,
        load_default=None,
        validate=validate.Length(1, MOST_USERS, error=f"must name 1 to {MOST_USERS} users"),
        metadata={"description": "指定用户列表; absent or null means everyone", "x-nullable": True},
    )
    mode = StrictText(
        load_default="full",
        validate=validate.OneOf(MODES, error="must be one of: full, incremental"),
        metadata={"description": "执行模式"},
    )
    dry_run = StrictBoolean(load_default=False, metadata={"description": "the same result, without writing"})
    diff = StrictBoolean(
        load_default=False, metadata={"description": "count added and removed members of a full run over everyone too"}
    )

    schedule = fields.Nested(
        TimingRequest,
        load_default=None,
        allow_none=True,
        metadata={"description": "begin it at these times, instead of now", "x-nullable": True},
    )

    example = {"tag_ids": [1, 2, 3], "user_ids": ["user_000001", "user_000002"], "mode": "full"}


class StatusQuery(Query):
    full = QueryBoolean(load_default=False, metadata={"description": "tell all user_ids, not only the first 100"})


class SettleRequest(Input):
    outcome = StrictText(
        required=True,
        validate=validate.OneOf(OUTCOMES, error=f"must be one of: {', '.join(OUTCOMES)}"),
        metadata={"description": "what somebody found out; retry: have the task find out once more"},
    )

    example = {"outcome": "completed"}


class TasksQuery(Query):
    status = fields.String(
        load_default=None, validate=validate.OneOf(STATUSES, error=f"must be one of: {', '.join(STATUSES)}")
    )
    tag_id = QueryInteger(
        load_default=None, validate=NOT_NEGATIVE, metadata={"description": "tasks that compute this tag"}
    )
    page = QueryInteger(load_default=None, validate=validate.Range(1, 10**6, error="must be 1 to 1000000"))
    page_size = QueryInteger(load_default=None, validate=validate.Range(1, 100, error="must be 1 to 100"))
    cursor = QueryInteger(
        load_default=None, validate=NOT_NEGATIVE, metadata={"description": "as in the `next` of the page before"}
    )

    @validates_schema
    def _pages_one_way(self, values: dict[str, Any], **_: Any) -> None:
        if values["page"] is not None and values["cursor"] is not None:
            raise ValidationError("cannot be combined with page", "cursor")


class MembersQuery(Query):
    limit = QueryInteger(load_default=1000, validate=validate.Range(1, 10_000, error="must be 1 to 10000"))
    cursor = fields.String(load_default=None, metadata={"description": "`next_cursor` of the page before"})


class UserTagsQuery(Query):
    explain = QueryBoolean(load_default=False)


class TagsError(Schema):
    success = fields.Boolean(required=True)
    error = fields.String(required=True)
    message = fields.String(required=True, metadata={"description": "中文错误信息"})
    available_tag_ids = fields.List(fields.Integer())
    details = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "what is wrong, by its place, such as `tag_ids[0]`"},
    )

    example = {
        "success": False,
        "error": "Invalid tag_ids: [999]",
        "message": "无效的标签ID: [999]",
        "available_tag_ids": [1, 2, 3, 4, 5, 6, 7, 8],
    }


class TriggerData(Schema):
    tag_ids = fields.List(fields.Integer(), required=True)
    user_ids = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "the first 100; a status with full=true tells all", "x-nullable": True},
    )
    user_ids_total = fields.Integer(
        required=True, metadata={"description": "how many users; null means everyone", "x-nullable": True}
    )
    mode = fields.String(required=True)
    environment = fields.String(required=True)
    submitted_at = Moment(required=True)
    dry_run = fields.Boolean()
    diff = fields.Boolean()
    next_run = Moment(metadata={"description": "of a schedule", "format": "date-time", "x-nullable": True})


TRIGGER_DATA: dict[str, Any] = {
    "tag_ids": [1, 2, 3],
    "user_ids": ["user_000001", "user_000002"],
    "user_ids_total": 2,
    "mode": "full",
    "environment": "local",
    "submitted_at": EXAMPLE_TIME,
}


class TriggerAnswer(Schema):
    success = fields.Boolean(required=True)
    task_id = fields.String(required=True, metadata={"description": "null of a schedule", "x-nullable": True})
    schedule_id = fields.String(metadata={"description": "where there was a schedule in the request"})
    message = fields.String(required=True)
    data = fields.Nested(TriggerData, required=True)

    example = {"success": True, "task_id": EXAMPLE_ID, "message": "标签任务已成功提交", "data": TRIGGER_DATA}


class Progress(Schema):
    done = fields.Integer(required=True)
    total = fields.Integer(required=True, metadata={"x-nullable": True})
    percentage = fields.Float(required=True)


class TagResult(Schema):
    tag_id = fields.Integer(required=True)
    matched_users = fields.Integer(required=True)
    added = fields.Integer(required=True, metadata={"x-nullable": True})
    removed = fields.Integer(required=True, metadata={"x-nullable": True})


class Result(Schema):
    total_users = fields.Integer(required=True)
    message = fields.String(required=True)
    tags = fields.List(fields.Nested(TagResult), required=True)
    unknown_user_ids = fields.List(fields.String(), required=True)
    table_version = fields.Integer(required=True)


class Status(TriggerData):
    task_id = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    started_at = Moment(required=True, metadata={"x-nullable": True, "format": "date-time"})
    completed_at = Moment(required=True, metadata={"x-nullable": True, "format": "date-time"})
    progress = fields.Nested(Progress, required=True)
    attempt = fields.Integer(required=True)
    result = fields.Nested(Result, metadata={"description": "once completed"})
    error = fields.String(metadata={"description": "why it failed"})
    parked = fields.Boolean(metadata={"description": PARKED})


STATUS_EXAMPLE: dict[str, Any] = {
    "task_id": EXAMPLE_ID,
    **TRIGGER_DATA,
    "status": "completed",
    "started_at": "2024-01-20T10:30:05+00:00",
    "completed_at": "2024-01-20T10:32:15+00:00",
    "progress": {"done": 3, "total": 3, "percentage": 100.0},
    "attempt": 1,
    "result": {
        "total_users": 2,
        "message": "Successfully processed 2 users",
        "tags": [{"tag_id": 1, "matched_users": 1, "added": 1, "removed": 0}],
        "unknown_user_ids": [],
        "table_version": 12,
    },
}


class StatusAnswer(Schema):
    success = fields.Boolean(required=True)
    task_id = fields.String(required=True)
    status = fields.Nested(Status, required=True)

    example = {"success": True, "task_id": EXAMPLE_ID, "status": STATUS_EXAMPLE}


CANCELLED = {key: value for key, value in STATUS_EXAMPLE.items() if key != "result"} | {"status": "cancelled"}


class CancelAnswer(StatusAnswer):
    message = fields.String(required=True)

    example = {**StatusAnswer.example, "message": "任务已取消", "status": CANCELLED}


STILL_STOPPING: dict[str, Any] = {
    **StatusAnswer.example,
    "message": "任务正在取消",
    "status": {**CANCELLED, "status": "running", "completed_at": None},
}


class TaskItem(Schema):
    task_id = fields.String(required=True)
    tag_ids = fields.List(fields.Integer(), required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    submitted_at = Moment(required=True)
    completed_at = Moment(required=True, metadata={"x-nullable": True, "format": "date-time"})
    parked = fields.Boolean(metadata={"description": PARKED})


class TasksAnswer(Schema):
    success = fields.Boolean(required=True)
    tasks = fields.List(fields.Nested(TaskItem), required=True)
    total = fields.Integer(required=True, metadata={"description": "of all pages"})
    next = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "path of the page that follows, at the same cost at any depth; null at the end"},
    )

    example = {
        "success": True,
        "next": None,
        "tasks": [
            {
                "task_id": EXAMPLE_ID,
                "tag_ids": [1, 2, 3],
                "status": "completed",
                "submitted_at": EXAMPLE_TIME,
                "completed_at": "2024-01-20T10:32:15+00:00",
            }
        ],
        "total": 1,
    }


class TagItem(Schema):
    tag_id = fields.Integer(required=True)
    task_class = fields.String(required=True)
    description = fields.String(required=True)

    example = {"tag_id": 1, "task_class": "HighNetWorthUserTask", "description": "高净值用户"}


class AvailableAnswer(Schema):
    success = fields.Boolean(required=True)
    available_tags = fields.List(fields.Nested(TagItem), required=True)

    example = {"success": True, "available_tags": [TagItem.example]}


class TagDetail(TagItem):
    source = fields.String(required=True)
    rule = fields.String(required=True)
    members = fields.Integer(required=True)
    last_run = Moment(required=True, metadata={"x-nullable": True, "format": "date-time"})

    example = {
        **TagItem.example,
        "source": "user_asset_summary",
        "rule": "total_asset_value ≥ 100000",
        "members": 2347,
        "last_run": EXAMPLE_TIME,
    }


class TagAnswer(Schema):
    success = fields.Boolean(required=True)
    tag = fields.Nested(TagDetail, required=True)

    example = {"success": True, "tag": TagDetail.example}


class MembersAnswer(Schema):
    success = fields.Boolean(required=True)
    tag_id = fields.Integer(required=True)
    users = fields.List(fields.String(), required=True)
    next_cursor = fields.String(required=True, metadata={"x-nullable": True})

    example = {"success": True, "tag_id": 1, "users": ["user_000001", "user_000006"], "next_cursor": "dXNlcl8wMDAwMDY"}


class UserTagsAnswer(Schema):
    success = fields.Boolean(required=True)
    user_id = fields.String(required=True)
    tags = fields.List(
        fields.Raw(),
        required=True,
        metadata={
            "description": "tag ids; with explain=true objects of "
            "tag_id, member, matches_now, observed, threshold, reason"
        },
    )

    example = {"success": True, "user_id": "user_000001", "tags": [1, 3]}
