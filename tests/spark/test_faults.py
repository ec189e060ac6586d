"""What goes wrong around a job: Spark dies, somebody cancels, sources are broken, others write to the same table."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import Column
from pyspark.sql import functions as F

from tag_tasks.spark.endpoint import ChildServer
from tag_tasks.spark.session import Spark
from tag_tasks.tags.behavior import ActiveTraderTask
from tag_tasks.tags.sample import write_sample
from tagapi.executors.thread_pool import ThreadPoolExecutor
from tagapi.jobs.changes import request_cancel
from tagapi.jobs.errors import AlreadyFinished, TaskFailed, Transient
from tagapi.jobs.model import DEFAULT_LANE, JobState, Progress
from tests.spark.world import (
    ALL,
    ASSETS,
    BASIC,
    EVERY_TAG,
    NO_TAG,
    PATIENCE,
    SCHEMAS,
    TODAY,
    RacedTable,
    World,
    counts,
    eventually,
    in_thread,
    no_results,
)

BACK_AFTER = 2.0  # seconds from the death of Spark's process to a server that answers


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources that keep Spark busy for a moment. Not to be written to."""
    folder = tmp_path_factory.mktemp("large")
    write_sample(folder, 300_000, TODAY)
    return folder


class Mortal:
    """An embedded Spark of the test's own, which it may kill."""

    def __init__(self) -> None:
        self.endpoint = ChildServer("sail")
        self.spark = Spark(self.endpoint)

    def pid(self) -> int:
        child = self.endpoint._child
        assert child is not None
        return child.pid

    def kill(self) -> None:
        os.kill(self.pid(), signal.SIGKILL)


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    mortal = Mortal()
    mortal.spark.start()
    try:
        eventually(mortal.spark.ready)
        yield mortal
    finally:
        mortal.spark.stop()


@pytest.fixture
def raced(spark: Spark, tmp_path: Path) -> World:
    """Users by turns in all tags and in none, and a table in which things happen at bad moments."""
    world = World(spark, tmp_path, table=RacedTable(tmp_path / "user_tags"))
    turn(world, 0)
    world.another_process().result()
    return world


def table_of(world: World) -> RacedTable:
    assert isinstance(world.table, RacedTable)
    return world.table


def turn(world: World, parity: int) -> None:
    """Those in all tags are in none from now on, and the other way round."""
    for number in range(1300):
        world.data.put(f"user{number:04}", world.clock.now(), **(EVERY_TAG, NO_TAG)[(number + parity) % 2])
    world.data.save()


@contextmanager
def pool(world: World, threads: int = 3) -> Iterator[ThreadPoolExecutor]:
    """Jobs run by themselves during the block, on a clock that goes."""
    world.clock.run()
    executor = ThreadPoolExecutor(world.runner, world.clock, {DEFAULT_LANE: threads})
    executor.start()
    try:
        yield executor
    finally:
        executor.stop(drain_seconds=5)


class Laborious(ActiveTraderTask):
    """A rule that keeps Spark busy for some seconds."""

    def rule(self, today: date) -> Column:
        digest = F.col("user_id")
        for _ in range(8):
            digest = F.sha2(F.repeat(digest, 10), 512)
        return digest != ""


@contextmanager
def laborious(world: World) -> Iterator[None]:
    """The second tag is computed by that rule during the block, so that a job is still running when it is looked at."""
    tags, world.task._tags = world.task._tags, {**world.task._tags, 2: Laborious()}
    try:
        yield
    finally:
        world.task._tags = tags


