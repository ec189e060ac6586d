"""Assets: what is new is found once, whatever happens on the way, and pages are exact.

What is in the table is read by DuckDB, from the files that the table's own log names.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable

from tag_tasks.assets import found
from tag_tasks.assets.found import KEPT, Found, Kind
from tag_tasks.assets.reader import AssetReader
from tag_tasks.assets.results import FoundFiles
from tag_tasks.assets.rows import file_name
from tag_tasks.assets.sites_tasks import SiteUpdate, keep_refused
from tag_tasks.assets.store import AssetStore, Into, Stored
from tag_tasks.assets.table import MOST_FILES, NO_SCOPE, ROWS, AssetTable, Place
from tag_tasks.datasets.results import ResultFolder, TakenOver
from tag_tasks.folders import folder_at
from tag_tasks.spark.session import Spark
from tagapi.jobs.errors import Busy, Contended, NotFoundInData, StoreUnavailable
from tagapi.jobs.model import Json
from tagapi.jobs.task import TaskContext
from tests.spark.business import Hooked
from tests.unit.outside import Context, Killed

CORP, DOMAINS, SITES = "corp", Kind.DOMAINS, Kind.SITES
HOSTILE = ["", "'", '"', "a\nb", "\\", "a\x00b", "ü", "🙂", "%", "kind=x/y", "x" * 5000, "NULL", " a", "a"]


@dataclass
class There:
    """A store, and jobs that scan nothing: what they find is given."""

    spark: Spark
    folder: Path
    table: AssetTable = field(init=False)

    def __post_init__(self) -> None:
        self.results = ResultFolder(folder_at(str(self.folder / "results")))
        self.files = FoundFiles(self.results)
        self.table = AssetTable(str(self.folder / "assets"))
        self.store = AssetStore(self.spark, self.table)
        self.reader = AssetReader(self.files, self.table, 2)

    def run(self, rows: Iterable[Found], context: Context | None = None, scope: str = CORP, **how: Any) -> Json:
        """An attempt: it finds, publishes, stores."""
        context = context or Context({})
        with self.files.writing(context) as writer:
            for row in rows:
                writer.take(row)
            writer.publish()
        more = {name: how.pop(name) for name in ("changed", "gone") if name in how}
        into = [replace(one, **how) for one in found_by_this_job(self.files, context, scope, **more)]
        return self.store.store(context, into, told)

    def assets(self, kind: Kind = DOMAINS, scope: str = CORP) -> list[dict[str, Any]]:
        """A scope's, in the order of their numbers, which are each there once."""
        if not DeltaTable.is_deltatable(self.table.path):
            return []
        part = f"/kind={kind.value}/scope_id={scope}/"
        uris = [uri for uri in DeltaTable(self.table.path).file_uris() if part in uri]
        if not uris:
            return []
        with duckdb.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            query = f"SELECT {', '.join(ROWS.names)} FROM read_parquet($uris) ORDER BY number"
            cursor.execute(query, {"uris": uris})
            names = [column[0] for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        assert [row["number"] for row in rows] == list(range(len(rows)))
        return [{**row, "facts": json.loads(row["facts"])} for row in rows]

    def keys(self, kind: Kind = DOMAINS, scope: str = CORP) -> list[str]:
        return [row["key"] for row in self.assets(kind, scope)]

    def files_on_disk(self) -> set[Path]:
        return {path for path in Path(self.table.path).rglob("*.parquet") if "_delta_log" not in path.parts}

    def pages(self, size: int, kind: Kind = DOMAINS) -> list[str]:
        """All keys, as somebody reads them page by page."""
        read: list[str] = []
        for page in itertools.count(1):
            items = self.reader.assets(kind.value, page, size, scope_id=CORP)["items"]
            read += [one["key"] for one in items]
            if not items:
                break
        return read


def told(stored: Stored) -> Json:
    return {"new": stored.new, "changed": stored.changed, "gone": stored.gone}


def new(**counts: int) -> Json:
    return {"new": counts, "changed": {}, "gone": {}}


def names(prefix: str, count: int) -> list[Found]:
    return [row(f"{prefix}{number}") for number in range(count)]


def row(key: str, kind: Kind = DOMAINS, **facts: Any) -> Found:
    return Found(kind=kind, key=key, facts={"name": key, **facts})


@pytest.fixture
def there(spark: Spark, tmp_path: Path) -> There:
    return There(spark, tmp_path)


# -- what is new ---------------------------------------------------------------------------


def test_a_second_run_finds_only_what_is_new(there: There) -> None:
    first = Context({})
    assert there.run([*names("b", 3), *names("a", 2), row("http://a/", SITES)], first) == new(domains=5, sites=1)
    second = Context({})
    assert there.run([row("a1"), row("z"), row("b1", title="other"), row("y")], second) == new(domains=2)
    assert there.keys() == ["b0", "b1", "b2", "a0", "a1", "z", "y"], "in the order in which they were found"
    rows = there.assets()
    assert [one["job_id"] for one in rows] == [first.job_id] * 5 + [second.job_id] * 2
    assert rows[1]["facts"] == {"name": "b1"}, "what is known stays as it is"
    assert all(one["found_at"] == one["changed_at"] and one["owner"] is None for one in rows)
    assert rows[0]["found_at"] < rows[6]["found_at"]
    assert there.keys(SITES) == ["http://a/"]


def test_where_nothing_is_new_nothing_is_committed(there: There) -> None:
    there.run(names("a", 2))
    version = DeltaTable(there.table.path).version()
    assert there.run(names("a", 2)) == new() == there.run([])
    assert DeltaTable(there.table.path).version() == version
    assert len(there.files_on_disk()) == 1


def test_scopes_know_nothing_of_each_other(there: There) -> None:
    there.run(names("a", 2))
    assert there.run(names("a", 3), scope="other.one") == new(domains=3)
    assert there.keys() == ["a0", "a1"] and there.keys(scope="other.one") == ["a0", "a1", "a2"]


def test_hostile_keys_and_facts_are_kept_as_they_are(there: There) -> None:
    rows = [row(text, text=text, deep=[{text: [None, True, 1.5, text]}]) for text in HOSTILE]
    assert there.run(rows) == new(domains=len(HOSTILE))
    assert there.run(rows) == new()
    assert [(one["key"], one["facts"]) for one in there.assets()] == [(one.key, dict(one.facts)) for one in rows]
    items = there.reader.assets("domains", 1, 100, scope_id=CORP)["items"]
    assert [(one["key"], one["text"]) for one in items] == [(text, text) for text in HOSTILE]
    assert there.run([row(f"{text}!") for text in HOSTILE] + rows, changed=True)["new"] == {"domains": len(HOSTILE)}


def test_what_a_job_did_not_do_becomes_no_asset(there: There) -> None:
    seen = found.finding("tls_old", "a:443", "low", "TLS 1.0", "switch it off")
    rows = [found.skipped("b", "no answer"), seen, found.page("http://a/x", "http://a/", 200, None)]
    assert there.run(rows) == new(findings=1)
    assert there.keys(Kind.FINDINGS) == [seen.key] and there.keys(Kind.PAGES) == []


def test_a_hundred_thousand_rows(there: There) -> None:
    rows = names("host", 100_000)
    assert there.run(rows[:60_000]) == new(domains=60_000)
    assert there.run(rows) == new(domains=40_000)
    assert there.keys() == [one.key for one in rows]
    assert there.reader.assets("domains", 601, 100, scope_id=CORP)["items"][0]["key"] == "host60000"


# -- what has changed ----------------------------------------------------------------------


def test_changed_facts_are_taken_and_it_is_said_when(there: There) -> None:
    there.run([row("a", SITES, title="old"), row("b", SITES), row("c", SITES)])
    before = there.assets(SITES)
    result = there.run([row("d", SITES), row("a", SITES, title="new"), row("b", SITES)], changed=True)
    assert result == {"new": {"sites": 1}, "changed": {"sites": 1}, "gone": {}}
    after = there.assets(SITES)
    assert [one["key"] for one in after] == ["a", "b", "c", "d"]
    assert after[0]["facts"] == {"name": "a", "title": "new"} and after[0]["changed_at"] > before[0]["changed_at"]
    assert after[0]["found_at"] == before[0]["found_at"] and after[0]["job_id"] == before[0]["job_id"]
    assert after[1:3] == before[1:3], "the others are untouched"


def test_what_is_not_seen_any_more_is_gone_until_it_is_back(there: There) -> None:
    there.run([row("a", SITES), Found(kind=SITES, key="b"), row("c", SITES)])
    assert there.run([row("c", SITES)], gone=[SITES]) == {"new": {}, "changed": {}, "gone": {"sites": 2}}
    facts = {one["key"]: one["facts"] for one in there.assets(SITES)}
    assert facts == {"a": {"gone": True, "name": "a"}, "b": {"gone": True}, "c": {"name": "c"}}
    version = DeltaTable(there.table.path).version()
    assert there.run([row("c", SITES)], gone=[SITES]) == new(), "they are gone already"
    assert DeltaTable(there.table.path).version() == version
    back = there.run([row("a", SITES), row("c", SITES)], gone=[SITES])
    assert back == {"new": {}, "changed": {"sites": 1}, "gone": {}}
    assert there.assets(SITES)[0]["facts"] == {"name": "a"}


def test_where_nothing_is_seen_any_more_all_of_it_is_gone(there: There) -> None:
    there.run([row("a", SITES), row("b", SITES), row("c")])
    assert there.run([], gone=[SITES]) == {"new": {}, "changed": {}, "gone": {"sites": 2}}
    assert all(one["facts"]["gone"] for one in there.assets(SITES)) and "gone" not in there.assets()[0]["facts"]


def test_a_changed_partition_of_many_rows_keeps_its_order(there: There) -> None:
    rows = [row(f"h{number}", SITES, title="old") for number in range(5000)]
    there.run(rows[:2000])
    there.run(rows[2000:])
    changed = [replace(one, facts={**one.facts, "title": "new"}) for one in rows[::7]]
    assert there.run([*changed, row("z", SITES)], changed=True)["changed"] == {"sites": len(changed)}
    assert there.keys(SITES) == [*(one.key for one in rows), "z"] == list(there.table.keys(Place(SITES, CORP)))
    titles = [one["facts"].get("title") for one in there.assets(SITES)[:-1]]
    assert titles == ["old" if number % 7 else "new" for number in range(5000)]
    assert there.pages(1999, SITES) == there.keys(SITES)


# -- files, and pages ----------------------------------------------------------------------


def test_a_partition_of_many_files_becomes_one(there: There) -> None:
    for number in range(MOST_FILES):
        there.run(names(f"{number}-", 2))
    there.run(names("other", 1), scope="other")
    before = there.assets()
    assert len(there.table.at([Place(DOMAINS, CORP)]).files[Place(DOMAINS, CORP)]) == MOST_FILES
    assert there.run([*names("0-", 3), *names("last", 1)]) == new(domains=2)
    assert len(there.table.at([Place(DOMAINS, CORP)]).files[Place(DOMAINS, CORP)]) == 1
    assert there.assets()[:-2] == before and there.keys()[-2:] == ["0-2", "last0"]
    assert there.keys(scope="other") == ["other0"]
    assert there.pages(7) == there.keys()


def test_pages_are_exact_while_rows_come(there: There) -> None:
    wanted: list[str] = []
    read: list[str] = []
    for turn in range(5):
        rows = names(f"{turn}-", 30)
        there.run(rows)
        wanted += [one.key for one in rows]
        page = there.reader.assets("domains", turn + 1, 20, scope_id=CORP)
        assert page["total"] == len(wanted)
        read += [one["key"] for one in page["items"]]
    assert read == wanted[:100]
    assert there.pages(20) == wanted
    assert there.reader.assets("domains", 99, 20, scope_id=CORP) == {"total": 150, "items": []}
    assert there.reader.assets("domains", 1, 20, scope_id="none") == {"total": 0, "items": []}


def test_what_a_job_found_is_read_page_by_page(there: There) -> None:
    context = Context({})
    there.run([*names("a", 3), row("http://a/", SITES, status=200)], context)
    assert there.reader.found(context.job_id, None, 2, 3) == {
        "total": 4,
        "items": [{"kind": "sites", "key": "http://a/", "name": "http://a/", "status": 200}],
    }
    assert there.reader.found(context.job_id, "domains", 1, 2)["total"] == 3
    there.results.remove([context.job_id])
    with pytest.raises(NotFoundInData):
        there.reader.found(context.job_id, None, 1, 10)


def test_a_row_is_known_by_its_key_whatever_its_facts_are_called(there: There) -> None:
    context = Context({})
    there.run([Found(kind=SITES, key="http://a/", facts={"key": "EC", "kind": "of wood"})], context)
    (found,) = there.reader.found(context.job_id, None, 1, 3)["items"]
    (asset,) = there.reader.assets("sites", 1, 3, scope_id=CORP)["items"]
    assert {(one["kind"], one["key"]) for one in (found, asset)} == {("sites", "http://a/")}


def test_leaks_are_their_owners(there: There) -> None:
    def run(owner: str, *keys: str) -> Json:
        return there.run([row(key, Kind.LEAKS) for key in keys], scope=NO_SCOPE, owner=owner)

    assert run("ann", "a", "b") == new(leaks=2)
    assert run("bob", "b", "c") == new(leaks=2), "what ann has seen is new to bob"
    assert run("ann", "b", "c") == new(leaks=1)
    rows = [(one["owner"], one["key"]) for one in there.assets(Kind.LEAKS, NO_SCOPE)]
    assert rows == [("ann", "a"), ("ann", "b"), ("bob", "b"), ("bob", "c"), ("ann", "c")]
    page = there.reader.assets("leaks", 2, 2, owner="ann")
    assert page["total"] == 3 and [one["key"] for one in page["items"]] == ["c"]
    assert there.reader.assets("leaks", 1, 2, owner="eve") == {"total": 0, "items": []}


# -- kills, and others at work -------------------------------------------------------------


def attempts(there: There, context: Context, rows: Sequence[Found], **how: Any) -> Json:
    """As the runner goes on after a process has died: asks for the commit where one was begun, else tries again."""
    if context.kept is not None and there.table.find_commit(context.job_id):
        return context.kept
    return there.run(rows, replace(context, epoch=context.epoch + 1), **how)


def rows_of(files: FoundFiles, job_id: str, kind: Kind) -> str | None:
    """Where Spark reads what the job has published of a kind."""
    published = files._results.published(job_id)
    file = None if published is None else published.open(file_name(kind))
    if file is None:
        return None
    with file:
        return str(file.name)


def found_by_this_job(
    files: FoundFiles,
    context: TaskContext,
    scope_id: str,
    kinds: Iterable[Kind] = KEPT,
    *,
    changed: bool = False,
    gone: Container[Kind] = (),
) -> list[Into]:
    """What the attempt has published of these kinds. `gone` are those of which it has looked for all that was known."""
    rows = {kind: rows_of(files, context.job_id, kind) for kind in kinds}
    return [
        Into(kind=kind, scope_id=scope_id, rows=path, changed=changed or kind in gone, gone=kind in gone)
        for kind, path in rows.items()
        if path is not None or kind in gone
    ]


class Begun(Context):
    """Keeps what `begin_commit` was told."""

    def begin_commit(self, result: Json) -> None:
        self.kept = result


def dies() -> None:
    raise Killed


def killed_before(owner: Callable[[There], Any], method: str) -> Callable[[There, Begun], None]:
    def arrange(there: There, context: Begun) -> None:
        Hooked(owner(there), method, dies)

    return arrange


def killed_after_commit(there: There, context: Begun) -> None:
    commit = there.table.commit_on

    def and_die(*what: Any, **more: Any) -> int:
        commit(*what, **more)
        raise Killed

    there.table.commit_on = and_die  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "arrange",
    [
        killed_before(lambda there: there.results, "publish"),
        killed_before(lambda there: there.table, "at"),
        killed_before(lambda there: there.table, "write"),
        killed_before(lambda there: there.table, "staged_files"),
        killed_before(lambda there: there.table, "commit"),
        killed_before(lambda there: there.table, "commit_on"),
        killed_after_commit,
    ],
    ids=["publish", "look", "write", "staged", "commit", "commit_on", "after"],
)
def test_whenever_it_is_killed_each_row_comes_once(
    there: There, spark: Spark, tmp_path: Path, arrange: Callable[[There, Begun], None]
) -> None:
    there.run(names("a", 3))
    context, rows = Begun({}), [*names("a", 5), row("s", SITES)]
    arrange(there, context)
    with pytest.raises(Killed):
        there.run(rows, context)
    after = There(spark, tmp_path)
    assert attempts(after, context, rows) == new(domains=2, sites=1)
    assert after.keys() == [f"a{number}" for number in range(5)] and after.keys(SITES) == ["s"]
    assert after.files.page(context.job_id, list(Kind), 0, 100)[0] == 6


