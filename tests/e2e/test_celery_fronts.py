"""A job of each front, over HTTP, whose attempts a real worker of Celery runs beside a Spark of its own.

`make testcelery` has all the other tests of the fronts run so.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.assets_client import ROOT as ASSETS
from tests.e2e.carried import Worker, new_broker
from tests.e2e.collector_reader import CollectorReader
from tests.e2e.conftest import served
from tests.e2e.export_client import export, found, make_collector
from tests.e2e.oracle import members
from tests.e2e.server import Server, free_port, until
from tests.e2e.tasks_client import ended, publish, started, status
from tests.internet.lab import Lab

THERE = {"corp.example", "www.corp.example", "shop.corp.example"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Iterator[Server]:
    """A service on sample data and a small internet, that leaves its attempts to a worker."""
    folder = tmp_path_factory.mktemp("fronts")
    shutil.copytree(sample, folder / "data" / "sources")
    port = free_port()
    with Lab() as lab:
        settings = lab.settings(folder / "scope.yaml") | {
            "TAGAPI_EXECUTOR": f"celery://{new_broker()}",
            "TAGAPI_ASSETS__OWN": f'["127.0.0.1:{port}"]',
            "TAGAPI_ASSETS__PER_SECOND": "0",
        }
        worker = Worker(folder, settings, "fronts")
        try:
            yield from served(Server(folder, settings, port=port))
            assert worker.stop() == 0, worker.told()
        finally:
            worker.kill()


def ran(house: Server, task_id: str) -> None:
    """It has succeeded, and nothing of it was run by the service."""
    assert ended(house, task_id)["status"] == "SUCCESS", status(house, task_id)
    lines = house.output.read_text("utf-8").splitlines()
    assert not [line for line in lines if task_id in line and "attempt_" in line]


def test_tags(house: Server) -> None:
    task_id = house.trigger([1, 3])
    ran(house, task_id)
    for tag_id in (1, 3):
        assert house.members(tag_id) == sorted(members(house.sources, tag_id, datetime.now(UTC).date()))


def test_workers(house: Server) -> None:
    task_id = started(house, task_type="bookings_export")
    ran(house, task_id)
    number = next(one["id"] for one in house.read("/api/v1/workers/")["results"] if one["task_id"] == task_id)
    file = house.get(f"/api/v1/workers/{number}/result/")
    assert file.status_code == 200
    assert file.text.count("\n") > 1000


def test_tasks(house: Server) -> None:
    ran(house, publish(house).json()["task_id"])
    trained = house.post("/api/tasks/segments/train", {"model": "clientes", "segments": 3})
    ran(house, trained.json()["task_id"])
    assert len(house.read("/api/tasks/segments/models/clientes")["segments"]) == 3


def test_export(house: Server) -> None:
    make_collector(house, "english")
    told = export(house, "english", "lang:en")
    assert told["status"] == "finished", told
    ran(house, told["id"])
    reader = CollectorReader("english")
    assert reader.read(house)
    assert reader.ids == found(house.sources, "lang = 'en'")


def test_celery_task(house: Server) -> None:
    asked = {
        "task_type": "domain_task",
        "data": {"name": "all", "target": "corp.example", "options": {"domain_brute": True}},
    }
    made = house.post(f"{ASSETS}/", asked).json()["data"]["celery_id"]
    until(lambda: house.read(f"{ASSETS}/{made}/")["data"]["status"] == "SUCCESS", "the scan ends", 60)
    rows = house.read(f"{ASSETS}/{made}/result/", kind="domains", page=1, size=50)["data"]["items"]
    assert {row["name"] for row in rows} >= THERE
