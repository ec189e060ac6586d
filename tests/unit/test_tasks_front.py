"""The tasks API over a world in one thread: what is kept no more, what is parked, and a word for each refusal."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tagapi.auth import OpenGate, TokenGate
from tagapi.jobs.errors import AlreadyFinished, JobError, NoResult, ResultNotReady
from tagapi.jobs.model import EventKind, JobState
from tagapi.namespaces.problems import HTTP_CODES, STATUS, UNREAD, NoPushes, Problem, problem_of, unread_problem
from tagapi.namespaces.tasks import words
from tagapi.namespaces.tasks.front import TasksFront
from tagapi.namespaces.tasks.live import PushesFull
from tagapi.namespaces.tasks.orders import NotConfigured
from tagapi.namespaces.tasks.render import STATUS_AFTER, render_error
from tagapi.tokens import Entry, Principal, Role, TokensFile, digest_of
from tagapi.upkeep import Upkeep
from tests.unit.fakes import World
from tests.unit.fronts import client_of, doubtful_world, park
from tests.unit.test_errors import made

TASKS = "/api/tasks"
KEPT = timedelta(hours=24)


def start(client: FlaskClient, **more: Any) -> str:
    answer = client.post("/api/v1/tags/trigger", json={"tag_ids": [1]}, **more)
    assert answer.json is not None
    return str(answer.json["task_id"])


def told(answer: TestResponse) -> dict[str, Any]:
    assert isinstance(answer.json, dict), answer.text
    return answer.json


# -- retention -----------------------------------------------------------------------------


def forget(world: World) -> None:
    """What upkeep does once a minute."""
    Upkeep(world.registry, "here", KEPT, 3, lambda jobs: None, lambda: None).forget()


def test_an_expired_job_an_unknown_one_and_a_foreign_one_answer_alike(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    people = [Entry(Principal(name, Role.USER), digest_of(f"{name}-token")) for name in ("ann", "bob")]
    path.write_text("".join(one.lines() for one in people), encoding="utf-8")
    world = doubtful_world()
    client = client_of(TokenGate(TokensFile(path)), world=world)
    ann, bob = ({"headers": {"Authorization": f"Bearer {name}-token"}} for name in ("ann", "bob"))
    expired, foreign, unknown = start(client, **ann), start(client, **bob), str(uuid4())
    assert told(client.post(f"{TASKS}/cancel/{expired}", **ann))["status"] == "REVOKED"

    world.clock.advance(KEPT.total_seconds() - 1)
    forget(world)
    assert told(client.get(f"{TASKS}/status/{expired}", **ann))["status"] == "REVOKED"
    world.clock.advance(2)
    forget(world)
    asked = (expired, foreign, unknown)
    answers = [client.get(f"{TASKS}/status/{one}", **ann) for one in asked]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert {answer.text.replace(one, "ID") for answer, one in zip(answers, asked, strict=True)} == {
        answers[0].text.replace(expired, "ID")
    }
    assert (told(answers[0])["status"], told(answers[0])["found"]) == ("PENDING", False)
    for place in ("progress", "events"):
        assert client.get(f"{TASKS}/{place}/{expired}", **ann).status_code == 404
    assert told(client.get(TASKS, **ann))["total"] == 0


# -- parked --------------------------------------------------------------------------------


@pytest.fixture
def world() -> World:
    return doubtful_world()


@pytest.fixture
def client(world: World) -> FlaskClient:
    return client_of(OpenGate(), world=world)


def test_a_parked_job_reads_as_one_that_is_tried_again_and_says_so(client: FlaskClient, world: World) -> None:
    job_id = start(client)
    park(world, job_id)
    for one in (told(client.get(f"{TASKS}/status/{job_id}")), *told(client.get(f"{TASKS}?status=RETRY"))["tasks"]):
        assert (one["task_id"], one["status"], one["parked"]) == (job_id, "RETRY", True)
        assert one["result"] == "La tarea está en estado: RETRY"
    assert told(client.get(f"{TASKS}?active=true"))["total"] == 1
    events = told(client.get(f"{TASKS}/events/{job_id}"))["events"]
    assert (events[-1]["event"], events[-1]["status"]) == ("parked", "RETRY")


def test_a_parked_job_is_past_its_point_of_no_return(client: FlaskClient, world: World) -> None:
    job_id = start(client)
    park(world, job_id)
    answer = client.post(f"{TASKS}/cancel/{job_id}")
    assert (answer.status_code, told(answer)["error"]) == (409, "already_finished")
    assert "ya ha terminado" not in told(answer)["message"], "it has not"
    assert client.post(f"{TASKS}/retry/{job_id}").status_code == 409


@pytest.mark.parametrize(("outcome", "status"), [("completed", "SUCCESS"), ("failed", "FAILURE"), ("retry", "RETRY")])
def test_an_admin_says_what_became_of_it(client: FlaskClient, world: World, outcome: str, status: str) -> None:
    """Of a job of any front: those that this one starts have no other place for it."""
    job_id = start(client)
    park(world, job_id)
    answer = client.post(f"{TASKS}/settle/{job_id}", json={"outcome": outcome})
    assert answer.status_code == 200
    assert (told(answer)["status"], "parked" in told(answer)) == (status, False)
    assert told(client.get(f"{TASKS}/status/{job_id}")) == told(answer)


@pytest.mark.parametrize("outcome", ["cancelled", "RETRY", "", None, 1, ["retry"]])
def test_an_outcome_that_there_is_not(client: FlaskClient, world: World, outcome: Any) -> None:
    job_id = start(client)
    park(world, job_id)
    answer = client.post(f"{TASKS}/settle/{job_id}", json={"outcome": outcome})
    assert (answer.status_code, told(answer)["field"]) == (400, "outcome")


def test_only_a_parked_job_is_settled(client: FlaskClient) -> None:
    answer = client.post(f"{TASKS}/settle/{start(client)}", json={"outcome": "retry"})
    assert (answer.status_code, told(answer)["error"]) == (409, "not_parked")
    answer = client.post(f"{TASKS}/settle/{uuid4()}", json={"outcome": "retry"})
    assert (answer.status_code, told(answer)["error"]) == (404, "job_not_found")


# -- words ---------------------------------------------------------------------------------

ENGLISH = re.compile(r"\b(the|is|are|of|must|not|was|has|there|try|cannot|only|too)\b", re.IGNORECASE)


def refusals() -> list[Problem]:
    """Everything that this front may be asked to tell, whoever found it; it has no files to download."""
    kinds: list[type[JobError]] = [*(set(STATUS) - {ResultNotReady, NoResult}), NotConfigured, PushesFull, NoPushes]
    problems = [problem_of(made(kind)) for kind in kinds if kind is not AlreadyFinished]
    problems += [Problem(status, code, "in English") for status, code in HTTP_CODES.items()]
    problems += [Problem(418, "http_error", "in English"), *map(unread_problem, UNREAD)]
    return [problem for problem in problems if problem.code not in ("not_retryable", "not_found_in_data")]


@pytest.mark.parametrize("problem", refusals(), ids=lambda problem: problem.code)
def test_every_refusal_has_spanish_words(problem: Problem) -> None:
    told = render_error(problem)
    assert told["error"] == problem.code
    words_alone = re.sub(r"the \w+", "", told["message"])  # the facts, which are made up
    assert not ENGLISH.search(words_alone), told
    assert "{" not in told["message"]


@pytest.mark.parametrize("state", JobState)
def test_what_cannot_be_cancelled_is_told_by_its_state(state: JobState) -> None:
    told = render_error(problem_of(AlreadyFinished(job_id="x", state=state.value)))["message"]
    assert words.STATUS[state] in told
    assert ("ya ha terminado" in told) == state.final


def test_every_state_and_every_event_has_its_word() -> None:
    assert set(words.STATUS) == set(JobState)
    assert set(words.STATUS.values()) == {"PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED"}
    leave_it_as_it_was = {EventKind.CANCEL_REQUESTED, EventKind.COMMITTED, EventKind.LOOKED_AGAIN}
    assert set(STATUS_AFTER) | leave_it_as_it_was | {EventKind.FINISHED} == set(EventKind)


def test_an_error_that_nobody_foresaw_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    told = render_error(problem_of(RuntimeError("ann@example.org")))
    assert told == {"error": "internal", "message": "Error interno del servidor"}


def test_the_front_answers_for_all_that_is_below_it(client: FlaskClient) -> None:
    assert TasksFront.prefixes == (TASKS,)
    for path in (f"{TASKS}/nope", f"{TASKS}/status", f"{TASKS}/publish/nope"):
        assert told(client.get(path)) == {"error": "not_found", "message": words.ERRORS["not_found"]}
    assert told(client.get("/api/tasksx"))["error"] != "not_found", "that is another's"
