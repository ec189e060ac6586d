"""Whatever is wrong with a request to the workers API: the documented shape, never a 5xx, never a job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.e2e.server import Client, Server
from tests.e2e.test_tags_memberships import HOSTILE
from tests.e2e.test_workers_contract import TYPES

WORKERS = "/api/v1/workers/"
JOB = f"{WORKERS}550e8400-e29b-41d4-a716-446655440000/"
JSON = {"Content-Type": "application/json"}
MIB = 1024 * 1024
EXPORT = {"task_type": "bookings_export"}
ALLOWED = {
    WORKERS: {"GET", "HEAD", "OPTIONS", "POST"},
    JOB: {"GET", "HEAD", "OPTIONS", "DELETE"},
    f"{JOB}status/": {"GET", "HEAD", "OPTIONS"},
    f"{JOB}result/": {"GET", "HEAD", "OPTIONS"},
}
BIG = "9" * 5000


@pytest.fixture(scope="module", autouse=True)
def _no_job_comes_of_it(still: Server) -> Iterator[None]:
    before = still.read(WORKERS)["count"]
    yield
    assert still.read(WORKERS)["count"] == before + len(HOSTILE), "those whose text is looked for"


def refused(response: requests.Response, status: int = 400, naming: str | None = None) -> None:
    """The documented shape, of this status, naming what is wrong."""
    assert response.status_code == status, (response.status_code, response.text[:300])
    assert response.headers["Content-Type"] == "application/json"
    error = response.json()["error"]
    assert error.keys() == {"code", "message", "details"}
    assert error["message"]
    if status == 400:
        assert error["code"] == "VALIDATION_ERROR"
        assert all(isinstance(text, str) and text for texts in error["details"].values() for text in texts)
    if naming is not None:
        assert error["details"].keys() == {naming}


def send(server: Client, body: str | bytes) -> requests.Response:
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return server.request("POST", WORKERS, data=data, headers=JSON)


# -- bodies --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        '{"task_type": "bookings_export",}',
        '{"task_type": "bookings_export"} x',
        b"\xff\xfe",
        b'{"task_type": "\xff"}',
        '{"task_type": "\ud800"}',
        '{"task_type": "bookings_export", "filters": {"status": "\\ud800"}}',
        '{"task_type": "bookings_export", "filters": {"\\ud800": 1}}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"task_type": "bookings_export", "filters": ' + '{"a":' * 100_000 + "1" + "}" * 100_001,
        '{"task_type": "bookings_export", "filters": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "[]",
        "null",
        "1",
        '"bookings_export"',
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_body_that_is_none(still: Server, body: str | bytes) -> None:
    refused(send(still, body), naming="body")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", BIG, f"-{BIG}", "1E5000", "18446744073709551616"])
@pytest.mark.parametrize("place", ['"batch_size": {}', '"filters": {"customer_id": {}}', '"date_from": {}', '"x": {}'])
def test_numbers_that_are_none(still: Server, place: str, value: str) -> None:
    refused(send(still, '{"task_type": "bookings_export", ' + place.replace("{}", value) + "}"))


def test_a_nesting_that_is_deep_and_still_json(still: Server) -> None:
    for filters in ('{"a":' * 900 + "1" + "}" * 900, "[" * 900 + "]" * 900):
        refused(send(still, f'{{"task_type": "data_analysis", "filters": {filters}}}'))
        refused(
            send(still, f'{{"task_type": "bookings_export", "filters": {{"status": {filters}}}}}'),
            naming="filters.status",
        )


WRONG_VALUES: list[Any] = [None, True, 0, 1.5, "", "x", [], {}, [None], {"a": 1}]


@pytest.mark.parametrize("field", ["task_type", "batch_size", "filters", "date_from", "date_to", "format", "language"])
@pytest.mark.parametrize("value", WRONG_VALUES, ids=repr)
def test_a_wrong_type_names_its_field(still: Server, field: str, value: Any) -> None:
    if (field == "filters" and value == {}) or (field.startswith("date") and value is None):
        pytest.skip("that is a right value")
    naming = "filters.a" if (field, value) == ("filters", {"a": 1}) else field
    refused(still.post(WORKERS, {**EXPORT, field: value}), naming=naming)


def test_without_a_type(still: Server) -> None:
    refused(still.post(WORKERS, {}), naming="task_type")


@pytest.mark.parametrize(
    "task_type", ["", "BOOKINGS_EXPORT", "bookings", "tags.compute", "workers.bookings_export", "x" * 10_000]
)
def test_an_unknown_type(still: Server, task_type: str) -> None:
    refused(still.post(WORKERS, {"task_type": task_type}), naming="task_type")


@pytest.mark.parametrize(
    "field", ["task_typ", "", "status", "created_by", "id", "__proto__", "a: b", "x" * 10_000, *HOSTILE[:3]]
)
def test_an_unknown_field_is_named(still: Server, field: str) -> None:
    refused(still.post(WORKERS, {**EXPORT, field: 1}), naming=field or "body")


@pytest.mark.parametrize("batch_size", ["100", 100.0, "", -0.5, [100], True])
def test_a_batch_size_is_an_integer(still: Server, batch_size: Any) -> None:
    refused(still.post(WORKERS, {**EXPORT, "batch_size": batch_size}), naming="batch_size")


@pytest.mark.parametrize("task_type", [name for name in TYPES if not name.endswith("_export")])
def test_a_format_is_for_exports(still: Server, task_type: str) -> None:
    refused(still.post(WORKERS, {"task_type": task_type, "format": "csv"}), naming="format")


@pytest.mark.parametrize("name", ["CSV", "xls", "json", "../csv", ""])
def test_an_unknown_format(still: Server, name: str) -> None:
    refused(still.post(WORKERS, {**EXPORT, "format": name}), naming="format")


@pytest.mark.parametrize("task_type", [name for name in TYPES if name != "report_generation"])
def test_a_language_is_for_reports(still: Server, task_type: str) -> None:
    refused(still.post(WORKERS, {"task_type": task_type, "language": "en"}), naming="language")


@pytest.mark.parametrize("language", ["RU", "de", "en-GB", ""])
def test_an_unknown_language(still: Server, language: str) -> None:
    refused(still.post(WORKERS, {"task_type": "report_generation", "language": language}), naming="language")


# -- dates ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "date",
    [
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-02-30T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-01T00:00:60Z",
        "2024-01-01T00:00:00+25:00",
        "2024-01-01T00:00:00+0100",
        "2024-01-01T00:00:00 01:00",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00.1234567Z",
        "2024-W01-1T00:00:00Z",
        "20240101T000000Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "10000-01-01T00:00:00Z",
        "-2024-01-01T00:00:00Z",
        "２０２４-01-01T00:00:00Z",
        "2024-01-01T00:00:00Z\n",
        " 2024-01-01T00:00:00Z",
        "2024-01-01T00:00:00Z' OR 1=1",
        "yesterday",
        "now",
        "1704067200",
        BIG,
        "x" * 100_000,
    ],
    ids=lambda date: repr(date[:40]),
)
@pytest.mark.parametrize("field", ["date_from", "date_to"])
def test_a_date_that_is_none_is_named(still: Server, field: str, date: str) -> None:
    refused(still.post(WORKERS, {**EXPORT, field: date}), naming=field)


# -- filters -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task_type", "key", "value"),
    [
        ("bookings_export", "status", 1),
        ("bookings_export", "status", None),
        ("bookings_export", "status", ["confirmed"]),
        ("bookings_export", "status", {"$ne": ""}),
        ("bookings_export", "status", "x" * 1001),
        ("bookings_export", "customer_id", "1"),
        ("bookings_export", "customer_id", 1.0),
        ("bookings_export", "customer_id", True),
        ("bookings_export", "customer_id", None),
        ("bookings_export", "customer_id", 2**63),
        ("bookings_export", "provider_id", [1]),
        ("bookings_export", "user_id", 1),
        ("bookings_export", "role", "x"),
        ("bookings_export", "id", 1),
        ("bookings_export", "created_at", "2024-01-01T00:00:00Z"),
        ("bookings_export", "dry_run", True),
        ("bookings_export", "bookings", {"status": "x"}),
        ("bookings_export", "Status", "x"),
        ("bookings_export", "", "x"),
        ("payments_export", "customer_id", 1),
        ("payments_export", "user_id", "1"),
        ("users_export", "is_active", 1),
        ("users_export", "is_active", "true"),
        ("users_export", "is_active", None),
        ("users_export", "role", True),
        ("users_export", "status", "x"),
        ("services_export", "min_price", "1"),
        ("services_export", "min_price", True),
        ("services_export", "min_price", None),
        ("services_export", "max_price", 1e300),
        ("services_export", "max_price", -(10**8)),
        ("services_export", "max_price", [1]),
        ("services_export", "price", 1),
        ("data_cleanup", "dry_run", 1),
        ("data_cleanup", "dry_run", "false"),
        ("data_cleanup", "dry_run", None),
        ("data_cleanup", "status", "x"),
        ("data_cleanup", "bookings", {}),
        ("data_analysis", "status", "x"),
        ("data_analysis", "bookings", "x"),
        ("data_analysis", "bookings", None),
        ("data_analysis", "bookings", []),
        ("data_analysis", "tags", {}),
        ("data_analysis", "dry_run", True),
        ("report_generation", "users", True),
    ],
)
def test_a_wrong_filter_is_named(still: Server, task_type: str, key: str, value: Any) -> None:
    refused(still.post(WORKERS, {"task_type": task_type, "filters": {key: value}}), naming=f"filters.{key}")


@pytest.mark.parametrize("task_type", ["data_analysis", "report_generation"])
@pytest.mark.parametrize(
    ("table", "key", "value"), [("bookings", "role", "x"), ("users", "is_active", 1), ("services", "min_price", "1")]
)
def test_a_wrong_filter_of_a_table_is_named(still: Server, task_type: str, table: str, key: str, value: Any) -> None:
    body = {"task_type": task_type, "filters": {table: {key: value}}}
    refused(still.post(WORKERS, body), naming=f"filters.{table}.{key}")


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_filter_name_is_only_a_name(still: Server, name: str) -> None:
    refused(still.post(WORKERS, {**EXPORT, "filters": {name: "x"}}), naming=f"filters.{name}")
    refused(still.post(WORKERS, {"task_type": "data_analysis", "filters": {name: {}}}), naming=f"filters.{name}")


def test_a_hostile_filter_value_is_only_text(still: Server) -> None:
    """It is looked for, and nobody has it."""
    for text in HOSTILE:
        made = still.post(WORKERS, {**EXPORT, "filters": {"status": text[:1000]}})
        assert made.status_code == 201
        assert still.delete(f"{WORKERS}{made.json()['id']}/").status_code == 200


# -- size, type, query, paths, methods -----------------------------------------------------


def test_a_body_that_is_too_large(still: Server) -> None:
    with Client(still.url) as fresh:
        refused(send(fresh, b'{"task_type": "' + b"x" * 8 * MIB + b'"}'), 413)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
def test_another_content_type(still: Server, content_type: str) -> None:
    answer = still.request(
        "POST", WORKERS, data=b'{"task_type": "bookings_export"}', headers={"Content-Type": content_type}
    )
    refused(answer, 415)


@pytest.mark.parametrize("path", [JOB, f"{JOB}status/", f"{JOB}result/"])
@pytest.mark.parametrize("name", ["nope", "", "page", "標签", "a b"])
def test_an_unknown_query_parameter_is_named(still: Server, path: str, name: str) -> None:
    refused(still.get(f"{path}?{quote(name)}=1"), naming=name or "body")
    if path == JOB:
        refused(still.delete(f"{path}?{quote(name)}=1"), naming=name or "body")
        refused(still.request("POST", f"{WORKERS}?{quote(name)}=1", json=EXPORT), naming=name or "body")


@pytest.mark.parametrize(
    ("name", "value"), [("status", "failed"), ("task_type", "data_cleanup"), ("page", "1"), ("page_size", "5")]
)
def test_a_repeated_query_parameter_is_named(still: Server, name: str, value: str) -> None:
    refused(still.get(f"{WORKERS}?{name}={value}&{name}={value}"), naming=name)


@pytest.mark.parametrize(
    "path", [f"{JOB}nope/", f"{JOB}status/x", f"{JOB}result/../../etc/passwd", f"{JOB}result/x.csv", f"{WORKERS}a/b/c"]
)
def test_an_unknown_path(still: Server, path: str) -> None:
    refused(still.get(quote(path)), 404)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW", "OPTIONS"])
@pytest.mark.parametrize("path", ALLOWED)
def test_methods(still: Server, path: str, method: str) -> None:
    response = still.request(method, path)
    if method not in ALLOWED[path]:
        refused(response, 405)
    if method not in ALLOWED[path] or method == "OPTIONS":
        assert {one.strip() for one in response.headers["Allow"].split(",")} == ALLOWED[path]


@pytest.mark.parametrize("reference", HOSTILE, ids=ascii)
def test_a_hostile_reference_is_an_unknown_job(still: Server, reference: str) -> None:
    for rest in ("", "status/", "result/"):
        refused(still.get(f"{WORKERS}{quote(reference, safe='')}/{rest}"), 404)


@pytest.mark.parametrize(
    "header", ["Range", "If-None-Match", "If-Modified-Since", "If-Range", "Idempotency-Key", "Authorization", "Accept"]
)
@pytest.mark.parametrize("value", ["", ",", "bytes=", "\xff", "x" * 5000, f"bytes={BIG}-", '"', "W/"])
def test_headers_that_make_no_sense(still: Server, header: str, value: str) -> None:
    for path in (WORKERS, f"{JOB}result/"):
        response = still.request("GET", path, headers={header: value.encode("latin-1")})
        expected = (401,) if header == "Authorization" else (200, 404)  # no token can be checked here
        assert response.status_code in expected, (header, value[:20], response.text)
