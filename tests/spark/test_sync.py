"""Rows of a finished job become assets of a scope: those that lie in it, and are new there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from tag_tasks.assets import found
from tag_tasks.assets.found import Found, Kind
from tag_tasks.assets.rows import rows_table
from tag_tasks.assets.scope import Scope
from tag_tasks.assets.scope_file import ScopeError
from tag_tasks.assets.sync import SyncTask
from tag_tasks.spark.session import Spark
from tagapi.jobs.errors import TaskFailed
from tests.spark.business import Hooked
from tests.spark.test_assets import There
from tests.unit.outside import Context, Killed

SCOPE = Scope(id="corp", name="Our own", domains=("corp.example",), networks=(ip_network("198.51.100.0/24"),))
FOUND = [
    *(found.domain(name, [], [], "brute") for name in ("a.corp.example", "evil.test", "b.corp.example")),
    found.address(ip_address("198.51.100.9"), 22),
    found.address(ip_address("203.0.113.9"), 22),
    found.site("https://a.corp.example/", status=200),
    found.finding("tls_old", "a.corp.example:443", "low", "TLS 1.0", "switch it off"),
    found.skipped("b.corp.example", "no answer"),
    found.page("https://a.corp.example/x", "https://a.corp.example/", 200, None),
]


@pytest.fixture
def there(spark: Spark, tmp_path: Path) -> There:
    return There(spark, tmp_path)


def scanned(there: There, rows: Sequence[Found] = FOUND) -> str:
    """A job that has succeeded."""
    context = Context({})
    with there.files.writing(context) as writer:
        for row in rows:
            writer.take(row)
        writer.publish()
    return context.job_id


def task(there: There, *scopes: Scope) -> SyncTask:
    return SyncTask(there.files, there.table, there.store, lambda: scopes or (SCOPE,))


def asked(task_id: str, scope_id: str = "corp") -> Context:
    return Context({"task_id": task_id, "scope_id": scope_id, "user": "ana"})


def test_what_lies_in_the_scope_and_is_new_is_taken(there: There) -> None:
    there.run([FOUND[0]])
    context = asked(scanned(there))
    result = task(there).run(context)
    assert result["new"] == {"domains": 1, "addresses": 1, "sites": 1, "findings": 1}
    assert result["statistic"]["domain_cnt"] == 1 and result["statistic"]["url_cnt"] == 0
    assert [one["name"] for one in result["service"]] == ["compare", "store"]
    assert [name for name, _ in context.said] == list(SyncTask.phases)
    assert there.keys() == ["a.corp.example", "b.corp.example"]
    assert there.keys(Kind.ADDRESSES) == ["198.51.100.9:22"] and there.keys(Kind.PAGES) == []
    items = there.reader.found(context.job_id, None, 1, 10)["items"]
    assert [one["key"] for one in items][:3] == ["b.corp.example", "198.51.100.9:22", "https://a.corp.example/"]
    assert len(items) == 4, "its own result is what was new"
    assert not list(Path(there.table.path).glob("scratch/*")), "nothing is left that was only compared"


def test_what_was_only_compared_is_swept_away_of_jobs_that_have_ended(there: There) -> None:
    there.table.sweep(lambda _: True)
    lost = [there.table.write_all(f"scratch/{job}-2/sites", [rows_table(FOUND[:1])]) for job in "ab"]
    there.table.sweep(lambda job: job == "a")
    assert [Path(str(path)).exists() for path in lost] == [False, True]


def test_the_second_time_nothing_is_new(there: There) -> None:
    task_id = scanned(there)
    task(there).run(asked(task_id))
    assert task(there).run(again := asked(task_id))["new"] == {}
    assert there.reader.found(again.job_id, None, 1, 10) == {"total": 0, "items": []}


def test_of_many_rows_those_that_are_new_are_reported(there: There) -> None:
    rows = [found.domain(f"n{number}.corp.example", [], [], "brute") for number in range(5000)]
    there.run(rows[:2500])
    assert task(there).run(asked(scanned(there, rows[::-1])))["new"] == {"domains": 2500}
    assert there.keys()[2500:] == [row.key for row in rows[:2499:-1]]


@pytest.mark.parametrize("method", ["write_all", "write", "commit", "commit_on"])
def test_whenever_it_is_killed_each_row_comes_once(there: There, spark: Spark, tmp_path: Path, method: str) -> None:
    context = asked(scanned(there))

    def dies() -> None:
        raise Killed

    Hooked(there.table, method, dies)
    with pytest.raises(Killed):
        task(there).run(context)
    after = There(spark, tmp_path)
    assert not after.table.find_commit(context.job_id)
    assert task(after).run(replace(context, epoch=2))["new"]["domains"] == 2
    assert after.keys() == ["a.corp.example", "b.corp.example"]
    assert after.reader.found(context.job_id, "domains", 1, 10)["total"] == 2


def test_a_result_that_is_not_kept_any_more_is_said_to_be(there: There) -> None:
    with pytest.raises(TaskFailed, match="结果不存在"):
        task(there).run(asked("11111111-2222-3333-4444-555555555555"))


@pytest.mark.parametrize("scope", [replace(SCOPE, id="other"), replace(SCOPE, users=frozenset({"eve"}))])
def test_a_scope_that_is_not_ones_own_takes_nothing(there: There, scope: Scope) -> None:
    with pytest.raises(TaskFailed, match="corp 不存在"):
        task(there, scope).run(asked(scanned(there)))
    assert there.keys() == []


def test_while_the_scope_file_is_broken_nothing_is_taken(there: There) -> None:
    def broken() -> Sequence[Scope]:
        raise ScopeError("is not a file")

    with pytest.raises(TaskFailed, match="授权范围文件不可用"):
        SyncTask(there.files, there.table, there.store, broken).run(asked(scanned(there)))
