"""The workers API as a whole: a real server, work on Spark, and files that hold what DuckDB finds in the sources."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.parsers import expat

import duckdb
import openpyxl
import pyarrow.parquet as pq
import pytest
import requests
from deltalake import DeltaTable

from tests.e2e.conftest import served
from tests.e2e.server import FINISHED, Client, Server, run_python, until

WORKERS = "/api/v1/workers/"
BOOKINGS = 2000
MANY = 150  # copies of the bookings, for an export that takes its time

HEADERS: Mapping[str, str] = {
    "bookings": "ID, Customer Email, Service Title, Provider Email, Status, Location, Preferred Date, "
    "Preferred Time, Frequency, Scheduled DateTime, Total Price, Created At",
    "payments": "ID, User Email, Amount, Currency, Status, Payment Method, Transaction ID, Description, Created At",
    "users": "ID, Email, First Name, Last Name, Role, Is Active, Date Joined, Last Login",
    "services": "ID, Provider Email, Title, Description, Price, Created At",
}
"""The columns of an export, in their order."""

PLANTED: Mapping[str, Sequence[tuple[int, str, str]]] = {
    "bookings": [
        (900_001, "-1.00 AS total_price", "negative_price"),
        (900_002, "999999 AS service_id", "orphan_service"),
        (900_003, "'nobody' AS customer_email", "bad_address"),
        (900_004, "TIMESTAMPTZ '1970-01-01 00:00:00Z' AS created_at", "impossible_date"),
        (900_005, "'=HYPERLINK(\"x\")' AS location", ""),
        (900_006, "NULL AS location", ""),
    ],
    "payments": [(900_001, "999999 AS user_id, NULL AS transaction_id", "orphan_user")],
    "users": [(900_001, "'two@@example.com' AS email", "bad_address")],
    "services": [(900_001, "-0.01 AS price", "negative_price")],
}
"""Rows beside the sample's: the id, what is special about it, and the reason for which a cleanup removes it, if any."""

GOOD: Mapping[str, str] = {
    "bookings": "total_price > 0 AND service_id <= 100 AND created_at > '2020-01-01' AND location IS NOT NULL "
    "AND regexp_matches(customer_email, '^user[0-9]+@') AND scheduled_datetime < '2050-01-01'",
    "payments": "amount > 0 AND user_id <= 400 AND transaction_id IS NOT NULL",
    "users": "regexp_matches(email, '^user[0-9]+@') AND last_login > date_joined",
    "services": "price > 0 AND regexp_matches(provider_email, '^user[0-9]+@')",
}
"""Finds a row of the sample with nothing wrong, to make the planted ones of."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BOOKINGS bookings and what belongs to them, with planted rows. For reading only."""
    folder = tmp_path_factory.mktemp("business")
    made = run_python("sample_data.py", "--users", "10", "--bookings", str(BOOKINGS), folder=folder)
    assert made.returncode == 0, made.stderr
    found = folder / "data" / "sources"
    for table, rows in PLANTED.items():
        for number, special, _ in rows:
            row = f"(SELECT * FROM {table} WHERE {GOOD[table]} AND id > 1 ORDER BY id LIMIT 1)"
            typed = f"SELECT * FROM {table} WHERE false UNION ALL BY NAME SELECT * REPLACE ({number} AS id, {special})"
            ask(found, f"COPY ({typed} FROM {row}) TO '{found / table}/planted-{number}.parquet' (FORMAT parquet)")
    return found


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, sources: Path) -> Iterator[Server]:
    """A server on those sources, without tokens: whoever asks is its admin."""
    folder = tmp_path_factory.mktemp("office")
    (folder / "data").mkdir()
    (folder / "data" / "sources").symlink_to(sources, target_is_directory=True)
    yield from served(Server(folder))


# -- helpers -------------------------------------------------------------------------------


