"""Named moments in a job's life at which a server can be killed, frozen or held, and the orders that say so.

The product knows nothing of them: `server.py` wraps its functions. An order is a file in the
server's folder, so that it can be given while the server runs; whoever carries it out first
takes the file away, so that it is carried out once, whatever is started again afterwards.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

NAMES = (
    "before_accept",  # the request is valid, nothing is stored
    "after_accept",  # stored, not acknowledged
    "after_claim",  # an attempt holds the job, nothing has begun
    "mid_run",  # evaluated, nothing staged; an export's file is written, and not on disk for sure
    "recovering",  # a lapsed job was read, the recovery is not written
    "staged",  # files lie beside the table, begin_commit was not called
    "committing",  # begin_commit is stored, the table is not changed
    "settling",  # the next attempt has made its fence commit, and has not recorded what it found
    "committed",  # the table is changed, the registry does not know
    "recovered",  # a lapsed job was given back to the queue, its next attempt has not begun
    "cancelling",  # a cancel is stored, the attempt goes on
)
"""In an order that serves a run of kills: what comes needs what came before. There are two more. `leaving`: the
attempt is out of its task, and its outcome is not written; a kill there is one at `committed`, or at `mid_run`.
`claim_unheard`: a claim is stored, and its reply has not come; a kill there is one at `after_claim`."""

NOTE = "{when} {step} {what}"
"""A note in a job's journal: `noting`, before it is stored, or `noted`, after that; of which step, and what of it:
`create`, that a thing is about to be made, `id`, that it is there, or `nothing`, that it is not."""

IN_STORAGE = ("storing", "before_commit", "after_commit", "asking")
"""Where the storage of the memberships can hesitate: while an attempt stages, before its commit is in the table,
when it is and nobody has heard of it, and when the table is asked for it."""

IN_EXPORTS = ("delivering", "delivered", "growing", "grown", "stopping", "stopped")
"""Of an export of documents: before and after a step is in the table; before and after the job says so; before and
after the fence that an attempt makes so that no step comes late."""

PHASE = "phase {name}"
"""A phase of a scan has begun."""

IN_SCANS = ("keeping", "kept", "comparing", "compared", "publishing", "published")
"""Of what a scan has found: before and after it is put where Spark reads it, or staged; is compared with what is known;
becomes the job's result."""

IN_WEBHOOKS = ("delivery_claimed", "delivery_sent", "delivery_noted")
"""Of a delivery: it is claimed and not sent, it is sent and nobody has noted so, and it is noted."""

KILL, KILL_WORKER, FREEZE, HOLD, LOSE, HICCUP = "kill", "kill_worker", "freeze", "hold", "lose", "hiccup"
HOLD_EVERY = 0.01  # seconds between two looks of somebody held


@dataclass(frozen=True, slots=True)
class Order:
    """At the n-th hit of a failpoint, in whichever process, do this."""

    name: str
    hit: int = 1
    do: str = KILL
    seconds: float = 0.0
    """For how long to hold."""
    then: str | None = None
    """Of a hiccup: the failpoint at which the same process has another one."""


class Orders:
    """The orders of one server, from outside and from inside."""

    def __init__(self, folder: Path) -> None:
        self._placed = folder / "failpoint.json"
        self._done = folder / "failpoint.done.json"

    def place(self, order: Order | None) -> None:
        """Give an order, or none; it replaces one that was not carried out."""
        for path in (self._placed, self._done):
            path.unlink(missing_ok=True)
        if order is None:
            return
        fresh = self._placed.with_suffix(".fresh")
        fresh.write_text(json.dumps(asdict(order)), encoding="utf-8")
        fresh.replace(self._placed)

    def done(self) -> int | None:
        """The id of the process that carried the order out; None as long as nobody has."""
        with suppress(FileNotFoundError):
            return int(self._done.read_text(encoding="utf-8"))
        return None

    def changed(self) -> int | None:
        """What tells one order from the next; None where there is none."""
        with suppress(FileNotFoundError):
            return self._placed.stat().st_mtime_ns
        return None

    def read(self) -> Order | None:
        with suppress(FileNotFoundError):
            return Order(**json.loads(self._placed.read_text(encoding="utf-8")))
        return None

    def take(self) -> bool:
        """Be the one who carries the order out."""
        mine = self._placed.with_suffix(f".{os.getpid()}")
        try:
            self._placed.rename(mine)
        except FileNotFoundError:
            return False
        mine.write_text(str(os.getpid()), encoding="utf-8")
        mine.replace(self._done)
        return True


class Failpoints:
    """The hook inside a server process. Hits are counted for each order, in each process."""

    def __init__(self, folder: Path, lost: Callable[[], BaseException], hiccup: Callable[[], BaseException]) -> None:
        """`lost` makes the error of work whose Spark went away, `hiccup` one of the storage."""
        self._orders = Orders(folder)
        self._lost = lost
        self._hiccup = hiccup
        self._owed: str | None = None
        self._lock = threading.Lock()
        self._seen: int | None = None
        self._order: Order | None = None
        self._hits = 0

    def hit(
        self, name: str, check: Callable[[], None] = lambda: None, lost: Callable[[], BaseException] | None = None
    ) -> None:
        """Be at a failpoint. `check` is called by somebody held, and may raise; `lost` makes the error of a loss."""
        if name == self._owed:
            self._owed = None
            raise self._hiccup()
        order = self._due(name)
        if order is None or not self._orders.take():
            return
        if order.do == KILL:
            os.killpg(os.getpgrp(), signal.SIGKILL)
        elif order.do == KILL_WORKER:
            os.kill(os.getpid(), signal.SIGKILL)
        elif order.do == FREEZE:
            _freeze()
        elif order.do == LOSE:
            raise (lost or self._lost)()
        elif order.do == HICCUP:
            self._owed = order.then
            raise self._hiccup()
        else:
            _hold(order.seconds, check)

    def _due(self, name: str) -> Order | None:
        with self._lock:
            changed = self._orders.changed()
            if changed != self._seen:
                self._seen, self._hits = changed, 0
                self._order = self._orders.read()
            if changed is None or self._order is None or self._order.name != name:
                return None
            self._hits += 1
            return self._order if self._hits == self._order.hit else None


def _freeze() -> None:
    """The launcher and all below it, this process last: its thread must not take another step before it stops."""
    launcher = psutil.Process(os.getppid())
    for one in (launcher, *launcher.children(recursive=True)):
        if one.pid != os.getpid():
            one.send_signal(signal.SIGSTOP)
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def _hold(seconds: float, check: Callable[[], None]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        check()
        time.sleep(HOLD_EVERY)
