"""Attempts in workers of Celery, by real brokers: what is killed, lost, doubled or away costs and doubles nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from celery import Celery

from tagapi.executors.celery import celery_app, queue_of
from tests.brokers import BROKERS, NO_RABBIT, Broker, broker
from tests.e2e.assets_client import ROOT as ASSETS
from tests.e2e.carried import Worker
from tests.e2e.conftest import served
from tests.e2e.scripts import RETRIES
from tests.e2e.server import Client, Server, free_port, run_python, until
from tests.e2e.stand_in import RUNS
from tests.e2e.tasks_client import TASKS, cancel, ended, publish, started, status

LEASE = 2.0  # seconds
LANES = ("spark", "platforms")
DOUBLES = 20
PATIENCE = 60.0  # seconds
STAND_IN: Mapping[str, Any] = {"program": ("-m", "tests.e2e.stand_in")}


class House:
    """A service that runs nothing itself, its broker, and the workers that a test starts."""

    def __init__(self, folder: Path, broker: Broker, until_end: ExitStack, **more: str) -> None:
        self.folder = folder
        self.broker = broker
        self.variables = {
            "TAGAPI_EXECUTOR": f"celery://{broker.url}",
            "TAGAPI_JOBS__LEASE_SECONDS": str(LEASE),
            "TAGAPI_JOBS__MAX_CONCURRENT": "2",
            "TAGAPI_JOBS__DRAIN_SECONDS": "0.5",
            **more,
        }
        self._until_end = until_end
        self.server = Server(folder, self.variables, **STAND_IN)
        until_end.callback(self.server.kill)
        self.server.wait_alive()
        self.app: Celery = celery_app(broker.url, LANES)

    def worker(self, name: str | None = None, **more: str) -> Worker:
        worker = Worker(self.folder, {**self.variables, **more}, name, app="tests.e2e.stand_in_worker")
        self._until_end.callback(worker.kill)
        return worker

    def lying(self) -> int:
        """Messages at the broker."""
        with self.app.connection_for_write() as connection:
            lanes = [queue_of(lane).bind(connection.default_channel) for lane in LANES]
            return sum(queue.queue_declare().message_count for queue in lanes)

    def purge(self) -> None:
        with self.app.connection_for_write() as connection:
            for lane in LANES:
                queue_of(lane).bind(connection.default_channel).purge()

    def send(self, task_id: str, times: int, task: str = "workers.bookings_export") -> None:
        """Messages by hand."""
        with self.app.connection_for_write() as connection:
            producer = self.app.amqp.Producer(connection)
            for _ in range(times):
                self.app.send_task(task, [task_id], queue=queue_of("spark"), producer=producer)

    def health(self) -> dict[str, Any]:
        return self.server.read("/health")

    def said(self, event: str) -> int:
        """How often the service and its workers have logged it."""
        return self.server.log_file.read_text(encoding="utf-8").count(f'"event": "{event}"')

    def workers(self) -> dict[str, int]:
        """How many attempts run, by the worker that runs them."""
        told = self.server.read(f"{TASKS}/service")["workers"]
        return {one["worker"]: one["running"] for one in told}


StartHouse = Callable[..., House]


@pytest.fixture(params=[pytest.param(kind, id=kind) for kind in BROKERS])
def start_house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartHouse]:
    """A house of the test's own, with a broker that it may harm."""
    if request.param == "rabbitmq" and NO_RABBIT:
        pytest.skip(NO_RABBIT)
    with ExitStack() as until_end:
        one = until_end.enter_context(broker(request.param))
        yield lambda **more: House(tmp_path, one, until_end, **more)


def done(client: Client, task_ids: list[str]) -> None:
    """All have succeeded, each by one attempt."""
    told = {task_id: ended(client, task_id) for task_id in task_ids}
    assert {one["status"] for one in told.values()} == {"SUCCESS"}, told
    assert {one["attempt"] for one in told.values()} == {1}, told


def test_attempts_are_carried_bounded_by_lane_and_named_after_their_worker(start_house: StartHouse) -> None:
    house = start_house()
    worker = house.worker()
    jobs = [started(house.server, RUNS) for _ in range(4)]
    until(lambda: house.workers() == {worker.name: 2}, "as many run as may")
    assert ended(house.server, publish(house.server).json()["task_id"])["status"] == "SUCCESS", "its lane has room"
    other = house.worker()
    until(lambda: house.workers() == {worker.name: 2, other.name: 2}, "another worker takes the rest")
    assert cancel(house.server, jobs[0]).status_code == 200
    assert [cancel(house.server, job).json()["status"] for job in jobs[1:]] == ["REVOKED"] * 3
    more = [started(house.server) for _ in range(30)]
    done(house.server, more)
    assert (worker.stop(), other.stop()) == (0, 0)


