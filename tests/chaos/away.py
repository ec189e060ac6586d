"""The parts `redis_restart` and `redis_frozen`: the store goes away under load, and comes back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from tests.chaos.ground import Arena, Ground
from tests.chaos.process import ChaosServer, Store, open_store
from tests.chaos.report import Result
from tests.e2e.server import Client, until

SUBMITS = 40  # new jobs for each time that the store goes away
KILLED_SECONDS = 3.0  # that a killed store stays away
PATIENCE = 2.0  # seconds: slower answers are counted as wrong; about one is what is wanted
ASK_EVERY = 0.1  # seconds, each route
NOTICED = 1.0  # seconds: what was asked earlier may be answered by who does not know yet
USUAL = (200, 404)
"""Answers of who does not know yet: of what needs no store, the thing that is asked for, or that it is not there."""

BACK_SECONDS = 15.0  # within which the service has to be itself again
LIVE = "/health/live"
ANSWERING = ("/health/live", "/metrics")
"""What needs no store: it says so, if anything."""

TRIGGER = "/api/v1/tags/trigger"
PARAMETERS = {"tag_id": "1", "user_id": "user_000001"}
"""What stands in a path; a job that there is not, for any other name."""

NO_JOB = "00000000-0000-4000-8000-000000000000"
Route = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer while the store was away."""

    asked: float
    """Seconds after it went."""
    route: str
    code: int
    retry_after: str | None
    seconds: float


def restart(arena: Arena, rounds: int) -> Result:
    """SIGKILL, and a start over the same files: with `appendfsync always` nothing acknowledged may be gone."""

    def away(store: Store) -> float:
        assert store.valkey is not None
        store.valkey.kill()
        return KILLED_SECONDS

    return _run(arena, "redis_restart", rounds, away, lambda store: store.valkey and store.valkey.start())


def frozen(arena: Arena, rounds: int, seconds: float) -> Result:
    """SIGSTOP: the store is there, takes connections, and says nothing."""

    def away(store: Store) -> float:
        assert store.valkey is not None
        store.valkey.freeze()
        return seconds

    return _run(arena, "redis_frozen", rounds, away, lambda store: store.valkey and store.valkey.thaw())


def _run(
    arena: Arena, part: str, rounds: int, away: Callable[[Store], float], back: Callable[[Store], object]
) -> Result:
    began = time.monotonic()
    seen: list[Seen] = []
    recovered: list[float] = []
    with open_store("redis", arena.folder) as store, _server(arena, store) as (ground, server):
        routes = _routes(server)
        for _ in range(rounds):
            ground.load.begin(server.url, SUBMITS)
            time.sleep(ground.chance.uniform(0.3, 1.0))
            seconds = away(store)
            seen += _probe(server.url, routes, seconds)
            back(store)
            recovered.append(_recovery(server.url))
            ground.load.end()
        ground.finish(server)
        verdict = ground.verdict(server)
        code = server.stop()
    verdict.failed += [f"{one.route} answered {one.code} while the store was away" for one in seen if one.code != 503]
    verdict.failed += [f"{one.route}: no Retry-After" for one in seen if one.code == 503 and not one.retry_after]
    verdict.failed += [f"{one.route} took {one.seconds:.1f} s" for one in seen if one.seconds > PATIENCE]
    verdict.failed += [f"the exit code is {code}"] if code else []
    slowest = max(seen, key=lambda one: one.seconds)
    notes = {
        "times that the store was away": rounds,
        "answers while it was": f"{len(seen)}, of {len(routes)} routes",
        "slowest of them": f"{slowest.seconds:.2f} s, {slowest.route}",
        "slowest recovery": f"{max(recovered):.2f} s",
        "jobs accepted behind a 503": verdict.facts["accepted behind a refusal"],
    }
    return Result(part, "redis", verdict, time.monotonic() - began, notes)


@contextmanager
def _server(arena: Arena, store: Store) -> Iterator[tuple[Ground, ChaosServer]]:
    ground = Ground(arena)
    server = ChaosServer(ground.folder, store)
    try:
        server.wait_alive()
        server.wait_ready()
        yield ground, server
    finally:
        ground.load.end()
        server.kill()


def _routes(client: Client) -> list[Route]:
    """Every route that the service documents, but for those that need what a probe has not: a body, a handshake."""
    found: list[Route] = [("POST", TRIGGER)]
    for path, operations in client.read("/swagger.json")["paths"].items():
        filled = re.sub(r"{(\w+)}", lambda name: PARAMETERS.get(name[1], NO_JOB), path)
        offered = [method for method in operations if method in ("get", "delete")]
        found += [(method.upper(), filled) for method in offered if "101" not in operations[method]["responses"]]
    assert ("GET", LIVE) in found
    return found


def _probe(url: str, routes: Sequence[Route], seconds: float) -> list[Seen]:
    """Ask every route, again and again, each from a thread of its own. What needs no store has to answer 200."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(routes)) as pool:
        asked = [pool.submit(_ask_for, seconds, began, url, *route) for route in routes]
        seen = [one for answers in asked for one in answers.result()]
    due = [one for one in seen if one.asked > NOTICED or one.code not in USUAL]
    fine = {f"GET {path}" for path in ANSWERING}
    return [one for one in due if one.route not in fine or one.code != 200]


def _ask_for(seconds: float, began: float, url: str, method: str, path: str) -> list[Seen]:
    seen = []
    body = {"tag_ids": [1], "user_ids": ["user_000001"], "dry_run": True} if method == "POST" else None
    with Client(url) as client:
        while (before := time.monotonic()) < began + seconds:
            answer = client.request(method, path, json=body)
            took = time.monotonic() - before
            seen.append(
                Seen(before - began, f"{method} {path}", answer.status_code, answer.headers.get("Retry-After"), took)
            )
            time.sleep(ASK_EVERY)
    return seen


def _recovery(url: str) -> float:
    """Seconds until the service answers as if nothing had been."""
    before = time.monotonic()
    with Client(url) as client:

        def look() -> bool:
            try:
                return client.get("/health").status_code == 200 and client.get("/api/v1/tasks").status_code == 200
            except requests.RequestException:
                return False

        until(look, "the service recovers", BACK_SECONDS, every=0.02)
    return time.monotonic() - before