def ask(sources: Path, query: str, **facts: Any) -> list[tuple[Any, ...]]:
    """An answer from DuckDB, which knows the tables by name."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in HEADERS:
            if (sources / table).is_dir():
                connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{sources / table}/*.parquet')")
        return connection.execute(query, facts).fetchall()


def headers(table: str) -> list[str]:
    return HEADERS[table].split(", ")


def rows_of(sources: Path, table: str, condition: str = "true", **facts: Any) -> list[tuple[Any, ...]]:
    """What an export of the table should hold."""
    shown = ", ".join(header.lower().replace(" ", "_") for header in headers(table))
    return ask(sources, f"SELECT {shown} FROM {table} WHERE {condition} ORDER BY ALL NULLS FIRST", **facts)


def create(client: Client, task_type: str, **more: Any) -> str:
    """The id of a new job."""
    response = client.post(WORKERS, {"task_type": task_type, **more})
    assert response.status_code == 201, response.text
    return str(response.json()["task_id"])


def done(client: Client, task_type: str, **more: Any) -> dict[str, Any]:
    """A job that completed."""
    job_id = create(client, task_type, **more)

    def look() -> dict[str, Any] | None:
        seen = client.read(f"{WORKERS}{job_id}/")
        return seen if seen["status"] in FINISHED else None

    seen = until(look, f"{task_type} finishes", 60) or {}
    assert seen["status"] == "completed", seen
    return seen


def download(client: Client, job: Mapping[str, Any]) -> requests.Response:
    """The file, from where the job says it is."""
    assert job["result_file"].startswith(client.url)
    response = client.get(job["result_file"].removeprefix(client.url))
    assert response.status_code == 200, response.text
    return response


def exported(client: Client, table: str, form: str, **more: Any) -> bytes:
    return download(client, done(client, f"{table}_export", format=form, **more)).content


def numbers(content: bytes) -> list[int]:
    """The ids in a CSV."""
    return [int(row[0]) for row in csv.reader(io.StringIO(content.decode(), newline="")) if row[0] != "ID"]


def written(value: Any) -> str:
    """A value as the CSV should say it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return "" if value is None else str(value)


