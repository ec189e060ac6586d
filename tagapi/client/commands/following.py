"""Following a job: bars on a terminal, lines in a pipe, and what an interrupt means."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tagapi.client import values
from tagapi.client.commands.results import show_result
from tagapi.client.commands.screen import Screen, clean
from tagapi.client.commands.session import Session
from tagapi.client.errors import Conflict, Unreachable
from tagapi.client.job import Job

LINE_EVERY = 10.0  # percentage points, in a pipe
CANCEL, LEAVE, ON = "cancel", "leave", "follow"


class Left(Exception):
    """Nobody looks any more."""

    def __init__(self, job: Job, what: str = "the job goes on", how: str = "watch") -> None:
        super().__init__(f"left: {what}. Go on with: tagapi jobs {how} {job.id}")
        self.job_id = job.id


def started(session: Session, job: Job, *, follow: bool) -> None:
    """Say which job it is, and, where that is wanted, what becomes of it."""
    screen = session.screen
    if follow:
        screen.note(f"job {job.id}" + (" (begun before, under this key)" if job.replayed else ""))
        ended(session, job)
    elif screen.json:
        screen.document({"task_id": job.id, "replayed": job.replayed})
    else:
        screen.line(job.id)
        if screen.terminal:
            screen.note(f"follow it with: tagapi jobs watch {job.id}")


def ended(session: Session, job: Job) -> None:
    """Follow it to its end, and show what came of it. Raises JobFailed, JobCancelled or Left."""
    waited(session, job)
    show_result(session.screen, job.status())


def waited(session: Session, job: Job) -> None:
    """The same, without a word of what came of it."""
    while True:
        try:
            with shown(session.screen) as show:
                job.wait(progress=show)
            return
        except KeyboardInterrupt:
            _interrupted(session.screen, job)
        except Unreachable:
            session.screen.note(f"the job may go on: tagapi jobs watch {job.id}")
            raise


def _interrupted(screen: Screen, job: Job) -> None:
    """Raises Left, unless the job is to be looked at further."""
    choice = _asked() if screen.bars and sys.stdin is not None and sys.stdin.isatty() else LEAVE
    if choice == LEAVE:
        raise Left(job) from None
    if choice == CANCEL:
        try:
            stopped = job.cancel().status == values.REVOKED
            screen.note("cancelled" if stopped else "it was asked to stop, and is stopping still")
        except Conflict as refused:
            screen.note(str(refused))


def _asked() -> str:
    try:
        return str(
            click.prompt(
                "\nCancel the job, leave it to itself, or follow it on?",
                type=_Answer([CANCEL, LEAVE, ON]),
                default=LEAVE,
                err=True,
            )
        )
    except click.Abort:
        click.echo(err=True)  # its line has no end yet
        return LEAVE


class _Answer(click.Choice[str]):
    """One of these words, or how it begins."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        meant = [word for word in self.choices if word.startswith(value)]
        return super().convert(meant[0] if len(meant) == 1 else value, param, ctx)


Show = Callable[[values.Progress], None]


@contextmanager
def shown(screen: Screen) -> Iterator[Show]:
    """What to call with each change."""
    if screen.json:
        yield lambda progress: None
    elif screen.bars:
        with _bar() as bar:
            task = bar.add_task("job", total=None)

            def show(progress: values.Progress) -> None:
                total = None if progress.total is None else 100
                bar.update(task, description=_what(progress), total=total, completed=progress.percentage)

            yield show
    else:
        yield _Lines()


def _bar() -> Progress:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _what(progress: values.Progress) -> str:
    return clean(progress.status if progress.phase is None else f"{progress.status} {progress.phase}")


class _Lines:
    """A line for each change that is worth one."""

    def __init__(self) -> None:
        self._said = ("", 0.0)

    def __call__(self, progress: values.Progress) -> None:
        what = _what(progress)
        before, said = self._said
        if before == what and abs(progress.percentage - said) < LINE_EVERY:
            return
        self._said = (what, progress.percentage)
        numbers = "" if progress.total is None else f" {progress.percentage:g}% ({progress.done}/{progress.total})"
        click.echo(f"{what}{numbers}", err=True)
