"""The analysis against DuckDB on the same files, and the report that is made of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from tag_tasks.datasets import faults
from tag_tasks.datasets.tables import TABLES, Kind
from tag_tasks.spark.session import Spark
from tagapi.jobs import changes
from tagapi.jobs.model import JobState
from tests.spark.business import Business, Hooked

MEASURES = (
    "count(*), count(*) FILTER (status = 'completed'), count(*) FILTER (status = 'cancelled'), "
    "coalesce(sum(total_price) FILTER (status = 'completed'), 0)"
)
SINCE, UNTIL = datetime(2021, 1, 1, tzinfo=UTC), datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.fixture(scope="module")
def figures(spark: Spark, bookings: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The whole sample's analysis. Not to be changed."""
    return read(Business(spark, tmp_path_factory.mktemp("figures"), bookings).done("data_analysis")[1])


@pytest.fixture(scope="module")
def single(spark: Spark, bookings: Path, tmp_path_factory: pytest.TempPathFactory) -> Business:
    """The sample without the duplicates that the cleanup, of which this is the second opinion, took out of it."""
    cleaned = Business(spark, tmp_path_factory.mktemp("cleaned"), bookings)
    cleaned.done("data_cleanup", filters={"dry_run": False})
    target = cleaned.folder / "single"
    for table in TABLES:
        (target / table).mkdir(parents=True)
        removed = DeltaTable(str(cleaned.folder / "cleaned" / f"{table}_removed")).to_pyarrow_table()
        repeated = removed.filter(pc.match_substring(removed["reason"], "duplicate_")).drop_columns("reason")
        with duckdb.connect() as connection:
            connection.register("repeated", repeated)
            source = f"SELECT * FROM read_parquet('{bookings / table}/*.parquet')"
            path = target / table / "part.parquet"
            connection.execute(f"COPY ({source} EXCEPT ALL SELECT * FROM repeated) TO '{path}'")
    return Business(spark, tmp_path_factory.mktemp("single"), target)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def measured(row: dict[str, Any], *keys: str) -> tuple[Any, ...]:
    return (*(row[key] for key in keys), row["bookings"], row["completed"], row["cancelled"], Decimal(row["revenue"]))


# -- figures -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_counted_as_duckdb_counts_it(busy: Business, figures: Any, name: str) -> None:
    found = figures["tables"][name]
    for column, kind in TABLES[name].columns.items():
        rows, known, distinct, low, high = busy.ask(
            f"SELECT count(*), count({column}), count(DISTINCT {column}), min({column}), max({column}) FROM {name}"
        )[0]
        facts = found["columns"][column]
        assert (found["rows"], facts["nulls"], facts["distinct"]) == (rows, rows - known, distinct), column
        if kind in (Kind.INT, Kind.MONEY, Kind.DATE, Kind.TIME):
            assert (as_json(facts["min"]), as_json(facts["max"])) == (as_json(low), as_json(high)), column


def as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value if isinstance(value, int | None) else str(value)


MONEY = [
    ("bookings", "total_price", None),
    ("services", "price", None),
    ("payments", "amount", "RUB"),
    ("payments", "amount", "EUR"),
]


@pytest.mark.parametrize(("table", "column", "currency"), MONEY)
def test_the_distribution_of_money_is_duckdbs(
    busy: Business, figures: Any, table: str, column: str, currency: str | None
) -> None:
    facts, name = figures["tables"][table]["columns"][column], table
    if currency:
        assert not {"sum", "mean", "quantiles", "histogram", "outliers"} & facts.keys()
        facts = next(one for one in facts["by_currency"] if one["currency"] == currency)
        name = f"(SELECT * FROM {table} WHERE currency = '{currency}')"
        assert facts["rows"] == busy.ask(f"SELECT count(*) FROM {name}")[0][0]
    total, mean = busy.ask(f"SELECT sum({column}), avg({column}::DOUBLE) FROM {name}")[0]
    assert Decimal(facts["sum"]) == total
    assert facts["mean"] == pytest.approx(mean)
    for share, value in facts["quantiles"].items():
        assert value == pytest.approx(busy.ask(f"SELECT quantile_cont({column}::DOUBLE, {share}) FROM {name}")[0][0])
    outliers = facts["outliers"]
    for side, sign in (("below", f"< {outliers['low']!r}"), ("above", f"> {outliers['high']!r}")):
        assert outliers[side] == busy.ask(f"SELECT count(*) FROM {name} WHERE {column}::DOUBLE {sign}")[0][0]
    for one in facts["histogram"]:
        inside = f"{column} >= {one['from']:.2f} AND {column} < {one['to']:.2f}"
        assert one["count"] == busy.ask(f"SELECT count(*) FROM {name} WHERE {inside}")[0][0], one


