"""The part `stalled`: hundreds of connections that stall, of each kind; everybody else is served as without them.

`/health/live` and a status are asked on fresh connections all the while, and a real upload over a slow line
goes through beside them.
"""

from __future__ import annotations

import threading
import time

from tests.chaos.ground import Arena, Ground
from tests.chaos.process import ChaosServer, open_store
from tests.chaos.report import Result
from tests.chaos.stalls import KINDS, Ask, ask, get, stalled, upload

WAIT = 1.0  # seconds, at p99
PAUSE = 0.02  # between two questions
LEAST = 200  # questions of each sort: the p99 of fewer than a hundred is the slowest of them alone
STATUS = "/api/v1/tasks/{}/status"


def run(arena: Arena, store_name: str, count: int, seconds: float) -> Result:
    """`count` connections of each kind for so many seconds, and an upload of 1 MB that takes as long."""
    began = time.monotonic()
    wrong: list[str] = []
    notes: dict[str, object] = {"connections of each kind": count}
    with open_store(store_name, arena.folder) as store:
        ground = Ground(arena)
        server = ChaosServer(ground.folder, store)
        try:
            server.wait_alive()
            server.wait_ready()
            job = ground.submit(server)
            for kind in KINDS:
                notes[kind] = _attack(server, job, kind, count, seconds, wrong)
            ground.finish(server)
            verdict = ground.verdict(server)
            code = server.stop()
        finally:
            server.kill()
    verdict.failed += wrong
    verdict.failed += [f"the exit code is {code}"] if code else []
    return Result("stalled", store_name, verdict, time.monotonic() - began, notes)


def _attack(server: ChaosServer, job: str, kind: str, count: int, seconds: float, wrong: list[str]) -> str:
    asked: dict[str, list[Ask]] = {"live": [], "status": []}
    slow: list[Ask] = []
    pieces = upload(1_000_000, 40)
    uploading = threading.Thread(target=lambda: slow.append(ask(server.port, *pieces, pause=seconds / 40, seconds=60)))
    with stalled(server.port, KINDS[kind](), count, tiny=kind == "slow readers"):
        uploading.start()
        until = time.monotonic() + seconds
        while time.monotonic() < until or uploading.is_alive() or len(asked["live"]) < LEAST:
            asked["live"].append(ask(server.port, get("/health/live")))
            asked["status"].append(ask(server.port, get(STATUS.format(job))))
            time.sleep(PAUSE)
        uploading.join()
    for name, answers in asked.items():
        if bad := [one.status for one in answers if one.status != 200]:
            wrong.append(f"{kind}: {len(bad)} of {len(answers)} {name} answered {bad[0]}")
        if (waited := _p99(answers)) > WAIT:
            wrong.append(f"{kind}: {name} took {waited:.2f} s at p99")
    if [one.status for one in slow] != [400]:  # it names no tag: it was read to its end
        wrong.append(f"{kind}: the slow upload ended {slow}")
    return ", ".join(f"{name} p99 {_p99(answers) * 1000:.0f} ms of {len(answers)}" for name, answers in asked.items())


def _p99(answers: list[Ask]) -> float:
    ordered = sorted(one.seconds for one in answers)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
