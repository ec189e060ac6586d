"""Make sample data for the sources, where there is none: `python sample_data.py --env local`.

The server never writes a source; this is the only thing that does, and only into a folder
that is missing or empty.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from tag_tasks.tags.sample import TABLES, write_sample
from tagapi.settings import ENVIRONMENTS, SettingsError, load_settings


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--env", "environment", type=click.Choice(ENVIRONMENTS), default="local", show_default=True)
@click.option("--users", type=click.IntRange(1), help="How many users; by default sample.users.")
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day that dates are counted back from; by default this one, UTC.",
)
def main(environment: str, users: int | None, today: datetime | None) -> None:
    """Write seeded sample users into <data.dir>/sources, unless there is something already."""
    try:
        settings = load_settings(environment)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    if "://" in settings.data.dir:
        raise click.ClickException("data.dir: sample data is only written to a local folder")
    folder = Path(settings.data.dir) / "sources"
    there = [table for table in TABLES if (folder / table).is_dir() and any((folder / table).iterdir())]
    if missing := sorted(set(TABLES) - set(there)):
        if there:  # tables of one's own beside made-up ones would not fit together
            raise click.ClickException(f"{folder} has {', '.join(there)}, but no {', '.join(missing)}")
    else:
        click.echo(f"sample data: {folder} is there, nothing to do")
        return
    count = users or settings.sample.users
    write_sample(folder, count, (today or datetime.now(UTC)).date())
    click.echo(f"sample data: {count} users in {folder}")


if __name__ == "__main__":
    main()