def test_an_attempt_that_wakes_late_commits_nothing(there: There, spark: Spark, tmp_path: Path) -> None:
    """It stood still right before its commit; meanwhile somebody asked for that, and another attempt did the work."""
    context, rows, other = Begun({}), names("a", 3), There(spark, tmp_path)

    def meanwhile() -> None:
        assert not other.table.find_commit(context.job_id)
        assert other.run(rows, replace(context, epoch=2)) == new(domains=3)

    Hooked(there.table, "commit_on", meanwhile)
    with suppress(Contended):  # or it finds the job's commit, and the registry refuses what it says
        there.run(rows, context)
    assert other.keys() == ["a0", "a1", "a2"]
    assert all(f"/{context.job_id}-2/" in uri for uri in DeltaTable(there.table.path).file_uris())


def test_an_attempt_that_wakes_late_is_fenced_off(there: There, spark: Spark, tmp_path: Path) -> None:
    """It stood still right before its commit, and nobody has done the work since."""
    context, other = Begun({}), There(spark, tmp_path)
    Hooked(there.table, "commit_on", lambda: other.table.find_commit(context.job_id))
    with pytest.raises(Contended):
        there.run(names("a", 3), context)
    assert other.keys() == [] and there.files_on_disk() == set()


def test_an_attempt_that_wakes_late_publishes_nothing(there: There, spark: Spark, tmp_path: Path) -> None:
    context, other = Begun({}), There(spark, tmp_path)
    Hooked(there.results, "publish", lambda: other.run(names("b", 2), replace(context, epoch=2)))
    with pytest.raises(TakenOver):
        there.run(names("a", 3), context)
    assert other.keys() == ["b0", "b1"]
    assert other.reader.found(context.job_id, None, 1, 10)["total"] == 2


