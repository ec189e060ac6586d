"""`tagapi collector`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tagapi.client.collectors import Reading
from tagapi.client.commands.following import started
from tagapi.client.commands.place import Place, alone
from tagapi.client.commands.session import Group, Session, pass_session
from tagapi.client.commands.timing import look_on, once


@click.group(cls=Group)
def collector() -> None:
    """Queues of documents: make them, fill them, read them.

    \b
    tagapi collector create coffee
    tagapi collector fill coffee --start 2024-01-01 --query coffee
    tagapi collector read coffee
    """


@collector.command("ls")
@pass_session
def list_collectors(session: Session, /) -> None:
    """Yours.

    \b
    tagapi collector ls
    """
    found = session.client.collectors.list()
    session.screen.rows(("collector_id", "state"), ([one["collector_id"], one["state"]] for one in found), found)


@collector.command()
@click.argument("name")
@click.option("--query", "queries", multiple=True, help="What it is to add as it arrives; as often as wanted.")
@pass_session
def create(session: Session, /, name: str, queries: Sequence[str]) -> None:
    """Make a collector; with a query, one that adds what arrives.

    \b
    tagapi collector create coffee
    tagapi collector create news --query 'title:tea AND lang:en'
    """
    asked = {"queries": [{"id": f"query_{place}", "query": query} for place, query in enumerate(queries, 1)]}
    session.screen.facts(session.client.collectors.put(name, asked if queries else None))


@collector.command("rm")
@click.argument("name")
@click.confirmation_option(prompt="It goes with all that it holds. Go on?")
@pass_session
def remove(session: Session, /, name: str) -> None:
    """Delete a collector and all that it holds.

    \b
    tagapi collector rm coffee
    tagapi collector rm coffee --yes
    """
    session.client.collectors.delete(name)
    session.screen.facts({"collector_id": name, "state": "DELETED"})


@collector.command()
@click.argument("name")
@click.option("--start", required=True, help="A day, YYYY-MM-DD.")
@click.option("--stop", help="A day, which is not included.")
@click.option("--query")
@click.option("--limit", type=click.IntRange(1))
@look_on
@once
@pass_session
def fill(session: Session, /, name: str, start: str, follow: bool, **asked: Any) -> None:
    """Copy the documents that a query finds into a collector.

    \b
    tagapi collector fill coffee --start 2024-01-01 --query '"free coffee"' --follow
    """
    started(session, session.client.documents.export(name, start=start, **asked), follow=follow)


@collector.command()
@click.argument("name")
@click.option("--resume", type=click.Path(dir_okay=False, path_type=Path), help="Keeps the place: go on from there.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to; standard output without it.")
@click.option("--offset", help="Begin there: earliest (without it), latest, or a place that was told.")
@click.option("--wait", is_flag=True, help="Go on at the end, with what comes then.")
@click.option("--limit", type=click.IntRange(1), help="So many at most.")
@pass_session
def read(
    session: Session,
    /,
    name: str,
    resume: Path | None,
    out: Path | None,
    offset: str | None,
    wait: bool,
    limit: int | None,
) -> None:
    """Read a collector: a document a line, as JSON.

    With --resume and --out, each document is in the file once, however often this is interrupted; with --resume alone,
    those of the last moment may come again.

    \b
    tagapi collector read coffee --resume state.json --out coffee.jsonl
    tagapi collector read coffee --wait | jq .title
    """
    with alone(resume):
        place = Place.of(session.client.url, name, resume, out, offset)
        _read(session, place, session.client.collectors.read(name, place.offset, wait=wait, limit=limit))


def _read(session: Session, place: Place, reading: Reading) -> None:
    documents = 0
    with place.opened() as file:
        for batch in reading.batches():
            file.writelines(f"{json.dumps(one, ensure_ascii=False)}\n".encode() for one in batch.documents)
            place.keep(file, batch.offset)
            documents += len(batch.documents)
        place.keep(file, reading.offset)
    if reading.expired:
        session.screen.note("some documents were kept no more when they were asked for, and are missing")
    if session.screen.bars or place.out is not None:
        session.screen.note(f"{documents} documents")
