"""Webhooks and deliveries as bytes. A delivery has its job in it, in the very form in which jobs are stored."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from tagapi.jobs.model import Job
from tagapi.jobs.webhooks import Answer, Delivery, DeliveryState, Webhook
from tagapi.registries.codec import dump_moving, dump_request, facts_of, micros, request_of
from tagapi.registries.versions import Stored, up_to_date

VERSION = 1
"""Of a webhook and of a delivery."""
STEPS: Mapping[int, Callable[[Any], Stored]] = {}
"""By the version that a step leads to."""
WEBHOOK = ("id", "owner", "url", "types", "created_at", "tasks", "everyone", "token", "paused")
DELIVERY = (
    *("id", "webhook_id", "type", "at", "due_at", "until", "state", "attempts", "failures"),
    *("claim", "answer", "token"),
)
MOMENTS = ("at", "due_at", "until")


def dump_webhook(webhook: Webhook) -> bytes:
    """Without number and version, which the store keeps beside it."""
    return orjson.dumps({**_facts(webhook, WEBHOOK), "secret": b64encode(webhook.secret).decode()})


def load_webhook(number: int, version: int, stored: bytes) -> Webhook:
    facts = up_to_date(orjson.loads(stored), STEPS, VERSION)
    facts |= {
        "types": tuple(facts["types"]),
        "tasks": None if facts["tasks"] is None else tuple(facts["tasks"]),
        "created_at": datetime.fromisoformat(facts["created_at"]),
        "secret": b64decode(facts["secret"]),
    }
    return Webhook(number=number, version=version, **facts)


def dump_delivery(delivery: Delivery) -> bytes:
    """Likewise."""
    job = delivery.job
    told = {
        "id": job.id,
        "number": job.number,
        "version": job.version,
        "request": orjson.Fragment(dump_request(job.request)),
        "moving": orjson.Fragment(dump_moving(job)),
    }
    return orjson.dumps({**_facts(delivery, DELIVERY), "job": told})


def load_delivery(number: int, version: int, stored: bytes) -> Delivery:
    facts = up_to_date(orjson.loads(stored), STEPS, VERSION)
    for name in MOMENTS:
        facts[name] = None if facts[name] is None else datetime.fromisoformat(facts[name])
    facts |= {
        "state": DeliveryState(facts["state"]),
        "answer": _answer(facts["answer"]),
        "job": _job(facts["job"]),
    }
    return Delivery(number=number, version=version, **facts)


def due_place(delivery: Delivery) -> int | None:
    """When it is due, in microseconds since 1970."""
    return None if delivery.due_at is None else micros(delivery.due_at)


def _facts(one: Webhook | Delivery, names: Sequence[str]) -> dict[str, Any]:
    return {"v": VERSION, **{name: getattr(one, name) for name in names}}


def _answer(stored: dict[str, Any] | None) -> Answer | None:
    return None if stored is None else Answer(**{**stored, "at": datetime.fromisoformat(stored["at"])})


def _job(stored: dict[str, Any]) -> Job:
    request = request_of(stored["id"], stored["request"])
    return Job(request=request, number=stored["number"], version=stored["version"], **facts_of(stored["moving"]))
