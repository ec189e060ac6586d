"""The workers' list while jobs come in: who follows its links sees every job once, there and back."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tagapi.auth import OpenGate
from tests.unit.fronts import client_of

WORKERS = "/api/v1/workers/"


@pytest.fixture
def client() -> FlaskClient:
    return client_of(OpenGate())


def create(client: FlaskClient, jobs: int) -> None:
    for _ in range(jobs):
        assert client.post(WORKERS, json={"task_type": "bookings_export"}).status_code == 201


def read(client: FlaskClient, path: str) -> dict[str, Any]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    return answer.json


def ids(page: dict[str, Any]) -> list[int]:
    return [job["id"] for job in page["results"]]


@pytest.mark.parametrize("start", ["?page_size=7", "?page=1&page_size=7", "?page_size=7&status=pending"])
@pytest.mark.parametrize("coming", [1, 7, 10])
def test_every_job_is_seen_once_while_others_come_in(client: FlaskClient, start: str, coming: int) -> None:
    create(client, 31)
    pages = [read(client, WORKERS + start)]
    while pages[-1]["next"] is not None:
        create(client, coming)
        pages.append(read(client, pages[-1]["next"]))
    assert [number for page in pages for number in ids(page)] == list(range(31, 0, -1))
    assert [page["count"] for page in pages] == [31 + coming * n for n in range(len(pages))]


@pytest.mark.parametrize("coming", [1, 7, 10])
def test_the_way_back_leads_over_the_same_pages_and_then_to_what_came_in(client: FlaskClient, coming: int) -> None:
    create(client, 20)
    there = [read(client, f"{WORKERS}?page_size=7")]
    while there[-1]["next"] is not None:
        there.append(read(client, there[-1]["next"]))
    back = [there[-1]]
    while back[-1]["previous"] is not None:
        if len(back) == 1:
            create(client, coming)
        back.append(read(client, back[-1]["previous"]))
    assert [ids(page) for page in back[:3]] == [ids(page) for page in there[::-1]]
    seen = [number for page in back for number in reversed(ids(page))]
    assert seen == list(range(1, 21 + coming))


def test_a_numbered_page_is_there_for_those_who_send_its_number(client: FlaskClient) -> None:
    create(client, 20)
    third = read(client, f"{WORKERS}?page=3&page_size=7")
    assert ids(third) == [6, 5, 4, 3, 2, 1]
    assert third["next"] is None
    assert ids(read(client, third["previous"])) == list(range(13, 6, -1))
    assert client.get(f"{WORKERS}?page=4&page_size=7").status_code == 404
