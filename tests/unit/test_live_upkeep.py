"""What upkeep does for collectors: a job where something has arrived that one asks for, and never a second one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tag_tasks.documents.collected import DOCUMENTS, Key, owner_key
from tag_tasks.documents.collectors import Delivery
from tag_tasks.documents.definitions import Definitions
from tag_tasks.documents.family import arrivals
from tag_tasks.documents.source import SCHEMA
from tagapi.jobs import changes
from tagapi.jobs.errors import ShuttingDown, TaskFailed
from tagapi.jobs.lists import Query
from tagapi.jobs.model import Job
from tagapi.settings import load_settings
from tagapi.world import World, build

NOW = datetime.now(UTC)
LEASE = timedelta(seconds=30)


class House:
    """A service of which nothing runs, on a folder with documents."""

    def __init__(self, folder: Path) -> None:
        self.sources = folder / "sources" / "documents"
        self.world: World = build(
            load_settings("local", {"TAGAPI_DATA__DIR": str(folder), "TAGAPI_REGISTRY__URL": "memory://"})
        )
        means = self.world.means
        self.definitions = Definitions(means.collectors, arrivals(means).begin)

    def arrive(self, name: str) -> None:
        self.sources.mkdir(parents=True, exist_ok=True)
        rows = [{"id": name, "published": NOW, "title": "uno"}]
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), self.sources / f"{name}.parquet")

    def collector(self, query: str | None = "uno") -> None:
        asked = None if query is None else {"queries": [{"id": "q", "query": query}]}
        self.definitions.put_collector("ann", "live", asked)

    def collect(self) -> list[Job]:
        """The jobs that there are after upkeep's turn, the newest first."""
        self.world.upkeep.collect()
        return list(self.world.registry.find(Query()).jobs)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    house.arrive("old")
    yield house
    house.world.hub.start()  # it lets go of its sockets when it ends
    house.world.hub.stop()
    house.world.registry.close()


def test_where_nobody_asks_nothing_is_started(house: House) -> None:
    assert house.collect() == []
    house.collector(None)
    house.arrive("a")
    assert house.collect() == []


def test_what_arrives_starts_a_job_of_the_house(house: House) -> None:
    house.collector()
    assert house.collect() == [], "it was there before"
    house.arrive("a")
    (job,) = house.collect()
    assert (job.request.task, job.request.owner, job.lane) == ("export.arrivals", "upkeep", "documents")
    assert job.request.arguments == {}


def test_no_second_one_is_started_while_one_waits_or_runs(house: House) -> None:
    house.collector()
    house.arrive("a")
    (first,) = house.collect()
    assert house.collect() == [first]
    running = house.world.registry.claim("worker", LEASE, lane="documents")
    assert running is not None
    assert [job.id for job in house.collect()] == [first.id]
    house.world.registry.update(first.id, partial(changes.succeed, epoch=running.epoch, result={}))
    second, _ = house.collect()
    assert second.id != first.id, "what it was for is still to be done"


def test_a_collector_that_is_paused_or_gone_starts_nothing(house: House) -> None:
    house.collector()
    house.arrive("a")
    house.definitions.pause("ann", "live")
    assert house.collect() == []
    house.definitions.resume("ann", "live")
    house.arrive("b")
    house.definitions.remove("ann", "collector", "live")
    assert house.collect() == []


def test_a_source_that_is_away_is_said_and_starts_nothing(house: House) -> None:
    house.collector()
    (house.sources / "old.parquet").unlink()
    with pytest.raises(TaskFailed, match="no Parquet files"):
        house.collect()
    house.arrive("a")
    assert len(house.collect()) == 1


def test_a_service_that_stops_starts_nothing(house: House) -> None:
    house.collector()
    house.arrive("a")
    house.world.service.refuse_new()
    with pytest.raises(ShuttingDown):
        house.collect()
    assert house.world.registry.find(Query()).total == 0


def test_documents_are_forgotten_after_their_days_though_nothing_is_live(house: House) -> None:
    house.collector(None)
    table, days = house.world.means.collectors, house.world.settings.export.retention_days
    told = house.definitions.get("ann", "collector", "live")
    rows = pa.table({"id": ["a"], "published": pa.array([NOW], pa.timestamp("us", "UTC")), "line": ["{}\n"]})
    key = Key(owner_key("ann"), DOCUMENTS, "live")
    table.deliver(Delivery(key=key, generation=told["generation"], job_id="job", epoch=1), rows)
    house.collect()
    assert len(table.of_job(key, ["job"])) == 1
    table.now = lambda: datetime.now(UTC) + timedelta(days=days, minutes=1)
    house.collect()
    assert len(table.of_job(key, ["job"])) == 0
