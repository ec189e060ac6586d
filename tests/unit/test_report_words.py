"""What the report says of given figures: numbers, dates, filters and months, as people write them."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest

from tag_tasks.datasets.report import LANGUAGES, page
from tag_tasks.datasets.tables import TABLES
from tag_tasks.datasets.words import SPACE, Words
from tag_tasks.datasets.words_en import ENGLISH
from tag_tasks.datasets.words_ru import RUSSIAN

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
        "duplicates": dict.fromkeys(TABLES, 0),
        "bookings": bookings | lists,
        "payments": {"received": [], "by_status": [], "by_method": []},
        "users": {"active": 0, "joined_by_month": []},
        "tables": tables | {"bookings": priced},
    }
    for key, value in other.items():
        whole[key] = whole[key] | value if isinstance(value, dict) else value
    return whole


def said(words: Words = RUSSIAN, **other: Any) -> str:
    return page(figures(**other), words).decode().replace(SPACE, " ")


def header(**other: Any) -> str:
    found = re.search(r"<header>.*?<p>(.*?)</p>", said(**other))
    assert found
    return found[1]


def month(name: str, revenue: int = 1) -> dict[str, Any]:
    return {"month": name, "revenue": Decimal(revenue), "cancellation_rate": 0.5}


def months_of(chart: str, text: str) -> list[str]:
    """What the bars of a chart are called, where it is drawn first."""
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
    assert RUSSIAN.short(number).replace(SPACE, " ") == text


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
    assert RUSSIAN.last_days(number) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0.25, "0.25"), (1500, "1.5K"), (999_999, "1M"), (2.5e8, "250M"), (1e9, "1B"), (4e15, "4000T")]
)
def test_a_scale_in_english(number: float, text: str) -> None:
    assert ENGLISH.short(number) == text


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
    assert RUSSIAN.condition(key, value) == text


def test_the_filters_of_a_table_stand_together() -> None:
    told = header(filters={"users": {"is_active": True, "role": "<b>"}, "bookings": {}})
    assert "За всё время. Пользователи (активен: да, роль: &lt;b&gt;). Составлен" in told


def test_the_header_in_english() -> None:
    asked = {"date_from": "2024-01-01T00:00:00+00:00", "date_to": "2024-02-01T10:00:00+00:00"}
    text = said(ENGLISH, **asked, filters={"payments": {"status": "in_progress"}, "users": {"is_active": True}})
    assert '<html lang="en">' in text
    assert (
        "Period: from 01 Jan 2024 to 01 Feb 2024 10:00 (UTC). Payments (status: in progress). "
        "Users (active: yes). Made on 15 Mar 2024 (UTC)."
    ) in text


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


MANY = {
    "received": [{"currency": currency, "amount": Decimal(5), "count": 1} for currency in ("EUR", "RUB")],
    "by_status": [{"status": "failed", "currency": "EUR", "amount": Decimal(1), "count": 1}],
    "by_method": [{"payment_method": "cash", "currency": "EUR", "amount": Decimal(1), "count": 1}],
}


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=LANGUAGES)
@pytest.mark.parametrize("ranged", [None, "2024-01-10T00:00:00+00:00", "2031-01-01T00:00:00+00:00"])
def test_everything_has_words_in_every_language(words: Words, ranged: str | None) -> None:
    """A sentence without a translation would be a KeyError; one in another language, other letters."""
    best = {"bookings": 1, "revenue": Decimal(1), "cancellation_rate": 0.5}
    day = {"day": NOON.date(), "bookings": 1}
    text = said(
        words,
        date_from=ranged,
        bookings={
            "average_price": 5.0,
            "by_month": [month("2024-03")],
            "by_day": [day],
            "by_status": [{"value": "completed", "count": 1}],
            "top_services": [{**best, "service_title": "1"}],
            "top_providers": [{**best, "provider_email": None}],
        },
        payments=MANY,
        users={"joined_by_month": [{"month": "2024-03", "count": 1}]},
        duplicates={"bookings": 3, "users": 0},
        tables={"users": {"rows": 1, "columns": {"email": {"nulls": 1}}}},
    )
    body = re.sub(r"<style>.*?</style>|<[^>]*>|RUB|EUR|UTC", " ", text, flags=re.DOTALL)
    foreign = {"en": "[А-Яа-яё]+", "ru": "[A-Za-z]+"}[words.code]
    assert re.findall(foreign, body) == []


def test_bookings_are_said_to_name_no_currency_and_payments_name_theirs() -> None:
    text = said(ENGLISH, payments=MANY)
    assert '<span class="label">Revenue, no currency given</span>' in text
    assert "Bookings and services name no currency" in text
    assert re.findall("Received, ([^<]*)<", text) == ["EUR", "RUB"]
    assert "10" not in re.findall('<span class="figure">([^<]*)</span>', text)


def test_duplicates_are_left_out_and_said() -> None:
    text = said(
        ENGLISH, duplicates={"bookings": 1200, "users": 1, "services": 0}, tables={"users": {"rows": 8, "columns": {}}}
    )
    assert "as the data cleanup finds them: Bookings — 1,200, Users — 1." in text
    assert '<span class="label">Users</span><span class="figure">7</span>' in text
    assert "duplicates, as the data cleanup" not in said(ENGLISH)


# -- months --------------------------------------------------------------------------------


def test_months_without_anything_are_on_the_axis() -> None:
    rows = [month("2023-11"), month("2024-02")]
    joined = [{"month": None, "count": 3}, {"month": "2023-12", "count": 1}, {"month": "2024-02", "count": 1}]
    text = said(bookings={"by_month": rows}, users={"joined_by_month": joined})
    assert months_of("Выручка по месяцам", text) == ["ноя 23", "дек 23", "янв 24", "фев 24"]
    assert months_of("Новые пользователи по месяцам", text) == ["дек 23", "янв 24", "фев 24"]


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
    assert text.count('class="bar partial"') == text.count('class="ring"') == 2 * len(partial)  # wide and narrow
    assert text.count('class="legend"') == (2 if partial else 0)


def test_days_are_said_to_be_days() -> None:
    days = [{"day": datetime(2024, 3, day, tzinfo=UTC).date(), "bookings": 1} for day in (1, 5)]
    assert "<h2>Бронирования по дням, последние 5 дней</h2>" in said(bookings={"by_day": days})


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=LANGUAGES)
def test_every_column_has_a_name_for_people(words: Words) -> None:
    assert set(words.columns) == {column for table in TABLES.values() for column in table.columns}


# -- letters -------------------------------------------------------------------------------

LETTER = 7.0  # pixels, of text as small as the style sheet's
MANY_MONTHS = [{"month": f"{2022 + one // 12}-{one % 12 + 1:02}", "count": 123_456} for one in range(27)]
PRICES = [{"from": 527.5 + 530 * one, "to": 0, "count": 12_345} for one in range(20)]


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=LANGUAGES)
@pytest.mark.parametrize("canvas", ["wide", "narrow"])
def test_no_label_runs_into_another_or_out_of_its_chart(words: Words, canvas: str) -> None:
    priced = {"bookings": {"rows": 0, "columns": {"total_price": {"nulls": 0, "histogram": PRICES}}}}
    text = said(words, users={"joined_by_month": MANY_MONTHS}, tables=priced)
    charts = re.findall(rf'<svg class="{canvas}".*?</svg>', text)
    assert len(charts) == 2
    for chart in charts:
        labels = [one for one in ElementTree.fromstring(chart).iter("text") if one.get("text-anchor")]  # noqa: S314
        below = [(float(one.get("x", 0)), len(one.text or "")) for one in labels if one.get("text-anchor") == "middle"]
        assert len(below) >= 3
        for (x, letters), (following, others) in itertools.pairwise(below):
            assert following - x > (letters + others) / 2 * LETTER
        for one in labels:
            if one.get("text-anchor") == "end":
                assert float(one.get("x", 0)) >= len(one.text or "") * LETTER


def test_a_phone_is_shown_drawings_made_for_it() -> None:
    """At 360 pixels the page leaves 328: there, a unit of the narrow drawing is a pixel, and so are its letters."""
    text = said()
    narrow = re.search(r"\.narrow \{ display: block; max-width: \d+px; font-size: ([\d.]+)px; \}", text)
    assert narrow
    assert float(narrow[1]) >= 11
    assert "max-width: 759px" in text
    drawn = said(users={"joined_by_month": MANY_MONTHS})
    assert re.findall(r'<svg class="narrow" viewBox="0 0 (\d+) ', drawn) == ["328"]
