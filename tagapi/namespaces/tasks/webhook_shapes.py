"""What the tasks API takes and tells of webhooks: the shapes that validate and document."""

from __future__ import annotations

from marshmallow import Schema, ValidationError, fields, validate

from tagapi.jobs.outbox import KEPT_FOR
from tagapi.jobs.webhooks import TYPES
from tagapi.namespaces.fields import Input, Moment, StrictBoolean, StrictList, StrictText
from tagapi.namespaces.tasks import words
from tagapi.namespaces.tasks.schemas import EXAMPLE_ID, EXAMPLE_TIME, NULLABLE

LONGEST_URL = 2000
MOST_TASKS = 100
EXAMPLE_WEBHOOK = "0b8f6d5e-7a0c-4a62-9d55-5d1b2f0d7c11"
EXAMPLE_DELIVERY = "6f2a4f0e-51f1-5c4c-8f0a-3f4f5f6a7b8c"


def _different(values: list[str]) -> None:
    if len(set(values)) < len(values):
        raise ValidationError("nombra algo dos veces")


def _items(most: int) -> validate.Length:
    return validate.Length(1, most, error=f"debe tener de 1 a {most} elementos")


class WebhookRequest(Input):
    url = StrictText(
        required=True,
        validate=validate.Length(1, LONGEST_URL, error=f"debe tener de 1 a {LONGEST_URL} caracteres"),
        metadata={"description": "adónde se envía: https, en Internet o listada en TAGAPI_WEBHOOKS__ALLOW"},
    )
    events = StrictList(
        StrictText(validate=validate.OneOf(TYPES, error=f"debe ser uno de: {', '.join(TYPES)}")),
        required=True,
        validate=[_items(len(TYPES)), _different],
        metadata={"description": f"de qué se avisa: {', '.join(TYPES)}"},
    )
    tasks = StrictList(
        StrictText(),
        load_default=None,
        allow_none=True,
        validate=[_items(MOST_TASKS), _different],
        metadata={"description": "solo de estas tareas, como tags.compute; de todas si no se dice"},
    )
    everyone = StrictBoolean(
        load_default=False,
        metadata={"description": "de las tareas de todos (administradores), y no solo de las propias"},
    )

    example = {
        "url": "https://hooks.example/avisos",
        "events": ["job.succeeded", "job.failed"],
        "tasks": ["tags.compute"],
    }


class WebhookFacts(Schema):
    id = fields.String()
    url = fields.String()
    events = fields.List(fields.String())
    tasks = fields.List(fields.String(), metadata={**NULLABLE, "description": "null: de todas"})
    everyone = fields.Boolean()
    owner = fields.String()
    created_at = Moment()
    paused = fields.String(metadata={**NULLABLE, "description": "por qué no se envía nada"})

    example = {
        "id": EXAMPLE_WEBHOOK,
        **WebhookRequest.example,
        "everyone": False,
        "owner": "ana",
        "created_at": EXAMPLE_TIME,
        "paused": None,
    }


class WebhookCreated(WebhookFacts):
    secret = fields.String(metadata={"description": "con esto se comprueban las firmas; no se vuelve a decir"})

    example = {**WebhookFacts.example, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}


class WebhooksPage(Schema):
    webhooks = fields.List(fields.Nested(WebhookFacts))
    total = fields.Integer()
    next = fields.Integer(metadata={**NULLABLE, "description": "el cursor de la página siguiente"})

    example = {"webhooks": [WebhookFacts.example], "total": 1, "next": None}


class WebhookGone(Schema):
    id = fields.String()
    message = fields.String()

    example = {"id": EXAMPLE_WEBHOOK, "message": words.WEBHOOK_REMOVED}


class DeliveryAnswer(Schema):
    at = Moment()
    status = fields.Integer(metadata={**NULLABLE, "description": "lo que respondió quien recibe"})
    error = fields.String(metadata={**NULLABLE, "description": "o por qué no hubo respuesta"})
    seconds = fields.Float()


class DeliveryFacts(Schema):
    id = fields.String(metadata={"description": "la cabecera webhook-id"})
    event = fields.String()
    task_id = fields.String()
    happened_at = Moment()
    status = fields.String(metadata={"enum": list(words.DELIVERY_STATUSES)})
    attempts = fields.Integer()
    next_attempt_at = Moment(metadata={**NULLABLE, "format": "date-time"})
    last_answer = fields.Nested(DeliveryAnswer, metadata=NULLABLE)

    example = {
        "id": EXAMPLE_DELIVERY,
        "event": "job.succeeded",
        "task_id": EXAMPLE_ID,
        "happened_at": EXAMPLE_TIME,
        "status": "SUCCESS",
        "attempts": 1,
        "next_attempt_at": None,
        "last_answer": {"at": EXAMPLE_TIME, "status": 204, "error": None, "seconds": 0.031},
    }


REDELIVERED = {**DeliveryFacts.example, "status": "PENDING", "next_attempt_at": EXAMPLE_TIME}


class DeliveriesPage(Schema):
    deliveries = fields.List(fields.Nested(DeliveryFacts), metadata={"description": f"se guardan {KEPT_FOR.days} días"})
    total = fields.Integer()
    next = fields.Integer(metadata={**NULLABLE, "description": "el cursor de la página siguiente"})

    example = {"deliveries": [DeliveryFacts.example], "total": 1, "next": None}