# -- Spark dies ------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [{}, {"mode": "incremental"}, {"dry_run": True}], ids=["full", "first", "dry"])
def test_a_job_survives_the_death_of_spark(mortal: Mortal, large: Path, tmp_path: Path, asked: dict[str, Any]) -> None:
    world = World(mortal.spark, tmp_path)
    world.data.folder = large
    world = World(mortal.spark, tmp_path, data=world.data)
    with pool(world) as executor:
        with laborious(world):
            job_id = world.submit(**asked)
            executor.wake(world.clock.get(job_id))
            eventually(lambda: world.clock.get(job_id).progress.done > 0)
            mortal.kill()
        eventually(lambda: world.clock.get(job_id).finished)
    job = world.clock.get(job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.attempt > 1
    if not asked.get("dry_run"):
        world.agrees()
    assert world.parquet_files() == world.committed_files(), "what the lost attempt staged is still there"


MOMENTS: dict[str, Callable[[RacedTable, Callable[[], None]], None]] = {
    "before the table is read": lambda table, kill: table.before_snapshot.update({1: kill}),
    "before a tag is written": lambda table, kill: setattr(table, "before_staging", kill),
    "before the check": lambda table, kill: setattr(table, "before_check", kill),
    "before the commit": lambda table, kill: setattr(table, "before_commit", kill),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("asked", [{}, {"user_ids": ["user0000", "user0001"]}], ids=["full", "list"])
def test_spark_may_die_at_any_moment(mortal: Mortal, tmp_path: Path, moment: str, asked: dict[str, Any]) -> None:
    world = World(mortal.spark, tmp_path, table=RacedTable(tmp_path / "user_tags"))
    turn(world, 0)
    world.another_process().result()
    turn(world, 1)
    MOMENTS[moment](table_of(world), mortal.kill)
    world.result(**asked)
    world.another_process().result()
    world.agrees()


def test_spark_is_back_soon(mortal: Mortal) -> None:
    before = mortal.pid()
    mortal.kill()
    died = time.monotonic()
    eventually(lambda: mortal.pid() != before and mortal.spark.ready())
    assert time.monotonic() - died < BACK_AFTER


def test_spark_is_replaced_again_and_again(mortal: Mortal, tmp_path: Path) -> None:
    world = World(mortal.spark, tmp_path)
    turn(world, 0)
    for _ in range(3):
        before = mortal.pid()
        mortal.kill()
        eventually(lambda before=before: mortal.pid() != before and mortal.spark.ready())
        world.result([1, 2, 3])
        world.agrees([1, 2, 3])


def test_a_lost_spark_is_noticed_at_once(mortal: Mortal) -> None:
    """Instead of after the ten minutes of the client's own patience."""
    with mortal.spark.session() as session:
        session.range(1).collect()
    before = time.monotonic()
    with pytest.raises(Transient), mortal.spark.session() as session:
        mortal.kill()
        session.range(10).collect()
    assert time.monotonic() - before < 5


def test_nothing_begins_while_there_is_no_spark(tmp_path: Path) -> None:
    mortal = Mortal()
    world = World(mortal.spark, tmp_path)
    turn(world, 0)
    job_id = world.submit([1])
    assert not world.runner.run_next()
    assert world.clock.get(job_id).attempt == 0
    mortal.spark.start()
    try:
        assert world.finish(job_id).state is JobState.SUCCEEDED
    finally:
        mortal.spark.stop()


# -- somebody cancels ------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [{}, {"dry_run": True}], ids=["full", "dry"])
def test_a_running_job_is_cancelled(spark: Spark, large: Path, tmp_path: Path, asked: dict[str, Any]) -> None:
    world = World(spark, tmp_path)
    world.data.folder = large
    world = World(spark, tmp_path, data=world.data)
    world.result([1])
    version, files = world.version(), world.parquet_files()
    job_id = world.submit([1, 2, 3, 6], **asked)
    with laborious(world), in_thread(world.runner.run_next):
        eventually(lambda: world.clock.get(job_id).progress.done > 0)
        assert world.service.cancel(job_id).state is JobState.CANCELLED
    assert world.version() == version
    assert world.parquet_files() == files, "what the attempt staged is still there"
    world.result()
    world.agrees()


def told(world: World, job_id: str) -> Progress:
    """How far the job is, with what is told by the clock."""
    world.runner.heartbeat()
    return world.clock.get(job_id).progress


def test_a_job_that_waits_for_the_table_is_cancelled(raced: World) -> None:
    turn(raced, 1)
    version, files = raced.version(), raced.parquet_files()
    job_id = raced.submit()
    at_the_door = threading.Event()
    occupied = threading.Event()

    def occupy() -> None:
        with raced.table.writing(lambda: None):
            occupied.set()
            assert at_the_door.wait(PATIENCE)

    with in_thread(occupy):
        assert occupied.wait(PATIENCE)
        with in_thread(raced.runner.run_next):
            eventually(lambda: told(raced, job_id).done == len(ALL))
            assert raced.service.cancel(job_id).state is JobState.CANCELLED
        at_the_door.set()
    assert raced.version() == version
    assert raced.parquet_files() == files


def test_a_cancel_right_before_the_point_of_no_return_wins(raced: World) -> None:
    turn(raced, 1)
    version, files = raced.version(), raced.parquet_files()
    job_id = raced.submit()
    table_of(raced).before_check = lambda: raced.clock.update(job_id, request_cancel)
    assert raced.finish(job_id).state is JobState.CANCELLED
    assert raced.version() == version
    assert raced.parquet_files() == files
    raced.result()
    raced.agrees()


def test_a_cancel_after_the_point_of_no_return_is_refused(raced: World) -> None:
    turn(raced, 1)
    job_id = raced.submit()
    refused: list[type[BaseException]] = []

    def cancel() -> None:
        try:
            raced.clock.update(job_id, request_cancel)
        except AlreadyFinished as error:
            refused.append(type(error))

    table_of(raced).before_commit = cancel
    assert raced.finish(job_id).state is JobState.SUCCEEDED
    assert refused == [AlreadyFinished]
    raced.agrees()


# -- broken sources --------------------------------------------------------------------------


def missing(world: World, source: str) -> None:
    shutil.rmtree(world.data.folder / source)


def no_file(world: World, source: str) -> None:
    for file in (world.data.folder / source).iterdir():
        file.unlink()


def empty(world: World, source: str) -> None:
    world.data.write(source, SCHEMAS[source].empty_table())


def unreadable(world: World, source: str) -> None:
    (world.data.folder / source / "part-00000.parquet").write_bytes(b"PAR1 this is no parquet file PAR1")


def cut_short(world: World, source: str) -> None:
    file = world.data.folder / source / "part-00000.parquet"
    file.write_bytes(file.read_bytes()[:-300])


def renamed_column(world: World, source: str) -> None:
    name = {BASIC: "age", ASSETS: "total_asset_value"}.get(source, "trade_count_30d")
    rows = pa.Table.from_pylist(list(world.data.rows[source].values()), SCHEMAS[source])
    world.data.write(source, rows.rename_columns({name: "something"}))


def wrong_type(world: World, source: str) -> None:
    """Numbers that came as words."""
    name = {BASIC: "age", ASSETS: "total_asset_value"}.get(source, "trade_count_30d")
    rows = pa.Table.from_pylist(list(world.data.rows[source].values()), SCHEMAS[source])
    words = pa.array(["many"] * len(rows))
    world.data.write(source, rows.set_column(rows.schema.get_field_index(name), name, words))


BREAKAGES = [missing, no_file, empty, unreadable, cut_short, renamed_column, wrong_type]
KINDS: dict[str, dict[str, Any]] = {
    "full": {},
    "dry": {"dry_run": True},
    "later": {"mode": "incremental"},
    "list": {"user_ids": ["user0000", "user0001"]},
    "strangers": {"user_ids": ["nobody"]},
    "long list": {"user_ids": [f"user{number:04}" for number in range(1200)]},
}


BROKEN = [(breakage, kind) for breakage in BREAKAGES for kind in KINDS if kind in ("full", "list")]
BROKEN += [
    (breakage, kind) for breakage in (missing, empty, wrong_type) for kind in KINDS if kind not in ("full", "list")
]


@pytest.mark.parametrize(("breakage", "kind"), BROKEN, ids=lambda one: one if isinstance(one, str) else one.__name__)
def test_a_broken_source_fails_the_job_and_changes_nothing(raced: World, breakage: Any, kind: str) -> None:
    raced.pass_time(hours=1)
    turn(raced, 1)
    version, files = raced.version(), raced.parquet_files()
    breakage(raced, ASSETS)
    job = raced.compute([1, 3], **KINDS[kind])
    if job.state is JobState.SUCCEEDED and breakage is wrong_type and kind == "strangers":
        assert job.result == no_results(version, [1, 3], ["nobody"])  # nobody's words were looked at
    else:
        assert job.state is JobState.FAILED
        assert job.error is not None
        assert readable(job.error), job.error
    assert raced.version() == version
    assert raced.parquet_files() == files
    raced.data.save()
    raced.result([1, 3])
    raced.agrees([1, 3])


def readable(error: str) -> bool:
    """Told to people: it says what is wrong, in a line, and not how the program looks inside."""
    inside = r"Traceback|internal error|panick|Rendezvous|RpcError|ObjectName\(|Identifier\("
    return 10 < len(error) <= 500 and "\n" not in error and not re.search(inside, error)


@pytest.mark.parametrize("kind", ["full", "later", "list", "long list"])
def test_without_the_list_of_users_nothing_is_computed(raced: World, kind: str) -> None:
    """Even where no requested tag reads it: nobody could say who exists."""
    raced.pass_time(hours=1)
    version = raced.version()
    empty(raced, BASIC)
    job = raced.compute([1], **KINDS[kind])
    assert job.state is JobState.FAILED
    assert BASIC in (job.error or "")
    assert raced.version() == version


def test_an_error_names_the_empty_source(raced: World) -> None:
    empty(raced, ASSETS)
    assert raced.compute([1]).error == f"the source {ASSETS} has no rows"
    assert raced.compute([1], user_ids=["user0001"]).error == f"the source {ASSETS} has no rows"


def test_a_source_that_no_requested_tag_reads_may_be_broken(raced: World) -> None:
    missing(raced, ASSETS)
    for asked in KINDS.values():
        assert raced.compute([2, 3], **asked).state is JobState.SUCCEEDED


def test_a_source_that_is_not_configured_is_named(spark: Spark, raced: World) -> None:
    raced.task._sources._tables = {}
    job = raced.compute([1])
    assert (job.state, job.attempt) == (JobState.FAILED, 1)
    assert re.fullmatch(r"no source \w+ is configured", job.error or "")


def test_errors_of_spark_are_translated(spark: Spark) -> None:
    with pytest.raises(TaskFailed, match="nonsense"), spark.session() as session:
        session.range(1).select("nonsense").collect()


# -- others write to the same table ----------------------------------------------------------

ROADS: dict[str, dict[str, Any]] = {
    "full": {},
    "full, compared": {"diff": True},
    "incremental": {"mode": "incremental"},
    "list": {"user_ids": ["user0000", "user0001", "user0002"]},
    "long list": {"user_ids": [f"user{number:04}" for number in range(1200)]},
}
OTHERS: dict[str, dict[str, Any]] = {
    "full": {},
    "list within": {"user_ids": ["user0000", "user0001"]},
    "list beside": {"user_ids": ["user1298", "user1299"]},
    "another tag": {"tag_ids": [7]},
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("road", [*ROADS, "incremental, large files", "list, large files"])
def test_another_writer_is_faster(raced: World, monkeypatch: pytest.MonkeyPatch, road: str, other: str) -> None:
    """Between computation and commit, on sources that have changed meanwhile: nobody's work is lost or done twice."""
    if road not in ROADS:
        road = road.removesuffix(", large files")
        monkeypatch.setattr("tag_tasks.tags.edit.SMALL", 10)
    elsewhere = raced.another_process()
    everybody = set(raced.data.users())
    before = raced.memberships([1, 3])
    raced.pass_time(hours=1)
    turn(raced, 1)
    meanwhile = raced.expectations([1, 3])

    def interfere() -> None:
        elsewhere.clock.moment = raced.pass_time(minutes=1)
        turn(raced, 0)
        elsewhere.result(**{"tag_ids": [1, 3], **OTHERS[other]})

    table_of(raced).before_check = interfere
    result = raced.result([1, 3], **ROADS[road])
    if other == "full" and road == "incremental":
        assert result == no_results(raced.version(), [1, 3]), "the other run left nothing to do"
    else:
        assert result["table_version"] == raced.version()
    theirs = set() if other == "another tag" else set(OTHERS[other].get("user_ids", everybody))
    mine = set(ROADS[road].get("user_ids", everybody)) - theirs
    after, truth = raced.memberships([1, 3]), raced.expectations([1, 3])
    for tag_id in (1, 3):
        assert after[tag_id] & theirs == truth[tag_id] & theirs, "what the other writer did is undone"
        assert after[tag_id] & mine in (meanwhile[tag_id] & mine, truth[tag_id] & mine), "a mixture of two times"
        rest = everybody - mine - theirs
        assert after[tag_id] & rest == before[tag_id] & rest, "users that nobody asked for have changed"


@pytest.mark.parametrize("reading", [2, 3], ids=["before the commit's own reading", "after a recomputation"])
@pytest.mark.parametrize("road", ["full", "incremental", "list", "long list"])
def test_another_writer_is_faster_in_the_last_moment(raced: World, road: str, reading: int) -> None:
    """Past the check, too: a commit is made only against the version that it was computed on."""
    raced.pass_time(hours=1)
    elsewhere = raced.another_process()
    elsewhere.clock.moment = raced.clock.now()
    turn(raced, 1)

    def interfere() -> None:
        turn(raced, 0)
        elsewhere.result([1, 3])
        turn(raced, 1)
        elsewhere.pass_time(minutes=1)
        elsewhere.result([1, 3])

    table_of(raced).before_snapshot[reading] = interfere
    if reading == 3:
        table_of(raced).before_check = lambda: elsewhere.result([1, 3])
    raced.result([1, 3], **ROADS[road])
    raced.agrees([1, 3])


def test_a_commit_that_is_refused_is_computed_anew(raced: World) -> None:
    turn(raced, 1)
    elsewhere = raced.another_process()
    table_of(raced).before_commit = lambda: elsewhere.result([1, 3], user_ids=["user0000"])
    job = raced.compute([1, 3], diff=True)
    assert job.state is JobState.SUCCEEDED
    assert job.result is not None
    raced.agrees([1, 3])
    members = {tag_id: len(raced.members(tag_id)) for tag_id in (1, 3)}
    assert {tag_id: matched for tag_id, (matched, _, _) in counts(job.result).items()} == members
    assert job.result["table_version"] == raced.version()
    left = {path for path in raced.parquet_files() - raced.committed_files() if job.id in str(path)}
    assert not left, "what was staged for the refused commit lies there until the vacuum"


def test_processes_that_collide_all_the_time_fail_no_job(world: World) -> None:
    """Two processes with small jobs on tags of their own: a collision is nobody's fault."""
    users = [f"user{number:03}" for number in range(200)]
    for number, user in enumerate(users):
        world.data.put(user, **(EVERY_TAG, NO_TAG)[number % 2])
    world.data.save()
    world.result()
    for number, user in enumerate(users):
        world.data.put(user, **(NO_TAG, EVERY_TAG)[number % 2])
    world.data.save()
    processes = [world.another_process(), world.another_process()]
    jobs = [[one.submit([1 + number % 8], user_ids=users[number::60]) for number in range(40)] for one in processes]
    with pool(processes[0]), pool(processes[1]):
        for one, ids in zip(processes, jobs, strict=True):
            eventually(lambda one=one, ids=ids: all(one.clock.get(job_id).finished for job_id in ids))
    finished = [one.clock.get(job_id) for one, ids in zip(processes, jobs, strict=True) for job_id in ids]
    assert {(job.state, job.error) for job in finished} == {(JobState.SUCCEEDED, None)}
    assert world.version() <= 1 + len(finished) + 10, "refused commits fill the log with empty ones"


def test_a_day_passes_between_a_commit_and_its_retry(raced: World) -> None:
    """A retry computes for the day of the submission."""
    turn(raced, 1)

    def fail() -> None:
        raced.pass_time(days=1)
        raise Transient(reason="lost")

    table_of(raced).before_commit = fail
    job_id = raced.submit([4, 8])
    assert raced.finish(job_id).state is JobState.SUCCEEDED
    assert raced.clock.now().date() == TODAY + timedelta(days=1)
    for tag_id in (4, 8):
        assert raced.members(tag_id) == raced.expected(tag_id, TODAY)
