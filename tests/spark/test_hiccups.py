"""The storage hesitates, or refuses: what a job makes of it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from tag_tasks.spark.session import Spark
from tag_tasks.tags.table import MembershipTable
from tagapi.jobs.model import JobState
from tests.spark.world import EVERY_TAG, NO_TAG, World

STALE = OSError(errno.ESTALE, "Stale file handle")
FULL = OSError(errno.ENOSPC, "No space left on device")
IN_DELTA = OSError("Generic LocalFileSystem error\n Unable to copy data to file\n Input/output error (os error 5)")
IN_A_COMMIT = DeltaError("Error interacting with object store: Unable to walk dir: Input/output error (os error 5)")
DENIED = PermissionError(errno.EACCES, "Permission denied")
GONE = TableNotFoundError('Local path "/data/user_tags" does not exist or you don\'t have access!')

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

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.before: dict[str, Hook] = {}
        self.after: dict[str, Hook] = {}
        self._files = Faulty(self._files, self.before, self.after)

    def _open(self) -> Any:
        return Faulty(super()._open(), self.before, self.after)


@pytest.fixture
def world(spark: Spark, tmp_path: Path) -> World:
    """Users who carry all tags where the table says that they carry none, and the other way round."""
    world = World(spark, tmp_path, table=FaultyTable(tmp_path / "user_tags"))
    for parity in (1, 0):
        for number in range(20):
            world.data.put(f"user{number:02}", **(EVERY_TAG, NO_TAG)[(number + parity) % 2])
        world.data.save()
        if parity:
            world.result()
    return world


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
