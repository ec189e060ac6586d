"""The shapes of what the page reads of the tasks API, beside those of jobs."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields

from tagapi.namespaces.fields import Input
from tagapi.namespaces.tasks.asked import TagExpression, tags_in
from tagapi.namespaces.tasks.schemas import EXAMPLE_ID, EXAMPLE_TIME, NULLABLE

MOST_PREVIEWED = 12
"""Tags of a preview: it counts up to two to the number of them."""


def _previewable(expression: dict[str, Any]) -> None:
    if (tags := len(set(tags_in(expression)))) > MOST_PREVIEWED:
        raise ValidationError(f"nombra {tags} etiquetas; pueden ser {MOST_PREVIEWED}")


class PreviewRequest(Input):
    tags = TagExpression(required=True, validate=_previewable)

    example = {"tags": {"all": [1, 5], "none": [3]}}


class PreviewedTag(Schema):
    tag_id = fields.Integer()
    users = fields.Integer()


class PreviewedPair(Schema):
    tag_ids = fields.List(fields.Integer())
    users = fields.Integer(metadata={"description": "los que llevan ambas"})


class PreviewResponse(Schema):
    size = fields.Integer(metadata={"description": "a cuántos nombra la expresión"})
    table_version = fields.Integer()
    tags = fields.List(fields.Nested(PreviewedTag))
    overlaps = fields.List(fields.Nested(PreviewedPair))

    example = {
        "size": 1200,
        "table_version": 7,
        "tags": [{"tag_id": 1, "users": 2300}, {"tag_id": 5, "users": 1900}],
        "overlaps": [{"tag_ids": [1, 5], "users": 1250}],
    }


class PrincipalResponse(Schema):
    name = fields.String()
    role = fields.String()
    rights = fields.List(fields.String(), metadata={"description": "qué puede hacer además"})
    sees = fields.String(metadata={"enum": ["own", "all"], "description": "las tareas de quién"})
    by_token = fields.Boolean(metadata={"description": "false donde el servicio no pide tokens"})
    tasks = fields.List(fields.String(), metadata={"description": "las tareas que hay, por nombre"})

    example = {
        "name": "ana",
        "role": "user",
        "rights": ["publish"],
        "sees": "own",
        "by_token": True,
        "tasks": ["tags.compute", "workers.bookings_export"],
    }


class TaskArguments(Schema):
    task_id = fields.String()
    task = fields.String()
    arguments = fields.Raw(metadata={"type": "object"})
    shortened = fields.Raw(metadata={"type": "object", "description": "las listas acortadas, y cuánto miden"})

    example = {
        "task_id": EXAMPLE_ID,
        "task": "tags.compute",
        "arguments": {"tag_ids": [1, 2, 3], "user_ids": None, "mode": "full", "dry_run": False, "diff": False},
        "shortened": {},
    }


class ServiceLane(Schema):
    lane = fields.String()
    slots = fields.Integer(metadata={"description": "intentos a la vez, de cada proceso"})
    running = fields.Integer(metadata={"description": "de todos los procesos"})
    waiting = fields.Integer()
    oldest_seconds = fields.Float(metadata={**NULLABLE, "description": "lo que lleva esperando la primera"})


class ServiceWorker(Schema):
    worker = fields.String()
    running = fields.Integer()


class NextRun(Schema):
    task = fields.String()
    at = fields.String(metadata={"format": "date-time"})


class ServiceSchedules(Schema):
    total = fields.Integer()
    paused = fields.Integer()
    next = fields.Nested(NextRun, metadata=NULLABLE)


class ServicePushes(Schema):
    open = fields.Integer()
    most = fields.Integer(metadata={"description": "las que caben en este proceso"})


class ServiceCredits(Schema):
    used = fields.Integer(metadata={**NULLABLE, "description": "null donde no se pueden leer ahora"})
    total = fields.Integer(metadata=NULLABLE)
    next = fields.String(metadata={"format": "date-time", **NULLABLE})


class ServiceResponse(Schema):
    at = fields.String(metadata={"format": "date-time"})
    version = fields.String()
    accepting = fields.Boolean(metadata={"description": "false mientras este proceso se detiene"})
    spark = fields.String(metadata={"enum": ["ready", "starting"]})
    executor = fields.Raw(
        metadata={"type": "object", "description": "dónde se ejecuta: threads, o celery, y si su bróker responde"}
    )
    store = fields.Raw(metadata={"type": "object"})
    lanes = fields.List(fields.Nested(ServiceLane))
    processes = fields.Integer(metadata={"description": "al menos: los de esta máquina, o cuantos ejecutan algo"})
    workers = fields.List(
        fields.Nested(ServiceWorker), metadata={**NULLABLE, "description": "los que ejecutan algo (administradores)"}
    )
    schedules = fields.Nested(ServiceSchedules)
    pushes = fields.Nested(ServicePushes)
    parked = fields.Integer()
    credits = fields.Nested(ServiceCredits, metadata={**NULLABLE, "description": "null sin límite"})

    example = {
        "at": EXAMPLE_TIME,
        "version": "0.1.0",
        "accepting": True,
        "spark": "ready",
        "executor": {"kind": "threads"},
        "store": {"kind": "sqlite"},
        "lanes": [{"lane": "spark", "slots": 3, "running": 1, "waiting": 2, "oldest_seconds": 4.2}],
        "processes": 1,
        "workers": [{"worker": "host-1234", "running": 1}],
        "schedules": {"total": 2, "paused": 1, "next": {"task": "tags.compute", "at": EXAMPLE_TIME}},
        "pushes": {"open": 3, "most": 100},
        "parked": 0,
        "credits": None,
    }
