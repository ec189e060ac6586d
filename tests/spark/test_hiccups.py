"""The storage hesitates, or refuses: what a job makes of it."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from tag_tasks.spark.session import Spark
from tag_tasks.tags.model import Touched
from tag_tasks.tags.table import MembershipTable
from tagapi.jobs.errors import Transient
from tagapi.jobs.model import JobState
from tests.spark.world import EVERY_TAG, NO_TAG, PATIENCE, World, eventually, in_thread

STALE = OSError(errno.ESTALE, "Stale file handle")
FULL = OSError(errno.ENOSPC, "No space left on device")
IN_DELTA = OSError("Generic LocalFileSystem error\n Unable to copy data to file\n Input/output error (os error 5)")
IN_A_COMMIT = DeltaError("Error interacting with object store: Unable to walk dir: Input/output error (os error 5)")
DENIED = PermissionError(errno.EACCES, "Permission denied")
GONE = TableNotFoundError('Local path "/data/user_tags" does not exist or you don\'t have access!')

IMPATIENCE = 1.0  # seconds: many times what anything takes that does not hang
Hook = Callable[[], None]


class Faulty:
    """Passes everything on, but calls a hook before a method is called, or after it was."""

    def __init__(self, real: Any, before: dict[str, Hook], after: dict[str, Hook]) -> None:
        self._real, self._before, self._after = real, before, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)

        def call(*args: Any, **more: Any) -> Any:
            self._before.get(name, _nothing)()
            answer = method(*args, **more)
            self._after.get(name, _nothing)()
            return answer

        return call


def _nothing() -> None:
    """A hook that is not there."""


def times(count: int, error: Exception) -> Hook:
    """Fail so often, then no more."""
    left = [error] * count

    def fail() -> None:
        if left:
            raise left.pop()

    return fail


class FaultyTable(MembershipTable):
    """A table on a storage that fails where a test says so."""

    def __init__(self, path: Path, seconds: float = PATIENCE) -> None:
        super().__init__(str(path), seconds)
        self.before: dict[str, Hook] = {}
        self.after: dict[str, Hook] = {}
        self._files = Faulty(self._files, self.before, self.after)

    def _open(self) -> Any:
        return Faulty(super()._open(), self.before, self.after)


@pytest.fixture
def world(spark: Spark, tmp_path: Path) -> World:
    """Users who carry all tags where the table says that they carry none, and the other way round."""
    return prepared(World(spark, tmp_path, table=FaultyTable(tmp_path / "user_tags")))


@pytest.fixture
def impatient(spark: Spark, tmp_path: Path) -> Iterator[World]:
    """The same, where nobody waits long for the storage, and nothing that hangs outlives the test."""
    world = prepared(World(spark, tmp_path, table=FaultyTable(tmp_path / "user_tags", seconds=IMPATIENCE)))
    yield world
    eventually(lambda: not hanging())


def prepared(world: World) -> World:
    for parity in (1, 0):
        for number in range(20):
            world.data.put(f"user{number:02}", **(EVERY_TAG, NO_TAG)[(number + parity) % 2])
        world.data.save()
        if parity:
            world.result()
    return world


def hanging() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name in ("table", "vacuum")]


class Hang:
    """Hangs whoever comes by first, until it is released."""

    def __init__(self) -> None:
        self._first = threading.Lock()
        self.reached, self._released = threading.Event(), threading.Event()

    def __call__(self) -> None:
        if self._first.acquire(blocking=False):
            self.reached.set()
            assert self._released.wait(PATIENCE)

    def __enter__(self) -> Hang:
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()


def faulty(world: World) -> FaultyTable:
    assert isinstance(world.table, FaultyTable)
    return world.table


ROADS: dict[str, dict[str, Any]] = {"full": {}, "list": {"user_ids": [f"user{number:02}" for number in range(20)]}}
MOMENTS: dict[str, tuple[str, str, Exception]] = {
    "reading the table": ("before", "update_incremental", IN_DELTA),
    "reading its files": ("before", "get_add_actions", IN_A_COMMIT),
    "reading a footer": ("before", "open_input_file", STALE),
    "committing": ("before", "create_write_transaction", IN_A_COMMIT),
    "committing on a full disk": ("before", "create_write_transaction", FULL),
    "telling that it is committed": ("after", "create_write_transaction", IN_DELTA),
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("often", [1, 3])
def test_a_hiccup_costs_an_attempt_and_no_job(world: World, road: str, moment: str, often: int) -> None:
    when, what, error = MOMENTS[moment]
    version = world.version()
    getattr(faulty(world), when)[what] = times(often, error)

    job = world.compute(**ROADS[road])

    assert job.state is JobState.SUCCEEDED, job.error
    world.agrees()
    assert job.result is not None
    assert [commit["job_id"] for commit in DeltaTable(world.path).history() if "tags" in commit].count(job.id) == 1
    assert version < job.result["table_version"] <= world.version()


def test_a_hiccup_while_writing_a_member_file(world: World) -> None:
    faulty(world).before["open_output_stream"] = times(1, FULL)
    job = world.compute(**ROADS["list"])
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    world.agrees()


def test_a_commit_of_which_nobody_hears_and_nobody_can_ask_is_found_later(world: World) -> None:
    """The commit is there, its answer lost, and so is that of the question; the next attempt asks again."""
    table = faulty(world)

    def lose() -> None:
        table.before["update_incremental"] = times(2, IN_DELTA)
        raise IN_DELTA

    table.after["create_write_transaction"] = _first(lose)
    version = world.version()
    job = world.compute()
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 3)
    assert world.version() == version + 1
    world.agrees()


def _first(hook: Hook) -> Hook:
    todo = [hook]

    def call() -> None:
        if todo:
            todo.pop()()

    return call


@pytest.mark.parametrize("error", [DENIED, GONE], ids=["denied", "gone"])
def test_what_will_not_change_fails_at_once(world: World, error: Exception) -> None:
    version = world.version()
    faulty(world).before["update_incremental"] = times(1, error)
    job = world.compute()
    assert (job.state, job.attempt) == (JobState.FAILED, 1)
    assert "the membership table cannot be used: " in (job.error or "")
    assert world.version() == version
    assert world.result()["table_version"] == version + 1


def test_a_storage_that_goes_on_hesitating_fails_the_job_with_its_reason(world: World) -> None:
    faulty(world).before["update_incremental"] = times(100, STALE)
    job = world.compute()
    assert (job.state, job.attempt) == (JobState.FAILED, world.task.max_attempts)
    assert "Stale file handle" in (job.error or "")


# -- a storage that hangs --------------------------------------------------------------------

HANGS = {
    "reading the table": ("before", "update_incremental"),
    "reading its files": ("before", "get_add_actions"),
    "reading a footer": ("before", "open_input_file"),
    "committing": ("before", "create_write_transaction"),
    "telling that it is committed": ("after", "create_write_transaction"),
    "clearing up": ("before", "delete_dir"),
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("moment", HANGS)
def test_what_hangs_is_left_behind_and_changes_nothing_later(impatient: World, road: str, moment: str) -> None:
    when, what = HANGS[moment]
    with Hang() as hang:
        getattr(faulty(impatient), when)[what] = hang
        job = impatient.compute(**ROADS[road])
        assert job.state is JobState.SUCCEEDED, job.error
        impatient.agrees()
        version = impatient.version()
    eventually(lambda: not hanging())
    assert impatient.version() == version, "what hung went on, and was taken"
    impatient.agrees()
    assert [commit.get("job_id") for commit in DeltaTable(impatient.path).history() if "tags" in commit].count(
        job.id
    ) == 1
    assert hang.reached.is_set() or moment == "clearing up"


def test_whoever_comes_later_does_not_wait_for_who_hangs(impatient: World) -> None:
    with Hang() as hang:
        faulty(impatient).before["history"] = hang
        version = impatient.version()
        impatient.another_process().result([1])

        def look() -> None:
            with pytest.raises(Transient, match="no answer within"):
                impatient.table.touched_since(version, Touched(frozenset({1}), None))

        with in_thread(look):
            assert hang.reached.wait(PATIENCE)
        assert impatient.table.marks(1) is not None
        assert impatient.result()["table_version"] == version + 2


def test_a_vacuum_that_hangs_is_put_off(impatient: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that hangs is enough: the next one is put off at once."""
    monkeypatch.setattr("tag_tasks.delta.table.VACUUM_SECONDS", IMPATIENCE)
    with Hang() as hang:
        monkeypatch.setattr("deltalake.DeltaTable.is_deltatable", lambda path: hang())
        table = MembershipTable(str(impatient.path))
        for why in ("no answer within", "hangs"):
            with pytest.raises(Transient, match=why):
                table.vacuum(1)
        assert table.snapshot().version == impatient.version()