def test_messages_that_are_lost_or_doubled_cost_and_double_nothing(start_house: StartHouse) -> None:
    house = start_house()
    lost = [started(house.server) for _ in range(5)]
    until(lambda: house.lying() >= 5, "the messages are at the broker")
    house.purge()
    doubled = [started(house.server) for _ in range(5)]
    for job in doubled:
        house.send(job, DOUBLES)
    house.send("no-such-job", DOUBLES)
    house.worker()
    done(house.server, lost + doubled)
    for job in doubled:
        house.send(job, DOUBLES)
    done(house.server, [started(house.server)])
    done(house.server, doubled)


def test_a_job_that_waits_for_its_time_begins_then(start_house: StartHouse) -> None:
    house = start_house()
    house.worker()
    told = ended(house.server, started(house.server, RETRIES))
    assert (told["status"], told["attempt"]) == ("SUCCESS", 2)


def test_a_worker_that_is_killed_loses_nothing(start_house: StartHouse) -> None:
    house = start_house()
    first = house.worker()
    jobs = [started(house.server, RUNS) for _ in range(3)]
    until(lambda: house.workers() == {first.name: 2}, "they run")
    first.kill()
    second = house.worker()
    until(lambda: house.workers() == {second.name: 2}, "they are taken over", PATIENCE)
    seen = sorted(status(house.server, job)["attempt"] for job in jobs)
    assert seen[-1] == 2
    for job in jobs:
        cancel(house.server, job)
    assert {ended(house.server, job)["status"] for job in jobs} == {"REVOKED"}


def test_a_worker_that_leaves_gives_back_what_it_runs(start_house: StartHouse) -> None:
    house = start_house()
    first = house.worker()
    job = started(house.server, RUNS)
    until(lambda: house.workers() == {first.name: 1}, "it runs")
    second = house.worker()
    second.wait_ready()
    assert first.stop() == 0
    until(lambda: house.workers() == {second.name: 1}, "another one has it")
    assert status(house.server, job)["attempt"] == 1, "the first one counts for nothing"
    assert house.said("job_recovered") == 0, "it was given back, not lost"


def test_jobs_are_accepted_while_the_broker_is_away_and_run_when_it_is_back(start_house: StartHouse) -> None:
    house = start_house()
    worker = house.worker()
    before = started(house.server, RUNS)
    until(lambda: house.workers() == {worker.name: 1}, "it runs")
    house.broker.kill()
    until(lambda: not house.health()["executor"]["up"], "it is noticed")
    assert "broker is away" in house.health()["alarms"][0]
    assert house.server.read(f"{TASKS}/service")["executor"]["up"] is False
    away = [started(house.server) for _ in range(5)]
    assert {status(house.server, job)["status"] for job in away} == {"PENDING"}
    assert status(house.server, before)["status"] == "PROGRESS", "what runs needs no broker"
    assert cancel(house.server, before).json()["status"] == "REVOKED", "nor does a cancel"
    house.broker.start()
    done(house.server, away)
    assert house.health()["alarms"] == []
    service = [line for line in house.server.output.read_text("utf-8").splitlines() if "broker_" in line]
    assert ["broker_away" in line for line in service] == [True, False], service


def test_a_broker_that_hangs_keeps_nobody_waiting(start_house: StartHouse) -> None:
    house = start_house()
    house.worker()
    done(house.server, [started(house.server)])
    house.broker.freeze()
    jobs = []
    for _ in range(5):
        answer = requests.post(
            f"{house.server.url}/api/v1/workers/", json={"task_type": "bookings_export", "batch_size": 100}, timeout=2
        )
        assert answer.status_code == 201
        jobs.append(answer.json()["task_id"])
    until(lambda: not house.health()["executor"]["up"], "it is noticed", PATIENCE)
    house.broker.thaw()
    done(house.server, jobs)


def test_the_service_may_be_killed_while_its_workers_go_on(start_house: StartHouse) -> None:
    house = start_house()
    jobs = [started(house.server) for _ in range(5)]
    until(lambda: house.lying() >= 5, "the messages are at the broker")
    house.server.kill()
    house.purge()
    house.worker()
    for again in served(Server(house.folder, house.variables, **STAND_IN), ready=False):
        done(again, jobs)


# -- what others see ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that nobody harms, with one worker that tells its numbers."""
    with ExitStack() as until_end:
        one = until_end.enter_context(broker("redis"))
        house = House(tmp_path_factory.mktemp("calm"), one, until_end)
        port = free_port()
        house.numbers = f"http://127.0.0.1:{port}/metrics"  # type: ignore[attr-defined]
        house.worker("calm", TAGAPI_EXECUTOR__METRICS=f"127.0.0.1:{port}").wait_ready()
        yield house


def test_monitors_of_celery_see_names_arguments_and_workers(calm: House) -> None:
    seen: list[Mapping[str, Any]] = []
    with calm.app.connection_for_read() as connection:
        receiver = calm.app.events.Receiver(connection, handlers={"*": seen.append})
        job = []

        def look() -> bool:
            with suppress(TimeoutError):
                receiver.capture(limit=1, timeout=1, wakeup=False)
            if not job and seen:
                job.append(started(calm.server))
            return any(one["type"] == "task-succeeded" for one in seen)

        until(look, "the task has succeeded")
    told = {one["type"]: one for one in seen if one["type"].startswith("task-")}
    assert told["task-received"]["name"] == "workers.bookings_export"
    assert job[0] in told["task-received"]["args"]
    assert told["task-received"]["hostname"] == told["task-started"]["hostname"] == "calm@localhost"
    assert {"task-sent", "task-received", "task-started", "task-succeeded"} <= told.keys()


