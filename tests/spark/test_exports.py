"""Exports: which rows they find, and what stands in the file. DuckDB is the second opinion on both."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tag_tasks.datasets.tables import TABLES, Kind, Match, Table
from tagapi.jobs.model import JobState
from tests.spark.business import BOOKED, SCHEMAS, Business

FOUND: dict[str, Any] = {
    "status": "completed",
    "customer_id": 3,
    "provider_id": 11,
    "user_id": 3,
    "role": "provider",
    "is_active": False,
    "min_price": 1500.005,
    "max_price": 7000,
}
"""A value for each filter key, which some rows of the sample have."""

SINCE, UNTIL = datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 9, 30, 23, 59, 59, tzinfo=UTC)
SIGNS = {Match.EQUAL: "=", Match.AT_LEAST: ">=", Match.AT_MOST: "<="}


def choices() -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """Every filter of every table alone, every pair, all of them; a range alone, and with all of them."""
    for table in TABLES.values():
        keys = tuple(table.filters)
        for some in dict.fromkeys([(), *((key,) for key in keys), *combinations(keys, 2), keys]):
            yield table.name, some, False
        yield table.name, (), True
        yield table.name, keys, True


def condition(table: Table, keys: tuple[str, ...], ranged: bool) -> tuple[str, dict[str, Any]]:
    """The same choice, as DuckDB says it."""
    said = [f"{table.filters[key].column} {SIGNS[table.filters[key].match]} ${key}" for key in keys]
    facts = {key: Decimal(str(FOUND[key])) if isinstance(FOUND[key], float) else FOUND[key] for key in keys}
    if ranged:
        said.append(f"{table.range_column} BETWEEN $since AND $until")
        facts |= {"since": SINCE, "until": UNTIL}
    return " AND ".join(said) or "true", facts


@pytest.mark.parametrize(("name", "keys", "ranged"), list(choices()))
def test_an_export_finds_what_duckdb_finds(busy: Business, name: str, keys: tuple[str, ...], ranged: bool) -> None:
    asked: dict[str, Any] = {"filters": {key: FOUND[key] for key in keys}, "format": "parquet"}
    if ranged:
        asked |= {"date_from": SINCE.isoformat(), "date_to": UNTIL.isoformat()}
    result, path = busy.done(f"{name}_export", **asked)
    said, facts = condition(TABLES[name], keys, ranged)
    expected = busy.rows(name, said, **facts)
    assert parquet_rows(path) == expected
    assert (result["total_records"], result["processed_records"]) == (len(expected), len(expected))


def test_the_choices_find_somebody_and_leave_somebody_out(busy: Business) -> None:
    for name, keys, _ in choices():
        if len(keys) == 1:
            said, facts = condition(TABLES[name], keys, ranged=False)
            assert 0 < len(busy.rows(name, said, **facts)) < len(busy.rows(name)), (name, keys)


@pytest.mark.parametrize(
    ("name", "filters"),
    [
        ("bookings", {"status": "' OR 1=1 --"}),
        ("bookings", {"status": "status"}),
        ("bookings", {"status": "\0"}),
        ("bookings", {"status": ""}),
        ("bookings", {"status": "COMPLETED"}),
        ("bookings", {"customer_id": 10**30}),
        ("bookings", {"customer_id": -(2**63) - 1}),
        ("bookings", {"provider_id": 2**40}),
        ("services", {"min_price": 1e300}),
        ("services", {"max_price": -1e300}),
        ("services", {"min_price": 5000, "max_price": 4999.99}),
    ],
)
def test_what_no_row_has_finds_nothing(busy: Business, name: str, filters: dict[str, Any]) -> None:
    result, path = busy.done(f"{name}_export", filters=filters, format="csv")
    assert path.read_bytes().decode() == ",".join(TABLES[name].export) + "\r\n"
    assert result["total_records"] == 0


def test_a_price_bound_is_exact_to_the_cent(business: Business) -> None:
    business.write("services", *({"id": cents, "price": Decimal(cents) / 100} for cents in range(95, 106)))

    def found(**filters: float) -> list[int]:
        return [row[0] for row in parquet_rows(business.done("services_export", filters=filters, format="parquet")[1])]

    assert found(min_price=1.0, max_price=1.02) == [100, 101, 102]
    assert found(min_price=1.001) == [101, 102, 103, 104, 105]
    assert found(max_price=0.999) == [95, 96, 97, 98, 99]
    assert found(min_price=0.7 + 0.3 + 1e-15) == [101, 102, 103, 104, 105], "a bit more than one"


def test_both_ends_of_a_range_are_in_it_and_null_is_not(business: Business) -> None:
    moments = [BOOKED + timedelta(microseconds=step) for step in (-1, 0, 1, 2)]
    rows = [{"id": number, "created_at": moment} for number, moment in enumerate([*moments, None])]
    business.write("bookings", *rows)
    asked = {"date_from": moments[1].isoformat(), "date_to": moments[2].isoformat()}
    assert [row[0] for row in parquet_rows(business.done("bookings_export", format="parquet", **asked)[1])] == [1, 2]
    assert len(parquet_rows(business.done("bookings_export", format="parquet")[1])) == 5


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00"])
def test_the_ends_of_time_are_dates_like_others(business: Business, moment: str) -> None:
    early, late = (business.done("bookings_export", **{key: moment})[0] for key in ("date_from", "date_to"))
    assert early["total_records"] + late["total_records"] == 1


# -- formats -------------------------------------------------------------------------------

HOSTILE = [
    *("=1+1", "+7 900", "-1", "@SUM(A1)", "\tx", "\rx", "'", "'=1"),
    *("", " ", '"', '""', 'a "b" c', "a,b", "a;b", "a\nb", "a\r\nb", "\n=1", " =1", "null", "NULL", "true"),
    *("<b>&amp;</b>", "]]>", "_x000D_", "\x01\x0b\x1f", "\ufffe\uffff", "😀 𠮷", "Ёлка", "x" * 40_000, "\0", "\x7f"),
]
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


@pytest.fixture
def hostile(business: Business) -> Business:
    """Every hostile text in every text column, and rows of nulls."""
    for name, table in TABLES.items():
        texts = [column for column, kind in table.columns.items() if kind is Kind.TEXT]
        rows = [{"id": number} | dict.fromkeys(texts, text) for number, text in enumerate(HOSTILE)]
        nulls = {"id": len(rows)} | {column: None for column in table.columns if column != "id"}
        business.write(name, *rows, nulls, dict.fromkeys(table.columns))
    return business


def read_csv(path: Path) -> list[list[str | None]]:
    """By RFC 4180, telling nothing (a null) from empty text, which Python's own reader cannot."""
    with duckdb.cursor() as connection:
        found = connection.execute(
            "SELECT * FROM read_csv($path, header=true, all_varchar=true, quote='\"', escape='\"', delim=',', "
            "new_line='\\r\\n', nullstr='', allow_quoted_nulls=false, max_line_size=10000000)",
            {"path": str(path)},
        ).fetchall()
    plain = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline=""), strict=True))
    assert [[cell or "" for cell in row] for row in found] == plain[1:], "two readers read the same"
    return [list(row) for row in found]


