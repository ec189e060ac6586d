"""The part `bucket`: everything lies in S3, and the service is killed at random, or the bucket is away for a while.

At the end what lies in the bucket is fetched, and judged as what lies on a disk is.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.chaos.ground import Arena, Ground
from tests.chaos.process import ChaosServer, Store, open_store
from tests.chaos.report import Result
from tests.chaos.worker_jobs import CLEANUP, EXPORT
from tests.e2e.server import until
from tests.s3 import BUCKET, S3, s3

PREFIX = "chaos"
TAGS, EXPORTS = 4, 2
"""In each life, beside a cleanup in some."""
CLEANUP_EVERY = 3  # lives
AWAY_EVERY = 2  # lives: then the bucket answers nobody for a while before the kill
KILLED_WITHIN = 4.0  # seconds
AWAY_SECONDS = 1.0
SWEPT_SECONDS = 30.0


def run(arena: Arena, store_name: str, kills: int) -> Result:
    """So many lives, and a last one in peace."""
    began, chance = time.monotonic(), random.Random(f"{arena.seed}-{store_name}")
    with open_store(store_name, arena.folder) as store, s3() as there:
        ground = Ground(arena)
        there.upload(ground.folder / "data" / "sources", f"{PREFIX}/sources")
        for number in range(kills):
            _live(ground, store, there, chance, number)
            arena.say(f"{number + 1} kills")
        server = _start(ground, store, there)
        try:
            ground.finish(server)
            until(lambda: not there.keys(f"{PREFIX}/results/.staging"), "what was lost is swept away", SWEPT_SECONDS)
            _fetch(there, ground.folder / "data")
            verdict = ground.verdict(server)
            if code := server.stop():
                verdict.failed.append(f"the exit code is {code}")
        finally:
            server.kill()
    return Result("bucket", store_name, verdict, time.monotonic() - began, {"kills": kills})


def _start(ground: Ground, store: Store, there: S3) -> ChaosServer:
    settings = {**there.variables, "TAGAPI_DATA__DIR": there.uri(PREFIX)}
    server = ChaosServer(ground.folder, store, **settings)
    try:
        server.wait_alive()
    except BaseException:
        server.kill()
        raise
    return server


def _live(ground: Ground, store: Store, there: S3, chance: random.Random, number: int) -> None:
    server = _start(ground, store, there)
    try:
        for body in [*[CLEANUP] * (number % CLEANUP_EVERY == 0), *[EXPORT] * EXPORTS]:
            ground.create(server, body)
        ground.load.begin(server.url, TAGS)
        time.sleep(chance.uniform(0, KILLED_WITHIN))
        if number % AWAY_EVERY == AWAY_EVERY - 1:
            there.pause()
            time.sleep(chance.uniform(0, AWAY_SECONDS))
    finally:
        server.kill()
        there.resume()
        ground.load.end()


def _fetch(there: S3, folder: Path) -> None:
    """Everything in the bucket, as files."""
    for key in there.keys(f"{PREFIX}/"):
        if key.endswith("/"):  # says that there was a folder
            continue
        path = folder / key.removeprefix(f"{PREFIX}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        there.client.download_file(BUCKET, key, str(path))
