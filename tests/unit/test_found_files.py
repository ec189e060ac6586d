"""What a job found, as files: each thing once, in order, and only one attempt's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import duckdb
import pyarrow.parquet as pq
import pytest

from tag_tasks.assets import found
from tag_tasks.assets.found import Found, Kind
from tag_tasks.assets.refused import Refusal
from tag_tasks.assets.results import FoundFiles
from tag_tasks.assets.rows import GROUP, facts_text, file_name
from tag_tasks.assets.scope import Why
from tag_tasks.assets.told import statistic
from tag_tasks.datasets.results import ResultFolder, TakenOver
from tag_tasks.folders import Folder, folder_at
from tests.unit.outside import Context, Killed

HOSTILE = ["", "'", '"', "a\nb", "a\x00b", "\ud800", "ü", "🙂", "\u2028", "a,b", "../x", "x" * 5000]


@pytest.fixture
def folder(place: str) -> Folder:
    return folder_at(place)


@pytest.fixture
def results(folder: Folder) -> ResultFolder:
    return ResultFolder(folder)


def sites(*keys: str, **facts: object) -> list[Found]:
    return [Found(kind=Kind.SITES, key=key, facts={"url": key, **facts}) for key in keys]


def publish(files: FoundFiles, context: Context, *rows: Found) -> list[bool]:
    with files.writing(context) as writer:
        taken = [writer.take(row) for row in rows]
        writer.publish()
    return taken


def keys(files: FoundFiles, context: Context) -> list[str]:
    return [row.key for row in files.page(context.job_id, list(Kind), 0, 100)[1]]


def left(folder: Folder, context: Context) -> list[str]:
    """What the job's attempts have written, by attempt and name."""
    attempts = [entry.name for entry in folder.list(context.job_id) if entry.size is None]
    return [f"{epoch}/{entry.name}" for epoch in attempts for entry in folder.list(f"{context.job_id}/{epoch}")]


@contextmanager
def published(results: ResultFolder, context: Context, kind: Kind) -> Iterator[pq.ParquetFile]:
    file = results.open(context.job_id, file_name(kind))
    assert file is not None
    with file:
        yield pq.ParquetFile(file)


def test_each_thing_is_there_once_in_order(results: ResultFolder) -> None:
    files, context = FoundFiles(results), Context({})
    first, other = sites("b", "a"), Found(kind=Kind.PAGES, key="b", facts={})
    assert publish(files, context, *first, other, *sites("a", title="later")) == [True, True, True, False]
    total, rows = files.page(context.job_id, list(Kind), 0, 10)
    assert total == 3 and list(rows) == [*first, other]
    assert files.page(context.job_id, [Kind.PAGES], 0, 10) == (1, [other])


def test_hostile_texts_come_back(results: ResultFolder) -> None:
    files, context = FoundFiles(results), Context({})
    taken = publish(files, context, *[Found(kind=Kind.SITES, key=text, facts={"title": text}) for text in HOSTILE])
    assert all(taken)
    rows = files.page(context.job_id, [Kind.SITES], 0, 100)[1]
    wanted = ["?" if text == "\ud800" else text for text in HOSTILE]
    assert [row.key for row in rows] == wanted == [row.facts["title"] for row in rows]
    with published(results, context, Kind.SITES) as file, duckdb.cursor() as cursor:
        cursor.register("rows", file.read())
        told = cursor.execute("SELECT key, facts, place, asset FROM rows ORDER BY place").fetchall()
    assert [(key, json.loads(facts)["title"], asset) for key, facts, _, asset in told] == [
        (text, text, True) for text in wanted
    ]


def test_pages_are_exact_at_the_edges_of_row_groups(results: ResultFolder) -> None:
    files, context = FoundFiles(results), Context({})
    names = [f"http://{number}/" for number in range(2 * GROUP + 500)]
    domains = [Found(kind=Kind.DOMAINS, key=str(number)) for number in range(GROUP + 1)]
    publish(files, context, *sites(*names), *domains)
    every = [one.key for one in domains] + names
    with published(results, context, Kind.SITES) as file:
        assert file.num_row_groups == 3
    for offset in (0, 1, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP, len(every) - 5, len(every), len(every) + 9):
        total, rows = files.page(context.job_id, [Kind.DOMAINS, Kind.SITES], offset, 100)
        assert total == len(every)
        assert [row.key for row in rows] == every[offset : offset + 100]


def test_large_rows_make_smaller_groups(results: ResultFolder) -> None:
    files, context = FoundFiles(results), Context({})
    publish(files, context, *[Found(kind=Kind.SITES, key=str(n), facts={"t": "x" * 1_000_000}) for n in range(10)])
    with published(results, context, Kind.SITES) as file:
        assert file.num_row_groups >= 2
    assert files.page(context.job_id, [Kind.SITES], 0, 100)[0] == 10


