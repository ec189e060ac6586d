"""What goes wrong around an export: somebody cancels, Spark dies, an attempt freezes and wakes up too late."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tag_tasks.datasets.export import BookingsExport, Export
from tag_tasks.datasets.sample import write_sample
from tag_tasks.spark.endpoint import ChildServer
from tag_tasks.spark.session import Spark
from tagapi.executors.thread_pool import ThreadPoolExecutor
from tagapi.jobs import changes
from tagapi.jobs.errors import AlreadyFinished, TaskFailed
from tagapi.jobs.model import DEFAULT_LANE, JobState
from tests.spark.business import Business, Gate, Hooked
from tests.spark.world import TODAY, eventually, in_thread

LARGE = 400_000  # bookings: some seconds of work
SOON = 1.0  # seconds from a cancel to the end of the attempt


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources that take a moment. Not to be written to."""
    folder = tmp_path_factory.mktemp("many")
    write_sample(folder, LARGE, TODAY)
    return folder


@pytest.fixture
def large(spark: Spark, tmp_path: Path, many: Path) -> Business:
    return Business(spark, tmp_path, many)


def task(business: Business) -> Export:
    found = business.tasks["workers.bookings_export"]
    assert isinstance(found, BookingsExport)
    return found


@pytest.mark.parametrize("form", ["csv", "parquet", "xlsx"])
@pytest.mark.parametrize("share", [0.0, 0.2], ids=["while Spark sorts", "while rows come"])
def test_a_cancel_is_seen_within_a_second_and_leaves_nothing(large: Business, form: str, share: float) -> None:
    large.clock.run()
    executor = ThreadPoolExecutor(large.runner, large.clock, {DEFAULT_LANE: 1})
    executor.start()
    try:
        job_id = large.submit("bookings_export", format=form)
        executor.wake(large.clock.get(job_id))
        eventually(lambda: far(large, job_id, share))
        began = time.monotonic()
        large.service.cancel(job_id)
        eventually(lambda: large.clock.get(job_id).finished)
        took = time.monotonic() - began
    finally:
        executor.stop(drain_seconds=5)
    assert large.clock.get(job_id).state is JobState.CANCELLED
    assert took < SOON
    assert large.left() == []


def far(business: Business, job_id: str, share: float) -> bool:
    progress = business.clock.get(job_id).progress
    return progress.total is not None and progress.done >= share * progress.total


def test_progress_comes_in_whole_steps(busy: Business, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int | None]] = []
    update = busy.clock.update

    def watched(job_id: str, change: Any, *token: Any) -> Any:
        job = update(job_id, change, *token)
        seen.append((job.progress.done, job.progress.total))
        return job

    monkeypatch.setattr(busy.clock, "update", watched)
    result, _ = busy.done("bookings_export", batch_size=300, format="xlsx")
    total = result["total_records"]
    assert all(done % 300 == 0 or done == total for done, _ in seen)
    assert seen[-1] == (total, total)


def test_a_failed_export_leaves_nothing(busy: Business) -> None:
    def fail() -> None:
        raise TaskFailed(reason="no more")

    Hooked(busy.results, "publish", lambda: None)
    Hooked(task(busy), "_pump", fail)
    job = busy.run("bookings_export")
    assert (job.state, job.error) == (JobState.FAILED, "no more")
    assert busy.left() == []


@pytest.mark.parametrize("form", ["csv", "parquet", "xlsx"])
def test_a_disk_that_is_full_fails_the_job(busy: Business, form: str) -> None:
    """A file that may not grow beyond 100 kB says the same as a full disk: it is too large."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        job = busy.run("bookings_export", format=form)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (job.state, job.error) == (JobState.FAILED, "the result cannot be written: File too large")
    assert busy.left() == []


def test_past_the_point_of_no_return_a_cancel_is_refused(busy: Business) -> None:
    refused: list[str] = []

    def cancel() -> None:
        with pytest.raises(AlreadyFinished):
            busy.service.cancel(job_id)
        refused.append(job_id)

    Hooked(busy.results, "publish", cancel)
    job_id = busy.submit("bookings_export")
    assert busy.finish(job_id).state is JobState.SUCCEEDED
    assert refused == [job_id]


def test_a_cancel_right_before_it_leaves_nothing(busy: Business) -> None:
    def cancel(*_: Any) -> None:
        busy.clock.update(job_id, changes.request_cancel)

    Hooked(task(busy), "_write", cancel)
    job_id = busy.submit("bookings_export")
    assert busy.finish(job_id).state is JobState.CANCELLED
    assert busy.left() == []


@pytest.mark.parametrize("moment", ["_write", "publish"])
def test_a_frozen_attempt_cannot_publish_what_its_successor_did(busy: Business, moment: str) -> None:
    """It stops right before the moment, its lease lapses, another process takes the job, and then it wakes up."""
    gate = Gate()
    Hooked(task(busy) if moment == "_write" else busy.results, moment, gate)
    job_id = busy.submit("bookings_export")
    with in_thread(busy.runner.run_next):
        assert gate.arrived.wait(30)
        busy.clock.moment = busy.clock.moment.replace(hour=13)
        busy.clock.update(job_id, lambda job, now: changes.recover(job, now, max_recoveries=3))
        successor = Business(busy.spark, busy.folder, busy.sources)
        successor.clock = busy.clock
        successor.runner = type(busy.runner)(busy.clock, successor.tasks, "there", busy.runner._limits)
        job = successor.finish(job_id)
        gate.open.set()
    assert job.state is JobState.SUCCEEDED
    assert job.result is not None
    assert busy.file(job, "bookings_export.csv").stat().st_size == job.result["file"]["size"]
    assert busy.left() == [f"{job_id}/{job.epoch}/bookings_export.csv"]


def test_an_attempt_that_was_lost_after_it_published_has_succeeded(busy: Business) -> None:
    """The file is there and nobody wrote so down: the next attempt finds it, and does not work again."""
    publish = busy.results.publish

    def then_lost(attempt_name: str) -> None:
        publish(attempt_name)
        raise RuntimeError("the process is gone")

    busy.results.publish = then_lost  # type: ignore[method-assign]
    job = busy.run("bookings_export")
    assert job.state is JobState.SUCCEEDED
    assert job.attempt == 1
    assert busy.left() == [f"{job.id}/{job.epoch}/bookings_export.csv"]


def test_an_export_survives_the_death_of_spark(tmp_path: Path, many: Path) -> None:
    endpoint = ChildServer("sail")
    spark = Spark(endpoint)
    spark.start()
    large = Business(spark, tmp_path, many)
    large.clock.run()
    executor = ThreadPoolExecutor(large.runner, large.clock, {DEFAULT_LANE: 1})
    try:
        eventually(spark.ready)
        executor.start()
        job_id = large.submit("bookings_export")
        executor.wake(large.clock.get(job_id))
        eventually(lambda: far(large, job_id, 0.1))
        assert endpoint._child is not None
        os.kill(endpoint._child.pid, signal.SIGKILL)
        eventually(lambda: large.clock.get(job_id).finished)
    finally:
        executor.stop(drain_seconds=5)
        spark.stop()
    job = large.clock.get(job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.attempt > 1
    assert large.left() == [f"{job_id}/{job.epoch}/bookings_export.csv"]
