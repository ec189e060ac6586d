"""What is SQLite's alone: the file and its version, and what is kept of what was read. The rest is the contract's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.lists import Query
from tagapi.jobs.model import Job, Request
from tagapi.jobs.registry import Bounds, new_token
from tagapi.registries import codec, unusable
from tagapi.registries.sqlite.registry import SqliteRegistry

PATIENCE = 10.0  # seconds
BOUNDS = Bounds(queued=10_000, queued_per_owner=10_000)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def registry(file: Path) -> Iterator[SqliteRegistry]:
    with closing(SqliteRegistry(str(file))) as registry:
        yield registry


def add(registry: SqliteRegistry, users: int = 1) -> Job:
    arguments = {"user_ids": [f"user_{number:06}" for number in range(users)]}
    request = Request(job_id=new_token(), task="tags.compute", owner="ann", arguments=arguments)
    return registry.add(request, BOUNDS).job


def pragma(file: Path, name: str) -> object:
    with closing(apsw.Connection(str(file))) as db:
        return db.pragma(name)


@pytest.mark.parametrize(("version", "why"), [(1, "tables are of version 1, from"), (1000, "its version is 1000")])
def test_a_file_of_another_version_is_refused_and_left_as_it_is(file: Path, version: int, why: str) -> None:
    with closing(apsw.Connection(str(file))) as db:
        db.pragma("user_version", version)
    assert why in str(unusable(f"sqlite:///{file}"))
    with closing(SqliteRegistry(str(file))) as registry, pytest.raises(StoreUnavailable):
        add(registry)
    assert (pragma(file, "user_version"), pragma(file, "journal_mode")) == (version, "delete")


def test_a_file_that_was_restored_without_its_log_gets_one(file: Path, tmp_path: Path) -> None:
    with closing(SqliteRegistry(str(file))) as registry:
        job = add(registry)
    copy = tmp_path / "copy.db"
    with closing(apsw.Connection(str(file))) as db:
        db.execute("VACUUM INTO ?", (str(copy),))
    assert pragma(copy, "journal_mode") == "delete"
    with closing(SqliteRegistry(str(copy))) as registry:
        assert registry.get(job.id) == job
        assert add(registry).number == job.number + 1
        assert pragma(copy, "journal_mode") == "wal"


def test_a_disk_that_does_not_answer_is_a_store_that_is_away(registry: SqliteRegistry) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(_: apsw.Connection) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    first = add(registry)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(registry._write, slow)
        assert begun.wait(PATIENCE)
        registry._writer.patience = 0.05
        with pytest.raises(StoreUnavailable) as told:
            add(registry)
        go_on.set()
        writing.result(PATIENCE)
    assert isinstance(told.value.__cause__, TimeoutError)
    registry._writer.patience = PATIENCE
    assert add(registry).number == first.number + 1, "what was refused is not accepted after all"


def test_what_was_read_is_not_decoded_again(registry: SqliteRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    load = codec.load_facts
    monkeypatch.setattr(codec, "load_facts", lambda stored: decoded.append(stored) or load(stored))
    for _ in range(1001):
        add(registry)
    first = registry.find(Query(limit=1000))
    assert len(decoded) == 1001
    assert registry.find(Query(limit=1000)) == first
    assert len(decoded) == 1001, "a whole list is found again"


def test_what_is_kept_is_bounded_in_bytes(registry: SqliteRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "REQUESTS_KEPT", 100_000)
    with closing(SqliteRegistry(str(registry._path))) as small:
        jobs = [add(small, users=2000) for _ in range(20)]
        assert list(small.find(Query()).jobs) == jobs[::-1]
        assert small._decoded._requests.currsize <= 100_000
        for _, facts in small._decoded._facts.values():
            assert "request" not in facts, "it would outlive its bound"
