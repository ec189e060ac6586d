"""The part `publishing`: campaigns are published while the service is killed and the platforms misbehave.

The platforms' stand-ins live here, outside the service, and say when a step's request is there: then the service is
killed, the job cancelled, or the answer lost. In the end the platforms' own books are compared with the jobs.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.chaos.fire import Fire
from tests.chaos.ground import Arena
from tests.chaos.process import ChaosServer, open_store
from tests.chaos.report import Result
from tests.chaos.scenes import scenes
from tests.chaos.verdict import Verdict
from tests.e2e.server import refusing_spark
from tests.platforms import google, meta
from tests.platforms.accounts import settings_for
from tests.platforms.server import PlatformServer

SETTLE_SECONDS = "2"  # for which an unanswered creation is looked for; no effect of a stand-in comes so late


def run(arena: Arena, store_name: str, each: int, some: slice = slice(None)) -> Result:
    """`each` publications on each platform; `some` of the scenes, as they come in the order that the seed gives."""
    began = time.monotonic()
    chance = random.Random(f"{arena.seed}-{store_name}")
    order = scenes()
    random.Random(arena.seed).shuffle(order)
    with _fire(arena, store_name, chance) as (fire, servers):
        fire.run(order[some], each)
        for server in servers.values():
            server.settle()
        verdict = _judged(fire, servers)
        if code := fire.server.stop():
            verdict.failed.append(f"the exit code is {code}")
    verdict.failed += [f"the scene was not met: {scene}" for scene in fire.missed]
    notes = {
        "publications": len(fire.publications.jobs),
        "scenes": ", ".join(f"{do} {count}" for do, count in fire.played.items()),
        "kills": ", ".join(f"{where} {count}" for where, count in sorted(fire.kills.items())),
        "kills in all": fire.kills.total(),
        "requests, by what they met": ", ".join(f"{kind} {count}" for kind, count in sorted(fire.stage.faults.items())),
    }
    return Result("publishing", store_name, verdict, time.monotonic() - began, notes)


@contextmanager
def _fire(arena: Arena, store_name: str, chance: random.Random) -> Iterator[tuple[Fire, Mapping[str, PlatformServer]]]:
    """Without Spark: what is published needs none."""
    arena.folder.mkdir(parents=True, exist_ok=True)
    servers = {"meta": PlatformServer(meta.Meta()), "google": PlatformServer(google.Google())}
    with open_store(store_name, arena.folder) as store, refusing_spark() as spark, servers["meta"], servers["google"]:
        settings = {"TAGAPI_SPARK__REMOTE": spark, "TAGAPI_JOBS__MAX_PUBLISHING": "8", **accounts(servers)}
        fire = Fire(lambda: ChaosServer(arena.folder, store, **settings), chance, arena.say)
        for server in servers.values():
            server.watcher = fire.stage
        try:
            yield fire, servers
        finally:
            fire.stage.play(None)
            fire.server.kill()


def _judged(fire: Fire, servers: Mapping[str, PlatformServer]) -> Verdict:
    books = {}
    for name, server in servers.items():
        with server.platform.lock:
            books[name] = copy.deepcopy(server.platform.books())
    return fire.publications.judge(fire.server, books)


def accounts(servers: Mapping[str, PlatformServer]) -> dict[str, str]:
    """The settings of an account at each stand-in."""
    found: dict[str, str] = {}
    for platform, server in servers.items():
        found |= settings_for(platform, server.url, SETTLE_SECONDS=SETTLE_SECONDS)
    return found
