"""The report: an analysis as one HTML page that needs nothing else, for a screen, a phone and paper.

Pure: figures in, bytes out, the same for the same figures. Whatever stood in a table is
escaped, and the page forbids itself every script and every request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from html import escape
from typing import Any

from tag_tasks.datasets import report_time
from tag_tasks.datasets.charts import Charts, Point
from tag_tasks.datasets.report_cards import headline, most_money
from tag_tasks.datasets.report_style import STYLE
from tag_tasks.datasets.words import NONE, Words
from tag_tasks.datasets.words_en import ENGLISH
from tag_tasks.datasets.words_ru import RUSSIAN

HTML = "text/html; charset=utf-8"
LANGUAGES: Mapping[str, Words] = {"ru": RUSSIAN, "en": ENGLISH}

FOOTER = (
    "Revenue is the price of completed bookings. Bookings and services name no currency: their prices are added up "
    "as they stand. Payments in different currencies are never added up. The share of cancellations is that of "
    "cancelled bookings among all. Prices and the quality of the data tell of every row, duplicates among them. "
    "All dates and times are UTC."
)

Rows = Sequence[Sequence[str]]


def page(figures: Mapping[str, Any], words: Words) -> bytes:
    """The whole page in UTF-8."""
    report = _Report(figures, words)
    sections = [
        headline(figures, words),
        report.over_time(),
        report.best(),
        report.payments(),
        report.people(),
        report.prices(),
        report.quality(),
    ]
    title = words.say("Bookings and payments")
    return (
        f'<!DOCTYPE html>\n<html lang="{words.code}"><head><meta charset="utf-8"/>'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>"
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>"
        f"<header><h1>{title}</h1><p>{escape(report.period())}</p></header>"
        f"{''.join(sections)}<footer><p>{words.say(FOOTER)}</p></footer></main></body></html>\n"
    ).encode()


class _Report:
    """The sections of one page."""

    def __init__(self, figures: Mapping[str, Any], words: Words) -> None:
        self._figures = figures
        self._words = words
        self._say = words.say
        self._charts = Charts(words)

    # -- what was asked for --------------------------------------------------------------------

    def period(self) -> str:
        words, figures = self._words, self._figures
        chosen = [
            f"{words.tables.get(table, table)} ({', '.join(words.condition(*one) for one in filters.items())})"
            for table, filters in figures["filters"].items()
            if filters
        ]
        made = self._say("Made on {} (UTC)").format(words.full_day(figures["as_of"].astimezone(UTC)))
        return ". ".join([self._range(), *chosen, made]) + "."

    def _range(self) -> str:
        """Which moments were asked for. What begins in the future cannot last until today."""
        since, until = (report_time.moment(self._figures[key]) for key in ("date_from", "date_to"))
        if since is None and until is None:
            return self._say("All time")
        begin = self._say("from the beginning")
        if since is not None:
            begin = self._say("from {}").format(self._words.since(since))
        if until is not None:
            return self._say("Period: {} to {} (UTC)").format(begin, self._words.until(until))
        ahead = since is not None and since > self._figures["as_of"]
        return self._say("Period: {} (UTC), not begun yet" if ahead else "Period: {} (UTC) to today").format(begin)

    # -- charts and tables ---------------------------------------------------------------------

    def over_time(self) -> str:
        words, charts, bookings = self._words, self._charts, self._figures["bookings"]
        last = self._figures["as_of"].date()
        names, revenue = self._monthly(bookings["by_month"], "revenue")
        _, cancelled = self._monthly(bookings["by_month"], "cancellation_rate")
        partial = report_time.partial(self._figures, names)
        days = report_time.recent(bookings["by_day"], last)
        booked = [(words.day(day), float(count)) for day, count in days]
        daily = self._say("Bookings by day")
        dated = self._say("Bookings by day, {}").format(words.last_days(len(days))) if days else daily
        months, rates = self._say("Revenue by month"), self._say("Share of cancellations by month")
        return (
            _section(months, charts.bars(months, revenue, words.short, partial))
            + _section(dated, charts.area(daily, booked, words.short))
            + _section(rates, charts.area(rates, cancelled, words.share, partial))
        )

    def best(self) -> str:
        say, words, bookings = self._say, self._words, self._figures["bookings"]
        states = [(words.status(one["value"]), float(one["count"])) for one in bookings["by_status"][:12]]
        title = say("Bookings by status")
        parts = [_section(title, self._charts.ranking(title, states, words.count))]
        for title, of_what, key, name in (
            ("Best services", "Service", "top_services", "service_title"),
            ("Best providers", "Provider", "top_providers", "provider_email"),
        ):
            rows = [
                (
                    str(one[name] or NONE),
                    words.count(one["bookings"]),
                    words.money(one["revenue"]),
                    words.share(one["cancellation_rate"]),
                )
                for one in bookings[key]
            ]
            headers = [say(one) for one in (of_what, "Orders", "Revenue", "Cancelled")]
            parts.append(_section(say(title), self._table(headers, rows)))
        return "".join(parts)

    def payments(self) -> str:
        say, words, payments = self._say, self._words, self._figures["payments"]
        rows = [
            (
                words.status(one["status"]),
                str(one["currency"] or NONE),
                words.count(one["count"]),
                words.money(one["amount"]),
            )
            for one in sorted(payments["by_status"], key=lambda one: (one["status"] or "", *most_money(one)))
        ]
        methods: dict[str, float] = {}
        for one in payments["by_method"]:
            name = words.method(one["payment_method"])
            methods[name] = methods.get(name, 0) + one["count"]
        best = sorted(methods.items(), key=lambda one: (-one[1], one[0]))[:12]
        title = say("Payments by method")
        headers = [say(one) for one in ("Status", "Currency", "Payments", "Amount")]
        return _section(title, self._charts.ranking(title, best, words.count)) + _section(
            say("Payments by status"), self._table(headers, rows)
        )

    def people(self) -> str:
        names, joined = self._monthly(self._figures["users"]["joined_by_month"], "count")
        title = self._say("New users by month")
        partial = report_time.partial(self._figures, names)
        return _section(title, self._charts.bars(title, joined, self._words.short, partial))

    def prices(self) -> str:
        price = self._figures["tables"]["bookings"]["columns"]["total_price"]
        points = [(self._words.short(one["from"]), float(one["count"])) for one in price["histogram"]]
        title = self._say("Prices of bookings, no currency given")
        return _section(title, self._charts.bars(title, points, self._words.short))

    def quality(self) -> str:
        """What is missing or stands out: rows of columns that have something of it."""
        words, rows = self._words, []
        for table, found in self._figures["tables"].items():
            for column, facts in found["columns"].items():
                strange = sum(one["below"] + one["above"] for one in _outliers(facts))
                if facts["nulls"] or strange:
                    rows.append(
                        (
                            f"{words.tables[table]}: {words.columns[column]}",
                            words.count(facts["nulls"]),
                            words.share(facts["nulls"] / found["rows"]),
                            words.count(strange),
                        )
                    )
        headers = [self._say(one) for one in ("Column", "Empty", "Share", "Outliers")]
        return _section(self._say("Quality of the data"), self._table(headers, rows))

    def _table(self, headers: Sequence[str], rows: Rows) -> str:
        if not rows:
            return f'<p class="nothing">{self._say("No data")}</p>'
        head = "".join(f"<th>{escape(one)}</th>" for one in headers)
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _monthly(self, rows: Sequence[Mapping[str, Any]], figure: str) -> tuple[Sequence[str], Sequence[Point]]:
        """The months that are shown, and a point for each."""
        names, values = report_time.monthly(rows, figure, self._figures["as_of"].date())
        return names, [(self._words.month(name), value) for name, value in zip(names, values, strict=True)]


# -- pieces --------------------------------------------------------------------------------


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inside}</section>"


def _outliers(facts: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Of a column of money: those of all its rows, or of each currency."""
    parts = facts.get("by_currency", [facts])
    return [one["outliers"] for one in parts if one.get("outliers")]