def test_who_changed_another_scope_is_no_hindrance(there: There, spark: Spark, tmp_path: Path) -> None:
    other = There(spark, tmp_path)
    Hooked(there.table, "commit_on", lambda: other.run(names("b", 2), scope="other"))
    assert there.run(names("a", 3)) == new(domains=3)
    assert there.keys() == ["a0", "a1", "a2"] and there.keys(scope="other") == ["b0", "b1"]


def test_who_changed_the_same_scope_is_noticed(there: There, spark: Spark, tmp_path: Path) -> None:
    other, rows, context = There(spark, tmp_path), names("a", 3), Begun({})
    Hooked(there.table, "commit_on", lambda: other.run(names("a", 2)))
    with pytest.raises(Contended):
        there.run(rows, context)
    assert attempts(there, context, rows) == new(domains=1)
    assert there.keys() == ["a0", "a1", "a2"]


def test_a_scope_that_another_job_holds_is_waited_for(there: There) -> None:
    class Held(Context):
        def hold(self, name: str, seconds: float) -> None:
            holds.append(name)
            if not free.is_set():
                raise Busy(reason="another job holds it")

        def pause(self, seconds: float) -> None:
            free.set()

        def release(self, name: str) -> None:
            released.append(name)

    free, holds, released = threading.Event(), list[str](), list[str]()
    assert there.run(names("a", 1), Held({})) == new(domains=1)
    assert holds[:2] == ["assets corp"] * 2 and released == ["assets corp"]


