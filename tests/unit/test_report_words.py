"""What the report says of given figures: numbers, dates, filters and months, as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest

from tag_tasks.datasets import words
from tag_tasks.datasets.report import page
from tag_tasks.datasets.tables import TABLES

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)


def figures(**other: Any) -> dict[str, Any]:
    """An analysis of nothing, but for what is said."""
    bookings = {
        "bookings": 0,
        "completed": 0,
        "cancelled": 0,
        "revenue": Decimal("0.00"),
        "average_price": None,
        "cancellation_rate": None,
    }
    lists = {key: [] for key in ("by_status", "by_day", "by_month", "top_services", "top_providers")}
    tables = {name: {"rows": 0, "columns": {}} for name in ("payments", "users", "services")}
    priced = {"rows": 0, "columns": {"total_price": {"nulls": 0, "histogram": [], "outliers": None}}}
    whole: dict[str, Any] = {
        "as_of": NOON,
        "date_from": None,
        "date_to": None,
        "filters": {},
        "bookings": bookings | lists,
        "payments": {"received": [], "by_status": [], "by_method": []},
        "users": {"active": 0, "joined_by_month": []},
        "tables": tables | {"bookings": priced},
    }
    for key, value in other.items():
        whole[key] = whole[key] | value if isinstance(value, dict) else value
    return whole


def said(**other: Any) -> str:
    return page(figures(**other)).decode().replace(words.SPACE, " ")


def header(**other: Any) -> str:
    found = re.search(r"<header>.*?<p>(.*?)</p>", said(**other))
    assert found
    return found[1]


def month(name: str, revenue: int = 1) -> dict[str, Any]:
    return {"month": name, "revenue": Decimal(revenue), "cancellation_rate": 0.5}


def months_of(chart: str, text: str) -> list[str]:
    """What a chart's bars are called."""
    found = re.search(rf'<svg[^>]*aria-label="{chart}".*?</svg>', text)
    assert found
    titles = [one.findtext("title") or "" for one in ElementTree.fromstring(found[0]).iter("rect")]  # noqa: S314
    return [one.partition(":")[0] for one in titles]


# -- numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (0.25, "0,25"),
        (0.00001, "0,00001"),
        (7, "7"),
        (100, "100"),
        (999.4, "999"),
        (999.6, "1 тыс."),
        (1500, "1,5 тыс."),
        (20_000, "20 тыс."),
        (999_499, "999 тыс."),
        (999_999, "1 млн"),
        (-999_999, "-1 млн"),
        (2.5e8, "250 млн"),
        (999.9e6, "1 млрд"),
        (1e12, "1 трлн"),
        (4e15, "4000 трлн"),
    ],
)
def test_a_scale_has_no_exponents(number: float, text: str) -> None:
    assert words.short(number).replace(words.SPACE, " ") == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "последний 1 день"),
        (2, "последние 2 дня"),
        (11, "последние 11 дней"),
        (12, "последние 12 дней"),
        (21, "последний 21 день"),
        (90, "последние 90 дней"),
    ],
)
def test_days_bend_with_their_number(number: int, text: str) -> None:
    assert words.days(number) == text


# -- the header ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "until", "text"),
    [
        (None, None, "За всё время"),
        ("2021-01-01T00:00:00+00:00", "2023-12-31T23:59:59+00:00", "Период: с 01.01.2021 по 31.12.2023 (UTC)"),
        ("2021-01-01T00:00:00+03:00", None, "Период: с 31.12.2020 21:00 (UTC) по сегодня"),
        (None, "2024-01-01T00:00:00+00:00", "Период: с начала по 01.01.2024 00:00 (UTC)"),
        (None, "2024-01-01T10:20:30+00:00", "Период: с начала по 01.01.2024 10:20:30 (UTC)"),
        ("2031-11-01T00:00:00+00:00", None, "Период: с 01.11.2031 (UTC), ещё не наступил"),
    ],
)
def test_the_range_is_told_as_it_was_asked_for(since: str | None, until: str | None, text: str) -> None:
    assert header(date_from=since, date_to=until) == f"{text}. Составлен 15.03.2024 (UTC)."


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("is_active", True, "активен: да"),
        ("is_active", False, "активен: нет"),
        ("status", "completed", "состояние: завершено"),
        ("status", "{0.__class__}", "состояние: {0.__class__}"),
        ("role", "provider", "роль: исполнитель"),
        ("provider_id", 11, "исполнитель № 11"),
        ("min_price", 2000.0, "цена от 2000"),
        ("max_price", 5000.5, "цена до 5000,5"),
        ("unheard_of", 1, "unheard_of: 1"),
    ],
)
def test_a_filter_is_told_in_words(key: str, value: Any, text: str) -> None:
    assert words.condition(key, value) == text


