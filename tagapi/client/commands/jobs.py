"""`tagapi jobs`."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from pathlib import Path

import click

from tagapi.client import values
from tagapi.client.commands.fetching import fetched
from tagapi.client.commands.following import Left, ended, started
from tagapi.client.commands.results import facts_of, show_tags
from tagapi.client.commands.session import Group, Session, pass_session
from tagapi.client.commands.timing import Moment, look_on, once
from tagapi.client.values import Event, JobStatus

STATUSES = ("PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED")
COLUMNS = ("id", "status", "done", "task", "owner", "created")
EVENT_COLUMNS = ("number", "at", "event", "status", "done", "detail")


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def jobs(context: click.Context) -> None:
    """The jobs of all APIs: yours, or, for an admin, everybody's. Alone it lists the newest.

    \b
    tagapi jobs
    tagapi jobs ls --status FAILURE
    """
    if context.invoked_subcommand is None:
        context.invoke(list_jobs)


@jobs.command("ls")
@click.option("--status", type=click.Choice(STATUSES, case_sensitive=False))
@click.option("--task", help="Such as tags.compute.")
@click.option("--active/--over", default=None, help="Those that have not ended, or those that have.")
@click.option("--owner", help="Whose, for admins.")
@click.option("--since", type=Moment(), help="Accepted from then on, by your clock.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@pass_session
def list_jobs(
    session: Session,
    /,
    status: str | None = None,
    task: str | None = None,
    active: bool | None = None,
    owner: str | None = None,
    since: datetime | None = None,
    limit: int = 20,
) -> None:
    """List jobs, the newest first.

    \b
    tagapi jobs ls --active
    tagapi jobs ls --status FAILURE --since 2026-01-31 --json
    """
    found = session.client.jobs.list(status=status, task=task, active=active, owner=owner, since=since)
    newest = list(islice(found, limit))
    session.screen.rows(COLUMNS, map(_row, newest), (job.told for job in newest))


def _row(job: JobStatus) -> tuple[object, ...]:
    return job.id, job.status, f"{job.progress.percentage:g}%", job.task, job.owner, job.created_at


@jobs.command()
@click.argument("job_id")
@pass_session
def show(session: Session, /, job_id: str) -> None:
    """A job as it is: its state, what came of it, what happened to it.

    \b
    tagapi jobs show JOB_ID
    """
    job = session.client.jobs.get(job_id)
    status = job.status()
    if session.json:
        session.screen.document(status.told)
        return
    session.screen.facts(facts_of(status))
    show_tags(session.screen, status)
    session.screen.rows(EVENT_COLUMNS, map(_event_row, job.past()))


def _event_row(event: Event) -> tuple[object, ...]:
    done = f"{event.progress.percentage:g}%"
    return event.number, event.at, event.kind, event.status, done, event.detail or ""


@jobs.command()
@click.argument("job_id")
@pass_session
def watch(session: Session, /, job_id: str) -> None:
    """Look on until a job has ended, across restarts of the service. With --json, a line for each event.

    Ctrl-C asks whether to cancel the job or to leave it; in a pipe it leaves it.

    \b
    tagapi jobs watch JOB_ID
    """
    job = session.client.jobs.get(job_id)
    if not session.json:
        ended(session, job)
        return
    try:
        for event in job.events():
            session.screen.document(event.told)
    except KeyboardInterrupt:
        raise Left(job) from None
    _ = job.result  # raises what became of it


@jobs.command()
@click.argument("job_id")
@pass_session
def cancel(session: Session, /, job_id: str) -> None:
    """Stop a job, and say whether it has stopped.

    \b
    tagapi jobs cancel JOB_ID
    """
    status = session.client.jobs.get(job_id).cancel()
    if session.json:
        session.screen.document(status.told)
    elif status.status == values.REVOKED:
        session.screen.line("cancelled")
    else:
        session.screen.line(f"it is stopping still: tagapi jobs watch {job_id}")


@jobs.command()
@click.argument("job_id")
@click.option("--force", is_flag=True, help="Of one that succeeded, too.")
@look_on
@once
@pass_session
def retry(session: Session, /, job_id: str, force: bool, follow: bool, key: str | None) -> None:
    """Do again what a job did not do, as a new job.

    \b
    tagapi jobs retry JOB_ID --follow
    """
    started(session, session.client.jobs.get(job_id).retry(force=force, key=key), follow=follow)


@jobs.command()
@click.argument("job_id")
@click.option("--out", type=click.Path(path_type=Path), default=Path(), help="A file, or a folder; here without it.")
@pass_session
def download(session: Session, /, job_id: str, out: Path) -> None:
    """Fetch the file that a job left; one that broke off is gone on with.

    \b
    tagapi jobs download JOB_ID --out bookings.xlsx
    """
    fetched(session, session.client.jobs.get(job_id), out)
