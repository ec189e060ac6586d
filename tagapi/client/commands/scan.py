"""`tagapi scan`, and what scans found."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import click

from tagapi.client.commands.following import started
from tagapi.client.commands.session import Command, Session, pass_session
from tagapi.client.commands.timing import by_the_clock, look_on, once, pairs, scheduled, texts
from tagapi.client.front import Json

KINDS = ("domains", "addresses", "sites", "certificates", "findings", "leaks", "wih")
DOMAINS, ADDRESSES = "domain_task", "ip_task"
NOT_DATA = frozenset({"self", "task_type", "target", "options", "key", "timing", "schedule"})
"""What the words around the data of a task are called."""


@click.command(cls=Command)
@click.argument("targets", nargs=-1)
@click.option("--type", "task_type", help="Of the task; by default, domain_task or ip_task, by what the targets are.")
@click.option(
    "--option", "options", multiple=True, metavar="NAME", help="Such as site_identify, or port_scan_type=test."
)
@click.option("--data", multiple=True, metavar="NAME=VALUE", help="Further data of the task: scope_id, keyword, …")
@click.option("--name", help="What to call it.")
@look_on
@by_the_clock
@once
@pass_session
def scan(
    session: Session,
    /,
    targets: tuple[str, ...],
    task_type: str | None,
    options: tuple[str, ...],
    data: tuple[str, ...],
    name: str | None,
    follow: bool,
    at: Json | None,
    key: str | None,
) -> None:
    """Look at your own assets, inside the authorised scope.

    \b
    tagapi scan corp.example --option domain_brute --option site_identify --follow
    tagapi scan 198.51.100.0/24 --option port_scan --option port_scan_type=test
    tagapi scan --type domain_exec_task --data scope_id=corp --cron "0 3 * * *"
    """
    if not targets and task_type is None:
        raise click.UsageError("name targets, or a --type")
    named = pairs(tuple(one if "=" in one else f"{one}=true" for one in options), "--option")
    chosen = {
        name: value if isinstance(value, bool) else str(value) for name, value in named.items()
    }  # one port is text
    more: dict[str, Any] = {"target": " ".join(targets) or None, "options": chosen or None, "name": name, "key": key}
    further = texts(data, "--data")
    if own := further.keys() & NOT_DATA:
        raise click.UsageError(f"--data: {', '.join(sorted(own))} is said otherwise, by an option or not at all")
    more |= further
    kind = task_type or (ADDRESSES if all(map(_is_address, targets)) else DOMAINS)
    if at is not None:
        scheduled(session, session.client.scans.schedule(kind, at, **more))
    else:
        started(session, session.client.scans.run(kind, **more), follow=follow)


def _is_address(text: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_network(text, strict=False)
        return True
    return False


@click.command(cls=Command)
@click.argument("job_id")
@click.option("--kind", type=click.Choice(KINDS))
@click.option("--limit", type=click.IntRange(1))
@pass_session
def found(session: Session, /, job_id: str, kind: str | None, limit: int | None) -> None:
    """What a scan has found.

    \b
    tagapi found JOB_ID --kind sites
    """
    _show(session, islice(session.client.scans.found(job_id, kind), limit))


@click.command(cls=Command)
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--scope", help="Of which scope; leaks are your own.")
@click.option("--limit", type=click.IntRange(1))
@pass_session
def assets(session: Session, /, kind: str, scope: str | None, limit: int | None) -> None:
    """What is known of a scope.

    \b
    tagapi assets sites --scope corp
    """
    _show(session, islice(session.client.scans.assets(kind, scope), limit))


def _show(session: Session, items: Iterator[Json]) -> None:
    """As a table of what the items have, which differs by their kind."""
    if session.json:
        session.screen.rows((), (), items)
        return
    shown = list(items)
    columns = list(dict.fromkeys(name for one in shown for name in _plain(one)))
    session.screen.rows(columns, ([one.get(name) for name in columns] for one in shown))


def _plain(item: Json) -> Iterable[str]:
    return (name for name, value in item.items() if not isinstance(value, list | dict))
