"""What is counted of jobs and requests, one at a time, as whoever collects it reads it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tagapi.jobs.errors import QueueFull, StoreUnavailable, TaskFailed, Transient
from tagapi.jobs.lists import Bounds
from tagapi.jobs.runner import RunnerLimits
from tagapi.jobs.webhooks import DeliveryState
from tagapi.metrics import asked
from tagapi.metrics.exposed import Metrics
from tagapi.metrics.processes import FOLDER, PREFIX, YOUNG, SharedFolder, free_place
from tagapi.metrics.sampled import State
from tagapi.registries.availability import Availability
from tests.unit.fakes import TASK, Pause, Sink, World, elsewhere, interruptible, next_attempt, raising

IDLE = State(pushes=0, spark_up=True, sums={"spark_restarts": 0, "store_errors": 0})
Series = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def series(text: str) -> Series:
    """Every number, by the name of its series and its labels; each once."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


class Told:
    """What the metrics of a world tell."""

    def __init__(self, world: World, state: State = IDLE) -> None:
        self.state = state
        self.metrics = Metrics("1.2.3", [TASK], lambda: self.state, lambda: asked.read(world.registry, ["spark"]))
        world.registry.observed_by(self.metrics.jobs)

    def get(self, name: str, **labels: str) -> float | None:
        return series(self.metrics.expose().decode()).get((f"tagapi_{name}", frozenset(labels.items())))

    def finished(self, outcome: str) -> float | None:
        return self.get("jobs_finished_total", task=TASK, outcome=outcome)

    def attempts(self, outcome: str) -> float | None:
        return self.get("attempts_total", task=TASK, outcome=outcome)


# -- jobs ----------------------------------------------------------------------------------


def test_counts_begin_at_zero() -> None:
    told = Told(World())
    assert told.get("jobs_accepted_total", task=TASK) == 0
    assert [told.finished(outcome) for outcome in ("succeeded", "failed", "cancelled")] == [0, 0, 0]


def test_a_job_that_succeeds() -> None:
    def work(_: object) -> Mapping[str, object]:
        world.clock.advance(7)
        return {}

    world = World(work)
    told = Told(world)
    world.submit()
    world.clock.advance(3)
    world.run_next()
    assert told.get("jobs_accepted_total", task=TASK) == 1
    assert (told.finished("succeeded"), told.finished("failed")) == (1, 0)
    assert (told.attempts("succeeded"), told.attempts("retried")) == (1, None)
    assert told.get("job_wait_seconds_sum", task=TASK) == 3
    assert told.get("attempt_duration_seconds_sum", task=TASK) == 7
    assert told.get("attempt_duration_seconds_bucket", task=TASK, le="5.0") == 0
    assert told.get("attempt_duration_seconds_bucket", task=TASK, le="10.0") == 1


def test_a_job_that_fails_after_it_was_tried_again() -> None:
    world = World(raising(Transient(reason="a hiccup"), TaskFailed(reason="no such table")))
    told = Told(world)
    world.submit()
    world.run_next()
    assert (told.attempts("retried"), told.finished("failed")) == (1, 0)
    next_attempt(world)
    assert (told.attempts("retried"), told.attempts("failed"), told.finished("failed")) == (1, 1, 1)
    assert told.get("job_wait_seconds_count", task=TASK) == 2
    waited = told.get("job_wait_seconds_sum", task=TASK)
    assert waited is not None
    assert 0 < waited < 60, "from when the second attempt could begin, not from the first one's end"


def test_a_job_that_is_cancelled_in_the_queue_has_had_no_attempt() -> None:
    world = World()
    told = Told(world)
    world.service.cancel(world.submit())
    assert told.finished("cancelled") == 1
    assert told.attempts("cancelled") is None
    assert told.get("job_wait_seconds_count", task=TASK) is None


def test_a_job_that_is_cancelled_while_it_runs() -> None:
    pause = Pause()
    world = World(interruptible(pause))
    told = Told(world)
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        assert told.get("jobs_running", lane="spark") == 1
        world.service.cancel(job_id)
    assert (told.finished("cancelled"), told.attempts("cancelled")) == (1, 1)
    assert told.get("jobs_running", lane="spark") == 0


