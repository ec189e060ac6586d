"""How the tasks API tells webhooks and their deliveries, in its answers and in what is delivered: without Flask."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from tagapi.jobs.outbox import DeliveryPage
from tagapi.jobs.webhooks import Delivery, DeliveryState, Webhook
from tagapi.namespaces.fields import iso
from tagapi.namespaces.tasks import words
from tagapi.namespaces.tasks.render import Limits, render_status


def render_webhook(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": [*webhook.types],
        "tasks": None if webhook.tasks is None else [*webhook.tasks],
        "everyone": webhook.everyone,
        "owner": webhook.owner,
        "created_at": iso(webhook.created_at),
        "paused": webhook.paused and words.PAUSED.get(webhook.paused, webhook.paused),
    }


def render_created(webhook: Webhook) -> tuple[dict[str, Any], int]:
    """With its secret, as the libraries of the scheme take it: this once."""
    return {**render_webhook(webhook), "secret": f"whsec_{b64encode(webhook.secret).decode()}"}, 201


def render_webhooks(found: Sequence[Webhook], cursor: int | None, page_size: int) -> dict[str, Any]:
    """A page of them, newest first."""
    below = [one for one in found if cursor is None or one.number < cursor]
    shown = below[:page_size]
    following = shown[-1].number if len(below) > page_size else None
    return {"webhooks": [render_webhook(one) for one in shown], "total": len(found), "next": following}


def render_delivery(delivery: Delivery) -> dict[str, Any]:
    answer = delivery.answer
    told = None
    if answer is not None:
        error = answer.error and words.DELIVERY_ERRORS.get(answer.error, answer.error)
        told = {"at": iso(answer.at), "status": answer.status, "error": error, "seconds": answer.seconds}
    return {
        "id": delivery.id,
        "event": delivery.type,
        "task_id": delivery.job.id,
        "happened_at": iso(delivery.at),
        "status": _status(delivery),
        "attempts": delivery.attempts,
        "next_attempt_at": None if delivery.claim else iso(delivery.due_at),
        "last_answer": told,
    }


def _status(delivery: Delivery) -> str:
    if delivery.state is not DeliveryState.WAITING:
        return words.DELIVERY_STATUS[delivery.state]
    if delivery.claim:
        return "STARTED"
    return "RETRY" if delivery.failures else words.DELIVERY_STATUS[delivery.state]


def render_deliveries(page: DeliveryPage) -> dict[str, Any]:
    return {"deliveries": [render_delivery(one) for one in page.deliveries], "total": page.total, "next": page.next}


def render_news(delivery: Delivery, limits: Limits) -> dict[str, Any]:
    """What a receiver is told of the job: what its status was, by the front's own words."""
    told = render_status(delivery.job, limits)
    del told["found"]
    return told