def test_few_values_are_counted_each(busy: Business, figures: Any) -> None:
    for name, column in (("bookings", "status"), ("payments", "currency"), ("users", "is_active")):
        found = [(one["value"], one["count"]) for one in figures["tables"][name]["columns"][column]["values"]]
        assert sorted(found, key=str) == sorted(busy.ask(f"SELECT {column}, count(*) FROM {name} GROUP BY 1"), key=str)
    assert "values" not in figures["tables"]["bookings"]["columns"]["customer_email"]


@pytest.mark.parametrize(("key", "unit", "form"), [("by_day", "day", "%Y-%m-%d"), ("by_month", "month", "%Y-%m")])
def test_the_business_over_time_is_duckdbs(single: Business, figures: Any, key: str, unit: str, form: str) -> None:
    found = [measured(row, unit) for row in figures["bookings"][key]]
    assert found == single.ask(
        f"SELECT strftime(created_at, '{form}') AS at, {MEASURES} FROM bookings GROUP BY 1 ORDER BY 1"
    )
    for row in figures["bookings"][key]:
        assert row["cancellation_rate"] == pytest.approx(row["cancelled"] / row["bookings"], abs=5e-5)


@pytest.mark.parametrize(("key", "id_"), [("top_services", "service_id"), ("top_providers", "provider_id")])
def test_the_best_are_duckdbs(single: Business, figures: Any, key: str, id_: str) -> None:
    found = [measured(row, id_) for row in figures["bookings"][key]]
    assert found == single.ask(
        f"SELECT {id_}, {MEASURES} AS revenue FROM bookings GROUP BY 1 ORDER BY 5 DESC, 1 LIMIT 10"
    )


def test_duplicates_are_counted_and_left_out(busy: Business, single: Business, figures: Any) -> None:
    for name in TABLES:
        everything, left = (world.ask(f"SELECT count(*) FROM {name}")[0][0] for world in (busy, single))
        assert figures["duplicates"][name] == everything - left, name
        assert figures["tables"][name]["rows"] == everything
    assert figures["duplicates"]["bookings"] > 0
    assert figures["duplicates"]["payments"] > 0
    result, _ = busy.done("report_generation")
    assert result["bookings"] == single.ask("SELECT count(*) FROM bookings")[0][0]
    revenue = "SELECT sum(total_price) FROM bookings WHERE status = 'completed'"
    assert Decimal(result["revenue"]) == single.ask(revenue)[0][0]


def test_too_many_duplicates_to_be_held_give_the_same_figures(
    busy: Business, figures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "MOST_HELD", 0)
    assert read(busy.done("data_analysis")[1]) == figures


def test_payments_of_many_currencies_are_told_for_the_most_frequent(business: Business) -> None:
    rows = [{"id": number, "currency": f"X{number // 2:02}"} for number in range(2, 26)]
    business.write("payments", *rows, {"id": 90, "currency": None}, {"id": 91, "currency": None}, {"id": 92})
    facts = read(business.done("data_analysis")[1])["tables"]["payments"]["columns"]["amount"]["by_currency"]
    assert len(facts) == 10
    assert {one["rows"] for one in facts} == {2}
    assert [one["currency"] for one in facts].count(None) == 1
    assert all(one["sum"] == "200.00" for one in facts)


def test_payments_are_added_within_their_currency(single: Business, figures: Any) -> None:
    def shaped(rows: list[dict[str, Any]], *keys: str) -> list[tuple[Any, ...]]:
        return [(*(row[key] for key in keys), row["count"], Decimal(row["amount"])) for row in rows]

    query = "SELECT {0}, count(*), sum(amount) FROM payments {1} GROUP BY ALL ORDER BY ALL"
    paid = "WHERE status = 'completed'"
    found = figures["payments"]
    month = "strftime(created_at, '%Y-%m') AS at"
    assert shaped(found["received"], "currency") == single.ask(query.format("currency", paid))
    assert shaped(found["received_by_month"], "month", "currency") == single.ask(
        query.format(f"{month}, currency", paid)
    )
    assert shaped(found["by_status"], "status", "currency") == single.ask(query.format("status, currency", ""))
    assert shaped(found["by_method"], "payment_method", "currency") == single.ask(
        query.format("payment_method, currency", "")
    )