def said(value: Any) -> str | None:
    """A value as the CSV should say it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, str) and value.startswith(FORMULAS):
        return "'" + value
    return None if value is None else str(value)


@pytest.mark.parametrize("name", TABLES)
def test_a_csv_parsed_back_is_the_table(busy: Business, name: str) -> None:
    _, path = busy.done(f"{name}_export", format="csv")
    expected = [[said(value) for value in row] for row in busy.rows(name)]
    assert read_csv(path) == expected


@pytest.mark.parametrize("name", TABLES)
def test_hostile_text_survives_csv(hostile: Business, name: str) -> None:
    _, path = hostile.done(f"{name}_export", format="csv")
    assert path.read_bytes().startswith(",".join(TABLES[name].export).encode() + b"\r\n")
    assert read_csv(path) == [[said(value) for value in row] for row in hostile.rows(name)]


@pytest.mark.parametrize("name", TABLES)
def test_parquet_is_the_table_unchanged(hostile: Business, name: str) -> None:
    _, path = hostile.done(f"{name}_export", format="parquet")
    assert parquet_rows(path) == hostile.rows(name)
    schema = pq.read_schema(path)
    assert schema.names == list(TABLES[name].export)
    assert schema.types == [SCHEMAS[name].field(column).type for column in TABLES[name].export.values()]


def unescaped(text: Any) -> Any:
    """As Excel reads `_xHHHH_`, which openpyxl leaves as it is."""
    return openpyxl.utils.escape.unescape(text) if isinstance(text, str) else text


@pytest.mark.parametrize("name", TABLES)
def test_a_workbook_read_back_is_the_table(hostile: Business, name: str) -> None:
    _, path = hostile.done(f"{name}_export", format="xlsx")
    with closing(openpyxl.load_workbook(path, read_only=True)) as book:
        header, *rows = ([cell.value for cell in row] for row in book.worksheets[0].iter_rows())
    width = len(TABLES[name].export)
    assert header == list(TABLES[name].export)
    expected = [[in_a_cell(value) for value in row] for row in hostile.rows(name)]
    assert [[unescaped(cell) for cell in row + [None] * (width - len(row))] for row in rows] == expected


def in_a_cell(value: Any) -> Any:
    """What a spreadsheet makes of a value: it has no zones, no days without hours, and one kind of number."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, Decimal):
        return float(value)
    return value[:32_767] if isinstance(value, str) else value


