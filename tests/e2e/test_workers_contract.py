"""Every line of the workers document and of what was decided about it, over HTTP: jobs, lists, cancels, keys, files."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import requests

from tests.e2e.conftest import StartServer
from tests.e2e.server import Client, Server, until
from tests.e2e.stand_in import COMMITS, DONE, FAILS, LOSES_ITS_FILE, REASON, ROWS, RUNS, STUBBORN, content_of

WORKERS = "/api/v1/workers/"
TYPES = {
    "bookings_export": "Экспорт бронирований",
    "payments_export": "Экспорт платежей",
    "users_export": "Экспорт пользователей",
    "services_export": "Экспорт услуг",
    "data_cleanup": "Очистка данных",
    "data_analysis": "Анализ данных",
    "report_generation": "Генерация отчетов",
}
STATUSES = {
    "pending": "Ожидает",
    "processing": "Обрабатывается",
    "completed": "Завершено",
    "failed": "Ошибка",
    "cancelled": "Отменено",
}
ITEM = {
    "id",
    "task_id",
    "task_type",
    "task_type_display",
    "status",
    "status_display",
    "created_by",
    "total_records",
    "processed_records",
    "progress_percentage",
    "result_file",
    "error_message",
    "created_at",
    "started_at",
    "completed_at",
}
STATUS = {
    "id",
    "status",
    "total_records",
    "processed_records",
    "progress_percentage",
    "estimated_time_remaining",
    "error_message",
    "progress",
    "attempt",
}
DOCUMENTED = {
    "task_type": "bookings_export",
    "batch_size": 100,
    "filters": {},
    "date_from": "2024-01-01T00:00:00Z",
    "date_to": "2024-12-31T23:59:59Z",
}


@pytest.fixture
def ann(stand_in: Server) -> Iterator[Client]:
    with Client(stand_in.url, "ann-token") as client:
        yield client


@pytest.fixture
def root(stand_in: Server) -> Iterator[Client]:
    with Client(stand_in.url, "root-token") as client:
        yield client


def refusal(response: requests.Response, status: int, code: str) -> dict[str, Any]:
    """`message` and `details` of an answer that must be this refusal."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"code", "message", "details"}
    assert body["error"]["code"] == code
    assert body["error"]["message"]
    told: dict[str, Any] = body["error"]
    return told


def moment(text: str) -> datetime:
    told = datetime.fromisoformat(text)
    assert told.utcoffset() == timedelta(0), text
    return told


def create(client: Client, task_type: str = "bookings_export", **more: Any) -> dict[str, Any]:
    response = client.post(WORKERS, {"task_type": task_type, **more})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def wait(client: Client, reference: object, *states: str) -> dict[str, Any]:
    """The job once it is in one of these states."""

    def look() -> dict[str, Any] | None:
        seen = client.read(f"{WORKERS}{reference}/")
        return seen if seen["status"] in states else None

    return until(look, f"{reference} is {states}") or {}


def finished(client: Client, **asked: Any) -> dict[str, Any]:
    """A job that completed."""
    return wait(client, create(client, **asked)["task_id"], "completed")


# -- create --------------------------------------------------------------------------------


def test_create_answers_as_documented(ann: Client) -> None:
    response = ann.post(WORKERS, DOCUMENTED)
    assert response.status_code == 201
    body = response.json()
    assert body.keys() == ITEM
    assert uuid.UUID(body["task_id"]).version == 4
    assert isinstance(body["id"], int)
    assert abs(moment(body["created_at"]) - datetime.now(UTC)) < timedelta(seconds=30)
    told = {key: body[key] for key in ("task_type", "task_type_display", "created_by", "result_file", "error_message")}
    assert told == {
        "task_type": "bookings_export",
        "task_type_display": "Экспорт бронирований",
        "created_by": "ann",
        "result_file": None,
        "error_message": None,
    }
    assert response.headers["Location"] == f"{WORKERS}{body['task_id']}/"
    assert "Idempotency-Replayed" not in response.headers


@pytest.mark.parametrize(("task_type", "display"), TYPES.items())
def test_every_type_can_be_created(ann: Client, task_type: str, display: str) -> None:
    made = create(ann, task_type)
    assert (made["task_type"], made["task_type_display"]) == (task_type, display)
    assert wait(ann, made["task_id"], "completed")["task_type"] == task_type


def test_numbers_grow_by_one_with_each_job(ann: Client) -> None:
    first, second = create(ann), create(ann)
    assert second["id"] == first["id"] + 1


