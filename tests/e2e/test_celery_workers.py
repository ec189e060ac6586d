"""Attempts in workers of Celery, by real brokers: what is killed, lost, doubled or away costs and doubles nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from celery import Celery

from tagapi.executors.celery_messages import celery_app, queue_of
from tests.brokers import BROKERS, NO_RABBIT, Broker, broker
from tests.e2e.assets_client import ROOT as ASSETS
from tests.e2e.carried import VARIABLE, Worker
from tests.e2e.scripts import RETRIES
from tests.e2e.server import Server, free_port, run_python, until
from tests.e2e.stand_in import RUNS
from tests.e2e.tasks_client import TASKS, cancel, ended, publish, started, status

LEASE = 2.0  # seconds
LANES = ("spark", "platforms")
DOUBLES = 20
STAND_IN: Mapping[str, Any] = {"program": ("-m", "tests.e2e.stand_in")}


class House:
    """A service that runs nothing itself, its broker, and the workers that tests start."""

    def __init__(self, folder: Path, broker: Broker, until_end: ExitStack) -> None:
        self.folder = folder
        self.broker = broker
        self.variables = {
            "TAGAPI_EXECUTOR": f"celery://{broker.url}",
            "TAGAPI_JOBS__LEASE_SECONDS": str(LEASE),
            "TAGAPI_JOBS__MAX_CONCURRENT": "2",
            "TAGAPI_JOBS__DRAIN_SECONDS": "0.5",
        }
        self._until_end = until_end
        self.app: Celery = celery_app(broker.url, LANES)
        self.start()

    def start(self) -> None:
        self.server = Server(self.folder, self.variables, **STAND_IN)
        self._until_end.callback(self.server.kill)
        self.server.wait_alive()

    def worker(self, name: str | None = None, **more: str) -> Worker:
        """It is killed at the end, where it is still there."""
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

    def workers(self) -> dict[str, int]:
        """How many attempts run, by the worker that runs them."""
        told = self.server.read(f"{TASKS}/service")["workers"]
        return {one["worker"]: one["running"] for one in told}

    def attempts(self, task_id: str) -> int:
        """How many have begun."""
        return max(event["attempt"] for event in self.server.read(f"{TASKS}/events/{task_id}")["events"])

    def succeed(self, task_ids: Sequence[str]) -> None:
        """All succeed, each by one attempt."""
        ends = {task_id: ended(self.server, task_id)["status"] for task_id in task_ids}
        assert ends == dict.fromkeys(task_ids, "SUCCESS")
        assert {task_id: self.attempts(task_id) for task_id in task_ids} == dict.fromkeys(task_ids, 1)

    def cancel(self, task_ids: Sequence[str]) -> None:
        """Each of them, and none of it is left."""
        assert {cancel(self.server, task_id).json()["status"] for task_id in task_ids} == {"REVOKED"}

    def here(self, count: int, *workers: Worker) -> bool:
        """Each of these workers runs so many attempts, and nobody else any."""
        return self.workers() == {worker.name: count for worker in workers}


@pytest.fixture(scope="module", params=list(BROKERS))
def houses(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    if request.param == "rabbitmq" and NO_RABBIT:
        pytest.skip(NO_RABBIT)
    with ExitStack() as until_end:
        one = until_end.enter_context(broker(request.param))
        yield House(tmp_path_factory.mktemp("house"), one, until_end)


@pytest.fixture
def house(houses: House) -> House:
    """A house where nothing runs or waits, and no worker is; with each broker."""
    assert houses.workers() == {}
    assert houses.health()["queued"] == 0
    return houses


@pytest.fixture
def house_by_redis(house: House) -> House:
    """With Redis; with each broker where everything is tried."""
    if house.broker.url.startswith("amqp") and not os.environ.get(VARIABLE):
        pytest.skip(f"tried with Redis; with RabbitMQ where {VARIABLE} is set (make testcelery)")
    return house


def test_attempts_are_carried_and_bounded_by_lane(house: House) -> None:
    first = house.worker()
    jobs = [started(house.server, RUNS) for _ in range(4)]
    until(lambda: house.here(2, first), "as many run as may")
    assert ended(house.server, publish(house.server).json()["task_id"])["status"] == "SUCCESS", "its lane has room"
    second = house.worker()
    until(lambda: house.here(2, first, second), "another worker takes the rest")
    house.cancel(jobs)
    house.succeed([started(house.server) for _ in range(30)])
    assert (first.stop(), second.stop()) == (0, 0)


def test_messages_that_are_lost_or_doubled_cost_and_double_nothing(house: House) -> None:
    lost = [started(house.server) for _ in range(5)]
    until(lambda: house.lying() >= 5, "the messages are at the broker")
    house.purge()
    doubled = [started(house.server) for _ in range(5)]
    for job in doubled:
        house.send(job, DOUBLES)
    house.send("no-such-job", DOUBLES)
    worker = house.worker()
    house.succeed(lost + doubled)
    for job in doubled:
        house.send(job, DOUBLES)
    house.succeed([started(house.server)])
    until(lambda: house.lying() == 0, "all are taken")
    house.succeed(doubled)
    again = started(house.server, RETRIES)
    assert ended(house.server, again)["status"] == "SUCCESS"
    assert house.attempts(again) == 2, "a job that waits for its time begins then"
    worker.kill()


def test_a_worker_that_is_killed_or_leaves_loses_nothing(house_by_redis: House) -> None:
    house = house_by_redis
    first = house.worker()
    jobs = [started(house.server, RUNS) for _ in range(2)]
    until(lambda: house.here(2, first), "they run")
    first.kill()
    second = house.worker()
    until(lambda: house.here(2, second), "they are taken over")
    assert [house.attempts(job) for job in jobs] == [2, 2]
    third = house.worker()
    third.wait_ready()
    assert second.stop() == 0
    until(lambda: house.here(2, third), "another one has them")
    assert [house.attempts(job) for job in jobs] == [2, 2], "given back, they count for nothing"
    house.cancel(jobs)
    third.kill()


def test_jobs_are_accepted_while_the_broker_is_away_and_run_when_it_is_back(house: House) -> None:
    worker = house.worker()
    before = started(house.server, RUNS)
    until(lambda: house.here(1, worker), "it runs")
    house.broker.kill()
    until(lambda: not house.health()["executor"]["up"], "it is noticed")
    assert "broker is away" in house.health()["alarms"][0]
    assert house.server.read(f"{TASKS}/service")["executor"]["up"] is False
    away = [started(house.server) for _ in range(5)]
    assert {status(house.server, job)["status"] for job in away} == {"PENDING"}
    assert house.here(1, worker), "what runs needs no broker"
    house.cancel([before])
    house.broker.start()
    house.succeed(away)
    assert house.health()["alarms"] == []
    said = [line for line in house.server.output.read_text("utf-8").splitlines() if "broker_" in line]
    assert ["broker_away" in line for line in said] == [True, False], said
    worker.kill()


def test_a_broker_that_hangs_keeps_nobody_waiting(house_by_redis: House) -> None:
    house = house_by_redis
    worker = house.worker()
    house.succeed([started(house.server)])
    house.broker.freeze()
    jobs = []
    for _ in range(5):
        asked = {"task_type": "bookings_export", "batch_size": 100}
        answer = requests.post(f"{house.server.url}/api/v1/workers/", json=asked, timeout=2)
        assert answer.status_code == 201
        jobs.append(answer.json()["task_id"])
    until(lambda: not house.health()["executor"]["up"], "it is noticed")
    house.broker.thaw()
    house.succeed(jobs)
    worker.kill()


def test_the_workers_go_on_while_the_service_is_killed(house_by_redis: House) -> None:
    house = house_by_redis
    jobs = [started(house.server) for _ in range(5)]
    until(lambda: house.lying() >= 5, "the messages are at the broker")
    house.server.kill()
    house.purge()
    worker = house.worker()
    until(lambda: worker.told().count("outcome=succeeded") == 5, "they run")
    house.start()
    house.succeed(jobs)
    assert worker.stop() == 0


# -- what others see ------------------------------------------------------------------------


class Calm(House):
    """A house that nobody harms, with one worker that tells its numbers."""

    def __init__(self, folder: Path, broker: Broker, until_end: ExitStack) -> None:
        super().__init__(folder, broker, until_end)
        address = f"127.0.0.1:{free_port()}"
        self.numbers = f"http://{address}/metrics"
        self.worker("calm", TAGAPI_EXECUTOR__METRICS=address).wait_ready()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calm]:
    with ExitStack() as until_end:
        one = until_end.enter_context(broker("redis"))
        yield Calm(tmp_path_factory.mktemp("calm"), one, until_end)


def test_monitors_of_celery_see_names_arguments_and_workers(calm: Calm) -> None:
    seen: list[Mapping[str, Any]] = []
    with calm.app.connection_for_read() as connection:
        receiver = calm.app.events.Receiver(connection, handlers={"*": seen.append})
        listening = threading.Thread(target=receiver.capture, kwargs={"wakeup": False}, daemon=True)
        listening.start()
        until(lambda: seen, "the worker's heart is heard")
        job = started(calm.server)
        until(lambda: "task-succeeded" in [one["type"] for one in seen], "the task has succeeded")
        receiver.should_stop = True
        listening.join(5)
    told = {one["type"]: one for one in seen}
    assert told["task-received"]["name"] == "workers.bookings_export"
    assert job in told["task-received"]["args"]
    assert told["task-received"]["hostname"] == told["task-started"]["hostname"] == "calm@localhost"
    assert "task-sent" in told


def test_active_names_the_worker_as_celery_does(calm: Calm) -> None:
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


def test_an_attempt_is_counted_once_by_the_worker_that_ran_it(calm: Calm) -> None:
    def counted() -> float:
        lines = requests.get(calm.numbers, timeout=5).text.splitlines()
        start = 'tagapi_attempts_total{outcome="succeeded",task="workers.payments_export"} '
        return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))

    before = counted()
    calm.succeed([started(calm.server, task_type="payments_export") for _ in range(3)])
    assert counted() - before == 3


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
        (("-P", "solo"), {"executor": NOWHERE}, "only the pool of threads"),
        (("-c", "5"), {"executor": NOWHERE}, "jobs.max_"),
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
    assert "executor.url: Celery is not installed: make celery" in told.stderr
