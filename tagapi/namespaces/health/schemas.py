"""The shapes of the probes."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from tagapi.namespaces.fields import Moment

ALIVE, READY, STARTING = ({"status": word} for word in ("alive", "ready", "starting"))


class HealthAnswer(Schema):
    status = fields.String(required=True)
    timestamp = Moment(required=True)
    environment = fields.String(required=True)
    version = fields.String(required=True)
    spark = fields.String(required=True, validate=validate.OneOf(["ready", "starting"]))
    executor = fields.Dict(
        required=True, metadata={"description": "where attempts run; of workers of Celery, whether their broker is up"}
    )
    registry = fields.Dict(required=True, metadata={"description": "where jobs are kept, and how durable that is"})
    queued = fields.Integer(required=True)
    running = fields.Integer(required=True)
    parked = fields.Integer(required=True, metadata={"description": "jobs that wait for an admin's word"})
    alarms = fields.List(
        fields.String(), required=True, metadata={"description": "what people should look at, in sentences"}
    )

    example = {
        "status": "healthy",
        "timestamp": "2024-01-20T10:30:00+00:00",
        "environment": "local",
        "version": "0.1.0",
        "spark": "ready",
        "executor": {"kind": "threads"},
        "registry": {"kind": "redis", "appendfsync": "everysec", "maxmemory_policy": "noeviction"},
        "queued": 0,
        "running": 0,
        "parked": 0,
        "alarms": [],
    }


class ProbeAnswer(Schema):
    status = fields.String(required=True)

    example = READY
