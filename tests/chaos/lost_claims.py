"""The part `lost_claims`: the reply to a claim is lost on its way; the job has begun, and nobody has heard of it.

The claim is sent again and finds its own job, long before its lease is over: so no job waits for that,
none counts an attempt or a recovery too many, and a cancel that comes in between is honoured.
"""

from __future__ import annotations

import time
from contextlib import closing

from tagapi.jobs.lists import Query
from tagapi.jobs.model import EventKind, Job
from tagapi.registries import open_registry
from tests.chaos.failpoints import LOSE, Order
from tests.chaos.ground import Arena, Ground
from tests.chaos.process import ChaosServer, Store, open_store
from tests.chaos.report import Result
from tests.e2e.server import Late

LEASE = 60  # seconds: a job that waited for it would be seen
SOON = 20.0  # seconds, far less than that
TOGETHER = 3  # jobs, of which one is claimed by a claim whose reply is lost


def run(arena: Arena, store_name: str, rounds: int) -> Result:
    began = time.monotonic()
    wrong: list[str] = []
    with open_store(store_name, arena.folder) as store:
        ground = Ground(arena)
        server = ChaosServer(ground.folder, store, TAGAPI_JOBS__LEASE_SECONDS=str(LEASE))
        try:
            server.wait_alive()
            server.wait_ready()
            for number in range(rounds):
                _round(ground, server, wrong, with_cancel=number % 2 == 1)
            ground.finish(server)
            wrong += _counted_too_often(store)
            verdict = ground.verdict(server)
            code = server.stop()
        finally:
            server.kill()
    verdict.failed += wrong
    verdict.failed += [f"the exit code is {code}"] if code else []
    return Result("lost_claims", store_name, verdict, time.monotonic() - began, {"lost replies": rounds})


def _round(ground: Ground, server: ChaosServer, wrong: list[str], with_cancel: bool) -> None:
    server.orders.place(Order("claim_unheard", hit=ground.chance.randint(1, TOGETHER), do=LOSE))
    jobs = [ground.submit(server) for _ in range(TOGETHER)]
    server.obeyed()
    if with_cancel:
        for job in jobs:
            ground.load.cancel(server, job)
    for job in jobs:
        try:
            server.wait(job, SOON)
        except Late as late:
            wrong.append(str(late))


def _counted_too_often(store: Store) -> list[str]:
    with closing(open_registry(store.settings["TAGAPI_REGISTRY__URL"])) as registry:
        jobs = registry.find(Query(limit=100_000)).jobs
    return [f"{job.id}: {job.attempt} attempts, {job.recoveries} recoveries" for job in jobs if _too_often(job)]


def _too_often(job: Job) -> bool:
    """Two jobs that meet at the table may well have one of them tried again: that is told among its events."""
    told = sum(event.kind is EventKind.RETRIED for event in job.events)
    return job.recoveries > 0 or job.attempt > 1 + told
