"""The shapes of the tasks API: what validates is what documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, fields, validate

from tagapi.jobs.changes import Verdict
from tagapi.namespaces.fields import Input, Moment, Query, QueryBoolean, QueryInteger, StrictText
from tagapi.namespaces.tasks import words

EXAMPLE_ID = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
EXAMPLE_TIME = "2026-01-20T10:30:00+00:00"
LARGEST_PAGE = 100
OUTCOMES = tuple(verdict.value for verdict in Verdict)
NULLABLE = {"x-nullable": True}
META_RESULT = {
    "success": True,
    "message": "Campaña publicada con éxito en Meta Ads",
    "external_campaign_id": "123456789012345",
    "external_ad_set_id": "234567890123456",
    "external_ad_id": "345678901234567",
    "external_audience_id": "456789012345678",
}


def _moment_or_null() -> fields.String:
    return Moment(metadata={"format": "date-time", "example": EXAMPLE_TIME, **NULLABLE})


class Since(fields.AwareDateTime):
    """A time with its offset, in a query string."""

    default_error_messages = {"invalid": "debe ser una fecha ISO 8601 con zona", "invalid_awareness": "necesita zona"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        moment: datetime = super()._deserialize(value.replace(" ", "+"), attr, data, **kwargs)
        try:
            return moment.astimezone(UTC)
        except OverflowError:  # in UTC it is of no year that there is
            raise self.make_error("invalid") from None


class TasksPageQuery(Query):
    page_size = QueryInteger(
        load_default=20, validate=validate.Range(1, LARGEST_PAGE, error=f"debe estar entre 1 y {LARGEST_PAGE}")
    )
    cursor = QueryInteger(
        load_default=None,
        validate=validate.Range(1, error="debe ser el next de una página anterior"),
        metadata={"description": "el `next` de la página anterior"},
    )


class JobsQuery(TasksPageQuery):
    status = fields.String(
        load_default=None,
        validate=validate.OneOf(words.STATUSES, error=f"debe ser uno de: {', '.join(words.STATUSES)}"),
    )
    task = fields.String(load_default=None, metadata={"description": "el nombre de una tarea, como tags.compute"})
    active = QueryBoolean(load_default=None, metadata={"description": "las que no han terminado, o las que sí"})
    owner = fields.String(
        load_default=None,
        validate=validate.Length(1, error="no puede estar vacío"),
        metadata={"description": "de quién (administradores)"},
    )
    since = Since(load_default=None, metadata={"description": "aceptadas desde este momento"})


class RetryQuery(Query):
    force = QueryBoolean(load_default=False, metadata={"description": "también si terminó con éxito"})


class TaskSettleRequest(Input):
    outcome = StrictText(
        required=True,
        validate=validate.OneOf(OUTCOMES, error=f"debe ser uno de: {', '.join(OUTCOMES)}"),
        metadata={"description": "lo que alguien averiguó; retry: que la tarea vuelva a preguntar"},
    )

    example = {"outcome": "completed"}


class TicketQuery(Query):
    ticket = fields.String(load_default=None, metadata={"description": "un tique de un solo uso, en vez del token"})


class EventsQuery(TicketQuery):
    last_event_id = QueryInteger(
        load_default=None,
        validate=validate.Range(0, 10**9 - 1, error="debe ser el número de un evento"),
        metadata={"description": "como la cabecera Last-Event-ID, para la página que abre el flujo con otro tique"},
    )


class TaskProgress(Schema):
    done = fields.Integer()
    total = fields.Integer(metadata=NULLABLE)
    percentage = fields.Float()


class TaskStatusResponse(Schema):
    task_id = fields.String()
    status = fields.String(metadata={"enum": list(words.STATUSES)})
    result = fields.Raw(metadata={"description": "el objeto del resultado, o una frase"})
    error = fields.String(metadata=NULLABLE)
    progress = fields.Nested(TaskProgress)
    attempt = fields.Integer(metadata=NULLABLE)
    max_attempts = fields.Integer(metadata=NULLABLE)
    task = fields.String(metadata=NULLABLE)
    owner = fields.String(metadata=NULLABLE)
    created_at = _moment_or_null()
    started_at = _moment_or_null()
    completed_at = _moment_or_null()
    retry_of = fields.String(metadata=NULLABLE)
    found = fields.Boolean()
    undoing = fields.Boolean(metadata={"description": "presente mientras se deshace lo que se hizo fuera"})
    parked = fields.Boolean(metadata={"description": "presente mientras un administrador tiene que resolverla"})

    example = {
        "task_id": EXAMPLE_ID,
        "status": "SUCCESS",
        "result": META_RESULT,
        "error": None,
        "progress": {"done": 5, "total": 5, "percentage": 100.0},
        "attempt": 1,
        "max_attempts": 6,
        "task": "tasks.meta_publish",
        "owner": "ana",
        "created_at": EXAMPLE_TIME,
        "started_at": EXAMPLE_TIME,
        "completed_at": EXAMPLE_TIME,
        "retry_of": None,
        "found": True,
    }


REVOKED = {
    **TaskStatusResponse.example,
    "status": "REVOKED",
    "result": words.IN_STATE.format(status="REVOKED"),
    "progress": {"done": 2, "total": 5, "percentage": 40.0},
}
STOPPING = {**REVOKED, "status": "STARTED", "result": words.IN_STATE.format(status="STARTED"), "completed_at": None}


class TasksPage(Schema):
    tasks = fields.List(fields.Nested(TaskStatusResponse))
    total = fields.Integer()
    next = fields.Integer(metadata={**NULLABLE, "description": "el cursor de la página siguiente"})

    example = {"tasks": [TaskStatusResponse.example], "total": 1, "next": None}


class TaskAccepted(Schema):
    task_id = fields.String()
    status = fields.String()
    status_url = fields.String()
    retry_of = fields.String(metadata={"description": "presente en una repetición"})

    example = {"task_id": EXAMPLE_ID, "status": "PENDING", "status_url": f"/api/tasks/status/{EXAMPLE_ID}"}


class AudienceItem(Schema):
    name = fields.String()
    platform = fields.String()
    simulated = fields.Boolean()
    audience_id = fields.String()
    definition = fields.Raw(metadata={"type": "object", "description": "tags o segment, como se pidió"})
    consent = fields.String(metadata={**NULLABLE, "description": "la palabra de quien la pidió"})
    asked_by = fields.String()
    task_id = fields.String(metadata={"description": "la última sincronización"})
    synced_at = _moment_or_null()
    table_version = fields.Integer()
    members = fields.Integer(metadata={"description": "los que la plataforma tiene"})
    maybe = fields.Integer(metadata={"description": "los que quizá tiene, porque un envío se interrumpió"})


class AudiencesResponse(Schema):
    audiences = fields.List(fields.Nested(AudienceItem))

    example = {
        "audiences": [
            {
                "name": "Clientes A",
                "platform": "meta",
                "simulated": False,
                "audience_id": "456789012345678",
                "definition": {"tags": {"all": [1, 5], "none": [3]}},
                "consent": "granted",
                "asked_by": "ana",
                "task_id": EXAMPLE_ID,
                "synced_at": EXAMPLE_TIME,
                "table_version": 7,
                "members": 1200,
                "maybe": 0,
            }
        ]
    }


class ModelItem(Schema):
    model = fields.String()
    version = fields.Integer()
    segments = fields.Integer()
    silhouette = fields.Float()
    users = fields.Integer()
    trained_at = _moment_or_null()


class ModelsResponse(Schema):
    models = fields.List(fields.Nested(ModelItem))

    example = {
        "models": [
            {
                "model": "clientes",
                "version": 2,
                "segments": 4,
                "silhouette": 0.41,
                "users": 10000,
                "trained_at": EXAMPLE_TIME,
            }
        ]
    }


class ModelSegment(Schema):
    segment = fields.Integer()
    users = fields.Integer(metadata={"description": "de los que sirvieron para entrenar"})
    share = fields.Float()
    centroid = fields.Raw(metadata={"type": "object", "description": "el centro, en las unidades de los datos"})
    description = fields.String()


class ModelResponse(Schema):
    model = fields.String()
    version = fields.Integer()
    versions = fields.List(fields.Integer())
    segments = fields.List(fields.Nested(ModelSegment))
    silhouette = fields.Float()
    silhouette_on = fields.Integer()
    users = fields.Integer()
    trained_on = fields.Integer(metadata={"description": "una muestra con semilla, por el hash del id, o todos"})
    seed = fields.Integer()
    today = fields.String(metadata={"format": "date", "description": "hasta cuándo se cuentan los días"})
    trained_at = _moment_or_null()
    tried = fields.List(fields.Raw(metadata={"type": "object"}))
    scales = fields.List(fields.Raw(metadata={"type": "object"}))
    centres = fields.List(fields.List(fields.Float()))
    sizes = fields.List(fields.Integer())

    example = {
        "model": "clientes",
        "version": 2,
        "versions": [1, 2],
        "segments": [
            {
                "segment": 0,
                "users": 4100,
                "share": 0.41,
                "centroid": {"age": 44.5, "cash_balance": 61000.0},
                "description": "más efectivo, menos operaciones",
            }
        ],
        "silhouette": 0.41,
        "silhouette_on": 10000,
        "users": 10000,
        "trained_on": 10000,
        "seed": 20,
        "today": "2026-01-20",
        "trained_at": EXAMPLE_TIME,
        "tried": [],
        "scales": [{"name": "age", "median": 44.0, "log": False, "mean": 45.1, "deviation": 12.3}],
        "centres": [[-0.05]],
        "sizes": [4100],
    }


class UserSegment(Schema):
    model = fields.String()
    version = fields.Integer()
    user_id = fields.String()
    segment = fields.Integer()
    description = fields.String()

    example = {
        "model": "clientes",
        "version": 2,
        "user_id": "user_000001",
        "segment": 0,
        "description": "más efectivo, menos operaciones",
    }


class TaskPhase(Schema):
    name = fields.String()
    done = fields.Integer()
    total = fields.Integer(metadata=NULLABLE)
    seconds = fields.Float()


class TaskProgressResponse(Schema):
    task_id = fields.String()
    status = fields.String()
    done = fields.Integer()
    total = fields.Integer(metadata=NULLABLE)
    percentage = fields.Float()
    phase = fields.String(metadata=NULLABLE)
    phases = fields.List(fields.Nested(TaskPhase))
    seconds_left = fields.Integer(metadata=NULLABLE)

    example = {
        "task_id": EXAMPLE_ID,
        "status": "STARTED",
        "done": 2,
        "total": 5,
        "percentage": 40.0,
        "phase": "crear",
        "phases": [{"name": "crear", "done": 2, "total": 5, "seconds": 1.2}],
        "seconds_left": 2,
    }


class TaskEvent(Schema):
    task_id = fields.String()
    number = fields.Integer(metadata={"description": "crece dentro de una tarea"})
    event = fields.String()
    status = fields.String()
    at = Moment()
    attempt = fields.Integer()
    detail = fields.String(metadata=NULLABLE)
    progress = fields.Nested(TaskProgress)


class TaskEvents(Schema):
    task_id = fields.String()
    events = fields.List(fields.Nested(TaskEvent))

    example = {
        "task_id": EXAMPLE_ID,
        "events": [
            {
                "task_id": EXAMPLE_ID,
                "number": 1,
                "event": "accepted",
                "status": "PENDING",
                "at": EXAMPLE_TIME,
                "attempt": 0,
                "detail": None,
                "progress": {"done": 0, "total": None, "percentage": 0.0},
            }
        ],
    }


class Ticket(Schema):
    ticket = fields.String()
    expires_in = fields.Integer()

    example = {"ticket": f"1790000000.{'0' * 32}.{'0' * 64}", "expires_in": 30}


class SocketMessage(Schema):
    """What the socket sends; it is documented here, since Swagger 2.0 knows no sockets."""

    task_id = fields.String()
    number = fields.Integer()
    event = fields.String(metadata={"description": "snapshot, or as in the events"})
    status = fields.String()
    at = Moment()
    progress = fields.Nested(TaskProgress)
    final = fields.Boolean(metadata={"description": "no viene nada más de esta tarea"})

    example = {
        "task_id": EXAMPLE_ID,
        "number": 4,
        "event": "progress",
        "status": "STARTED",
        "at": EXAMPLE_TIME,
        "progress": {"done": 2, "total": 5, "percentage": 40.0},
    }


class TasksError(Schema):
    error = fields.String()
    message = fields.String()
    field = fields.String(metadata={"description": "presente cuando un campo tiene la culpa"})

    example = {
        "error": "invalid",
        "message": "Valor no válido en «page_size»: debe ser un entero",
        "field": "page_size",
    }
