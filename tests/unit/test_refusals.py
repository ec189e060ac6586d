"""What is wrong with a request is told truly, with its place, beside the words that the documents fix."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tagapi.auth import OpenGate
from tests.unit.fronts import client_of

TRIGGER, WORKERS = "/api/v1/tags/trigger", "/api/v1/workers/"


@pytest.fixture
def client() -> FlaskClient:
    return client_of(OpenGate())


# -- tags ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag_ids", "place", "reason"),
    [
        ("1", "tag_ids", "must be a list, not a string"),
        ({}, "tag_ids", "must be a list, not an object"),
        (None, "tag_ids", "must not be null"),
        ([], "tag_ids", "must not be empty"),
        ([1.0], "tag_ids[0]", "must be an integer, not a number with a decimal point"),
        ([True], "tag_ids[0]", "must be an integer, not a boolean"),
        ([1, "1"], "tag_ids[1]", "must be an integer, not a string"),
        ([None], "tag_ids[0]", "must not be null"),
        ([1, 2, []], "tag_ids[2]", "must be an integer, not a list"),
        ([12345678901234567890123], "tag_ids[0]", "has too many digits"),
        ([-(10**22)], "tag_ids[0]", "has too many digits"),
    ],
)
def test_what_is_wrong_with_tag_ids_stands_beside_the_documents_words(
    client: FlaskClient, tag_ids: Any, place: str, reason: str
) -> None:
    answer = client.post(TRIGGER, json={"tag_ids": tag_ids})
    assert answer.status_code == 400
    assert answer.json == {
        "success": False,
        "error": "tag_ids must be a non-empty list",
        "message": "标签ID必须是非空列表",
        "details": {place: [reason]},
    }


def test_what_is_missing_is_told_in_the_documents_words(client: FlaskClient) -> None:
    assert client.post(TRIGGER, json={}).json == {
        "success": False,
        "error": "tag_ids is required",
        "message": "标签ID列表是必需的",
        "details": {"tag_ids": ["is required"]},
    }


@pytest.mark.parametrize(
    ("body", "place", "reason"),
    [
        ({"user_ids": "x"}, "user_ids", "must be a list, not a string"),
        ({"user_ids": []}, "user_ids", "must name 1 to 100000 users"),
        ({"user_ids": ["a", 1]}, "user_ids[1]", "must be a string, not an integer"),
        ({"user_ids": ["a", "b", ""]}, "user_ids[2]", "must be 1 to 255 characters long"),
        ({"mode": None}, "mode", "must not be null"),
        ({"mode": 1}, "mode", "must be a string, not an integer"),
        ({"dry_run": 1}, "dry_run", "must be true or false"),
        ({"nope: x": 1}, "nope: x", "unknown field"),
    ],
)
def test_other_fields_are_told_with_their_place(
    client: FlaskClient, body: dict[str, Any], place: str, reason: str
) -> None:
    told = client.post(TRIGGER, json={"tag_ids": [1], **body}).json
    assert told is not None
    assert told["details"] == {place: [reason]}
    assert told["error"] == f"{place}: {reason}"


@pytest.mark.parametrize(
    ("path", "name", "value", "reason"),
    [
        ("/api/v1/tags/1/users", "limit", "10001", "must be 1 to 10000"),
        ("/api/v1/tags/1/users", "limit", "99999999999", "must be 1 to 10000"),
        ("/api/v1/tags/1/users", "limit", "9" * 5000, "must be 1 to 10000"),
        ("/api/v1/tags/1/users", "limit", "-1", "must be 1 to 10000"),
        ("/api/v1/tags/1/users", "limit", "ten", "must be a whole number"),
        ("/api/v1/tags/1/users", "limit", "1.0", "must be a whole number"),
        ("/api/v1/tasks", "page", "1" + "0" * 30, "must be 1 to 1000000"),
        ("/api/v1/tasks", "page_size", "101", "must be 1 to 100"),
        ("/api/v1/tasks", "tag_id", "-1", "must be 0 or more"),
        ("/api/v1/tasks", "cursor", "-1", "must be 0 or more"),
    ],
)
def test_a_number_out_of_its_bounds_is_told_them(
    client: FlaskClient, path: str, name: str, value: str, reason: str
) -> None:
    told = client.get(path, query_string={name: value}).json
    assert told is not None
    assert told["details"] == {name: [reason]}


def test_leading_zeros_make_no_number_large(client: FlaskClient) -> None:
    assert client.get(f"/api/v1/tasks?page_size={'0' * 40}7").status_code == 200


def test_an_unknown_tag_of_any_length_finds_no_task(client: FlaskClient) -> None:
    answer = client.get(f"/api/v1/tasks?tag_id={'9' * 40}&cursor={'9' * 40}")
    assert answer.json is not None
    assert answer.json["tasks"] == []


# -- workers -------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["99999999999", "-1", "0", "9" * 5000])
def test_a_page_size_out_of_its_bounds_is_told_them(client: FlaskClient, value: str) -> None:
    told = client.get(WORKERS, query_string={"page_size": value}).json
    assert told is not None
    assert told["error"]["details"] == {"page_size": ["должно быть от 1 до 100"]}


def test_a_batch_size_of_many_digits_is_out_of_its_bounds(client: FlaskClient) -> None:
    told = client.post(WORKERS, json={"task_type": "data_cleanup", "batch_size": 10**22}).json
    assert told is not None
    assert told["error"]["message"] == "Размер пакета должен быть от 1 до 10000"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (10**22, "слишком много цифр"),
        (2**63, "слишком много цифр"),
        (1.5, "должно быть целым числом"),
        (True, "должно быть целым числом"),
        ("1", "должно быть целым числом"),
    ],
)
def test_a_number_to_look_for_is_told_what_is_wrong_with_it(client: FlaskClient, value: Any, reason: str) -> None:
    body = {"task_type": "bookings_export", "filters": {"customer_id": value}}
    told = client.post(WORKERS, json=body).json
    assert told is not None
    assert told["error"]["details"] == {"filters.customer_id": [reason]}
