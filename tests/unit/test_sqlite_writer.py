"""The thread that writes to SQLite: one write's misfortune is its own, and nobody waits without a limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from tagapi.jobs.errors import JobNotFound
from tagapi.registries.sqlite.writer import GroupWriter

PATIENCE = 10.0  # seconds
SHORT = 0.05  # seconds: for a wait that is meant to be too long


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with closing(apsw.Connection(str(tmp_path / "numbers.db"))) as db:
        db.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
    return tmp_path / "numbers.db"


@pytest.fixture
def writer(file: Path) -> Iterator[GroupWriter]:
    with closing(GroupWriter(lambda: apsw.Connection(str(file)), PATIENCE)) as writer:
        yield writer


def insert(number: int, then: Callable[[], object] = lambda: None) -> Callable[[apsw.Connection], int]:
    def step(db: apsw.Connection) -> int:
        db.execute("INSERT INTO numbers VALUES (?)", (number,))
        then()
        return number

    return step


def numbers(file: Path) -> list[int]:
    with closing(apsw.Connection(str(file))) as db:
        return [number for (number,) in db.execute("SELECT number FROM numbers ORDER BY number")]


def failing(error: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


@contextmanager
def busy(writer: GroupWriter, pool: ThreadPoolExecutor) -> Iterator[None]:
    """The writer is at work, so that whatever is handed in meanwhile comes together in one group."""
    begun, go_on = threading.Event(), threading.Event()

    def step(_: apsw.Connection) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    first = pool.submit(writer.write, step)
    assert begun.wait(PATIENCE)
    try:
        yield
    finally:
        go_on.set()
    first.result(PATIENCE)


def together(writer: GroupWriter, *steps: Callable[[apsw.Connection], Any]) -> list[Future[Any]]:
    """How each of them ended, all having been in one group."""
    with ThreadPoolExecutor(len(steps) + 1) as pool:
        with busy(writer, pool):
            told = [pool.submit(writer.write, step) for step in steps]
            while writer._waiting.qsize() < len(steps):
                pass
        return told


@pytest.mark.parametrize("error", [KeyError("not ours"), apsw.ConstraintError("nor this")], ids=repr)
def test_what_one_write_raises_is_its_own(writer: GroupWriter, file: Path, error: Exception) -> None:
    before, bad, after = together(writer, insert(1), insert(2, failing(error)), insert(3))
    assert (before.result(), after.result()) == (1, 3)
    assert type(bad.exception()) is type(error)
    assert numbers(file) == [1, 3], "and nothing of it is written"


def test_a_refusal_is_its_own(writer: GroupWriter, file: Path) -> None:
    before, refused, after = together(writer, insert(1), failing_step(JobNotFound(job_id="x")), insert(3))
    assert (before.result(), after.result()) == (1, 3)
    assert isinstance(refused.exception(), JobNotFound)
    assert numbers(file) == [1, 3]


def failing_step(error: BaseException) -> Callable[[apsw.Connection], object]:
    return lambda _: failing(error)()


def test_what_ends_a_thread_leaves_nobody_waiting_and_does_not_end_this_one(writer: GroupWriter, file: Path) -> None:
    for told in together(writer, insert(1), insert(2, failing(SystemExit())), insert(3)):
        assert isinstance(told.exception(PATIENCE), OSError)
    assert writer.write(insert(4)) == 4
    assert numbers(file) == [4]


class Broken:
    """A connection that can do nothing, and not even be closed."""

    def execute(self, statement: str) -> None:
        raise apsw.IOError(statement)

    def close(self, force: bool = False) -> None:
        raise apsw.IOError("closing")


def test_a_connection_that_cannot_be_closed_is_left_behind(file: Path) -> None:
    connections: list[Any] = [apsw.Connection(str(file)), Broken()]
    with closing(GroupWriter(connections.pop, PATIENCE)) as writer:
        with pytest.raises(apsw.IOError, match="BEGIN"):
            writer.write(insert(1))
        assert writer.write(insert(2)) == 2
    assert numbers(file) == [2]


def test_who_has_waited_long_enough_goes_and_is_not_served_later(file: Path) -> None:
    with (
        closing(GroupWriter(lambda: apsw.Connection(str(file)), PATIENCE)) as writer,
        ThreadPoolExecutor(1) as pool,
    ):
        with busy(writer, pool):
            writer.patience = SHORT
            with pytest.raises(TimeoutError):
                writer.write(insert(1))
            writer.patience = PATIENCE
        assert writer.write(insert(2)) == 2
    assert numbers(file) == [2]


def test_closing_does_not_wait_for_a_disk_that_does_not_answer(file: Path) -> None:
    go_on = threading.Event()
    writer = GroupWriter(lambda: apsw.Connection(str(file)), SHORT)
    with pytest.raises(TimeoutError):
        writer.write(lambda _: go_on.wait(PATIENCE))
    writer.close()
    go_on.set()


def test_a_writer_that_was_closed_writes_nothing(writer: GroupWriter, file: Path) -> None:
    writer.close()
    with pytest.raises(OSError, match="closed"):
        writer.write(insert(1))
    assert numbers(file) == []
