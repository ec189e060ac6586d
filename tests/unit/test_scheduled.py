"""Tags and workers by the clock: the trigger and the tasks of workers take a `schedule`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from tagapi.auth import OpenGate
from tests.unit.fakes import FakeTask, World
from tests.unit.fronts import TASKS, client_of

TRIGGER, WORKERS, SCHEDULES = "/api/v1/tags/trigger", "/api/v1/workers/", "/api/celery_task/schedules/"
NIGHTLY = {"cron": "0 4 * * *", "timezone": "Asia/Shanghai"}
BODIES: list[tuple[str, dict[str, Any], str]] = [
    (TRIGGER, {"tag_ids": [1]}, "tags.compute"),
    (WORKERS, {"task_type": "bookings_export"}, "workers.bookings_export"),
]
Desk = tuple[FlaskClient, World]


@pytest.fixture
def desk() -> Desk:
    world = World(other_tasks={name: FakeTask(lambda _: {}, lambda _: False) for name in TASKS})
    return client_of(OpenGate(), world=world), world


@pytest.mark.parametrize(("path", "body", "task"), BODIES)
def test_nothing_is_begun_before_its_time_and_each_time_once(
    desk: Desk, path: str, body: dict[str, Any], task: str
) -> None:
    client, world = desk
    told = client.post(path, json={**body, "schedule": NIGHTLY})
    assert told.status_code == 202, told.json
    assert world.everything().total == 0
    (listed,) = client.get(SCHEDULES).json["data"]["items"]
    assert (listed["schedule_id"], listed["task"]) == (told.json["schedule_id"], task)
    assert (listed["cron"], listed["timezone"]) == ("0 4 * * *", "Asia/Shanghai")

    due = datetime.fromisoformat(listed["next_run"])
    assert (due.hour, due.minute) == (20, 0), "four in the morning there"
    world.clock.advance((due - world.clock.now()).total_seconds())
    world.scheduling.begin_due()
    world.scheduling.begin_due()
    (job,) = world.everything().jobs
    assert (job.request.task, job.request.owner) == (task, "local")
    assert "schedule" not in job.request.arguments
    assert world.run_next()
    status = f"/api/v1/tasks/{job.id}/status" if path == TRIGGER else f"{WORKERS}{job.id}/"
    assert client.get(status).status_code == 200


@pytest.mark.parametrize(("path", "body", "task"), BODIES)
@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        ({}, "schedule.cron"),
        ({"cron": "0 4 * * *", "every_seconds": 60}, "schedule.cron"),
        ({"cron": "0 4 * *"}, "schedule.cron"),
        ({"every_seconds": 59}, "schedule.every_seconds"),
        ({"every_seconds": "60"}, "schedule.every_seconds"),
        ({"cron": "0 4 * * *", "timezone": "Mars/Base"}, "schedule.timezone"),
        ({"cron": "0 4 * * *", "at": 4}, "schedule.at"),
        ("0 4 * * *", "schedule"),
    ],
)
def test_a_timing_that_is_none_is_refused_by_its_field(
    desk: Desk, path: str, body: dict[str, Any], task: str, schedule: Any, field: str
) -> None:
    client, world = desk
    told = client.post(path, json={**body, "schedule": schedule})
    assert told.status_code == 400
    assert field in told.get_data(as_text=True)
    assert client.get(SCHEDULES).json["data"]["total"] == world.everything().total == 0


@pytest.mark.parametrize(("path", "body", "task"), BODIES)
def test_one_key_is_one_schedule_or_one_job(desk: Desk, path: str, body: dict[str, Any], task: str) -> None:
    client, world = desk
    timed, key = {**body, "schedule": NIGHTLY}, {"Idempotency-Key": "k"}
    first = client.post(path, json=timed, headers=key)
    again = client.post(path, json=timed, headers=key)
    assert again.json == first.json and again.headers["Idempotency-Replayed"] == "true"
    assert client.post(path, json=body, headers=key).status_code == 422
    other = {**timed, "schedule": {"every_seconds": 60}}
    assert client.post(path, json=other, headers=key).status_code == 422
    assert world.everything().total == 0
    assert client.post(path, json=body, headers={"Idempotency-Key": "j"}).status_code in (201, 202)
    assert client.post(path, json=timed, headers={"Idempotency-Key": "j"}).status_code == 422
    assert client.get(SCHEDULES).json["data"]["total"] == 1
