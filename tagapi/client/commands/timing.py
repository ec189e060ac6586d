"""Options that several commands have: begin now or by the clock, once or under one's own key, and look on."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar, cast

import click

from tagapi.client.commands.session import Session
from tagapi.client.values import Schedule

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SPAN = re.compile(r"([1-9][0-9]{0,8})([smhd]?)")

Function = TypeVar("Function", bound=Callable[..., Any])


class Span(click.ParamType[int]):
    """A number of seconds, minutes, hours or days: 90, 30m, 6h, 1d."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = SPAN.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no span of time such as 90, 30m, 6h or 1d", param, ctx)
        return int(found[1]) * SECONDS[found[2] or "s"]


class Moment(click.DateTime):
    """A time of one's own clock, with its offset."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return super().convert(value, param, ctx).astimezone()
        except (ValueError, OverflowError):  # in the first days, or the last, that there are
            self.fail(f"{value!r} is no time that clocks tell", param, ctx)


def by_the_clock(function: Function) -> Function:
    """`--cron`, `--timezone`, `--every`, told as one `at`: see `timing`."""

    @functools.wraps(function)
    def timed(*given: Any, cron: str | None, timezone: str | None, every: int | None, **more: Any) -> Any:
        return function(*given, at=timing(cron, timezone, every), **more)

    every = click.option("--every", type=Span(), help="Not now, but again and again: 30m, 6h, 1d.")
    zone = click.option("--timezone", help="Of --cron, such as Europe/Madrid; UTC without it.")
    cron = click.option("--cron", help="Not now, but at these times, such as '0 4 * * *'.")
    return cron(zone(every(cast("Function", timed))))


def look_on(function: Function) -> Function:
    """`--follow`."""
    return click.option("--follow", is_flag=True, help="Look on to the end, and show what came of it.")(function)


def once(function: Function) -> Function:
    """`--key`."""
    told = "An Idempotency-Key: the same key and the same words are one job, however often they are sent."
    return click.option("--key", help=told)(function)


def timing(cron: str | None, timezone: str | None, every: int | None) -> dict[str, Any] | None:
    """As the service reads it; None for now."""
    if cron is not None and every is not None:
        raise click.UsageError("--cron and --every cannot be had together")
    if timezone is not None and cron is None:
        raise click.UsageError("--timezone goes with --cron")
    if cron is not None:
        return {"cron": cron, **({} if timezone is None else {"timezone": timezone})}
    return None if every is None else {"every_seconds": every}


def scheduled(session: Session, schedule: Schedule) -> None:
    """Say which schedule was made."""
    facts = {"schedule": schedule.id, "next run": schedule.next_run, "first job": schedule.job_id}
    session.screen.facts(facts, schedule.told)


def pairs(values: tuple[str, ...], option: str) -> dict[str, Any]:
    """`name=value` as often as wanted; numbers and truth are what they look like."""
    return {name: _value(value) for name, value in texts(values, option).items()}


def texts(values: tuple[str, ...], option: str) -> dict[str, str]:
    """The same, each value as it was typed."""
    found: dict[str, str] = {}
    for one in values:
        name, given, value = one.partition("=")
        if not given or not name:
            raise click.UsageError(f"{option} wants name=value, not {one!r}")
        found[name] = value
    return found


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text
