"""The part `webhooks`: jobs change, the service is killed at every step, and whoever is told fails half of the time.

What happened is what the service says of its jobs in the end; what was told is what the receivers wrote down.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import requests

from tests.chaos.failpoints import KILL, KILL_WORKER, Order
from tests.chaos.ground import Arena
from tests.chaos.process import ChaosServer, open_store
from tests.chaos.report import Result
from tests.chaos.verdict import Verdict
from tests.e2e.receiver import HANG, RESET, Received, Receiver, receiving
from tests.e2e.server import make_sample, until

USERS = 100
JOBS = 24  # for each kill
CANCELS = 4  # of them
RANDOM = "at random"
MOMENTS = (
    *("after_claim", "delivery_claimed", "delivery_sent", "delivery_noted", "committing", "leaving"),
    RANDOM,
)
FAULTS = (500, HANG, RESET)
WAITED = 8.0  # seconds for which a moment is waited for
RANDOM_WITHIN = 2.0  # seconds
SETTLED_SECONDS = 600.0
SETTINGS = {
    "TAGAPI_WEBHOOKS__ALLOW": '["127.0.0.1"]',
    "TAGAPI_WEBHOOKS__RETRY_SECONDS": "0.2",
    "TAGAPI_WEBHOOKS__RETRY_AT_MOST_SECONDS": "2",
}
WEBHOOKS, TASKS = "/api/tasks/webhooks", "/api/tasks"
TYPES = {"started": "job.started", "retried": "job.retrying", "parked": "job.parked"}
"""Of an event of a job."""
ENDS = {"SUCCESS": "job.succeeded", "FAILURE": "job.failed", "REVOKED": "job.cancelled"}
"""Of its last one."""
STATUSES = {"job.started": "STARTED", "job.retrying": "RETRY", "job.parked": "RETRY"} | {v: k for k, v in ENDS.items()}

Change = tuple[str, str, str]
"""Of which job, what, and when."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A webhook, and what it is to hear of."""

    path: str
    """At the receiver."""
    id: str
    types: frozenset[str]


def run(arena: Arena, store_name: str, changes: int, moments: Sequence[str] = MOMENTS) -> Result:
    """At least so many changes, and at least one kill at each of the moments."""
    began, chance = time.monotonic(), random.Random(f"{arena.seed}-{store_name}")
    fate, kills = random.Random(f"{arena.seed}-{store_name}-receiver"), Counter[str]()
    arena.folder.mkdir(parents=True, exist_ok=True)
    make_sample(arena.folder, USERS, documents=100)

    def behave(_: str) -> int:
        return 204 if fate.random() < 0.5 else fate.choice(FAULTS)

    with open_store(store_name, arena.folder) as store, receiving(behave) as receiver:
        server = ChaosServer(arena.folder, store, **SETTINGS)
        try:
            server.wait_ready()
            asked = _ask(server, receiver)
            while (seen := _changes(server, asked)) < changes or not all(kills[moment] for moment in moments):
                if seen > 4 * changes + 400:
                    break
                moment = min(moments, key=lambda one: (kills[one], chance.random()))
                kills[moment] += _killed(server, moment, chance)
                server = _up(server, lambda: ChaosServer(arena.folder, store, **SETTINGS))
                arena.say(f"{seen} changes, {kills.total()} kills, {len(receiver.received())} requests")
            _settle(server, asked)
            verdict = judge(_happened(server), asked, receiver.received(), [_log(server, one) for one in asked])
            if code := server.stop():
                verdict.failed.append(f"the exit code is {code}")
        finally:
            server.kill()
        verdict.failed += [f"no kill {moment}" for moment in moments if not kills[moment]]
        notes = {
            "kills": ", ".join(f"{where} {count}" for where, count in sorted(kills.items())),
            "kills in all": kills.total(),
            "what the receiver did": _shares(receiver.received()),
        }
    return Result("webhooks", store_name, verdict, time.monotonic() - began, notes)


def _ask(server: ChaosServer, receiver: Receiver) -> Sequence[Asked]:
    """One that hears of everything, and one of ends alone."""
    every, ends = [*TYPES.values(), *ENDS.values()], [*ENDS.values()]
    asked = []
    for path, types, tasks in (("/every", every, None), ("/ends", ends, ["tags.compute"])):
        answer = server.post(WEBHOOKS, {"url": f"{receiver.url}{path}", "events": types, "tasks": tasks})
        assert answer.status_code == 201, answer.text
        receiver.secrets[path] = answer.json()["secret"]
        asked.append(Asked(path, answer.json()["id"], frozenset(types)))
    return asked


def _changes(server: ChaosServer, asked: Sequence[Asked]) -> int:
    return int(server.read(f"{WEBHOOKS}/{asked[0].id}/deliveries", page_size=1)["total"])