def fingerprints(folder: Path) -> dict[str, str]:
    """Every file below, by its bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# -- exports -------------------------------------------------------------------------------


@pytest.mark.parametrize("table", HEADERS)
def test_a_csv_read_back_is_the_table_in_the_order_of_its_ids(office: Server, sources: Path, table: str) -> None:
    job = done(office, f"{table}_export")
    content = download(office, job).content
    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    expected = rows_of(sources, table)
    assert header == headers(table)
    assert rows == [[written(value) for value in row] for row in expected]
    assert numbers(content) == sorted(numbers(content))
    assert (job["total_records"], job["processed_records"], job["progress_percentage"]) == (*[len(expected)] * 2, 100)


def test_formulas_are_defused_in_csv_and_left_alone_in_parquet(office: Server) -> None:
    assert b'"\'=HYPERLINK(""x"")"' in exported(office, "bookings", "csv")
    table = pq.read_table(io.BytesIO(exported(office, "bookings", "parquet")))
    assert '=HYPERLINK("x")' in table["Location"].to_pylist()


@pytest.mark.parametrize("table", HEADERS)
def test_parquet_read_back_is_the_table(office: Server, sources: Path, table: str) -> None:
    read = pq.read_table(io.BytesIO(exported(office, table, "parquet")))
    assert read.column_names == headers(table)
    found = [tuple(row.values()) for row in read.to_pylist()]
    assert found == rows_of(sources, table)


@pytest.mark.parametrize("table", HEADERS)
def test_a_workbook_read_back_is_the_table(office: Server, sources: Path, table: str) -> None:
    with closing(openpyxl.load_workbook(io.BytesIO(exported(office, table, "xlsx")), read_only=True)) as book:
        header, *rows = ([cell.value for cell in row] for row in book.worksheets[0].iter_rows())
    assert header == headers(table)
    expected = rows_of(sources, table)
    assert len(rows) == len(expected)
    for row, wanted in zip(rows, expected, strict=True):
        cells = row + [None] * (len(wanted) - len(row))
        assert all(same_in_a_cell(cell, value) for cell, value in zip(cells, wanted, strict=True)), (row, wanted)


def same_in_a_cell(cell: Any, value: Any) -> bool:
    """A workbook has floats for money, no zones, days that begin at midnight, and moments to the millisecond."""
    if isinstance(value, datetime):
        return bool(abs(cell.replace(tzinfo=UTC) - value) <= timedelta(milliseconds=1))
    if isinstance(value, date):
        return bool(cell.date() == value)
    return bool(cell == (float(value) if isinstance(value, Decimal) else value))


@pytest.mark.parametrize(
    ("table", "filters", "condition"),
    [
        ("bookings", {"status": "confirmed"}, "status = 'confirmed'"),
        ("bookings", {"status": "completed", "provider_id": 11}, "status = 'completed' AND provider_id = 11"),
        ("bookings", {"status": "nobody's"}, "false"),
        ("payments", {"status": "refunded"}, "status = 'refunded'"),
        ("users", {"is_active": False, "role": "customer"}, "NOT is_active AND role = 'customer'"),
        ("services", {"min_price": 1000, "max_price": 5000.5}, "price BETWEEN 1000 AND 5000.5"),
    ],
)
def test_filters_find_what_duckdb_finds(
    office: Server, sources: Path, table: str, filters: dict[str, Any], condition: str
) -> None:
    expected = [row[0] for row in rows_of(sources, table, condition)]
    assert numbers(exported(office, table, "csv", filters=filters)) == expected
    assert bool(expected) is (condition != "false"), "the sample has some"


def test_a_range_includes_both_ends_and_goes_with_filters(office: Server, sources: Path) -> None:
    moments = "SELECT created_at FROM bookings WHERE status = 'completed' AND id < 900000 ORDER BY 1"
    ordered = [row[0] for row in ask(sources, moments)]
    since, until_ = ordered[len(ordered) // 4], ordered[len(ordered) // 2]
    asked = {"date_from": since.isoformat(), "date_to": until_.isoformat(), "filters": {"status": "completed"}}
    condition = "status = 'completed' AND created_at BETWEEN $since AND $until"
    expected = [row[0] for row in rows_of(sources, "bookings", condition, since=since, until=until_)]
    assert len(expected) > 100
    assert numbers(exported(office, "bookings", "csv", **asked)) == expected


def test_the_example_of_the_documentation_finds_rows(office: Server) -> None:
    example = office.read("/swagger.json")["definitions"]["CreateRequest"]["example"]
    assert numbers(download(office, done(office, **example)).content)


@pytest.mark.parametrize("form", ["csv", "parquet", "xlsx"])
def test_the_same_export_twice_is_the_same_bytes(office: Server, form: str) -> None:
    assert exported(office, "payments", form) == exported(office, "payments", form, batch_size=7)


# -- downloads -----------------------------------------------------------------------------


def test_the_etag_is_the_checksum_and_ranges_are_parts_of_the_file(office: Server) -> None:
    job = done(office, "users_export")
    whole = download(office, job)
    etag = f'"{hashlib.sha256(whole.content).hexdigest()}"'
    assert whole.headers["ETag"] == etag
    assert whole.headers["Content-Type"].startswith("text/csv")
    assert "users_export.csv" in whole.headers["Content-Disposition"]
    path = f"{WORKERS}{job['id']}/result/"
    for asked, part in (("0-9", whole.content[:10]), ("100-", whole.content[100:]), ("-5", whole.content[-5:])):
        answer = office.request("GET", path, headers={"Range": f"bytes={asked}", "If-Range": etag})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (206, part, etag)
    assert office.request("GET", path, headers={"Range": "bytes=99999999-"}).status_code == 416
    assert office.request("GET", path, headers={"If-None-Match": etag}).status_code == 304


def test_a_file_is_what_lies_in_the_results_folder(office: Server) -> None:
    job = done(office, "services_export", format="parquet")
    [lying] = (office.folder / "data" / "results" / job["task_id"]).glob("*/services_export.parquet")
    assert lying.read_bytes() == download(office, job).content


# -- cleanup -------------------------------------------------------------------------------


def test_a_dry_run_reports_what_was_planted_and_changes_nothing(office: Server, sources: Path) -> None:
    data = office.folder / "data"
    before, there = fingerprints(sources), (data / "cleaned").exists()
    job = done(office, "data_cleanup")
    report = download(office, job).json()
    assert report["dry_run"] is True
    for table, found in report["tables"].items():
        rows = ask(sources, f"SELECT count(*) FROM {table}")[0][0]
        assert (found["rows"], found["kept"] + found["removed"]) == (rows, rows)
        for number, _, reason in PLANTED[table]:
            shown = found["reasons"].get(reason, {"samples": [], "count": 0})
            assert (
                not reason
                or shown["count"] > len(shown["samples"])
                or number in [one["id"] for one in shown["samples"]]
            )
    assert (
        report["tables"]["bookings"]["reasons"]["negative_price"]["count"]
        == (ask(sources, "SELECT count(*) FROM bookings WHERE total_price < 0")[0][0])
    )
    assert fingerprints(sources) == before
    assert (data / "cleaned").exists() is there
    assert job["total_records"] == sum(one["rows"] for one in report["tables"].values())


def test_a_real_cleanup_parts_the_rows_into_tables_and_leaves_the_sources_as_they_were(
    office: Server, sources: Path
) -> None:
    before = fingerprints(sources)
    report = download(office, done(office, "data_cleanup", filters={"dry_run": False})).json()
    assert report["dry_run"] is False
    assert fingerprints(sources) == before
    for table, planted in PLANTED.items():
        kept, removed = (delta_rows(office, name) for name in (table, f"{table}_removed"))
        found = report["tables"][table]
        assert (len(kept), len(removed)) == (found["kept"], found["removed"])
        columns = [row[0] for row in ask(sources, f"SELECT column_name FROM (DESCRIBE {table})")]
        source = ask(sources, f"SELECT {', '.join(columns)} FROM {table}")
        parted = [tuple(row[column] for column in columns) for row in kept + removed]
        assert sorted(parted, key=str) == sorted(source, key=str), "no row is lost, changed or made up"
        reasons = {row["id"]: row["reason"] for row in removed}
        assert {number: reasons.get(number, "") for number, _, _ in planted} == {one: why for one, _, why in planted}
        assert len({row["id"] for row in kept}) == len(kept)


def delta_rows(server: Server, table: str) -> list[dict[str, Any]]:
    """What any reader of the Delta table sees."""
    found: list[dict[str, Any]] = (
        DeltaTable(str(server.folder / "data" / "cleaned" / table)).to_pyarrow_table().to_pylist()
    )
    return found


# -- analysis and report -------------------------------------------------------------------

HEADLINE = """
    SELECT count(*), count(*) FILTER (status = 'completed'), count(*) FILTER (status = 'cancelled'),
           sum(total_price) FILTER (status = 'completed')
    FROM (SELECT DISTINCT * FROM bookings) WHERE {0}
