"""What is done to publications: one trouble after the other, so that each step of the chain has its turn of each.

A step is a kind of request to a platform, as the stand-in sees it come; a moment is before its effect, after it, or
after its answer. Notes in the journal are steps of the service's own, and have failpoints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.chaos.failpoints import NOTE
from tests.platforms.faults import (
    EXPIRED,
    FAILS_AFTER,
    FAILS_BEFORE,
    KINDS,
    LATE,
    LIMITED,
    LOST_AFTER,
    LOST_BEFORE,
    REFUSED,
)
from tests.platforms.server import ANSWERED, ARRIVED, DONE, Asked

MOMENTS = (ARRIVED, DONE, ANSWERED)
KILL, CANCEL, NOTHING = "kill", "cancel", "nothing"
ON_RETURN = (LOST_BEFORE, LOST_AFTER, LATE, FAILS_BEFORE, FAILS_AFTER, LIMITED, REFUSED)
"""What goes wrong when something is taken back."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The steps of a platform."""

    platform: str
    first: str
    """Before anything is made."""
    creations: Mapping[str, str]
    """By what the journal calls it: the request that makes it."""
    looks: Mapping[str, str]
    """By creation: the request that looks for what it made."""
    takes_back: str
    before_first: Mapping[str, str] = field(default_factory=dict)
    """What has to go wrong, by step, for the first step to be taken again."""


CHAINS = (
    Chain(
        platform="meta",
        first="currency",
        creations={
            "campaign": "create campaigns",
            "adset": "create adsets",
            "creative": "create adcreatives",
            "ad": "create ads",
        },
        looks={f"create {kind}": f"find {kind}" for kind in ("campaigns", "adsets", "adcreatives", "ads")},
        takes_back="delete",
    ),
    Chain("google", "token", {"mutate": "mutate"}, {"mutate": "search"}, "remove", {"mutate": EXPIRED}),
)


def step_of(asked: Asked) -> str:
    """Which step a request is."""
    last = asked.path.rpartition("/")[2]
    if last == "googleAds:mutate":
        removes = any("remove" in what for one in asked.json["mutateOperations"] for what in one.values())
        return "remove" if removes else "mutate"
    if last in ("token", "googleAds:search"):
        return last.rpartition(":")[2]
    if asked.method == "DELETE":
        return "delete"
    if last.startswith("act_"):
        return "currency"
    return f"{'create' if asked.method == 'POST' else 'find'} {last}"


@dataclass(frozen=True, slots=True)
class Scene:
    """One trouble, for whoever meets it first."""

    platform: str
    do: str = NOTHING
    at: tuple[str, str] | None = None
    """The moment and the step; None is a random time."""
    note: str | None = None
    """Instead, a failpoint of the service itself: of a note in the journal, or around the whole chain."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """By step: what its first request meets."""
    cancel_first: tuple[str, str] | None = None
    """The moment and the step at which a job is cancelled before, so that it takes back what it made."""

    def __str__(self) -> str:
        where = self.note or (" ".join(self.at) if self.at else "at random")
        done = [f"{step} {kind}" for step, kind in self.faults.items()]
        done += [f"cancel {' '.join(self.cancel_first)}"] if self.cancel_first else []
        return ", ".join([self.platform, *done, *([f"{self.do} {where}"] if self.do != NOTHING else [])])


def scenes() -> list[Scene]:
    """All of them."""
    return [scene for chain in CHAINS for scene in _of(chain)]


def _of(chain: Chain) -> Iterator[Scene]:
    for some in (_forward, _looking, _back, _around, _random):
        yield from some(chain)


def _forward(chain: Chain) -> Iterator[Scene]:
    """At each step on the way: killed, cancelled, and everything that can go wrong with it."""
    name = chain.platform
    for moment in MOMENTS:
        yield Scene(name, KILL, (moment, chain.first), faults=chain.before_first)
    for step, creation in chain.creations.items():
        for moment in MOMENTS:
            yield Scene(name, KILL, (moment, creation))
            yield Scene(name, CANCEL, (moment, creation))
        for kind in (*KINDS, REFUSED):
            yield Scene(name, faults={creation: kind})
        yield Scene(name, CANCEL, (ANSWERED, creation), faults={creation: LATE})  # what comes then has to be awaited
        for when in ("noting", "noted"):
            for what in ("create", "id"):
                yield Scene(name, KILL, note=NOTE.format(when=when, step=step, what=what))


def _looking(chain: Chain) -> Iterator[Scene]:
    """While what an unanswered creation made is looked for."""
    for creation, look in chain.looks.items():
        for kind in (LOST_AFTER, LOST_BEFORE):
            yield Scene(chain.platform, KILL, (DONE, look), faults={creation: kind})
            yield Scene(chain.platform, CANCEL, (DONE, look), faults={creation: kind})
        for moment in (ARRIVED, ANSWERED):
            yield Scene(chain.platform, KILL, (moment, look), faults={creation: LOST_AFTER})


def _back(chain: Chain) -> Iterator[Scene]:
    """While a cancelled job takes back what it made."""
    creations = list(chain.creations.values())
    for number, moment in enumerate(MOMENTS * 2):
        cancel = (DONE if number < len(MOMENTS) else ARRIVED, creations[-1 - number % len(creations)])
        yield Scene(chain.platform, KILL, (moment, chain.takes_back), cancel_first=cancel)
    for number, kind in enumerate(ON_RETURN):
        cancel = (DONE, creations[-1 - number % len(creations)])
        yield Scene(chain.platform, faults={chain.takes_back: kind}, cancel_first=cancel)


def _around(chain: Chain) -> Iterator[Scene]:
    """Around the chain: where the job is accepted, claimed, cancelled and has its outcome written."""
    for name in ("before_accept", "after_accept", "after_claim", "leaving"):
        yield Scene(chain.platform, KILL, note=name)
    for creation in chain.creations.values():
        yield Scene(chain.platform, KILL, note="cancelling", cancel_first=(DONE, creation))


def _random(chain: Chain) -> Iterator[Scene]:
    for do in (KILL, CANCEL):
        yield from [Scene(chain.platform, do)] * 4
