"""The report: an analysis as one HTML page that needs nothing else, in Russian, for a screen and for paper.

Pure: figures in, bytes out, the same for the same figures. Whatever stood in a table is
escaped, and the page forbids itself every script and every request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from html import escape
from typing import Any

from tag_tasks.datasets import charts, words
from tag_tasks.datasets.report_style import STYLE

HTML = "text/html; charset=utf-8"
MONTHS, DAYS = 24, 90
"""How much of the past the charts show; an impossible date would stretch them to nothing."""

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
    since, until = (_day(figures[key]) for key in ("date_from", "date_to"))
    if since or until:
        period = f"Период: {f'с {since}' if since else 'с начала'} {f'по {until}' if until else 'по сегодня'}"
    else:
        period = "За всё время"
    chosen = [
        f"{words.TABLES.get(table, table).lower()}: {', '.join(f'{key} = {value}' for key, value in filters.items())}"
        for table, filters in figures["filters"].items()
        if filters
    ]
    return ". ".join([period, *chosen, f"Составлен {_day(figures['as_of'].isoformat())}"]) + "."


def _headline(figures: Mapping[str, Any]) -> str:
    bookings, users = figures["bookings"], figures["users"]
    cards = [
        ("Бронирований", words.count(bookings["bookings"]), f"завершено {words.count(bookings['completed'])}"),
        ("Выручка", words.money(bookings["revenue"]), f"в среднем {words.money(bookings['average_price'])} за заказ"),
        ("Доля отмен", words.share(bookings["cancellation_rate"]), f"отменено {words.count(bookings['cancelled'])}"),
        ("Пользователей", words.count(figures["tables"]["users"]["rows"]), f"активных {words.count(users['active'])}"),
        ("Услуг", words.count(figures["tables"]["services"]["rows"]), "в каталоге"),
    ]
    cards[2:2] = [
        (f"Получено, {one['currency'] or '—'}", words.money(one["amount"]), f"платежей {words.count(one['count'])}")
        for one in figures["payments"]["received"]
    ]
    drawn = "".join(
        f'<div class="card"><span class="label">{escape(label)}</span><span class="figure">{escape(figure)}</span>'
        f'<span class="note">{escape(note)}</span></div>'
        for label, figure, note in cards
    )
    return f'<section class="cards">{drawn}</section>'


def _over_time(figures: Mapping[str, Any]) -> str:
    last = figures["as_of"].date()
    months = [one for one in figures["bookings"]["by_month"] if one["month"] <= f"{last:%Y-%m}"][-MONTHS:]
    days = _recent(figures["bookings"]["by_day"], last)
    labels = [words.month(one["month"]) for one in months]
    revenue = [(label, float(one["revenue"])) for label, one in zip(labels, months, strict=True)]
    cancelled = [(label, one["cancellation_rate"] or 0.0) for label, one in zip(labels, months, strict=True)]
    booked = [(f"{day:%d.%m}", float(count)) for day, count in days]
    return (
        _section("Выручка по месяцам", charts.bars("Выручка по месяцам", revenue, words.short))
        + _section(f"Бронирования по дням, последние {len(days)}", charts.area("Бронирования", booked, words.short))
        + _section("Доля отмен по месяцам", charts.area("Доля отмен по месяцам", cancelled, words.share))
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
        for one in payments["by_status"]
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
    last = f"{figures['as_of'].date():%Y-%m}"
    joined = [one for one in figures["users"]["joined_by_month"] if one["month"] is not None and one["month"] <= last]
    points = [(words.month(one["month"]), float(one["count"])) for one in joined[-MONTHS:]]
    return _section("Новые пользователи по месяцам", charts.bars("Новые пользователи", points, words.short))


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
                    (f"{words.TABLES[table]}: {column}", words.count(facts["nulls"]), empty, words.count(strange))
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


def _day(text: str | None) -> str | None:
    return None if text is None else f"{datetime.fromisoformat(text):%d.%m.%Y}"
