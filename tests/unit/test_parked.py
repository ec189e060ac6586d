"""A job whose commit nobody can find out about, as clients see it, and as an admin settles it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tagapi.auth import OpenGate, TokenGate
from tagapi.tokens import Entry, Principal, Role, TokensFile, digest_of
from tests.unit.fakes import RESULT, World
from tests.unit.fronts import client_of, doubtful_world, park

TASKS, WORKERS = "/api/v1/tasks", "/api/v1/workers/"


@dataclass
class Front:
    """How a front starts a job, and where it tells of it."""

    start: str
    body: dict[str, Any]
    list: str
    items: str
    status: str
    settle: str
    job: str
    running: str

    def told(self, answer: TestResponse) -> dict[str, Any]:
        """What a status says, wherever it stands in the answer."""
        assert answer.status_code == 200, answer.text
        assert answer.json is not None
        return answer.json["status"] if self.start.endswith("trigger") else answer.json  # type: ignore[no-any-return]


TAGS = Front(
    start="/api/v1/tags/trigger",
    body={"tag_ids": [1]},
    list=TASKS,
    items="tasks",
    status=f"{TASKS}/{{}}/status",
    settle=f"{TASKS}/{{}}/settle",
    job=f"{TASKS}/{{}}",
    running="running",
)
OF_WORKERS = Front(
    start=WORKERS,
    body={"task_type": "bookings_export"},
    list=WORKERS,
    items="results",
    status=f"{WORKERS}{{}}/status/",
    settle=f"{WORKERS}{{}}/settle/",
    job=f"{WORKERS}{{}}/",
    running="processing",
)


@pytest.fixture
def world() -> World:
    return doubtful_world()


@pytest.fixture
def client(world: World) -> FlaskClient:
    return client_of(OpenGate(), world=world)


@pytest.fixture(params=[TAGS, OF_WORKERS], ids=["tags", "workers"])
def front(request: pytest.FixtureRequest) -> Front:
    front: Front = request.param
    return front


def start(client: FlaskClient, front: Front) -> str:
    answer = client.post(front.start, json=front.body)
    assert answer.json is not None
    return str(answer.json["task_id"])


@pytest.fixture
def parked(client: FlaskClient, world: World, front: Front) -> str:
    job_id = start(client, front)
    park(world, job_id)
    return job_id


def items(client: FlaskClient, front: Front, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(front.list + query).json
    assert answer is not None
    return list(answer[front.items])


# -- for everybody -------------------------------------------------------------------------


def test_a_parked_job_reads_as_one_that_goes_on_and_says_so(client: FlaskClient, front: Front, parked: str) -> None:
    for told in (front.told(client.get(front.status.format(parked))), *items(client, front)):
        assert (told["status"], told["parked"]) == (front.running, True)
    assert [item["task_id"] for item in items(client, front, f"?status={front.running}")] == [parked]


def test_of_other_jobs_nothing_is_said(client: FlaskClient, front: Front) -> None:
    waiting = start(client, front)
    for told in (front.told(client.get(front.status.format(waiting))), *items(client, front)):
        assert "parked" not in told


def test_a_parked_job_is_past_its_point_of_no_return(client: FlaskClient, front: Front, parked: str) -> None:
    answer = client.delete(front.job.format(parked))
    assert answer.status_code == (409 if front is TAGS else 400)
    assert ("Task already finished" if front is TAGS else "TASK_CANNOT_CANCEL") in answer.text


def test_a_parked_job_has_no_result_yet(client: FlaskClient, world: World) -> None:
    job_id = start(client, OF_WORKERS)
    park(world, job_id)
    answer = client.get(f"{WORKERS}{job_id}/result/")
    assert answer.status_code == 409
    assert "RESULT_NOT_READY" in answer.text


# -- for an admin --------------------------------------------------------------------------


def settle(client: FlaskClient, front: Front, job_id: str, outcome: Any, **more: Any) -> TestResponse:
    return client.post(front.settle.format(job_id), json={"outcome": outcome}, **more)


@pytest.mark.parametrize(("outcome", "status"), [("completed", "completed"), ("failed", "failed")])
def test_an_admin_says_what_became_of_it(
    client: FlaskClient, front: Front, parked: str, outcome: str, status: str
) -> None:
    answer = settle(client, front, parked, outcome)
    told = front.told(answer)
    assert (told["status"], "parked" in told) == (status, False)
    assert front.told(client.get(front.status.format(parked))) == told
    if (front, outcome) == (TAGS, "completed"):
        assert told["result"] == RESULT
    if outcome == "failed":
        assert told["error" if front is TAGS else "error_message"] == "its commit did not happen, says local"


def test_an_admin_has_it_asked_about_again(client: FlaskClient, world: World, front: Front, parked: str) -> None:
    woken = world.executor.woken
    told = front.told(settle(client, front, parked, "retry"))
    assert (told["status"], "parked" in told) == (front.running, False)
    assert world.executor.woken == woken + 1
    assert world.run_next()


def test_only_a_parked_job_is_settled(client: FlaskClient, front: Front) -> None:
    answer = settle(client, front, start(client, front), "completed")
    assert answer.status_code == 409
    assert answer.json is not None
    if front is TAGS:
        assert (answer.json["error"], answer.json["message"]) == ("Task is not parked", "任务不在等待人工裁定")
    else:
        assert answer.json["error"]["code"] == "TASK_NOT_PARKED"
        assert answer.json["error"]["message"] == "Задача не ждет решения администратора"


@pytest.mark.parametrize("outcome", ["cancelled", "RETRY", "", None, 1, ["retry"]])
def test_an_outcome_that_there_is_not(client: FlaskClient, front: Front, parked: str, outcome: Any) -> None:
    answer = settle(client, front, parked, outcome)
    assert answer.status_code == 400
    assert "outcome" in answer.text
    assert front.told(client.get(front.status.format(parked)))["parked"] is True


@pytest.mark.parametrize("foreign", [TAGS, OF_WORKERS], ids=["tags", "workers"])
def test_a_job_of_another_front_is_unknown(client: FlaskClient, front: Front, parked: str, foreign: Front) -> None:
    answer = settle(client, foreign, parked, "retry")
    assert answer.status_code == (200 if foreign is front else 404)
    assert settle(client, front, "no-such-job", "retry").status_code == 404


def test_a_workers_job_is_settled_by_its_number(client: FlaskClient, world: World) -> None:
    job_id = start(client, OF_WORKERS)
    park(world, job_id)
    assert settle(client, OF_WORKERS, str(world.job(job_id).number), "completed").status_code == 200


def test_only_an_admin_settles(world: World, front: Front, tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    known = {"ann-token": Principal("ann", Role.USER), "root-token": Principal("root", Role.ADMIN)}
    path.write_text("".join(Entry(one, digest_of(token)).lines() for token, one in known.items()), encoding="utf-8")
    client = client_of(TokenGate(TokensFile(path)), world=world)
    ann, root = ({"headers": {"Authorization": f"Bearer {token}"}} for token in known)
    answer = client.post(front.start, json=front.body, **ann)  # type: ignore[arg-type]
    assert answer.json is not None
    job_id = answer.json["task_id"]
    park(world, job_id)
    assert settle(client, front, job_id, "failed").status_code == 401
    assert settle(client, front, job_id, "failed", **ann).status_code == 403
    assert settle(client, front, job_id, "failed", **root).status_code == 200
    assert world.job(job_id).error == "its commit did not happen, says root"


# -- for whoever watches -------------------------------------------------------------------


def test_health_says_what_waits_for_a_person(client: FlaskClient, world: World) -> None:
    def health() -> dict[str, Any]:
        told = client.get("/health").json
        assert told is not None
        assert told["status"] == "healthy"
        return told

    assert (health()["parked"], health()["alarms"]) == (0, [])
    job_id = start(client, TAGS)
    park(world, job_id)
    told = health()
    assert told["parked"] == 1
    (alarm,) = told["alarms"]
    assert alarm.startswith("1 job is parked: ")
    assert job_id not in alarm, "whoever asks for health need not know whose jobs there are"
    park(world, start(client, OF_WORKERS))
    assert health()["alarms"][0].startswith("2 jobs are parked: ")
    assert settle(client, TAGS, job_id, "completed").status_code == 200
    assert health()["parked"] == 1
