"""The report: an analysis as one HTML page that needs nothing else, in Russian, for a screen and for paper.

Pure: figures in, bytes out, the same for the same figures. Whatever stood in a table is
escaped, and the page forbids itself every script and every request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from html import escape
from typing import Any

from tag_tasks.datasets import charts, words
from tag_tasks.datasets.report_style import STYLE

HTML = "text/html; charset=utf-8"
MONTHS, DAYS = 24, 90
"""How much of the past the charts show; an impossible date would stretch them to nothing."""

LONG = 12
"""Characters from which on a figure is written smaller: thirteen digits have to fit into a card."""

Rows = Sequence[Sequence[str]]


def page(figures: Mapping[str, Any]) -> bytes:
    """The whole page in UTF-8."""
    sections = [
        _headline(figures),
        _over_time(figures),
        _best(figures["bookings"]),
        _payments(figures["payments"]),
        _people(figures),
        _prices(figures["tables"]),
        _quality(figures["tables"]),
    ]
    title = "Отчёт о бронированиях и платежах"
    return (
        '<!DOCTYPE html>\n<html lang="ru"><head><meta charset="utf-8"/>'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>"
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>"
        f"<header><h1>{title}</h1><p>{escape(_period(figures))}</p></header>"
        f"{''.join(sections)}"
        "<footer><p>Выручка — стоимость завершённых бронирований. Доля отмен — отменённые бронирования среди всех. "
        "Суммы в разных валютах не складываются. Все даты и часы — UTC.</p></footer></main></body></html>\n"
    ).encode()


# -- sections ------------------------------------------------------------------------------


def _period(figures: Mapping[str, Any]) -> str:
    chosen = [
        f"{words.TABLES.get(table, table)} ({', '.join(words.condition(*one) for one in filters.items())})"
        for table, filters in figures["filters"].items()
        if filters
    ]
    return ". ".join([_range(figures), *chosen, f"Составлен {figures['as_of'].astimezone(UTC):%d.%m.%Y} (UTC)"]) + "."


def _range(figures: Mapping[str, Any]) -> str:
    """Which moments were asked for. What begins in the future cannot last until today."""
    since, until = (_moment(figures[key]) for key in ("date_from", "date_to"))
    if since is None and until is None:
        return "За всё время"
    begin = "с начала" if since is None else f"с {words.since(since)}"
    if until is not None:
        return f"Период: {begin} по {words.until(until)} (UTC)"
    if since is not None and since > figures["as_of"]:
        return f"Период: {begin} (UTC), ещё не наступил"
    return f"Период: {begin} (UTC) по сегодня"


def _headline(figures: Mapping[str, Any]) -> str:
    drawn = "".join(
        f'<div class="card"><span class="label">{escape(label)}</span>'
        f'<span class="{"figure" if len(figure) < LONG else "figure long"}">{escape(figure)}</span>'
        f'<span class="note">{escape(note)}</span></div>'
        for label, figure, note in _cards(figures)
    )
    return f'<section class="cards">{drawn}</section>'


def _cards(figures: Mapping[str, Any]) -> Sequence[tuple[str, str, str]]:
    """Label, figure and note of each, the currency with the most money first."""
    bookings = figures["bookings"]
    average = bookings["average_price"]
    each = "" if average is None else f", в среднем {words.money(average)} за заказ"
    received = [
        (f"Получено, {one['currency'] or '—'}", words.money(one["amount"]), f"платежей {words.count(one['count'])}")
        for one in sorted(figures["payments"]["received"], key=_most_money)
    ]
    return [
        ("Бронирований", words.count(bookings["bookings"]), f"завершено {words.count(bookings['completed'])}"),
        ("Выручка", words.money(bookings["revenue"]), f"по завершённым бронированиям{each}"),
        *received,
        ("Доля отмен", words.share(bookings["cancellation_rate"]), f"отменено {words.count(bookings['cancelled'])}"),
        *_counted(figures),
    ]


def _counted(figures: Mapping[str, Any]) -> Sequence[tuple[str, str, str]]:
    """Users and services. A range bounds when they came, so that with one it is the new ones that were counted."""
    users, services = (words.count(figures["tables"][name]["rows"]) for name in ("users", "services"))
    active = f"активных {words.count(figures['users']['active'])}"
    if figures["date_from"] or figures["date_to"]:
        return [
            ("Новых пользователей", users, f"за период, {active}"),
            ("Новых услуг", services, "за период"),
        ]
    return [("Пользователей", users, active), ("Услуг", services, "в каталоге")]


def _most_money(row: Mapping[str, Any]) -> tuple[Any, str]:
    return -(row["amount"] or 0), row["currency"] or ""


def _over_time(figures: Mapping[str, Any]) -> str:
    last = figures["as_of"].date()
    names, revenue = _monthly(figures["bookings"]["by_month"], "revenue", last)
    _, cancelled = _monthly(figures["bookings"]["by_month"], "cancellation_rate", last)
    partial = _partial(figures, names)
    days = _recent(figures["bookings"]["by_day"], last)
    booked = [(f"{day:%d.%m}", float(count)) for day, count in days]
    daily = f"Бронирования по дням, {words.days(len(days))}" if days else "Бронирования по дням"
    return (
        _section("Выручка по месяцам", charts.bars("Выручка по месяцам", revenue, words.short, partial))
        + _section(daily, charts.area("Бронирования", booked, words.short))
        + _section("Доля отмен по месяцам", charts.area("Доля отмен по месяцам", cancelled, words.share, partial))
    )


def _best(bookings: Mapping[str, Any]) -> str:
    headers = ("", "Бронирований", "Выручка", "Доля отмен")
    parts = []
    for title, key, name in (
        ("Лучшие услуги", "top_services", "service_title"),
        ("Лучшие исполнители", "top_providers", "provider_email"),
    ):
        rows = [
            (
                str(one[name] or "—"),
                words.count(one["bookings"]),
                words.money(one["revenue"]),
                words.share(one["cancellation_rate"]),
            )
            for one in bookings[key]
        ]
        parts.append(_section(title, _table((title.split()[1].capitalize(), *headers[1:]), rows)))
    states = [(words.status(one["value"]), float(one["count"])) for one in bookings["by_status"][:12]]
    return _section(
        "Бронирования по состоянию", charts.ranking("Бронирования по состоянию", states, words.count)
    ) + "".join(parts)


def _payments(payments: Mapping[str, Any]) -> str:
    rows = [
        (
            words.status(one["status"]),
            str(one["currency"] or "—"),
            words.count(one["count"]),
            words.money(one["amount"]),
        )
        for one in sorted(payments["by_status"], key=lambda one: (one["status"] or "", *_most_money(one)))
    ]
    methods: dict[str, float] = {}
    for one in payments["by_method"]:
        name = words.method(one["payment_method"])
        methods[name] = methods.get(name, 0) + one["count"]
    best = sorted(methods.items(), key=lambda one: (-one[1], one[0]))[:12]
    return _section("Платежи по способу оплаты", charts.ranking("Платежи по способу", best, words.count)) + _section(
        "Платежи по состоянию", _table(("Состояние", "Валюта", "Платежей", "Сумма"), rows)
    )


def _people(figures: Mapping[str, Any]) -> str:
    names, joined = _monthly(figures["users"]["joined_by_month"], "count", figures["as_of"].date())
    drawn = charts.bars("Новые пользователи", joined, words.short, _partial(figures, names))
    return _section("Новые пользователи по месяцам", drawn)


def _prices(tables: Mapping[str, Any]) -> str:
    price = tables["bookings"]["columns"]["total_price"]
    points = [(words.short(one["from"]), float(one["count"])) for one in price["histogram"]]
    return _section("Сколько стоят бронирования", charts.bars("Стоимость бронирования", points, words.short))


def _quality(tables: Mapping[str, Any]) -> str:
    """What is missing or stands out: rows of columns that have something of it."""
    rows = []
    for table, found in tables.items():
        for column, facts in found["columns"].items():
            outliers = facts.get("outliers") or {"below": 0, "above": 0}
            strange = outliers["below"] + outliers["above"]
            if facts["nulls"] or strange:
                empty = words.share(facts["nulls"] / found["rows"])
                rows.append(
                    (
                        f"{words.TABLES[table]}: {words.COLUMNS[column]}",
                        words.count(facts["nulls"]),
                        empty,
                        words.count(strange),
                    )
                )
    return _section("Качество данных", _table(("Столбец", "Пусто", "Доля пустых", "Выбросы"), rows))


# -- pieces --------------------------------------------------------------------------------


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inside}</section>"


def _table(headers: Sequence[str], rows: Rows) -> str:
    if not rows:
        return '<p class="nothing">Нет данных</p>'
    head = "".join(f"<th>{escape(one)}</th>" for one in headers)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _recent(by_day: Sequence[Mapping[str, Any]], last: date) -> list[tuple[date, int]]:
    """The last days that have bookings and those between them, at most DAYS."""
    counts = {one["day"]: one["bookings"] for one in by_day if one["day"] <= last}
    if not counts:
        return []
    end = max(counts)
    begin = max(min(counts), end - timedelta(days=DAYS - 1))
    days = [begin + timedelta(days=one) for one in range((end - begin).days + 1)]
    return [(day, counts.get(day, 0)) for day in days]


def _monthly(
    rows: Sequence[Mapping[str, Any]], figure: str, last: date
) -> tuple[Sequence[str], Sequence[charts.Point]]:
    """The last months that have rows and those between them, at most MONTHS: their names, and a point for each."""
    found = {_ordinal(one["month"]): float(one[figure] or 0) for one in rows if one["month"] is not None}
    known = [one for one in found if one <= _ordinal(f"{last:%Y-%m}")]
    if not known:
        return [], []
    end = max(known)
    months = range(max(min(known), end - MONTHS + 1), end + 1)
    names = [f"{one // 12:04}-{one % 12 + 1:02}" for one in months]
    return names, [(words.month(name), found.get(one, 0.0)) for name, one in zip(names, months, strict=True)]


def _ordinal(month: str) -> int:
    """Months since the year nought."""
    year, _, number = month.rpartition("-")
    return int(year) * 12 + int(number) - 1


def _partial(figures: Mapping[str, Any], months: Sequence[str]) -> Sequence[int]:
    """Which of the months the figures hold only a part of: nobody should take such a one for a fall.

    It is the one that the range, or today, ends in before its last minute, and the one that the range begins in late.
    """
    since, until = (_moment(figures[key]) for key in ("date_from", "date_to"))
    end = min(until or figures["as_of"], figures["as_of"])
    cut = {f"{end:%Y-%m}"} if f"{end + timedelta(minutes=1):%Y-%m}" == f"{end:%Y-%m}" else set()
    if since is not None and since > since.replace(day=1, hour=0, minute=0, second=0, microsecond=0):
        cut.add(f"{since:%Y-%m}")
    return [index for index, month in enumerate(months) if month in cut]


def _moment(text: str | None) -> datetime | None:
    """In UTC, as every date of the report."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