@pytest.mark.parametrize("batch_size", [1, 10_000])
def test_the_smallest_and_the_largest_batch(ann: Client, batch_size: int) -> None:
    create(ann, batch_size=batch_size)


@pytest.mark.parametrize("batch_size", [0, -1, 10_001, 2**63])
def test_a_batch_size_out_of_range_says_so(ann: Client, batch_size: int) -> None:
    told = refusal(ann.post(WORKERS, {**DOCUMENTED, "batch_size": batch_size}), 400, "VALIDATION_ERROR")
    assert told["message"] == "Размер пакета должен быть от 1 до 10000"
    assert told["details"] == {"batch_size": ["Размер пакета должен быть от 1 до 10000"]}


@pytest.mark.parametrize(
    ("date_from", "date_to"),
    [
        ("2024-12-31T23:59:59Z", "2024-01-01T00:00:00Z"),
        ("2024-01-01T00:00:00.000001Z", "2024-01-01T00:00:00Z"),
        ("2024-01-01T00:00:00-05:00", "2024-01-01T00:00:00+05:00"),
    ],
)
def test_a_range_that_ends_before_it_begins_says_so(ann: Client, date_from: str, date_to: str) -> None:
    response = ann.post(WORKERS, {**DOCUMENTED, "date_from": date_from, "date_to": date_to})
    told = refusal(response, 400, "VALIDATION_ERROR")
    assert told["message"] == "Дата начала не может быть позже даты окончания"
    assert "date_from" in told["details"]


@pytest.mark.parametrize(
    ("date_from", "date_to"),
    [
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("2024-01-01T05:00:00+05:00", "2024-01-01T00:00:00Z"),
        ("2024-01-01T00:00:00+05:00", "2024-01-01T00:00:00-05:00"),
        (None, "2024-01-01T00:00:00Z"),
        ("2024-01-01T00:00:00Z", None),
        (None, None),
        ("2024-01-01t00:00:00.123456z", "2024-02-29 23:59:59+00:00"),
    ],
)
def test_ranges_with_and_without_ends(ann: Client, date_from: str | None, date_to: str | None) -> None:
    create(ann, date_from=date_from, date_to=date_to)


FILTERS: list[tuple[str, dict[str, Any]]] = [
    ("bookings_export", {"status": "confirmed"}),
    ("bookings_export", {"status": "no row has this", "customer_id": 1, "provider_id": 2**40}),
    ("payments_export", {"status": "", "user_id": -1}),
    ("users_export", {"role": "customer", "is_active": False}),
    ("services_export", {"provider_id": 0, "min_price": 0, "max_price": 10.5}),
    ("services_export", {"min_price": -10, "max_price": 99_999_999.99}),
    ("data_cleanup", {"dry_run": True}),
    ("data_analysis", {"bookings": {"status": "x"}, "users": {"is_active": True}, "payments": {}}),
    ("report_generation", {"services": {"min_price": 1}}),
]


@pytest.mark.parametrize(("task_type", "filters"), FILTERS)
def test_the_filters_of_each_type(ann: Client, task_type: str, filters: dict[str, Any]) -> None:
    create(ann, task_type, filters=filters)


def test_only_an_admin_may_clean_up_for_real(ann: Client, root: Client) -> None:
    asked = {"task_type": "data_cleanup", "filters": {"dry_run": False}}
    before = ann.read(WORKERS)["count"]
    refusal(ann.post(WORKERS, asked), 403, "PERMISSION_DENIED")
    assert ann.read(WORKERS)["count"] == before
    assert root.post(WORKERS, asked).status_code == 201


@pytest.mark.parametrize(
    "path", ["/api/v1/workers", "/api/v1/workers/{}", "/api/v1/workers/{}/status", "/api/v1/workers/{}/result"]
)
def test_a_forgotten_slash_does_no_harm(ann: Client, path: str) -> None:
    """It is no redirect, which would lose a POST's body."""
    job = finished(ann)
    with_slash, without = (ann.get(path.format(job["id"]) + slash) for slash in ("/", ""))
    assert with_slash.status_code == without.status_code == 200
    if path == "/api/v1/workers":
        assert ann.post(path, DOCUMENTED).status_code == 201


# -- what becomes of a job -----------------------------------------------------------------