def test_what_a_job_did_not_do_is_no_asset(results: ResultFolder) -> None:
    files, context = FoundFiles(results), Context({})
    shown = found.finding("tls_old", "a:443", "low", "TLS 1.0", "switch it off")
    publish(files, context, shown, found.skipped("b", "no answer"), found.page("http://a/x", "http://a/", 200, None))
    marks = {
        kind.value: [one for group in files.groups(context.job_id, kind) for one in group["asset"].to_pylist()]
        for kind in (Kind.FINDINGS, Kind.PAGES)
    }
    assert marks == {"findings": [True, False], "pages": [False]}


def test_the_same_facts_are_the_same_text() -> None:
    assert facts_text({"b": 1, "a": "é"}) == facts_text({"a": "é", "b": 1}) == '{"a":"é","b":1}'


def test_what_is_not_published_goes_away(results: ResultFolder, folder: Folder) -> None:
    files, context = FoundFiles(results), Context({})
    with pytest.raises(Killed), files.writing(context) as writer:
        for row in sites(*map(str, range(3 * GROUP))):
            writer.take(row)
        raise Killed
    assert not files.there(context.job_id) and left(folder, context) == []


def test_rows_apart_are_not_published_and_go_with_the_attempt(results: ResultFolder, folder: Folder) -> None:
    files, context = FoundFiles(results), Context({})
    writing = files.writing(context)
    apart = writing.__enter__().apart()
    rows = apart.__enter__()  # and in this block the process is killed: nobody leaves it
    rows.take(*sites("a"))
    rows.close()
    assert left(folder, context) == ["1/apart-sites.parquet"]
    context.epoch = 2
    with files.writing(context) as writer:
        assert left(folder, context) == []
        with writer.apart() as rows:
            rows.take(*sites("b"))
            rows.close(sync=True)
            assert [group["key"].to_pylist() for group in rows.groups(Kind.SITES)] == [["b"]]
        writer.take(*sites("c"))
        writer.publish()
    assert keys(files, context) == ["c"] and left(folder, context) == ["2/sites.parquet"]


def test_a_later_attempt_begins_anew(results: ResultFolder) -> None:
    files, context = FoundFiles(results), Context({})
    publish(files, context, *sites("a", "b"))
    with pytest.raises(Killed), files.writing(replace(context, epoch=2)):
        assert not files.there(context.job_id), "what was published before is gone"
        raise Killed
    publish(files, replace(context, epoch=3), *sites("c"))
    assert keys(files, context) == ["c"]


def test_an_attempt_that_wakes_late_publishes_nothing(results: ResultFolder) -> None:
    files, context = FoundFiles(results), Context({})
    with pytest.raises(TakenOver), files.writing(context) as early:
        early.take(sites("old")[0])
        publish(files, replace(context, epoch=2), *sites("new"))
        early.publish()
    assert keys(files, context) == ["new"]


def test_an_attempt_that_wakes_late_removes_nothing(results: ResultFolder) -> None:
    files, context = FoundFiles(results), Context({})
    publish(files, replace(context, epoch=2), *sites("new"))
    with files.writing(context):
        pass
    assert keys(files, context) == ["new"]


def test_a_job_that_found_nothing_has_a_result(results: ResultFolder) -> None:
    files, context = FoundFiles(results), Context({})
    assert not files.there(context.job_id)
    publish(files, context)
    assert files.there(context.job_id) and files.page(context.job_id, list(Kind), 0, 10) == (0, [])
    assert list(files.groups(context.job_id, Kind.SITES)) == []


def test_counts_are_told_by_kind(results: ResultFolder) -> None:
    with FoundFiles(results).writing(Context({})) as writer:
        for row in [*sites("a", "a", "b"), Found(kind=Kind.DOMAINS, key="a")]:
            writer.take(row)
        assert writer.counts() == {"domains": 1, "sites": 2}


def test_what_a_job_did_not_do_is_counted_as_no_weakness(results: ResultFolder) -> None:
    with FoundFiles(results).writing(Context({})) as writer:
        for row in [
            found.finding("listing", "a", "low", "an index", "close it"),
            *(found.skipped(what, "no answer") for what in ("a", "b", "b")),
            found.refusal(Refusal(what="c", address=None, why=Why.OUTSIDE)),
        ]:
            writer.take(row)
        assert writer.counts() == {"findings": 1, "refused": 1, "skipped": 2}
        told = statistic(writer.counts())
        assert (told["vuln_cnt"], told["refused_cnt"], told["skipped_cnt"]) == (1, 1, 2)
