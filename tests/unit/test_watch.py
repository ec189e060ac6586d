"""The watch, its rounds run by hand: who asks is answered, in turn, and once, also when the store was away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.model import Job
from tagapi.jobs.watch import ANSWERED_AT_ONCE, Follower, Watch
from tests.unit.fakes import World


class Ear(Follower):
    """Remembers what it heard; it may see Ann's jobs alone."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        """Ids, and in which way they were heard of."""
        self.named: set[str] = set()

    owner = "ann"

    def follows(self, job: Job) -> bool:
        return job.id in self.named

    def hear(self, job: Job, *, asked: bool) -> None:
        self.heard.append((job.id, "asked" if asked else "changed"))

    def hear_of_none(self, job_id: str) -> None:
        self.heard.append((job_id, "none"))

    def hear_newest(self, number: int) -> None:
        self.heard.append((str(number), "newest"))

    def following(self) -> Iterable[str]:
        return self.named


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def watch(world: World) -> Watch:
    """It is not started: a test says when it looks."""
    return Watch(world.registry)


def look(watch: Watch, *followers: Follower) -> None:
    watch._round(followers)


def joined(watch: Watch) -> Ear:
    ear = Ear()
    watch.join(ear)
    look(watch, ear)
    return ear


def test_who_asks_twice_is_answered_once(world: World, watch: Watch) -> None:
    ear, job_id = joined(watch), world.submit()
    for _ in range(3):
        watch.tell(ear, [job_id, "nobody's"])
    look(watch, ear)
    assert ear.heard == [(job_id, "asked"), ("nobody's", "none")]
    watch.tell(ear, [job_id])
    look(watch, ear)
    assert ear.heard[2:] == [(job_id, "asked")]


def test_who_asks_much_waits_for_the_others(world: World, watch: Watch) -> None:
    greedy, modest, job_id = joined(watch), joined(watch), world.submit()
    asked = [f"nobody's {number}" for number in range(2 * ANSWERED_AT_ONCE + 1)]
    watch.tell(greedy, asked)
    watch.tell(modest, [job_id])
    look(watch, greedy, modest)
    assert (len(greedy.heard), modest.heard) == (ANSWERED_AT_ONCE, [(job_id, "asked")])
    look(watch, greedy, modest)
    look(watch, greedy, modest)
    assert [name for name, _ in greedy.heard] == asked


def test_what_the_store_could_not_tell_is_asked_still(
    world: World, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear, job_id = joined(watch), world.submit()

    def away(ids: Sequence[str]) -> Sequence[Job]:
        raise StoreUnavailable(retry_after=1)

    with monkeypatch.context() as patch:
        patch.setattr(world.registry, "get_all", away)
        watch.tell(ear, [job_id])
        watch.tell_active(ear, "ann")
        with pytest.raises(StoreUnavailable):
            look(watch, ear)
    del ear.heard[:]
    look(watch, ear)
    assert ear.heard == [("1", "newest"), (job_id, "asked"), (job_id, "asked")]


def test_who_has_left_is_told_nothing(world: World, watch: Watch) -> None:
    ear, job_id = joined(watch), world.submit()
    watch.tell(ear, [job_id])
    watch.leave(ear)
    watch.tell(ear, [job_id])
    look(watch)
    assert ear.heard == []


def test_a_change_is_heard_of_by_who_follows(world: World, watch: Watch) -> None:
    ear, other = joined(watch), joined(watch)
    job_id = world.submit()
    ear.named.add(job_id)
    look(watch, ear, other)
    world.run_next()
    look(watch, ear, other)
    assert ear.heard == [(job_id, "changed")] * 2
    assert other.heard == []