def test_a_completed_job(ann: Client, stand_in: Server) -> None:
    job = finished(ann)
    assert job.keys() == ITEM
    assert (job["status"], job["status_display"]) == ("completed", "Завершено")
    assert (job["total_records"], job["processed_records"], job["progress_percentage"]) == (ROWS, ROWS, 100.0)
    assert job["result_file"] == f"{stand_in.url}{WORKERS}{job['task_id']}/result/"
    assert job["error_message"] is None
    assert moment(job["created_at"]) <= moment(job["started_at"]) <= moment(job["completed_at"])
    assert ann.read(f"{WORKERS}{job['id']}/status/") == {
        "id": job["id"],
        "status": "completed",
        "total_records": ROWS,
        "processed_records": ROWS,
        "progress_percentage": 100.0,
        "estimated_time_remaining": None,
        "error_message": None,
        "progress": {"done": ROWS, "total": ROWS, "percentage": 100.0},
        "attempt": 1,
    }


def test_a_failed_job_says_why(ann: Client) -> None:
    job = wait(ann, create(ann, batch_size=FAILS)["id"], "failed")
    assert (job["status_display"], job["error_message"], job["result_file"]) == ("Ошибка", REASON, None)
    assert ann.read(f"{WORKERS}{job['id']}/status/")["error_message"] == REASON
    told = refusal(ann.get(f"{WORKERS}{job['id']}/result/"), 409, "NO_RESULT")
    assert told["message"] == f"Результата нет: задача завершилась с ошибкой: {REASON}"


def test_a_running_job_says_how_long_it_will_take(ann: Client) -> None:
    job = create(ann, batch_size=RUNS)
    path = f"{WORKERS}{job['id']}/status/"

    def look() -> dict[str, Any] | None:
        seen = ann.read(path)
        return seen if seen["processed_records"] else None

    status = until(look, "it has progressed") or {}
    assert status.keys() == STATUS
    assert (status["status"], status["processed_records"], status["total_records"]) == ("processing", DONE, ROWS)
    assert status["progress_percentage"] == 50.0
    assert 0 <= status["estimated_time_remaining"] <= 60
    assert ann.read(f"{WORKERS}{job['id']}/")["status_display"] == "Обрабатывается"
    refusal(ann.get(f"{WORKERS}{job['id']}/result/"), 409, "RESULT_NOT_READY")
    assert ann.delete(f"{WORKERS}{job['id']}/").status_code == 200


def test_a_waiting_job(start_still_server: StartServer) -> None:
    server = start_still_server()
    job = create(server)
    assert (job["status"], job["status_display"], job["started_at"], job["completed_at"]) == (
        "pending",
        "Ожидает",
        None,
        None,
    )
    assert server.read(f"{WORKERS}{job['id']}/status/")["estimated_time_remaining"] is None
    assert server.read(WORKERS, status="pending")["count"] == 1
    refusal(server.get(f"{WORKERS}{job['id']}/result/"), 409, "RESULT_NOT_READY")
    assert server.delete(f"{WORKERS}{job['id']}/").json() == {"status": "cancelled"}


@pytest.mark.parametrize("rest", ["", "status/", "result/"])
def test_a_number_and_a_uuid_lead_to_the_same_job(ann: Client, rest: str) -> None:
    job = finished(ann)
    answers = [ann.get(f"{WORKERS}{job[key]}/{rest}") for key in ("id", "task_id")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content


UNKNOWN = [
    str(uuid.uuid4()),
    "999999999",
    "0",
    "-1",
    "01",
    "1.0",
    "1e3",
    "9" * 5000,
    "no-uuid",
    "None",
    "%00",
    "%D0%B7",
    "..%2f..",
    "１",
    "x" * 300,
]


@pytest.mark.parametrize("reference", UNKNOWN, ids=lambda one: one[:20])
@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("DELETE", ""), ("GET", "status/"), ("GET", "result/")])
def test_an_unknown_job(ann: Client, method: str, rest: str, reference: str) -> None:
    response = ann.request(method, f"{WORKERS}{reference}/{rest}")
    refusal(response, 404, "NOT_FOUND" if "%2f" in reference else "TASK_NOT_FOUND")


def test_a_tag_task_is_no_worker_task(ann: Client) -> None:
    task_id = ann.trigger([1])
    refusal(ann.get(f"{WORKERS}{task_id}/"), 404, "TASK_NOT_FOUND")
    refusal(ann.delete(f"{WORKERS}{task_id}/"), 404, "TASK_NOT_FOUND")
    job = create(ann)
    assert ann.get(f"/api/v1/tasks/{job['task_id']}/status").status_code == 404


