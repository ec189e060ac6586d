"""The shapes of the workers API: what validates is what documents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from tagapi.jobs.changes import Verdict
from tagapi.namespaces.fields import Input, Moment, Query, QueryBoolean, QueryInteger, StrictInteger
from tagapi.namespaces.timing import TimingRequest
from tagapi.namespaces.workers import words as words

MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
STATUSES = tuple(words.STATUS_DISPLAY)
TYPES = tuple(words.TYPE_DISPLAY)
OUTCOMES = tuple(verdict.value for verdict in Verdict)
PARKED = "true, пока неизвестно, записан ли результат, и решать должен администратор; иначе поля нет"
FORMATS = ("csv", "parquet", "xlsx")
LANGUAGES = ("ru", "en")
MOST_BATCH = 10_000
PAGE_SIZE = 20
MOST_PAGE_SIZE = 100
PAGE_SIZES = f"должно быть от 1 до {MOST_PAGE_SIZE}"
EXAMPLE_PERIOD = ("2020-01-01T00:00:00Z", "2039-12-31T23:59:59Z")  # the sample's days are counted back from today
EXAMPLE_ID = "550e8400-e29b-41d4-a716-446655440000"
EXAMPLE_TIME = "2024-01-20T10:30:00+00:00"
NULLABLE = {"x-nullable": True}


def _one_of(choices: tuple[str, ...]) -> validate.OneOf:
    return validate.OneOf(choices, error=f"допустимые значения: {', '.join(choices)}")


def _messages(invalid: str) -> dict[str, Any]:
    return {"invalid": invalid, "null": words.NOT_NULL, "required": words.REQUIRED}


class Instant(fields.Field[str]):
    """A point in time in a request: ISO 8601 with offset. Loaded as UTC, so that equal moments are equal."""

    default_error_messages = {"invalid": words.NO_MOMENT}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or not MOMENT.fullmatch(value):
            raise self.make_error("invalid")
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC).isoformat()
        except (ValueError, OverflowError):  # the 30th of February; a moment before the year 1
            raise self.make_error("invalid") from None


def _instant(text: str, example: str) -> Instant:
    described = {"type": "string", "format": "date-time", "description": text, "example": example, **NULLABLE}
    return Instant(load_default=None, allow_none=True, metadata=described)


class CreateRequest(Input):
    task_type = fields.String(
        required=True,
        validate=_one_of(TYPES),
        error_messages=_messages(words.TEXT),
        metadata={"description": "Тип задачи"},
    )
    batch_size = StrictInteger(
        load_default=100,
        validate=validate.Range(1, MOST_BATCH, error=words.BATCH_SIZE),
        error_messages={**_messages(words.WHOLE), "large": words.BATCH_SIZE},
        metadata={"description": "Размер пакета: шаг, которым растет прогресс"},
    )
    filters = fields.Dict(
        keys=fields.String(),
        load_default=dict,
        error_messages=_messages(words.OBJECT),
        metadata={
            "description": "Фильтры. bookings_export: status, customer_id, provider_id; "
            "payments_export: status, user_id; users_export: role, is_active; "
            "services_export: provider_id, min_price, max_price; "
            "data_cleanup: dry_run (по умолчанию true; false — только для администратора); "
            'data_analysis, report_generation: {"bookings": {…}, "payments": {…}, "users": {…}, "services": {…}} '
            "с теми же ключами"
        },
    )
    date_from = _instant("Начало периода, включительно: со смещением или Z", EXAMPLE_PERIOD[0])
    date_to = _instant("Конец периода, включительно: со смещением или Z", EXAMPLE_PERIOD[1])
    format = fields.String(
        validate=_one_of(FORMATS),
        error_messages=_messages(words.TEXT),
        metadata={"description": "Формат файла, только для экспорта (по умолчанию csv)"},
    )
    language = fields.String(
        validate=_one_of(LANGUAGES),
        error_messages=_messages(words.TEXT),
        metadata={"description": "Язык отчета, только для report_generation (по умолчанию ru)"},
    )

    schedule = fields.Nested(
        TimingRequest,
        load_default=None,
        allow_none=True,
        metadata={"description": "Запускать в эти моменты, а не сейчас", **NULLABLE},
    )

    example = {
        "task_type": "bookings_export",
        "batch_size": 100,
        "filters": {"status": "confirmed"},
        "date_from": EXAMPLE_PERIOD[0],
        "date_to": EXAMPLE_PERIOD[1],
    }


class WorkerSettleRequest(Input):
    outcome = fields.String(
        required=True,
        validate=_one_of(OUTCOMES),
        error_messages=_messages(words.TEXT),
        metadata={"description": "Что выяснил администратор; retry — пусть задача выяснит еще раз"},
    )

    example = {"outcome": "completed"}


class WorkersQuery(Query):
    status = fields.String(load_default=None, validate=_one_of(STATUSES), metadata={"description": "Фильтр по статусу"})
    task_type = fields.String(
        load_default=None, validate=_one_of(TYPES), metadata={"description": "Фильтр по типу задачи"}
    )
    page = QueryInteger(
        load_default=None,
        validate=validate.Range(1, 10**9, error="должно быть от 1 до 1000000000"),
        metadata={"description": "Номер страницы (по умолчанию первая); по ссылкам `next` страницы не сдвигаются"},
    )
    page_size = QueryInteger(
        load_default=PAGE_SIZE,
        validate=validate.Range(1, MOST_PAGE_SIZE, error=PAGE_SIZES),
        metadata={"description": "Размер страницы"},
    )
    cursor = QueryInteger(
        load_default=None,
        validate=validate.Range(0, error=words.NOT_NEGATIVE),
        metadata={"description": "Из ссылки `next`: задачи, которые следуют за предыдущей страницей"},
    )
    newer_than = QueryInteger(
        load_default=None,
        validate=validate.Range(0, error=words.NOT_NEGATIVE),
        metadata={"description": "Из ссылки `previous`: задачи, которые были перед следующей страницей"},
    )

    @validates_schema
    def _pages_one_way(self, values: dict[str, Any], **_: Any) -> None:
        ways = [name for name in ("page", "cursor", "newer_than") if values[name] is not None]
        if len(ways) > 1:
            raise ValidationError(f"нельзя сочетать с {ways[0]}", ways[1])


class Worker(Schema):
    id = fields.Integer(required=True, metadata={"description": "Номер задачи"})
    task_id = fields.String(required=True, metadata={"description": "UUID задачи; в пути годится и номер, и UUID"})
    task_type = fields.String(required=True, validate=validate.OneOf(TYPES))
    task_type_display = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    status_display = fields.String(required=True)
    created_by = fields.String(required=True, metadata={"description": "Кто создал задачу"})
    total_records = fields.Integer(required=True, metadata={"description": "0, пока неизвестно"})
    processed_records = fields.Integer(required=True)
    progress_percentage = fields.Float(required=True)
    result_file = fields.String(
        required=True, metadata={"description": "Ссылка на файл, когда задача завершена", **NULLABLE}
    )
    error_message = fields.String(required=True, metadata={"description": "Почему задача не удалась", **NULLABLE})
    created_at = Moment(required=True)
    started_at = Moment(required=True, metadata={"format": "date-time", **NULLABLE})
    completed_at = Moment(required=True, metadata={"format": "date-time", **NULLABLE})
    parked = fields.Boolean(metadata={"description": PARKED})

    example = {
        "id": 1,
        "task_id": EXAMPLE_ID,
        "task_type": "bookings_export",
        "task_type_display": "Экспорт бронирований",
        "status": "completed",
        "status_display": "Завершено",
        "created_by": "anna",
        "total_records": 1234,
        "processed_records": 1234,
        "progress_percentage": 100.0,
        "result_file": f"http://127.0.0.1:5000/api/v1/workers/{EXAMPLE_ID}/result/",
        "error_message": None,
        "created_at": EXAMPLE_TIME,
        "started_at": "2024-01-20T10:30:01+00:00",
        "completed_at": "2024-01-20T10:30:07+00:00",
    }


CREATED: Mapping[str, Any] = {
    **Worker.example,
    "status": "pending",
    "status_display": words.STATUS_DISPLAY["pending"],
    "total_records": 0,
    "processed_records": 0,
    "progress_percentage": 0.0,
    "result_file": None,
    "started_at": None,
    "completed_at": None,
}


class WorkersPage(Schema):
    count = fields.Integer(required=True, metadata={"description": "Сколько задач на всех страницах"})
    next = fields.String(required=True, metadata={"description": "Ссылка на следующую страницу", **NULLABLE})
    previous = fields.String(required=True, metadata={"description": "Ссылка на предыдущую страницу", **NULLABLE})
    results = fields.List(fields.Nested(Worker), required=True)

    example = {"count": 1, "next": None, "previous": None, "results": [Worker.example]}


class ResultQuery(Query):
    link = QueryBoolean(
        load_default=True,
        metadata={"description": "false: через сервис, даже если файл лежит в другом месте (through the service)"},
    )


class WorkerProgress(Schema):
    done = fields.Integer(required=True)
    total = fields.Integer(required=True, metadata=NULLABLE)
    percentage = fields.Float(required=True)


class WorkerStatus(Schema):
    id = fields.Integer(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    total_records = fields.Integer(required=True)
    processed_records = fields.Integer(required=True)
    progress_percentage = fields.Float(required=True)
    estimated_time_remaining = fields.Integer(
        required=True, metadata={"description": "Секунды; null, если задача не обрабатывается", **NULLABLE}
    )
    error_message = fields.String(required=True, metadata=NULLABLE)
    progress = fields.Nested(WorkerProgress, required=True)
    attempt = fields.Integer(required=True, metadata={"description": "Которая по счету попытка"})
    parked = fields.Boolean(metadata={"description": PARKED})

    example = {
        "id": 1,
        "status": "processing",
        "total_records": 1234,
        "processed_records": 600,
        "progress_percentage": 48.62,
        "estimated_time_remaining": 3,
        "error_message": None,
        "progress": {"done": 600, "total": 1234, "percentage": 48.62},
        "attempt": 1,
    }


SETTLED: Mapping[str, Any] = {
    **WorkerStatus.example,
    "status": "completed",
    "processed_records": 1234,
    "progress_percentage": 100.0,
    "estimated_time_remaining": None,
    "progress": {"done": 1234, "total": 1234, "percentage": 100.0},
}


class WorkerCancel(Schema):
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))

    example = {"status": "cancelled"}


class WorkersErrorBody(Schema):
    code = fields.String(required=True, metadata={"description": "Постоянный код ошибки"})
    message = fields.String(required=True, metadata={"description": "Что случилось, по-русски"})
    details = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        required=True,
        metadata={"description": "Неверные поля и что с ними не так"},
    )


class WorkersError(Schema):
    error = fields.Nested(WorkersErrorBody, required=True)

    example = {
        "error": {
            "code": "VALIDATION_ERROR",
            "message": words.BATCH_SIZE,
            "details": {"batch_size": [words.BATCH_SIZE]},
        }
    }


class WorkerScheduled(Schema):
    schedule_id = fields.String(required=True)
    task_type = fields.String(required=True)
    next_run = Moment(required=True, metadata={"description": "когда начнется следующий запуск", **NULLABLE})

    example = {"schedule_id": EXAMPLE_ID, "task_type": "bookings_export", "next_run": EXAMPLE_TIME}
