"""`tagapi tags`."""

from __future__ import annotations

import io
from itertools import islice
from typing import Any

import click

from tagapi.client.commands.following import started
from tagapi.client.commands.session import Group, Session, pass_session
from tagapi.client.commands.timing import by_the_clock, look_on, once, scheduled
from tagapi.client.front import Json


@click.group(cls=Group)
def tags() -> None:
    """Compute tags, and see who carries them and why.

    \b
    tagapi tags ls
    tagapi tags run 1 2 3 --follow
    """


@tags.command()
@click.argument("tag_ids", type=int, nargs=-1, required=True)
@click.option("--user", "users", multiple=True, metavar="ID", help="Only this user; as often as wanted.")
@click.option(
    "--users-file", type=click.File("r", encoding="utf-8-sig"), help="Only the users of its lines; - reads on."
)
@click.option("--mode", type=click.Choice(["full", "incremental"]), help="Everyone, or who has changed.")
@click.option("--dry-run", is_flag=True, help="Count who would be added and removed, and write nothing.")
@click.option("--diff", is_flag=True, help="Count who is added and removed.")
@look_on
@by_the_clock
@once
@pass_session
def run(
    session: Session,
    /,
    tag_ids: tuple[int, ...],
    users: tuple[str, ...],
    users_file: io.TextIOWrapper | None,
    mode: str | None,
    dry_run: bool,
    diff: bool,
    follow: bool,
    at: Json | None,
    key: str | None,
) -> None:
    """Compute tags.

    \b
    tagapi tags run 1 2 3 --follow
    tagapi tags run 1 --user user_000001 --dry-run --follow
    tagapi tags run 1 2 --cron "0 4 * * *" --timezone Europe/Madrid
    """
    user_ids = [*users, *_lines(users_file)] if users or users_file else None
    asked: dict[str, Any] = {"user_ids": user_ids, "mode": mode, "dry_run": dry_run or None, "diff": diff or None}
    if at is not None:
        scheduled(session, session.client.tags.schedule(tag_ids, at, key=key, **asked))
    else:
        started(session, session.client.tags.run(tag_ids, key=key, **asked), follow=follow)


def _lines(file: io.TextIOWrapper | None) -> list[str]:
    """Those that name somebody."""
    try:
        return [] if file is None else [name for line in file if (name := line.rstrip("\r\n"))]
    except UnicodeDecodeError as wrong:
        raise click.UsageError(f"--users-file: {wrong}") from None


@tags.command("ls")
@pass_session
def list_tags(session: Session, /) -> None:
    """Which tags there are.

    \b
    tagapi tags ls
    """
    found = session.client.tags.available()
    columns = ("tag_id", "task_class", "description")
    session.screen.rows(columns, ([tag[column] for column in columns] for tag in found), found)


@tags.command()
@click.argument("tag_id", type=int)
@pass_session
def show(session: Session, /, tag_id: int) -> None:
    """A tag's rule, its source, its members, its last run.

    \b
    tagapi tags show 1
    """
    session.screen.facts(session.client.tags.get(tag_id))


@tags.command()
@click.argument("tag_id", type=int)
@click.option("--limit", type=click.IntRange(1), help="So many at most.")
@pass_session
def members(session: Session, /, tag_id: int, limit: int | None) -> None:
    """Who carries a tag, a line for each.

    \b
    tagapi tags members 1 --limit 10
    """
    for user_id in islice(session.client.tags.members(tag_id), limit):
        if session.json:
            session.screen.document(user_id)
        else:
            session.screen.line(user_id)


@tags.command()
@click.argument("user_id")
@pass_session
def why(session: Session, /, user_id: str) -> None:
    """Which tags a user carries, and why.

    \b
    tagapi tags why user_000001
    """
    found = session.client.tags.explain(user_id)
    columns = ("tag_id", "member", "matches_now", "observed", "threshold", "reason")
    session.screen.rows(columns, ([tag.get(column) for column in columns] for tag in found), found)