def test_text_in_a_workbook_is_text_whatever_it_looks_like(hostile: Business) -> None:
    _, path = hostile.done("payments_export", format="xlsx")
    sheet = openpyxl.load_workbook(path).worksheets[0]
    texts = [cell for row in sheet.iter_rows(min_row=2) for cell in row if isinstance(cell.value, str)]
    assert "f" not in {cell.data_type for cell in texts}, "a formula"
    assert {"=1+1", "+7 900", "@SUM(A1)"} <= {cell.value for cell in texts}


@pytest.mark.parametrize("form", ["csv", "parquet", "xlsx"])
def test_the_same_data_are_the_same_bytes(spark: Any, tmp_path: Path, busy: Business, form: str) -> None:
    """Whatever the files and the order in which the rows lie; rows that share an id among them."""
    first, _ = busy.done("bookings_export", format=form)
    again, _ = busy.done("bookings_export", format=form, batch_size=7)
    whole = pq.read_table(busy.sources / "bookings")
    other = Business(spark, tmp_path / "other", tmp_path / "shuffled")
    order = list(range(whole.num_rows))
    order = order[1::3] + order[2::3][::-1] + order[0::3]
    for part in range(3):
        target = other.sources / "bookings" / f"{part}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(whole.take(pa.array(order[part::3])), target)
    shuffled, _ = other.done("bookings_export", format=form)
    assert first["file"] == again["file"] == shuffled["file"]


def test_the_result_says_what_the_file_is(busy: Business) -> None:
    result, path = busy.done("users_export", format="csv")
    content = path.read_bytes()
    assert result["file"] == {
        "name": "users_export.csv",
        "content_type": "text/csv; charset=utf-8",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def test_csv_is_the_default(business: Business) -> None:
    assert business.done("services_export")[0]["file"]["name"] == "services_export.csv"


def test_moments_without_an_offset_are_utc(business: Business) -> None:
    rows = pa.Table.from_pylist(
        [{"id": 1, "created_at": BOOKED.replace(tzinfo=None)}],
        SCHEMAS["bookings"].remove(14).append(pa.field("created_at", pa.timestamp("us"))),
    )
    pq.write_table(rows, business.sources / "bookings" / "part-00000.parquet")
    _, path = business.done("bookings_export")
    assert path.read_bytes().endswith(b",2024-03-01T09:30:00Z\r\n")


# -- sources that are none -----------------------------------------------------------------


def test_a_source_without_a_column_is_named(business: Business) -> None:
    rows = pa.table({"id": pa.array([1], pa.int32())})
    pq.write_table(rows, business.sources / "payments" / "part-00000.parquet")
    job = business.run("payments_export")
    assert job.state is JobState.FAILED
    assert job.error == "the source payments cannot be read: its column user_id is missing"
    assert business.left() == []


def test_a_column_of_another_type_is_named(business: Business) -> None:
    schema = SCHEMAS["services"]
    place = schema.get_field_index("price")
    rows = pa.Table.from_pylist([{"id": 1, "price": 1.5}], schema.set(place, pa.field("price", pa.float64())))
    pq.write_table(rows, business.sources / "services" / "part-00000.parquet")
    job = business.run("services_export")
    assert job.error == "the source services cannot be read: its column price is double, not decimal(10,2)"


def test_a_source_that_is_not_there_fails_the_job(business: Business) -> None:
    (business.sources / "users" / "part-00000.parquet").unlink()
    job = business.run("users_export")
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert "users" in job.error
    assert business.left() == []


def parquet_rows(path: Path) -> list[tuple[Any, ...]]:
    with duckdb.cursor() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute("SELECT * FROM read_parquet($path)", {"path": str(path)}).fetchall()
