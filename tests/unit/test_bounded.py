"""Work that hangs holds a thread of its own, and nobody else."""

from __future__ import annotations

import threading

import pytest

from tag_tasks.bounded import BoundedThreads, NoAnswer
from tagapi.jobs.task import running_job
from tests.unit.fakes import PATIENCE, elsewhere


def test_an_answer_is_passed_on_and_so_is_an_error() -> None:
    threads = BoundedThreads("test", most=1, seconds=PATIENCE)
    assert threads.run(lambda: 7) == 7
    for error in (ValueError("why"), TimeoutError("its own"), SystemExit()):
        with pytest.raises(type(error)) as raised:
            threads.run(lambda error=error: _raise(error))
        assert raised.value is error
    assert threads.run(lambda: 8) == 8


def _raise(error: BaseException) -> None:
    raise error


def test_work_knows_the_job_that_it_is_for() -> None:
    token = running_job.set("job-1")
    try:
        assert BoundedThreads("test", most=1, seconds=PATIENCE).run(running_job.get) == "job-1"
    finally:
        running_job.reset(token)


def test_who_asks_waits_no_longer_than_that() -> None:
    released, left = threading.Event(), threading.Event()

    def hang() -> None:
        released.wait(PATIENCE)
        left.set()

    threads = BoundedThreads("test", most=2, seconds=0.05)
    for _ in range(2):
        with pytest.raises(NoAnswer, match=r"0\.05 s"):
            threads.run(hang)
    with pytest.raises(NoAnswer, match="hangs"):
        threads.run(lambda: 1)
    released.set()
    assert left.wait(PATIENCE)
    _eventually_answers(threads)


def test_work_waits_a_moment_for_a_thread_unless_they_hang() -> None:
    busy, released = threading.Event(), threading.Event()

    def work() -> None:
        busy.set()
        released.wait(PATIENCE)

    threads = BoundedThreads("test", most=1, seconds=PATIENCE, patience=PATIENCE)
    with elsewhere(lambda: threads.run(work)):
        assert busy.wait(PATIENCE)
        with elsewhere(lambda: threads.run(lambda: 7)) as waiting:
            released.set()
            assert waiting.result(PATIENCE) == 7
    impatient = BoundedThreads("test", most=1, seconds=0.05, patience=0.05)
    released.clear()
    with pytest.raises(NoAnswer):
        impatient.run(work)
    for _ in range(2):  # the first one waits in vain, and the second not at all
        with pytest.raises(NoAnswer, match="hangs"):
            impatient.run(lambda: 1)
    released.set()
    _eventually_answers(impatient)


def _eventually_answers(threads: BoundedThreads) -> None:
    for _ in range(1000):
        try:
            assert threads.run(lambda: 1) == 1
            return
        except NoAnswer:
            threading.Event().wait(0.01)
    raise AssertionError("a thread that came back is not free again")


def test_what_hangs_does_not_keep_the_process() -> None:
    threads = BoundedThreads("test", most=1, seconds=PATIENCE)
    assert threads.run(lambda: threading.current_thread().daemon)


def test_a_thread_that_cannot_be_had_takes_nobodys_place(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = BoundedThreads("test", most=1, seconds=PATIENCE)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(NoAnswer, match="no thread"):
            threads.run(lambda: 1)
    assert threads.run(lambda: 2) == 2
