"""Make sample data for the sources, where there is none: `python sample_data.py --env local`.

The server never writes a source; this is the only thing that does, and only into a folder
that is missing or empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path

import click

from tag_tasks.datasets.sample import write_sample as write_bookings
from tag_tasks.datasets.tables import TABLES as DATASETS
from tag_tasks.documents.sample import write_sample as write_documents
from tag_tasks.documents.source import DOCUMENTS
from tag_tasks.tags.sample import TABLES, write_sample
from tagapi.settings import ENVIRONMENTS, SettingsError, load_settings


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--env", "environment", type=click.Choice(ENVIRONMENTS), default="local", show_default=True)
@click.option("--users", type=click.IntRange(1), help="How many users; by default sample.users.")
@click.option("--bookings", type=click.IntRange(1), help="How many bookings; by default sample.bookings.")
@click.option("--documents", type=click.IntRange(1), help="How many documents; by default sample.documents.")
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day that dates are counted back from; by default this one, UTC.",
)
def main(
    environment: str, users: int | None, bookings: int | None, documents: int | None, today: datetime | None
) -> None:
    """Write seeded sample users, bookings and documents into <data.dir>/sources, unless there is something already."""
    try:
        settings = load_settings(environment)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    if "://" in settings.data.dir:
        raise click.ClickException("data.dir: sample data is only written to a local folder")
    folder = Path(settings.data.dir) / "sources"
    day = (today or datetime.now(UTC)).date()
    _make(folder, TABLES, "users", users or settings.sample.users, day, write_sample)
    _make(folder, DATASETS, "bookings", bookings or settings.sample.bookings, day, write_bookings)
    _make(folder, [DOCUMENTS], "documents", documents or settings.sample.documents, day, write_documents)


def _make(
    folder: Path, tables: Iterable[str], what: str, count: int, day: date, write: Callable[[Path, int, date], None]
) -> None:
    """Write one family of tables, all of them or none."""
    there = [table for table in tables if (folder / table).is_dir() and any((folder / table).iterdir())]
    missing = sorted(set(tables) - set(there))
    if not missing:
        click.echo(f"sample data: {what} in {folder} are there, nothing to do")
        return
    if there:  # tables of one's own beside made-up ones would not fit together
        raise click.ClickException(f"{folder} has {', '.join(there)}, but no {', '.join(missing)}")
    write(folder, count, day)
    click.echo(f"sample data: {count} {what} in {folder}")


if __name__ == "__main__":
    main()