def test_a_job_whose_process_is_lost_is_counted_where_that_is_found_out() -> None:
    world = World()
    told = Told(world)
    job_id = world.submit()
    assert world.registry.claim("elsewhere", timedelta(seconds=RunnerLimits().lease)) is not None
    world.recover(job_id, max_recoveries=1)
    assert (told.attempts("lost"), told.finished("failed")) == (1, 0)
    world.run_next()
    assert (told.attempts("succeeded"), told.finished("succeeded")) == (1, 1)


def test_a_job_whose_process_leaves_goes_back_to_the_queue() -> None:
    pause = Pause()
    world = World(interruptible(pause))
    told = Told(world)
    world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        world.runner.release_all()
    assert told.attempts("released") == 1
    assert told.get("queue_jobs", lane="spark") == 1


def test_a_job_that_is_parked_is_not_finished() -> None:
    work = Sink(fails_after=RuntimeError("the answer was lost")).work
    world = World(work, raising(RuntimeError("the sink is away")))
    told = Told(world)
    world.submit()
    world.run_next()
    while told.get("jobs_parked") == 0:
        next_attempt(world)
    assert told.attempts("parked") == 1
    assert told.finished("failed") == 0


def test_what_is_undone_is_an_attempt_of_its_own() -> None:
    def work(context: object) -> Mapping[str, object]:
        context.journal("made", {"id": 1})  # type: ignore[attr-defined]
        raise TaskFailed(reason="it was refused")

    world = World(work)
    told = Told(world)
    world.task.undo = lambda context: None  # type: ignore[method-assign]
    world.submit()
    world.run_next()
    assert (told.attempts("failed"), told.finished("failed")) == (1, 0)
    next_attempt(world)
    assert (told.attempts("undone"), told.finished("failed")) == (1, 1)
    assert told.get("job_wait_seconds_count", task=TASK) == 1, "an undo has waited for nobody's turn"


def test_a_request_that_comes_again_is_no_other_job() -> None:
    world = World()
    told = Told(world)
    for _ in range(3):
        world.service.submit(TASK, {}, owner="ann", route="/", key="one")
    assert told.get("jobs_accepted_total", task=TASK) == 1


def test_a_refused_job_is_not_accepted() -> None:
    world = World()
    told = Told(world)
    another = replace(world.job(world.submit()).request, job_id="another")
    with pytest.raises(QueueFull):
        world.registry.add(another, Bounds(queued=1, queued_per_owner=1))
    assert told.get("jobs_accepted_total", task=TASK) == 1


# -- the queue -----------------------------------------------------------------------------


def test_the_queue_and_the_age_of_its_oldest() -> None:
    world = World()
    told = Told(world)
    assert (told.get("queue_jobs", lane="spark"), told.get("queue_oldest_age_seconds", lane="spark")) == (0, 0)
    world.submit()
    world.clock.advance(20)
    world.submit()
    world.clock.advance(5)
    assert (told.get("queue_jobs", lane="spark"), told.get("queue_oldest_age_seconds", lane="spark")) == (2, 25)


def test_a_job_that_may_not_begin_yet_keeps_nobody_waiting() -> None:
    world = World(raising(Transient(reason="a hiccup")))
    told = Told(world)
    world.submit()
    world.run_next()
    assert (told.get("queue_jobs", lane="spark"), told.get("queue_oldest_age_seconds", lane="spark")) == (1, 0)


def test_of_a_store_that_is_away_nothing_is_told_but_that() -> None:
    metrics = Metrics("1.2.3", [TASK], lambda: IDLE, lambda: None)
    told = series(metrics.expose().decode())
    names = {name for name, _ in told}
    assert told["tagapi_store_up", frozenset()] == 0
    assert names.isdisjoint({"tagapi_queue_jobs", "tagapi_jobs_running", "tagapi_jobs_parked", "tagapi_schedules"})
    assert {"tagapi_jobs_accepted_total", "tagapi_pushes_open", "tagapi_build_info"} <= names


# -- requests ------------------------------------------------------------------------------


def test_requests_by_route_and_status() -> None:
    told = Told(World())
    answered = told.metrics.requests.answered
    for status, seconds in ((200, 0.002), (200, 0.3), (404, 0.002)):
        answered("GET", "/api/v1/tasks/<string:task_id>/status", status, seconds)
    route = {"method": "GET", "route": "/api/v1/tasks/<string:task_id>/status"}
    assert told.get("http_requests_total", **route, status="200") == 2
    assert told.get("http_requests_total", **route, status="404") == 1
    assert told.get("http_request_duration_seconds_count", **route) == 3
    assert told.get("http_request_duration_seconds_bucket", **route, le="0.0025") == 2
    assert told.get("http_request_duration_seconds_bucket", **route, le="0.5") == 3