def test_a_range_and_each_tables_own_filters_apply(busy: Business) -> None:
    filters = {"bookings": {"status": "completed"}, "users": {"is_active": False}, "services": {"min_price": 2000}}
    result, path = busy.done("data_analysis", filters=filters, date_from=SINCE.isoformat(), date_to=UNTIL.isoformat())
    found = read(path)
    counts = {
        "bookings": "status = 'completed' AND created_at BETWEEN $since AND $until",
        "payments": "created_at BETWEEN $since AND $until",
        "users": "NOT is_active AND date_joined BETWEEN $since AND $until",
        "services": "price >= 2000 AND created_at BETWEEN $since AND $until",
    }
    for name, condition in counts.items():
        count = busy.ask(f"SELECT count(*) FROM {name} WHERE {condition}", since=SINCE, until=UNTIL)[0][0]
        assert found["tables"][name]["rows"] == count > 0
    assert result["total_records"] == sum(one["rows"] for one in found["tables"].values())
    assert result["bookings"] == found["tables"]["bookings"]["rows"] - found["duplicates"]["bookings"]
    assert found["filters"] == filters


@pytest.mark.parametrize("work", ["data_analysis", "report_generation"])
def test_nothing_to_analyse_is_no_error(busy: Business, work: str) -> None:
    result, path = busy.done(work, date_from="2050-01-01T00:00:00+00:00")
    assert (result["total_records"], result["bookings"], result["revenue"]) == (0, 0, "0.00")
    assert result["cancellation_rate"] is None
    assert path.stat().st_size == result["file"]["size"]


@pytest.mark.parametrize("work", ["data_analysis", "report_generation"])
def test_a_cancelled_analysis_leaves_nothing(busy: Business, work: str) -> None:
    task: Any = busy.tasks[f"workers.{work}"]
    Hooked(task, "rendered", lambda: busy.clock.update(job_id, changes.request_cancel))
    job_id = busy.submit(work)
    assert busy.finish(job_id).state is JobState.CANCELLED
    assert busy.left() == []


# -- the report ----------------------------------------------------------------------------

VOID = {"meta"}
ATTRIBUTES_THAT_LOAD = {"src", "href", "xlink:href", "action", "data", "poster", "srcset", "background"}


class Strict(HTMLParser):
    """Every element is closed, in its order; nothing is loaded and nothing runs."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attributes}
        assert not names & ATTRIBUTES_THAT_LOAD, (tag, names)
        assert not any(name.startswith("on") for name in names)
        assert tag not in {"script", "link", "iframe", "object", "embed", "img", "base", "form"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(path: Path) -> Strict:
    page = Strict()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    return page


def test_the_report_is_whole_and_needs_nothing_else(busy: Business) -> None:
    result, path = busy.done("report_generation")
    assert result["file"]["content_type"] == "text/html; charset=utf-8"
    page = path.read_text(encoding="utf-8")
    parsed(path)
    assert re.findall(r"https?:|//[a-z]|url\(|@import", page) == []
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) >= 6
    for chart in charts:
        ElementTree.fromstring(chart)
    assert "NaN" not in page
    assert "None" not in page


def test_the_report_says_the_figures_of_the_analysis(busy: Business, figures: Any) -> None:
    _, path = busy.done("report_generation")
    text = "".join(parsed(path).text).replace("\u202f", "")
    bookings = figures["bookings"]
    assert str(bookings["bookings"]) in text
    assert str(round(Decimal(bookings["revenue"]))) in text
    for row in (*bookings["top_services"], *figures["payments"]["received"]):
        assert str(row.get("service_title", row.get("currency"))) in text


def test_a_report_is_in_the_language_asked_for(busy: Business) -> None:
    _, english = busy.done("report_generation", language="en")
    _, russian = busy.done("report_generation", language="ru")
    _, default = busy.done("report_generation")
    assert "Revenue by month" in "".join(parsed(english).text)
    assert "Выручка по месяцам" in "".join(parsed(russian).text)
    assert default.read_bytes() == russian.read_bytes()


def test_what_stood_in_a_table_stays_text_in_the_report(business: Business) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=y> \" ' & </title>"
    business.write(
        "bookings",
        {"service_title": evil, "provider_email": evil, "status": evil},
        {"service_title": evil, "provider_email": evil},
    )
    business.write("payments", {"currency": evil, "status": evil, "payment_method": evil}, {"currency": evil})
    _, path = business.done("report_generation", filters={"users": {"role": evil}})
    assert evil in "".join(parsed(path).text)


def test_nothing_at_all_is_still_a_page(busy: Business) -> None:
    _, path = busy.done("report_generation", date_from="2050-01-01T00:00:00+00:00")
    text = "".join(parsed(path).text)
    assert "Нет данных" in text
    assert "ещё не наступил" in text
    assert "Новых пользователей" in text


def test_the_same_figures_are_the_same_page(busy: Business) -> None:
    first, again = (busy.done("report_generation")[0] for _ in range(2))
    assert first == again
