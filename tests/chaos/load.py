"""Clients that submit, follow and cancel jobs, repeat what was not answered, and write everything down."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from tests.chaos.ledger import Ledger
from tests.e2e.server import FINISHED, Client

TAGS = range(1, 9)
PACE = 0.03  # seconds, on average, between two requests of a thread: the machine is the server's
OLDEST = 12  # of the open jobs are looked at: these are the ones that run
CLIENT_THREADS = 4


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for a job: `marker` is its own, and stands in its body, or in its key."""

    marker: str
    body: dict[str, Any]
    key: str | None


class Mixture:
    """Which jobs are asked for. Everyone of them can be recognised later: by its key, or by a user that is not."""

    def __init__(self, users: Sequence[str], name: str) -> None:
        self._users = users
        self._name = name
        self._lock = threading.Lock()
        self._made = 0

    def small(self, chance: random.Random, **more: Any) -> Ask:
        """A job for a few users that commits, and is asked for once."""
        marker = self._marker()
        users = [*chance.sample(self._users, 2), marker]
        return Ask(marker, {"tag_ids": chance.sample(TAGS, 2), "user_ids": users, **more}, None)

    def everyone(self, chance: random.Random) -> Ask:
        """A job over everyone, which commits whatever was there before."""
        marker = self._marker()
        return Ask(marker, {"tag_ids": chance.sample(TAGS, 2)}, marker)

    def next(self, chance: random.Random) -> Ask:
        marker = self._marker()
        body: dict[str, Any] = {"tag_ids": chance.sample(TAGS, chance.randint(1, 4))}
        if chance.random() < 0.25:
            body["mode"] = "incremental"
        if chance.random() < 0.1:
            body["dry_run"] = True
        if chance.random() < 0.03:
            return Ask(marker, body, marker)  # over everyone
        known = [] if chance.random() < 0.05 else chance.sample(self._users, chance.randint(1, 5))
        body["user_ids"] = [*known, marker]
        return Ask(marker, body, marker if chance.random() < 0.4 else None)

    def _marker(self) -> str:
        with self._lock:
            self._made += 1
            return f"{self._name}-{self._made:06d}"


class Load:
    """From `begin` to `end` a server is under load; what the next one has to answer for is remembered."""

    def __init__(
        self,
        ledger: Ledger,
        mixture: Mixture,
        seed: int,
        cancels: float = 0.15,
        connect: Callable[[str], Client] = Client,
    ) -> None:
        """`cancels` is how often a job that is seen running is cancelled."""
        self._connect = connect
        self._ledger = ledger
        self._mixture = mixture
        self._seed = seed
        self._cancels = cancels
        self._lock = threading.Lock()
        self._left = 0
        self._unanswered: deque[Ask] = deque()
        self._answered: deque[Ask] = deque(maxlen=200)
        self._open: dict[str, None] = {}
        self._ended: list[str] = []
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._begun = 0
        self.sent = 0
        self.acknowledged: set[str] = set()

    def begin(self, url: str, submits: int, threads: int = CLIENT_THREADS) -> None:
        """Put a server under load, with at most so many new jobs."""
        self._left += submits
        self._over.clear()
        self._begun += 1
        for number in range(threads):
            chance = random.Random(f"{self._seed}-{self._begun}-{number}")
            thread = threading.Thread(target=self._run, args=(url, chance), name=f"client-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def end(self) -> None:
        """Send nothing more, and hear every answer out."""
        self._over.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"
        self._threads.clear()

    def open(self) -> int:
        """How many acknowledged jobs are not known to have finished."""
        return len(self._open)

    def unsent(self) -> int:
        """How many jobs are still to be sent, or to be sent again."""
        return self._left + len(self._unanswered)

    # -- one client ------------------------------------------------------------------------

    def _run(self, url: str, chance: random.Random) -> None:
        with self._connect(url) as client:
            while not self._over.wait(chance.uniform(0, 2 * PACE)):
                self._step(client, chance)

    def _step(self, client: Client, chance: random.Random) -> None:
        roll = chance.random()
        if roll < 0.6 and (ask := self._next_ask(chance)) is not None:
            self.submit(client, ask)
        elif roll < 0.95:
            self._follow(client, chance)
        elif (job := self._some(chance, ended=chance.random() < 0.5)) is not None:
            self.cancel(client, job)

    def _next_ask(self, chance: random.Random) -> Ask | None:
        with self._lock:
            if self._unanswered and chance.random() < 0.5:
                return self._unanswered.popleft()
            if self._answered and chance.random() < 0.05:
                return chance.choice(self._answered)  # once more: the same key, the same job
            if self._left <= 0:
                return self._unanswered.popleft() if self._unanswered else None
            self._left -= 1
            self.sent += 1
        return self._mixture.next(chance)

    def _follow(self, client: Client, chance: random.Random) -> None:
        job = self._some(chance, ended=chance.random() < 0.15)
        if job is None:
            return
        answer = self.read(client, job)
        if answer is None or answer.status_code != 200:
            return
        state = answer.json()["status"]["status"]
        if state in FINISHED:
            self._close(job)
        elif state == "running" and chance.random() < self._cancels:
            self.cancel(client, job)

    # -- one request -----------------------------------------------------------------------

    def submit(self, client: Client, ask: Ask) -> requests.Response | None:
        """Ask for a job. What came of it, like every answer here, is in the ledger; None where nothing did."""
        line = self._ledger.write(send="submit", marker=ask.marker, key=ask.key, body=ask.body)
        headers = {"Idempotency-Key": ask.key} if ask.key else None
        answer = self._told(line, lambda: client.ask(headers, **ask.body))
        with self._lock:
            if answer is not None and answer.status_code == 202:
                job = answer.json()["task_id"]
                self.acknowledged.add(job)
                self._open.setdefault(job)
                if ask.key:
                    self._answered.append(ask)
            elif ask.key:
                self._unanswered.append(ask)  # without a key it might run twice, and whose fault would that be?
        return answer

    def read(self, client: Client, job: str) -> requests.Response | None:
        line = self._ledger.write(send="read", job=job)
        return self._told(line, lambda: client.get(f"/api/v1/tasks/{job}/status"))

    def cancel(self, client: Client, job: str) -> requests.Response | None:
        line = self._ledger.write(send="cancel", job=job)
        answer = self._told(line, lambda: client.delete(f"/api/v1/tasks/{job}"))
        if answer is not None and answer.status_code == 200:
            self._close(job)
        return answer

    def _some(self, chance: random.Random, ended: bool) -> str | None:
        """An open job, rather an old one; or one that has ended, which must not change any more."""
        with self._lock:
            if ended and self._ended:
                return chance.choice(self._ended)
            oldest = [job for job, _ in zip(self._open, range(OLDEST), strict=False)]
        return chance.choice(oldest) if oldest else None

    def _close(self, job: str) -> None:
        with self._lock:
            if job in self._open:
                del self._open[job]
                self._ended.append(job)

    def _told(self, line: int, send: Any) -> requests.Response | None:
        """The answer, in the ledger before anybody acts on it; None where there was none."""
        try:
            answer: requests.Response = send()
        except requests.RequestException as error:
            self._ledger.write(of=line, code=None, error=type(error).__name__)
            self._over.wait(0.05)
            return None
        body = answer.json()
        told = body.get("status") if isinstance(body.get("status"), dict) else {}
        self._ledger.write(
            of=line,
            code=answer.status_code,
            job=body.get("task_id") or told.get("task_id"),
            state=told.get("status"),
            error=body.get("error") or told.get("error"),
            retry_after=answer.headers.get("Retry-After"),
        )
        return answer