# -- cancel --------------------------------------------------------------------------------


def test_a_cancelled_job_has_stopped(ann: Client) -> None:
    job = create(ann, batch_size=RUNS)
    wait(ann, job["id"], "processing")
    response = ann.delete(f"{WORKERS}{job['id']}/")
    assert (response.status_code, response.json()) == (200, {"status": "cancelled"})
    seen = ann.read(f"{WORKERS}{job['id']}/")
    assert (seen["status"], seen["status_display"], seen["result_file"]) == ("cancelled", "Отменено", None)
    refusal(ann.delete(f"{WORKERS}{job['id']}/"), 400, "TASK_CANNOT_CANCEL")
    told = refusal(ann.get(f"{WORKERS}{job['id']}/result/"), 409, "NO_RESULT")
    assert told["message"] == "Результата нет: задача отменена"


def test_a_job_that_still_stops_is_not_called_cancelled(ann: Client) -> None:
    job = create(ann, batch_size=STUBBORN)
    wait(ann, job["id"], "processing")
    response = ann.delete(f"{WORKERS}{job['id']}/")
    assert (response.status_code, response.json()) == (202, {"status": "processing"})
    wait(ann, job["id"], "cancelled")


@pytest.mark.parametrize("batch_size", [FAILS, 100])
def test_a_finished_job_cannot_be_cancelled(ann: Client, batch_size: int) -> None:
    job = wait(ann, create(ann, batch_size=batch_size)["id"], "completed", "failed")
    refusal(ann.delete(f"{WORKERS}{job['id']}/"), 400, "TASK_CANNOT_CANCEL")
    assert ann.read(f"{WORKERS}{job['id']}/") == job


def test_past_its_point_of_no_return_a_job_goes_on(ann: Client) -> None:
    job = create(ann, batch_size=COMMITS)
    until(lambda: ann.read(f"{WORKERS}{job['id']}/status/")["processed_records"] == ROWS, "it commits")
    refusal(ann.delete(f"{WORKERS}{job['id']}/"), 400, "TASK_CANNOT_CANCEL")
    assert ann.get(wait(ann, job["id"], "completed")["result_file"].removeprefix(ann.url)).status_code == 200


# -- lists ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def listed(stand_in: Server) -> Iterator[Client]:
    """A user with 45 jobs: every third an analysis that failed, the others exports that completed."""
    with Client(stand_in.url, "cleo-token") as cleo:
        for number in range(45):
            create(cleo, "bookings_export" if number % 3 else "data_analysis", batch_size=100 if number % 3 else FAILS)
        until(lambda: cleo.read(WORKERS, status="completed")["count"] == 30, "they are done")
        until(lambda: cleo.read(WORKERS, status="failed")["count"] == 15, "they are done")
        yield cleo


def pages(client: Client, **asked: Any) -> list[dict[str, Any]]:
    """All pages, by their links."""
    found = [client.read(WORKERS, **asked)]
    while (link := found[-1]["next"]) is not None:
        assert link.startswith(client.url)
        found.append(client.read(link.removeprefix(client.url)))
    return found


@pytest.mark.parametrize("size", [None, 1, 7, 15, 44, 45, 46, 100])
def test_pages_lead_to_every_job_once_newest_first(listed: Client, size: int | None) -> None:
    asked = {} if size is None else {"page_size": size}
    found = pages(listed, **asked)
    ids = [job["id"] for page in found for job in page["results"]]
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) == 45
    assert {page["count"] for page in found} == {45}
    assert len(found) == -(-45 // (size or 20))
    assert all(page.keys() == {"count", "next", "previous", "results"} for page in found)
    assert found[0]["previous"] is None
    for before, page in pairwise(found):
        assert listed.read(page["previous"].removeprefix(listed.url)) == before


def test_a_list_shows_items(listed: Client) -> None:
    for job in listed.read(WORKERS)["results"]:
        assert job.keys() == ITEM
        assert job == listed.read(f"{WORKERS}{job['id']}/")


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"status": "completed"}, 30),
        ({"status": "failed"}, 15),
        ({"status": "processing"}, 0),
        ({"status": "pending"}, 0),
        ({"status": "cancelled"}, 0),
        ({"task_type": "data_analysis"}, 15),
        ({"task_type": "users_export"}, 0),
        ({"task_type": "data_analysis", "status": "failed"}, 15),
        ({"task_type": "data_analysis", "status": "completed"}, 0),
    ],
)
def test_filters_hold_on_every_page(listed: Client, asked: dict[str, str], count: int) -> None:
    found = pages(listed, **asked, page_size=4)
    assert {page["count"] for page in found} == {count}
    jobs = [job for page in found for job in page["results"]]
    assert len(jobs) == count
    assert all(job[key] == value for job in jobs for key, value in asked.items())