def test_the_filters_of_a_table_stand_together() -> None:
    told = header(filters={"users": {"is_active": True, "role": "<b>"}, "bookings": {}})
    assert "За всё время. Пользователи (активен: да, роль: &lt;b&gt;). Составлен" in told


# -- cards ---------------------------------------------------------------------------------


def test_with_a_range_users_and_services_are_new_ones() -> None:
    whole, ranged = said(), said(date_from="2024-01-01T00:00:00+00:00")
    assert ">Пользователей<" in whole
    assert ">в каталоге<" in whole
    assert ">Новых пользователей<" in ranged
    assert ">Новых услуг<" in ranged
    assert ">в каталоге<" not in ranged


def test_an_empty_report_has_no_averages_and_no_days() -> None:
    text = said()
    assert ">по завершённым бронированиям<" in text
    assert "в среднем" not in text
    assert "<h2>Бронирования по дням</h2>" in text
    assert "(неполный)" not in text


def test_the_currency_with_the_most_money_comes_first_and_long_figures_are_smaller() -> None:
    received = [
        {"currency": currency, "amount": Decimal(amount), "count": 1}
        for currency, amount in (("EUR", 5), ("RUB", 9_318_124_454))
    ] + [{"currency": None, "amount": None, "count": 1}]
    text = said(payments={"received": received})
    assert re.findall("Получено, ([^<]*)<", text) == ["RUB", "EUR", "—"]
    assert '<span class="figure long">9 318 124 454</span>' in text
    assert '<span class="figure">5</span>' in text


# -- months --------------------------------------------------------------------------------


def test_months_without_anything_are_on_the_axis() -> None:
    rows = [month("2023-11"), month("2024-02")]
    joined = [{"month": None, "count": 3}, {"month": "2023-12", "count": 1}, {"month": "2024-02", "count": 1}]
    text = said(bookings={"by_month": rows}, users={"joined_by_month": joined})
    assert months_of("Выручка по месяцам", text) == ["ноя 23", "дек 23", "янв 24", "фев 24"]
    assert months_of("Новые пользователи", text) == ["дек 23", "янв 24", "фев 24"]


def test_an_impossible_month_does_not_stretch_the_axis() -> None:
    text = said(bookings={"by_month": [month("1964-05"), month("2024-03"), month("2199-01")]})
    found = months_of("Выручка по месяцам", text)
    assert (len(found), found[0], found[-1]) == (24, "апр 22", "мар 24 (неполный)")


@pytest.mark.parametrize(
    ("since", "until", "partial"),
    [
        (None, None, ["мар 24"]),
        (None, "2030-01-01T00:00:00+00:00", ["мар 24"]),
        (None, "2024-02-29T23:59:59+00:00", []),
        (None, "2024-02-29T20:00:00+00:00", ["фев 24"]),
        ("2024-01-01T00:00:00+00:00", "2024-02-29T23:59:59+00:00", []),
        ("2024-01-10T00:00:00+00:00", None, ["янв 24", "мар 24"]),
    ],
)
def test_a_month_that_is_only_partly_there_is_marked(since: str | None, until: str | None, partial: list[str]) -> None:
    rows = [month("2024-01"), month("2024-02"), month("2024-03")]
    text = said(bookings={"by_month": rows}, date_from=since, date_to=until)
    marked = [one.removesuffix(" (неполный)") for one in months_of("Выручка по месяцам", text) if "(неполный)" in one]
    assert marked == partial
    assert text.count('class="bar partial"') == text.count('class="ring"') == len(partial)
    assert text.count('class="legend"') == (2 if partial else 0)


def test_days_are_said_to_be_days() -> None:
    days = [{"day": datetime(2024, 3, day, tzinfo=UTC).date(), "bookings": 1} for day in (1, 5)]
    assert "<h2>Бронирования по дням, последние 5 дней</h2>" in said(bookings={"by_day": days})


def test_every_column_has_a_name_for_people() -> None:
    assert set(words.COLUMNS) == {column for table in TABLES.values() for column in table.columns}
