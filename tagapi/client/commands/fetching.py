"""Downloads on the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from tagapi.client.commands.following import Left
from tagapi.client.commands.screen import Screen
from tagapi.client.commands.session import Session
from tagapi.client.job import Job


def fetched(session: Session, job: Job, out: Path) -> Path:
    """Fetch what a job left, and say where it is."""
    try:
        with _shown(session.screen) as show:
            path = job.download(out, show)
    except KeyboardInterrupt:
        raise Left(job, ("download",), "what has come of the file is kept") from None
    if session.json:
        session.screen.document({"task_id": job.id, "file": str(path), "size": path.stat().st_size})
    else:
        session.screen.line(path)
    return path


@contextmanager
def _shown(screen: Screen) -> Iterator[Callable[[int, int], object]]:
    if not screen.bars:
        yield lambda done, of: None
        return
    columns = (TextColumn("download"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda done, of: bar.update(task, completed=done, total=of)