def _killed(server: ChaosServer, moment: str, chance: random.Random) -> int:
    """Have some jobs changed, and the service killed at the moment; 1 where it was."""
    if moment != RANDOM:
        server.orders.place(Order(moment, chance.randint(1, 3), chance.choice((KILL, KILL_WORKER))))
    with suppress(requests.RequestException, AssertionError):  # it may be dead by now
        for number in range(JOBS):
            job = _trigger(server, chance)
            if number >= JOBS - CANCELS:  # while it waits behind the others
                server.post(f"{TASKS}/cancel/{job}", None)
    if moment == RANDOM:
        time.sleep(chance.uniform(0, RANDOM_WITHIN))
        server.kill()
        return 1
    deadline = time.monotonic() + WAITED
    while server.orders.done() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    met = server.orders.done() is not None
    server.orders.place(None)
    return int(met)


def _trigger(server: ChaosServer, chance: random.Random) -> str:
    users = [f"user_{chance.randrange(1, USERS + 1):06}" for _ in range(3)]
    return server.trigger([chance.randrange(1, 9)], user_ids=users)


def _up(server: ChaosServer, start: Any) -> ChaosServer:
    """A service that is ready: this one, or the next where it was killed."""
    if server.exit_code() is not None or not server.answers():
        server.kill()
        server = start()
    server.wait_ready()
    return server


def _settle(server: ChaosServer, asked: Sequence[Asked]) -> None:
    """Until every job has ended, and everything was delivered."""
    until(
        lambda: not server.read(TASKS, active="true", page_size=1)["total"],
        "every job ends",
        SETTLED_SECONDS,
        every=0.2,
    )

    def delivered() -> bool:
        newest = [server.read(f"{WEBHOOKS}/{one.id}/deliveries", page_size=100)["deliveries"] for one in asked]
        if any(one["status"] != "SUCCESS" for some in newest for one in some):
            return False
        return all(one["status"] == "SUCCESS" for some in asked for one in _log(server, some))

    until(delivered, "everything is delivered", SETTLED_SECONDS, every=1.0)


def _pages(server: ChaosServer, path: str, items: str) -> Iterator[Mapping[str, Any]]:
    page = server.read(path, page_size=100)
    while True:
        yield from page[items]
        if page["next"] is None:
            return
        page = server.read(path, page_size=100, cursor=page["next"])


def _log(server: ChaosServer, asked: Asked) -> list[Mapping[str, Any]]:
    return [*_pages(server, f"{WEBHOOKS}/{asked.id}/deliveries", "deliveries")]


def _happened(server: ChaosServer) -> set[Change]:
    """Everything that happened to all jobs, of what can be heard of."""
    found = set()
    for job in [one["task_id"] for one in _pages(server, TASKS, "tasks")]:
        for event in server.read(f"{TASKS}/events/{job}")["events"]:
            kind = ENDS[event["status"]] if event["event"] == "finished" else TYPES.get(event["event"])
            if kind is not None:
                found.add((job, kind, event["at"]))
    return found


def judge(
    happened: set[Change],
    asked: Sequence[Asked],
    received: Sequence[Received],
    logs: Sequence[Sequence[Mapping[str, Any]]],
) -> Verdict:
    """Each change told to each webhook that asked for it, and nothing else told; whatever was told is signed."""
    verdict = Verdict()
    for one, log in zip(asked, logs, strict=True):
        wanted = {change for change in happened if change[1] in one.types}
        _judge_one(verdict, one, wanted, [each for each in received if each.path == one.path])
        logged = {(each["task_id"], each["event"], each["happened_at"]) for each in log}
        verdict.wrong += [f"{one.path}: the log and the jobs differ in {each}" for each in wanted ^ logged]
        verdict.stuck += [f"{one.path}: {each}" for each in log if each["status"] != "SUCCESS"]
        verdict.facts["changes to tell"] += len(wanted)
    verdict.facts["acknowledged"] = len({job for job, *_ in happened})
    verdict.facts["job changes"] = len(happened)
    verdict.facts["requests"] = len(received)
    return verdict


def _judge_one(verdict: Verdict, asked: Asked, wanted: set[Change], received: Sequence[Received]) -> None:
    taken: dict[Change, set[str]] = {}
    for one in received:
        if one.wrong is not None:
            verdict.wrong.append(f"{asked.path}: {one.id} does not verify: {one.wrong}")
            continue
        told = one.told
        change = (told["data"]["task_id"], told["type"], told["timestamp"])
        if change not in wanted:
            verdict.lied.append(f"{asked.path}: told of {change}, which did not happen")
        if told["data"]["status"] != STATUSES[told["type"]]:
            verdict.lied.append(f"{asked.path}: {told['type']} with status {told['data']['status']}")
        if 200 <= one.answered < 300:
            taken.setdefault(change, set()).add(one.id)
    verdict.lost += [f"{asked.path}: never told of {change}" for change in wanted - taken.keys()]
    verdict.duplicated += [f"{asked.path}: {change} has {ids}" for change, ids in taken.items() if len(ids) > 1]
    verdict.facts["taken more than once"] += sum(
        count - 1 for count in Counter(one.id for one in received if 200 <= one.answered < 300).values()
    )


def _shares(received: Sequence[Received]) -> str:
    names = {HANG: "hung", RESET: "reset"}
    counts = Counter(names.get(one.answered, str(one.answered)) for one in received)
    return ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))