def test_a_job_store_that_is_away_for_a_moment_costs_no_scan(there: There) -> None:
    class Away(Context):
        def hold(self, name: str, seconds: float) -> None:
            holds.append(name)
            if len(holds) in (1, 3):  # to begin with, and while it is held for longer
                raise StoreUnavailable(retry_after=1)

    holds = list[str]()
    assert there.run(names("a", 1), Away({})) == new(domains=1)
    assert len(holds) >= 3


def test_two_jobs_of_a_scope_at_once_store_each_row_once(there: There, spark: Spark, tmp_path: Path) -> None:
    locks: dict[str, str] = {}
    guard, start = threading.Lock(), threading.Barrier(2)

    class Held(Context):
        def hold(self, name: str, seconds: float) -> None:
            with guard:
                if locks.setdefault(name, self.job_id) != self.job_id:
                    raise Busy(reason="another job holds it")

        def release(self, name: str) -> None:
            with guard:
                locks.pop(name, None)

    results: list[Json] = []

    def run(shift: int) -> None:
        mine = There(spark, tmp_path)
        start.wait()
        results.append(mine.run([row(str(number)) for number in range(shift, shift + 50)], Held({})))

    there.table.at([])  # made before they begin
    threads = [threading.Thread(target=run, args=(shift,), daemon=True) for shift in (0, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(one["new"]["domains"] for one in results) == 75 == len(set(there.keys()))


def test_a_report_holds_the_new_rows_alone(there: There) -> None:
    source, context = Context({}), Context({})
    there.run(names("a", 2))
    with there.files.writing(source) as writer:
        for one in names("a", 4):
            writer.take(one)
        writer.publish()
    path = rows_of(there.files, source.job_id, DOMAINS)
    assert path is not None
    with there.files.writing(context) as report:
        into = [Into(kind=DOMAINS, scope_id=CORP, rows=path)]
        assert there.store.store(context, into, told, report) == new(domains=2)
    assert [one.key for one in there.files.page(context.job_id, [DOMAINS], 0, 10)[1]] == ["a2", "a3"]


def test_a_site_that_is_gone_stays_so_where_nobody_may_look_at_it(there: There) -> None:
    def run(*rows: Found) -> Json:
        return there.run(rows, changed=True, gone=(SITES,))

    # By the alphabet there are facts before the word that it is gone.
    at, other = found.site("http://a.example/", favicon=7, status=200), found.site("http://b.example/", status=200)
    run(at, other)
    assert run(other)["gone"] == {"sites": 1}
    gone = there.assets(SITES)

    taken = list[Found]()
    tools: Any = SimpleNamespace(table=there.table)
    known = SiteUpdate(tools).known_facts(CORP)
    scan: Any = SimpleNamespace(refused={"a.example", "b.example"}, found=taken.append)
    keep_refused(scan, known)
    assert run(*taken) == new(), "nothing is told of it"
    assert there.assets(SITES) == gone
