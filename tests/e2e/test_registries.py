"""Where jobs are kept: what is refused at the start, what /health tells, and what happens while the store is away."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.conftest import HASTY, StartServer
from tests.e2e.server import Server, free_port, refusing_spark, run_python, until
from tests.valkey import Valkey

AWAY_SECONDS = 1.5  # "about a second", on a busy machine


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path / "valkey", appendfsync="always") as server:
        yield server


def refusal(folder: Path, **settings: object) -> str:
    """What the launcher says, in one line, instead of starting."""
    variables = {f"TAGAPI_{key.upper()}": str(value) for key, value in settings.items()}
    ended = run_python("api_server.py", "--host", "127.0.0.1", "--port", "0", folder=folder, variables=variables)
    assert ended.returncode == 1
    assert not ended.stdout
    (line,) = ended.stderr.splitlines()
    return line


# -- at the start ---------------------------------------------------------------------------


def test_a_store_that_may_evict_jobs_is_refused(tmp_path: Path) -> None:
    with Valkey(tmp_path / "valkey", maxmemory_policy="allkeys-lru") as evicting:
        told = refusal(tmp_path, registry__url=evicting.url)
    assert "registry.url" in told
    assert "may evict jobs: its maxmemory-policy is allkeys-lru" in told


def test_a_store_that_does_not_answer_is_refused_and_its_password_not_told(tmp_path: Path) -> None:
    told = refusal(tmp_path, registry__url=f"redis://ann:secret@127.0.0.1:{free_port()}/0")
    assert "registry.url" in told
    assert "cannot be used" in told
    assert "secret" not in told


def test_a_file_that_holds_no_jobs_is_refused_and_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "notes.db"
    other.write_bytes(b"something else, and longer than a header of SQLite's would be" * 10)
    before = other.read_bytes()
    assert "registry.url" in refusal(tmp_path, registry__url=f"sqlite:///{other}")
    assert other.read_bytes() == before


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_a_store_that_a_newer_release_wrote_is_refused_and_says_what_to_do(
    tmp_path: Path, valkey: Valkey, store: str
) -> None:
    url = valkey.url
    if store == "redis":
        with valkey.client() as client:
            client.set("tagapi:schema", 1000)
    else:
        url = f"sqlite:///{tmp_path}/newer.db"
        with closing(sqlite3.connect(tmp_path / "newer.db")) as db:
            db.execute("PRAGMA user_version = 1000")
    told = refusal(tmp_path, registry__url=url)
    assert "registry.url" in told
    assert "written by a newer release: its version is 1000" in told
    assert "Start that release again" in told


def test_several_workers_cannot_share_memory(tmp_path: Path) -> None:
    assert "server.workers" in refusal(tmp_path, registry__url="memory://", server__workers=2)


# -- what it says of itself -----------------------------------------------------------------


def test_health_says_how_durable_an_accepted_job_is(start_still_server: StartServer, valkey: Valkey) -> None:
    told = {
        kind: start_still_server(registry__url=url).read("/health")["registry"]
        for kind, url in {"redis": valkey.url, "memory": "memory://"}.items()
    }
    assert told["redis"] == {"kind": "redis", "appendfsync": "always", "maxmemory_policy": "noeviction"}
    assert told["memory"]["kind"] == "memory"


def test_a_local_service_keeps_its_jobs_in_a_file_beside_its_data(still: Server) -> None:
    assert still.read("/health")["registry"]["kind"] == "sqlite"
    assert (still.folder / "data" / "jobs.db").is_file()


# -- while the store is away ----------------------------------------------------------------


@pytest.fixture
def on_redis(tmp_path: Path, valkey: Valkey) -> Iterator[Server]:
    with refusing_spark() as spark:
        settings = {**HASTY, "registry__url": valkey.url, "spark__remote": spark}
        server = Server(tmp_path / "server", {f"TAGAPI_{key.upper()}": str(value) for key, value in settings.items()})
        try:
            server.wait_alive()
            yield server
        finally:
            server.kill()


def routes(server: Server) -> list[tuple[str, str]]:
    """Every method and path of the specification, with something in the place of each parameter."""
    paths = server.read("/swagger.json")["paths"]
    filled = {path: path.replace("{tag_id}", "1").replace("{task_id}", "x").replace("{user_id}", "u") for path in paths}
    methods = ("get", "post", "delete")
    return [(method, filled[path]) for path, offered in paths.items() for method in methods if method in offered]


WITHOUT_STORE = ("/health/live", "/metrics")
"""Paths that answer all the same; one of the numbers says that it is away."""


def test_every_route_that_needs_the_store_says_that_the_store_is_away(on_redis: Server, valkey: Valkey) -> None:
    accepted = on_redis.trigger([1])
    asked = routes(on_redis)
    assert len(asked) >= 11

    valkey.kill()
    until(lambda: on_redis.get("/health").status_code == 503, "the loss is noticed", seconds=2)
    for method, path in asked:
        began = time.monotonic()
        answer = on_redis.request(method.upper(), path, json={"tag_ids": [1]} if method == "post" else None)
        assert time.monotonic() - began < AWAY_SECONDS, path
        if path in WITHOUT_STORE:
            assert answer.status_code == 200
            continue
        assert answer.status_code == 503, (method, path, answer.text)
        assert int(answer.headers["Retry-After"]) > 0
        if path.startswith("/api/v1/workers"):
            assert answer.json()["error"]["code"] == "STORE_UNAVAILABLE"
        elif path.startswith("/api/tasks"):
            assert answer.json()["error"] == "store_unavailable"
        elif path.startswith(("/api/v3", "/api/v1/status")):
            assert answer.json()["status_code"] == "1"
        elif not path.startswith("/health"):
            assert answer.json()["message"] == "任务存储暂时不可用，请稍后重试"

    valkey.start()
    until(lambda: on_redis.get("/health").status_code == 200, "it is back by itself", seconds=5)
    assert on_redis.status(accepted)["status"] == "submitted"
    assert on_redis.read("/api/v1/tasks")["total"] == 1


def test_a_frozen_store_is_away_within_about_a_second_and_accepts_nothing_late(
    on_redis: Server, valkey: Valkey
) -> None:
    valkey.freeze()
    began = time.monotonic()
    answer = on_redis.ask(tag_ids=[1])
    assert time.monotonic() - began < AWAY_SECONDS
    assert answer.status_code == 503
    time.sleep(2)  # longer than anybody waits for an answer
    valkey.thaw()
    until(lambda: on_redis.get("/health").status_code == 200, "it is back by itself", seconds=5)
    assert on_redis.read("/api/v1/tasks")["total"] == 0, "what was refused is not accepted after all"