"""
"""The sample's bookings that stand there twice are alike in every column."""

RECEIVED = """
    SELECT currency, count(*), sum(amount) FROM (
        SELECT *, row_number() OVER (PARTITION BY transaction_id ORDER BY faulty, id) AS place
        FROM (SELECT DISTINCT *, amount < 0 OR user_id NOT IN (SELECT id FROM users) AS faulty FROM payments)
    ) WHERE status = 'completed' AND (place = 1 OR transaction_id IS NULL) GROUP BY 1 ORDER BY 1
"""
"""Of payments with the same transaction one counts: the first without a fault."""


def test_the_headline_of_an_analysis_is_duckdbs(office: Server, sources: Path) -> None:
    figures = json.loads(download(office, done(office, "data_analysis")).content)
    check_headline(figures["bookings"], ask(sources, HEADLINE.format("true"))[0])
    for table, found in figures["tables"].items():
        assert found["rows"] == ask(sources, f"SELECT count(*) FROM {table}")[0][0]
    received = [(row["currency"], row["count"], Decimal(row["amount"])) for row in figures["payments"]["received"]]
    assert received == ask(sources, RECEIVED)
    active = "SELECT count(DISTINCT id) FROM users WHERE is_active"
    assert figures["users"]["active"] == ask(sources, active)[0][0]


def check_headline(found: Mapping[str, Any], expected: tuple[int, int, int, Decimal]) -> None:
    total, completed, cancelled, revenue = expected
    assert (found["bookings"], found["completed"], found["cancelled"]) == (total, completed, cancelled)
    assert Decimal(found["revenue"]) == revenue
    assert found["cancellation_rate"] == pytest.approx(cancelled / total, abs=5e-5)


def test_an_analysis_keeps_to_its_range_and_to_the_filters_of_each_table(office: Server, sources: Path) -> None:
    since, until_ = (datetime.now(UTC).replace(microsecond=0) - timedelta(days=days) for days in (400, 100))
    asked = {
        "date_from": since.isoformat(),
        "date_to": until_.isoformat(),
        "filters": {"bookings": {"provider_id": 11}, "payments": {"status": "failed"}},
    }
    figures = json.loads(download(office, done(office, "data_analysis", **asked)).content)
    inside = {"since": since, "until": until_}
    condition = "provider_id = 11 AND created_at BETWEEN $since AND $until"
    check_headline(figures["bookings"], ask(sources, HEADLINE.format(condition), **inside)[0])
    failed = "SELECT count(*) FROM payments WHERE status = 'failed' AND created_at BETWEEN $since AND $until"
    assert figures["tables"]["payments"]["rows"] == ask(sources, failed, **inside)[0][0]


