"""`tagapi export` and `tagapi report`: work that leaves a file, which is fetched."""

from __future__ import annotations

import webbrowser
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from tagapi.client.commands.fetching import fetched
from tagapi.client.commands.following import started, waited
from tagapi.client.commands.session import Command, Session, pass_session
from tagapi.client.commands.timing import Function, Moment, by_the_clock, once, pairs, scheduled
from tagapi.client.front import Json

TABLES = ("bookings", "payments", "users", "services")


def _period(function: Function) -> Function:
    to = click.option("--to", "date_to", type=Moment(), help="Until then, by your clock; included.")
    since = click.option("--from", "date_from", type=Moment(), help="From then on, by your clock.")
    detach = click.option("--detach", is_flag=True, help="Begin it, and fetch nothing.")
    told = "A file, or a folder; here without it. What is there under its name is replaced."
    out = click.option("--out", type=click.Path(path_type=Path), default=Path(), help=told)
    return out(detach(since(to(function))))


@click.command(cls=Command)
@click.argument("table", type=click.Choice(TABLES))
@click.option("--format", "kind", type=click.Choice(["csv", "parquet", "xlsx"]), help="csv without it.")
@click.option("--filter", "filters", multiple=True, metavar="NAME=VALUE", help="Such as status=confirmed.")
@_period
@by_the_clock
@once
@pass_session
def export(session: Session, /, table: str, kind: str | None, filters: tuple[str, ...], **more: Any) -> None:
    """Export a table of business data, and fetch the file.

    \b
    tagapi export bookings --format xlsx --out bookings.xlsx
    tagapi export payments --filter status=failed --from 2026-01-01
    tagapi export users --cron "0 4 * * 1"
    """
    wanted = pairs(filters, "--filter") or None
    _run(session, f"{table}_export", {"format": kind, "filters": wanted}, **more)


@click.command(cls=Command)
@click.option("--language", type=click.Choice(["ru", "en"]), help="ru without it.")
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
@_period
@by_the_clock
@once
@pass_session
def report(session: Session, /, language: str | None, show: bool, **more: Any) -> None:
    """Make the report on business data, and fetch it: one page of HTML.

    \b
    tagapi report --language en --open
    """
    path = _run(session, "report_generation", {"language": language}, **more)
    if show and path is not None and not webbrowser.open(path.resolve().as_uri()):
        session.screen.note(f"there is no browser here: open {path} yourself")


def _run(
    session: Session,
    task_type: str,
    asked: dict[str, Any],
    *,
    out: Path,
    detach: bool,
    date_from: datetime | None,
    date_to: datetime | None,
    at: Json | None,
    key: str | None,
) -> Path | None:
    """Where the file is; None where nothing is waited for."""
    asked = {**asked, "date_from": date_from, "date_to": date_to}
    workers = session.client.workers
    if at is not None:
        scheduled(session, workers.schedule(task_type, at, key=key, **asked))
        return None
    if not out.is_dir() and not out.parent.is_dir():
        raise click.UsageError(f"--out: there is no folder {out.parent}")
    job = workers.run(task_type, key=key, **asked)
    if detach:
        started(session, job, follow=False)
        return None
    session.screen.note(f"job {job.id}")
    waited(session, job)
    return fetched(session, job, out)