def test_a_page_beyond_the_last(listed: Client) -> None:
    assert listed.get(WORKERS, page=3).status_code == 200
    for page in (4, 10**9 - 1):
        refusal(listed.get(WORKERS, page=page), 404, "PAGE_NOT_FOUND")
    assert listed.read(WORKERS, status="cancelled", page=1) == {
        "count": 0,
        "next": None,
        "previous": None,
        "results": [],
    }
    refusal(listed.get(WORKERS, status="cancelled", page=2), 404, "PAGE_NOT_FOUND")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "done"),
        ("status", "COMPLETED"),
        ("status", ""),
        ("task_type", "tags"),
        ("task_type", "workers.bookings_export"),
        ("page", "0"),
        ("page", "-1"),
        ("page", "one"),
        ("page", "last"),
        ("page", "1.0"),
        ("page", "9" * 5000),
        ("page_size", "0"),
        ("page_size", "101"),
        ("page_size", "１"),
        ("nope", "1"),
        ("limit", "1"),
    ],
)
def test_wrong_list_parameters_are_named(ann: Client, name: str, value: str) -> None:
    told = refusal(ann.get(WORKERS, **{name: value}), 400, "VALIDATION_ERROR")
    assert told["details"].keys() == {name}
    assert name in told["message"]


def test_an_admin_lists_everybodys_jobs(listed: Client, ann: Client, root: Client) -> None:
    create(ann)
    owners = {job["created_by"] for page in pages(root, page_size=100) for job in page["results"]}
    assert {"ann", "cleo"} <= owners
    assert root.read(WORKERS)["count"] >= ann.read(WORKERS)["count"] + 45


# -- idempotency and bounds ----------------------------------------------------------------


def keyed(client: Client, key: str, **body: Any) -> requests.Response:
    return client.post(WORKERS, {**DOCUMENTED, **body}, {"Idempotency-Key": key})


def test_the_same_request_under_a_key_is_one_job(ann: Client) -> None:
    key = str(uuid.uuid4())
    first = keyed(ann, key)
    again = keyed(ann, key, date_from="2024-01-01T01:00:00+01:00", format="csv")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["task_id"] == first.json()["task_id"]
    for other in ({"batch_size": 7}, {"filters": {"status": "x"}}, {"format": "xlsx"}, {"task_type": "users_export"}):
        refusal(keyed(ann, key, **other), 422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
def test_a_key_that_is_none(ann: Client, key: str) -> None:
    told = refusal(keyed(ann, key), 400, "VALIDATION_ERROR")
    assert told["details"].keys() == {"Idempotency-Key"}


def test_full_queues_refuse_and_keep_nothing(start_still_server: StartServer) -> None:
    server = start_still_server(jobs__max_queued=2, jobs__max_queued_per_user=1)
    create(server)
    refused = server.post(WORKERS, DOCUMENTED)
    refusal(refused, 429, "RATE_LIMITED")
    assert int(refused.headers["Retry-After"]) >= 1
    assert server.read(WORKERS)["count"] == 1


def test_a_full_queue_is_no_users_fault(start_still_server: StartServer) -> None:
    server = start_still_server(jobs__max_queued=1)
    create(server)
    refused = server.post(WORKERS, DOCUMENTED)
    refusal(refused, 503, "QUEUE_FULL")
    assert int(refused.headers["Retry-After"]) >= 1


# -- files ---------------------------------------------------------------------------------

FILES = [
    ("bookings_export", {}, "bookings_export.csv", "text/csv; charset=utf-8"),
    ("users_export", {"format": "csv"}, "users_export.csv", "text/csv; charset=utf-8"),
    ("payments_export", {"format": "parquet"}, "payments_export.parquet", "application/vnd.apache.parquet"),
    (
        "services_export",
        {"format": "xlsx"},
        "services_export.xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("data_cleanup", {}, "data_cleanup.json", "application/json"),
    ("data_analysis", {}, "data_analysis.json", "application/json"),
    ("report_generation", {}, "report_generation.html", "text/html; charset=utf-8"),
]


@pytest.mark.parametrize(("task_type", "asked", "name", "content_type"), FILES)
def test_a_result_is_downloaded(
    ann: Client, task_type: str, asked: dict[str, Any], name: str, content_type: str
) -> None:
    path = finished(ann, task_type=task_type, **asked)["result_file"].removeprefix(ann.url)
    answer, content = ann.get(path), content_of(name)
    assert answer.status_code == 200
    assert answer.content == content
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Length"] == str(len(content))
    assert answer.headers["Content-Disposition"] == f"attachment; filename={name}"
    assert answer.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "private" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"

    head = ann.request("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    assert {key: head.headers[key] for key in ("ETag", "Content-Length", "Content-Type")} == {
        key: answer.headers[key] for key in ("ETag", "Content-Length", "Content-Type")
    }


@pytest.fixture(scope="module")
def download(stand_in: Server) -> Iterator[tuple[Client, str, bytes]]:
    with Client(stand_in.url, "ann-token") as client:
        job = finished(client)
        yield client, f"{WORKERS}{job['id']}/result/", content_of("bookings_export.csv")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=99999-", 99_999, 99_999),
        ("bytes=50000-", 50_000, 99_999),
        ("bytes=-1", 99_999, 99_999),
        ("bytes=-100", 99_900, 99_999),
        ("bytes=-200000", 0, 99_999),
        ("bytes=10-200000", 10, 99_999),
        ("bytes=10-999999999999999999", 10, 99_999),
    ],
)
def test_a_part_of_a_result(download: tuple[Client, str, bytes], asked: str, first: int, last: int) -> None:
    client, path, content = download
    answer = client.request("GET", path, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == content[first : last + 1]
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(content)}"


