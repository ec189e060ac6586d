"""The report's headline figures, a card for each, and what is not in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tag_tasks.datasets.words import NONE, Words

LONG = 12
"""Characters from which on a figure is written smaller: thirteen digits have to fit into a card."""

Figures = Mapping[str, Any]
Card = tuple[str, str, str]
"""Label, figure and note."""


def headline(figures: Figures, words: Words) -> str:
    drawn = "".join(
        f'<div class="card"><span class="label">{escape(label)}</span>'
        f'<span class="{"figure" if len(figure) < LONG else "figure long"}">{escape(figure)}</span>'
        f'<span class="note">{escape(note)}</span></div>'
        for label, figure, note in _cards(figures, words)
    )
    return f'<section><div class="cards">{drawn}</div>{_duplicates(figures, words)}</section>'


def _cards(figures: Figures, words: Words) -> Sequence[Card]:
    """The currency with the most money first."""
    say, bookings = words.say, figures["bookings"]
    revenue = [say("of completed bookings")]
    if bookings["average_price"] is not None:
        revenue.append(say("{} on average").format(words.money(bookings["average_price"])))
    received = [
        (
            say("Received, {}").format(one["currency"] or NONE),
            words.money(one["amount"]),
            say("{} payments").format(words.count(one["count"])),
        )
        for one in sorted(figures["payments"]["received"], key=most_money)
    ]
    completed, cancelled = (words.count(bookings[key]) for key in ("completed", "cancelled"))
    return [
        (say("Bookings"), words.count(bookings["bookings"]), say("{} completed").format(completed)),
        (say("Revenue, no currency given"), words.money(bookings["revenue"]), ", ".join(revenue)),
        *received,
        (
            say("Cancellation rate"),
            words.share(bookings["cancellation_rate"]),
            say("{} cancelled").format(cancelled),
        ),
        *_counted(figures, words),
    ]


def _counted(figures: Figures, words: Words) -> Sequence[Card]:
    """Users and services. A range bounds when they came, so that with one it is the new ones that were counted."""
    say = words.say
    users, services = (
        words.count(figures["tables"][name]["rows"] - figures["duplicates"].get(name, 0))
        for name in ("users", "services")
    )
    active = words.count(figures["users"]["active"])
    if figures["date_from"] or figures["date_to"]:
        return [
            (say("New users"), users, say("in the period, {} active").format(active)),
            (say("New services"), services, say("in the period")),
        ]
    return [
        (say("Users"), users, say("{} active").format(active)),
        (say("Services"), services, say("in the catalogue")),
    ]


def _duplicates(figures: Figures, words: Words) -> str:
    """What is not in these figures."""
    found = [f"{words.tables[name]} — {words.count(count)}" for name, count in figures["duplicates"].items() if count]
    text = words.say("Left out as duplicates, as the data cleanup finds them: {}.").format(", ".join(found))
    return f'<p class="legend">{escape(text)}</p>' if found else ""


def most_money(row: Mapping[str, Any]) -> tuple[Any, str]:
    """Orders rows by their amount, the highest first, and then by currency."""
    return -(row["amount"] or 0), row["currency"] or ""
