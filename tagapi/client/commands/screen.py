"""How answers are shown: tables on a terminal, plain lines in a pipe, JSON for programs.

Text comes from the service, and from whoever gave things their names: nothing in it may move a cursor.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

WIDE = 10_000  # letters: wider than any terminal
COLOURS = {"SUCCESS": "green", "FAILURE": "red", "REVOKED": "yellow", "STARTED": "cyan", "RETRY": "magenta"}


def clean(value: object) -> str:
    """As one line of letters that can be seen."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, bool | list | dict):
        value = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(value))


class Screen:
    """Answers go to standard output; what goes on meanwhile, to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self.json = as_json
        self.terminal = not as_json and sys.stdout is not None and sys.stdout.isatty()

    @property
    def bars(self) -> bool:
        """Whether somebody looks at what goes on meanwhile."""
        return self.terminal and sys.stderr is not None and sys.stderr.isatty()

    def document(self, value: Any) -> None:
        click.echo(json.dumps(value, ensure_ascii=False, default=clean))

    def note(self, text: str) -> None:
        """Beside the answer, for people."""
        if not self.json:
            click.echo(clean(text), err=True)

    def line(self, text: object) -> None:
        click.echo(clean(text))

    def rows(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], told: Iterable[Any] | None = None) -> None:
        """A list; `told` is what each row says to programs, where that is more."""
        if self.json:
            for one in told if told is not None else (dict(zip(columns, row, strict=True)) for row in rows):
                self.document(one)
            return
        shown = list(rows) if self.terminal else rows
        if self.terminal and _fits(table := _table(columns, shown)):
            Console().print(table)
            return
        for row in shown:
            click.echo(("  " if self.terminal else "\t").join(map(clean, row)))

    def facts(self, facts: Mapping[str, Any], told: Any = None) -> None:
        """One thing, by what is known of it."""
        if self.json:
            self.document(facts if told is None else told)
            return
        known = {name: value for name, value in facts.items() if value is not None}
        if not self.terminal:
            for name, value in known.items():
                click.echo(f"{clean(name)}: {clean(value)}")
            return
        table = Table.grid(padding=(0, 2))
        for name, value in known.items():
            table.add_row(Text(clean(name), "dim"), _cell(value))
        Console().print(table)


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(clean(column), no_wrap=number == 0)  # an id in two halves cannot be copied
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


def _fits(table: Table) -> bool:
    """Without a word that is cut off, or a column that is left out."""
    console = Console()
    return Measurement.get(console, console.options.update_width(WIDE), table).minimum <= console.width


def _cell(value: Any) -> Text:
    if isinstance(value, datetime):
        return Text(value.astimezone().strftime("%Y-%m-%d %H:%M:%S"))
    text = clean(value)
    return Text(text, COLOURS.get(text, ""))