class Page:
    """A report that has been parsed as XML, which it is only if it is well-formed."""

    def __init__(self, content: bytes) -> None:
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = lambda _: self._open.pop()
        parser.CharacterDataHandler = lambda text: self.texts.append((self._open[-1], text))
        parser.Parse(content, True)

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        self._open.append(name)
        self.elements.append((name, attributes))

    def said(self, *names: str) -> list[str]:
        """The texts of these elements."""
        return [text for name, text in self.texts if name in names and text.strip()]


def test_a_report_is_one_page_in_russian_that_needs_nothing_else(office: Server, sources: Path) -> None:
    response = download(office, done(office, "report_generation"))
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    page = Page(response.content)
    assert page.elements[0] == ("html", {"lang": "ru"})
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & {
        name for name, _ in page.elements
    }
    assert not [told for _, told in page.elements if told.keys() & {"src", "href", "srcset", "onload", "onclick"}]
    assert not re.search(rb"https?://|//cdn|url\(|@import", response.content)
    assert all(re.search("[а-яё]", text, re.IGNORECASE) for text in page.said("h1", "h2", "th"))
    told = {re.sub(r"\s", "", text) for text in page.said("span")}
    total, completed, cancelled, revenue = ask(sources, HEADLINE.format("true"))[0]
    rounded = str(int(revenue.quantize(Decimal(1), rounding="ROUND_HALF_UP")))
    assert {str(total), rounded, f"завершено{completed}", f"отменено{cancelled}"} <= told
    drawn = [name for name, _ in page.elements]
    assert drawn.count("svg") >= 5
    assert drawn.count("rect") > 30, "bars"
    assert drawn.count("polyline") == 4, "two lines, each wide and narrow"


def test_a_report_is_in_the_language_asked_for(office: Server) -> None:
    page = Page(download(office, done(office, "report_generation", language="en")).content)
    assert page.elements[0] == ("html", {"lang": "en"})
    assert "Revenue by month" in page.said("h2")
    assert not re.search("[а-яё]", "".join(page.said("h1", "h2", "th", "p")), re.IGNORECASE)


def test_what_stands_in_a_table_cannot_become_part_of_the_page(office: Server) -> None:
    hostile = {"bookings": {"status": "<script>alert(1)</script>&\"'"}}
    content = download(office, done(office, "report_generation", filters=hostile)).content
    assert b"<script" not in content
    assert any("<script>alert(1)</script>" in text for text in Page(content).said("p")), "told as text"


# -- cancel --------------------------------------------------------------------------------


@contextmanager
def many_bookings(sources: Path) -> Iterator[None]:
    """MANY times as many bookings for a while, so that an export of them takes its time."""
    more = sources / "bookings" / "many.parquet"
    copies = f"SELECT * REPLACE ((copy * 1000000 + id)::INT AS id) FROM bookings, range(1, {MANY}) AS _(copy)"
    try:
        ask(sources, f"COPY (SELECT * EXCLUDE copy FROM ({copies})) TO '{more}' (FORMAT parquet)")
        yield
    finally:
        more.unlink(missing_ok=True)


def test_a_cancelled_export_leaves_no_file(office: Server, sources: Path) -> None:
    results = office.folder / "data" / "results"
    before = fingerprints(results)
    with many_bookings(sources):
        job_id = create(office, "bookings_export", format="xlsx", batch_size=10_000)
        until(lambda: office.read(f"{WORKERS}{job_id}/status/")["processed_records"], "rows are written")
        until(lambda: [path for path in results.glob(f"{job_id}/*/*.xlsx") if path.stat().st_size], "the file grows")
        answer = office.delete(f"{WORKERS}{job_id}/")
    assert (answer.status_code, answer.json()) == (200, {"status": "cancelled"})
    assert fingerprints(results) == before
    seen = office.read(f"{WORKERS}{job_id}/")
    assert (seen["status"], seen["result_file"]) == ("cancelled", None)
    assert 0 < seen["processed_records"] < seen["total_records"]
    refused = office.get(f"{WORKERS}{job_id}/result/")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "NO_RESULT")