def test_active_names_the_worker_as_celery_does(calm: House) -> None:
    asked = {"task_type": "domain_task", "data": {"name": "n", "target": "example.com", "task_tag": "runs"}}
    made = calm.server.post(f"{ASSETS}/", asked)
    assert made.status_code == 200, made.text
    job = made.json()["data"]["celery_id"]

    def look() -> list[dict[str, Any]]:
        told = calm.server.read(f"{ASSETS}/active/")["data"]["active_tasks"]
        return [one for one in told if one["state"] == "active"]

    (active,) = until(look, "it runs")
    assert (active["id"], active["worker"], active["hostname"]) == (job, "calm@localhost", "calm@localhost")
    assert cancel(calm.server, job).json()["status"] == "REVOKED"


def test_an_attempt_is_counted_once_by_the_worker_that_ran_it(calm: House) -> None:
    def counted() -> float:
        lines = requests.get(calm.numbers, timeout=5).text.splitlines()  # type: ignore[attr-defined]
        start = 'tagapi_attempts_total{outcome="succeeded",task="workers.payments_export"} '
        return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))

    before = counted()
    done(calm.server, [started(calm.server, task_type="payments_export") for _ in range(3)])
    assert counted() - before == 3


def test_a_second_signal_does_not_keep_a_worker_from_leaving(calm: House) -> None:
    worker = calm.worker()
    worker.wait_ready()
    for _ in range(2):
        worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


# -- what is refused ------------------------------------------------------------------------


def refusal(folder: Path, *options: str, **settings: str) -> str:
    """The one line that a worker says instead of starting."""
    variables = {f"TAGAPI_{key.upper()}": value for key, value in settings.items()}
    command = ("-W", "ignore", "-m", "celery", "-A", "tagapi.worker", "worker", *options)
    told = run_python(*command, folder=folder, variables=variables)
    assert told.returncode == 1, told
    return told.stderr.splitlines()[-1]


NOWHERE = "celery://redis://ann:secret@127.0.0.1:1/0"


@pytest.mark.parametrize(
    ("options", "settings", "said"),
    [
        ((), {}, "executor.url: names no broker"),
        ((), {"executor": "celery://http://127.0.0.1"}, "executor.url: must be threads, or celery://"),
        ((), {"executor": NOWHERE, "registry__url": "memory://"}, "cannot see memory://"),
        (("-P", "solo"), {"executor": NOWHERE}, "only the pool of threads"),
        (("-P", "processes"), {"executor": NOWHERE}, "only the pool of threads"),
        (("-c", "5"), {"executor": NOWHERE}, "jobs.max_"),
        (("--autoscale", "5,1"), {"executor": NOWHERE}, "jobs.max_"),
        ((), {"executor": NOWHERE, "assets__scope_file": "/dev/null"}, "assets.own"),
        ((), {"executor": NOWHERE, "registry__url": "redis://127.0.0.1:1/0"}, "registry.url: cannot be used"),
        ((), {"executor": NOWHERE, "executor__metrics": "192.0.2.1:9000"}, "executor.metrics: 192.0.2.1:9000"),
    ],
)
def test_a_worker_that_could_not_work_is_refused(
    tmp_path: Path, options: tuple[str, ...], settings: Mapping[str, str], said: str
) -> None:
    told = refusal(tmp_path, *options, **settings)
    assert said in told
    assert "secret" not in told


def test_the_service_refuses_a_store_that_no_worker_sees(tmp_path: Path) -> None:
    variables = {"TAGAPI_EXECUTOR": NOWHERE, "TAGAPI_REGISTRY__URL": "memory://"}
    told = run_python("api_server.py", "--host", "127.0.0.1", "--port", "0", folder=tmp_path, variables=variables)
    assert told.returncode == 1
    assert "executor.url: workers of Celery cannot see memory://" in told.stderr


def test_the_pool_of_threads_needs_no_celery(tmp_path: Path) -> None:
    told = run_python("-c", "import sys, tagapi.app; sys.exit('celery' in sys.modules)", folder=tmp_path)
    assert told.returncode == 0


def test_where_celery_is_not_installed_the_service_says_so(tmp_path: Path) -> None:
    blind = "import sys; sys.modules['celery'] = None; sys.argv = ['api_server.py', '--host', '127.0.0.1']; "
    run = "import api_server; api_server.main()"
    told = run_python("-c", blind + run, folder=tmp_path, variables={"TAGAPI_EXECUTOR": NOWHERE})
    assert told.returncode == 1
    assert "executor.url: needs Celery, which is not installed: make celery" in told.stderr
