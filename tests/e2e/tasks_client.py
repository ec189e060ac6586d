"""What the tests of the tasks API share: how jobs of every front are started, and what a status has."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import requests

from tests.e2e.server import Client, until

TASKS = "/api/tasks"
WORKERS = "/api/v1/workers/"
PENDING = "La tarea está pendiente o no se encontró."
NOT_FOUND = {"error": "job_not_found", "message": "La tarea no existe o ha sido eliminada"}
FINAL = ("SUCCESS", "FAILURE", "REVOKED")
STATUS = {
    *("task_id", "status", "result", "error", "progress", "attempt", "max_attempts", "task", "owner"),
    *("created_at", "started_at", "completed_at", "retry_of", "found"),
}
CAMPAIGN: Mapping[str, Any] = {
    "name": "Verano",
    "daily_budget": "25.00",
    "landing_url": "https://example.org/verano",
    "headline": "Llega el verano",
    "text": "Todo a mitad de precio",
    "special_ad_categories": [],
}
FOR_GOOGLE: Mapping[str, Any] = {
    **{key: CAMPAIGN[key] for key in ("name", "daily_budget", "landing_url")},
    "headlines": ["Llega el verano", "Ofertas", "Rebajas"],
    "descriptions": ["Todo a mitad de precio", "Solo este mes"],
}
CAMPAIGNS = {"meta": CAMPAIGN, "google": FOR_GOOGLE}


def started(client: Client, script: int = 100, task_type: str = "bookings_export") -> str:
    """A job of the workers API that does what `script` says; any other than those in use is done at once."""
    made = client.post(WORKERS, {"task_type": task_type, "batch_size": script})
    assert made.status_code == 201, made.text
    return str(made.json()["task_id"])


def publish(client: Client, platform: str = "meta", key: str | None = None, **more: Any) -> requests.Response:
    """Whatever comes of it. Simulated, unless said otherwise."""
    body = {"campaign": CAMPAIGNS[platform], "simulate": True, **more}
    return client.post(f"{TASKS}/publish/{platform}", body, {} if key is None else {"Idempotency-Key": key})


def status(client: Client, task_id: str) -> dict[str, Any]:
    return client.read(f"{TASKS}/status/{task_id}")


def reached(client: Client, task_id: str, *wanted: str) -> dict[str, Any]:
    """The status once it is one of these."""
    return until(
        lambda: (told := status(client, task_id))["status"] in wanted and told, f"{task_id} is {wanted}"
    ) or {}  # fmt: skip


def ended(client: Client, task_id: str) -> dict[str, Any]:
    return reached(client, task_id, *FINAL)


def cancel(client: Client, task_id: str) -> requests.Response:
    return client.request("POST", f"{TASKS}/cancel/{task_id}")


def retry(client: Client, task_id: str, key: str | None = None, query: str = "") -> requests.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.request("POST", f"{TASKS}/retry/{task_id}{query}", headers=headers)


def new_key() -> str:
    return str(uuid.uuid4())


def refused(response: requests.Response, code: int, error: str, field: str | None = None) -> str:
    """The message of an answer that must be this refusal, in the documented shape."""
    assert response.status_code == code, (response.status_code, response.text[:300])
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error", "message"} | ({"field"} if field else set()), body
    assert body["error"] == error
    assert field is None or body["field"] == field, body
    assert body["message"]
    return str(body["message"])