@pytest.mark.parametrize("asked", ["bytes=100000-", "bytes=100000-100001", "bytes=5-4", "bytes=-0"])
def test_a_part_that_there_is_not(download: tuple[Client, str, bytes], asked: str) -> None:
    client, path, content = download
    answer = client.request("GET", path, headers={"Range": asked})
    refusal(answer, 416, "RANGE_NOT_SATISFIABLE")
    assert answer.headers["Content-Range"] == f"bytes */{len(content)}"


@pytest.mark.parametrize(
    "asked", ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "rows=0-9", "bytes=0-1,5-9", "bytes=" + "9" * 5000 + "-"]
)
def test_what_is_no_single_range_is_answered_whole(download: tuple[Client, str, bytes], asked: str) -> None:
    client, path, content = download
    answer = client.request("GET", path, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, content)


def test_a_download_is_resumed_only_on_the_same_file(download: tuple[Client, str, bytes]) -> None:
    client, path, content = download
    etag = client.request("HEAD", path).headers["ETag"]
    same = client.request("GET", path, headers={"Range": "bytes=10-", "If-Range": etag})
    assert (same.status_code, same.content) == (206, content[10:])
    other = client.request("GET", path, headers={"Range": "bytes=10-", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, content)


def test_a_file_that_the_client_has_is_not_sent_again(download: tuple[Client, str, bytes]) -> None:
    client, path, _ = download
    etag = client.request("HEAD", path).headers["ETag"]
    known = client.request("GET", path, headers={"If-None-Match": etag})
    assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", etag)
    assert client.request("GET", path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_many_read_a_file_at_once_and_the_connection_goes_on(download: tuple[Client, str, bytes]) -> None:
    client, path, content = download
    for _ in range(20):
        assert client.get(path).content == content
        assert client.request("GET", path, headers={"Range": "bytes=7-70"}).content == content[7:71]
        assert client.get(f"{path}../status/").status_code in (200, 404)


def test_a_file_that_is_gone(ann: Client) -> None:
    job = finished(ann, batch_size=LOSES_ITS_FILE)
    refusal(ann.get(f"{WORKERS}{job['id']}/result/"), 404, "RESULT_NOT_FOUND")


# -- links ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("localhost:8080", "http://localhost:8080"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("example.org", ""),
        ("localhost.evil.example", ""),
    ],
)
def test_links_lead_to_where_the_client_asked_if_that_is_known_to_be_here(listed: Client, host: str, site: str) -> None:
    page = listed.request("GET", f"{WORKERS}?page_size=1", headers={"Host": host}).json()
    newest = page["results"][0]["id"]
    assert page["next"] == f"{site}{WORKERS}?page_size=1&cursor={newest}"