def test_whatever_clients_send_the_series_are_few() -> None:
    told = Told(World())
    for number in range(1000):
        told.metrics.requests.answered(f"METHOD{number}", None, 404, 0.001)
    told.metrics.requests.answered(None, None, 400, 0.001)
    assert told.get("http_requests_total", method="other", route="unmatched", status="404") == 1000
    assert told.get("http_requests_total", method="other", route="unmatched", status="400") == 1
    assert told.metrics.expose().count(b"tagapi_http_requests_total{") == 2


def test_deliveries_are_counted_by_what_came_of_them() -> None:
    told = Told(World())
    for state in (DeliveryState.WAITING, DeliveryState.WAITING, DeliveryState.DELIVERED):
        told.metrics.deliveries.ended(state)
    counts = [told.get("deliveries_total", outcome=outcome) for outcome in ("delivered", "failed", "given_up")]
    assert counts == [1, 2, 0]


# -- what a process says of itself ---------------------------------------------------------


def test_sums_of_others_are_taken_over_once() -> None:
    told = Told(World(), State(pushes=3, spark_up=False, sums={"spark_restarts": 2, "store_errors": 5}))
    for _ in range(3):
        assert (told.get("spark_restarts_total"), told.get("store_errors_total")) == (2, 5)
    assert (told.get("pushes_open"), told.get("spark_up"), told.get("workers")) == (3, 0, 1)
    told.state = State(pushes=1, spark_up=True, sums={"spark_restarts": 3, "store_errors": 5})
    assert (told.get("spark_restarts_total"), told.get("store_errors_total")) == (3, 5)
    assert (told.get("pushes_open"), told.get("spark_up")) == (1, 1)


def test_each_error_of_a_store_counts() -> None:
    available = Availability("redis", OSError)
    for _ in range(3):
        with pytest.raises(StoreUnavailable), available.asked():
            raise OSError
    with available.asked():
        pass
    assert available.errors == 3


# -- several processes ---------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, "as it was")
    return tmp_path


def test_a_folder_is_new_and_its_own_until_it_is_removed(place: Path) -> None:
    first, second = SharedFolder(place), SharedFolder(place)
    assert first.path != second.path
    assert os.environ[FOLDER] == str(second.path)
    assert not any(second.path.iterdir())
    (first.path / "counter_1.db").touch()
    first.remove()
    assert list(place.iterdir()) == [second.path]
    second.remove()


def test_of_a_worker_that_is_gone_the_sums_stay(place: Path) -> None:
    folder = SharedFolder(place)
    for name in ("counter_7.db", "histogram_7.db", "gauge_livesum_7.db", "gauge_livemin_7.db", "gauge_livesum_17.db"):
        (folder.path / name).touch()
    folder.forget(7)
    assert {file.name for file in folder.path.iterdir()} == {"counter_7.db", "histogram_7.db", "gauge_livesum_17.db"}
    folder.remove()


@pytest.mark.parametrize(("taken", "free"), [((), 0), ((0, 1), 2), ((1, 2), 0), ((3, 0), 1)])
def test_a_place_is_free_again_when_its_worker_is_gone(taken: tuple[int, ...], free: int) -> None:
    assert free_place(taken) == free


def test_what_a_launcher_left_that_was_killed_goes_at_the_next_start(place: Path) -> None:
    living = SharedFolder(place)
    code = (
        "import os, sys; from pathlib import Path; from tagapi.metrics.processes import SharedFolder;"
        "print(SharedFolder(Path(sys.argv[1])).path, flush=True); os._exit(9)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(place)], capture_output=True, text=True, check=False)
    left = Path(ended.stdout.strip())
    assert left.name.startswith(PREFIX)
    another = SharedFolder(place)
    assert left.exists(), "it may be about to be locked"
    for folder in (left, living.path):
        os.utime(folder, (0, time.time() - 2 * YOUNG))
    last = SharedFolder(place)
    assert set(place.iterdir()) == {living.path, another.path, last.path}
    for folder in (living, another, last):
        folder.remove()
