"""`tagapi schedule`."""

from __future__ import annotations

from itertools import islice

import click

from tagapi.client.commands.session import Group, Session, pass_session
from tagapi.client.values import Schedule

COLUMNS = ("schedule_id", "task", "cron", "timezone", "every_seconds", "paused", "next_run", "runs", "missed")


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def schedule(context: click.Context) -> None:
    """What is begun by the clock. Alone it lists. To make one, give --cron or --every to the command of the work.

    \b
    tagapi tags run 1 2 --cron "0 4 * * *"
    tagapi schedule
    """
    if context.invoked_subcommand is None:
        context.invoke(list_schedules)


@schedule.command("ls")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@pass_session
def list_schedules(session: Session, /, limit: int = 100) -> None:
    """Yours, of every API.

    \b
    tagapi schedule ls --json
    """
    found = [one.told for one in islice(session.client.schedules.list(), limit)]
    session.screen.rows(COLUMNS, ([one[column] for column in COLUMNS] for one in found), found)


def _shown(session: Session, one: Schedule) -> None:
    session.screen.facts(one.told)


@schedule.command()
@click.argument("schedule_id")
@pass_session
def show(session: Session, /, schedule_id: str) -> None:
    """When it runs next, and what it has run.

    \b
    tagapi schedule show SCHEDULE_ID
    """
    _shown(session, session.client.schedules.get(schedule_id))


@schedule.command()
@click.argument("schedule_id")
@pass_session
def pause(session: Session, /, schedule_id: str) -> None:
    """Begin nothing until it is resumed; a run that has begun goes on.

    \b
    tagapi schedule pause SCHEDULE_ID
    """
    _shown(session, session.client.schedules.pause(schedule_id))


@schedule.command()
@click.argument("schedule_id")
@pass_session
def resume(session: Session, /, schedule_id: str) -> None:
    """Go on with the next time that comes.

    \b
    tagapi schedule resume SCHEDULE_ID
    """
    _shown(session, session.client.schedules.resume(schedule_id))


@schedule.command("rm")
@click.argument("schedule_id")
@pass_session
def remove(session: Session, /, schedule_id: str) -> None:
    """Forget it; a run that has begun goes on.

    \b
    tagapi schedule rm SCHEDULE_ID
    """
    session.client.schedules.delete(schedule_id)
    session.screen.facts({"schedule_id": schedule_id, "status": "deleted"})
