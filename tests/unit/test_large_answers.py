"""Answers that could be large: long lists told in short, and what is long compressed for those who ask."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from flask.testing import FlaskClient

from tagapi.auth import OpenGate
from tests.unit.fronts import client_of

TRIGGER = "/api/v1/tags/trigger"
MANY = [f"user_{number:06d}" for number in range(1, 5001)]


@pytest.fixture
def client() -> FlaskClient:
    return client_of(OpenGate())


def trigger(client: FlaskClient, **more: Any) -> dict[str, Any]:
    answer = client.post(TRIGGER, json={"tag_ids": [1], **more})
    assert answer.json is not None
    return {"id": answer.json["task_id"], **answer.json["data"]}


def status(client: FlaskClient, task_id: str, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/api/v1/tasks/{task_id}/status{query}")
    assert answer.json is not None
    told: dict[str, Any] = answer.json["status"]
    return told


# -- user ids ------------------------------------------------------------------------------


def test_of_many_users_the_first_hundred_are_told_and_how_many_there_are(client: FlaskClient) -> None:
    made = trigger(client, user_ids=MANY)
    cancelled = client.delete(f"/api/v1/tasks/{made['id']}").json
    assert cancelled is not None
    for told in (made, status(client, made["id"]), cancelled["status"]):
        assert (told["user_ids"], told["user_ids_total"]) == (MANY[:100], 5000)


def test_all_users_are_told_to_those_who_ask(client: FlaskClient) -> None:
    made = trigger(client, user_ids=MANY)
    told = status(client, made["id"], "?full=true")
    assert (told["user_ids"], told["user_ids_total"]) == (MANY, 5000)
    assert status(client, made["id"], "?full=false")["user_ids"] == MANY[:100]
    assert client.get(f"/api/v1/tasks/{made['id']}/status?full=1").status_code == 400


@pytest.mark.parametrize("users", [MANY[:1], MANY[:100]])
def test_few_users_are_told_as_ever(client: FlaskClient, users: list[str]) -> None:
    made = trigger(client, user_ids=users)
    for told in (made, status(client, made["id"])):
        assert (told["user_ids"], told["user_ids_total"]) == (users, len(users))


def test_everyone_is_nobody_in_particular(client: FlaskClient) -> None:
    made = trigger(client)
    for told in (made, status(client, made["id"])):
        assert (told["user_ids"], told["user_ids_total"]) == (None, None)


# -- compression ---------------------------------------------------------------------------


@pytest.fixture
def large(client: FlaskClient) -> str:
    """The path of a large answer."""
    return f"/api/v1/tasks/{trigger(client, user_ids=MANY)['id']}/status?full=true"


@pytest.mark.parametrize(
    "asked",
    [
        "gzip",
        "GZIP",
        "gzip, deflate, br",
        "*",
        "br;q=1.0, gzip;q=0.001",
        "gzip;q=0.5, identity;q=0.5",
        "identity;q=0, *",
    ],
)
def test_a_large_answer_is_compressed_for_those_who_ask(client: FlaskClient, large: str, asked: str) -> None:
    plain = client.get(large)
    answer = client.get(large, headers={"Accept-Encoding": asked})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert len(answer.data) < len(plain.data) / 3
    assert gzip.decompress(answer.data) == plain.data
    head = client.head(large, headers={"Accept-Encoding": asked})
    assert (head.headers["Content-Length"], head.data) == (answer.headers["Content-Length"], b"")


@pytest.mark.parametrize(
    "asked",
    [
        None,
        "",
        "identity",
        "br",
        "gzip;q=0",
        "gzip;q=0, *",
        "*;q=0",
        "gzip;q=0.1, identity",
        "gzip;q=0.2, *;q=0.3",
        ";,",
    ],
)
def test_it_is_not_for_others(client: FlaskClient, large: str, asked: str | None) -> None:
    answer = client.get(large, headers={} if asked is None else {"Accept-Encoding": asked})
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Vary"] == "Accept-Encoding", "what a cache keeps is for those who asked alike"
    assert answer.json is not None


def test_a_small_answer_is_left_as_it_is(client: FlaskClient) -> None:
    answer = client.get("/health", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert "Vary" not in answer.headers


def test_the_specification_is_compressed_too(client: FlaskClient) -> None:
    answer = client.get("/swagger.json", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.data) == client.get("/swagger.json").data
