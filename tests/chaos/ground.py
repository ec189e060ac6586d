"""What outlives the servers of a run: the sources, the ledger, the load, and the last question."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.checker import check
from tests.chaos.ledger import Ledger
from tests.chaos.load import Load, Mixture
from tests.chaos.process import ChaosServer
from tests.chaos.verdict import Verdict, take_census
from tests.chaos.worker_jobs import WORKERS, take_worker_jobs
from tests.e2e.oracle import users
from tests.e2e.server import Client, make_sample, until

USERS = 1000
SECONDS_A_JOB = 0.5  # bounds the wait for the last job; usually a tenth of it
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Arena:
    """Where a part may do what it wants."""

    folder: Path
    seed: int
    say: Say = print


class Ground:
    """A folder with sources, a ledger and a load: what outlives the servers."""

    def __init__(self, arena: Arena, connect: Callable[[str], Client] = Client) -> None:
        self.folder = folder = arena.folder
        folder.mkdir(parents=True, exist_ok=True)
        self.chance = random.Random(arena.seed)
        self.began = datetime.now(UTC).date()
        sources = folder / "data" / "sources"
        if not sources.is_dir():
            make_sample(folder, USERS)
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.mixture = Mixture(users(sources), "chaos")
        self.load = Load(self.ledger, self.mixture, arena.seed, connect=connect)

    def submit(self, client: Client, **more: Any) -> str:
        """Have a small job accepted; answers with its id."""
        answer = self.load.submit(client, self.mixture.small(self.chance, **more))
        assert answer is not None, "the server is gone"
        assert answer.status_code == 202, answer.text
        return str(answer.json()["task_id"])

    def create(self, client: Client, body: Mapping[str, Any]) -> str:
        """Have a job of the workers API accepted; answers with its id."""
        line = self.ledger.write(send="create", body=body)
        answer = client.post(WORKERS, body)
        told = answer.json()
        self.ledger.write(of=line, code=answer.status_code, job=told.get("task_id"), error=told.get("error"))
        assert answer.status_code == 201, answer.text
        return str(told["task_id"])

    def finish(self, server: ChaosServer, submits: int = 0) -> None:
        """Send what is still to be sent, and wait until every job that there is has finished."""
        self.load.begin(server.url, max(0, submits - self.load.unsent()))
        seconds = 60 + SECONDS_A_JOB * (self.load.open() + self.load.unsent())
        try:
            until(lambda: not self.load.unsent(), "everything is sent", seconds, every=0.2)
        finally:
            self.load.end()
        until(lambda: not _busy(server), "every job finishes", seconds, every=0.2)

    def verdict(self, server: ChaosServer) -> Verdict:
        """Of everything so far."""
        census = replace(take_census(server, self.load.acknowledged), worker_jobs=take_worker_jobs(server))
        return check(self.ledger.path, self.folder / "data", census, self.began)


def _busy(server: ChaosServer) -> int:
    lists = (("/api/v1/tasks", "total", ("submitted", "running")), (WORKERS, "count", ("pending", "processing")))
    return sum(
        int(server.read(path, page_size=1, status=state)[total]) for path, total, states in lists for state in states
    )
