"""What can go wrong on the way to a platform and back, on command."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass, field
from typing import Any

LOST_BEFORE, LOST_AFTER, LATE = "lost before", "lost after", "late"
FAILS_BEFORE, FAILS_AFTER, LIMITED, SLOW, EXPIRED = "5xx before", "5xx after", "limited", "slow", "expired"
REFUSED = "refused"
"""Nothing goes wrong on the way: the platform does not want it, now or ever."""
KINDS = (LOST_BEFORE, LOST_AFTER, LATE, FAILS_BEFORE, FAILS_AFTER, LIMITED, SLOW, EXPIRED)
"""`before` and `after` are about the effect; `late` has it come `seconds` later than the answer that is not given."""


@dataclass
class Fault:
    kind: str
    route: str = ".*"
    """A pattern of `<METHOD> <path>`."""
    nth: int | None = None
    """Only the so-manieth request that the pattern meets, from 1; else each, by chance."""
    chance: float = 1.0
    seconds: float = 0.2
    met: int = 0


@dataclass
class Faults:
    """Those of a server. The first one that a request meets is its own."""

    seed: int = 0
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()

    def set(self, *faults: Fault, seed: int = 0) -> None:
        with self._lock:
            self.faults, self._random = list(faults), random.Random(seed)

    def of(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if not re.search(fault.route, f"{method} {path}"):
                    continue
                fault.met += 1
                if fault.met == fault.nth or (fault.nth is None and self._random.random() < fault.chance):
                    return fault
        return None


def from_json(told: list[dict[str, Any]]) -> list[Fault]:
    return [Fault(**one) for one in told]
