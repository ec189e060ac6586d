"""What one socket tells of the jobs that it follows, without a socket."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tagapi.jobs.model import EVENTS_KEPT, Job, JobState
from tagapi.namespaces.tasks.followed import MOST_NAMED, Followed
from tests.unit.fakes import World


@pytest.fixture
def world() -> World:
    return World(work=lambda context: {})


def job_of(world: World) -> Job:
    return world.job(world.submit())


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [message["event"] for message in messages]


@pytest.mark.parametrize(("only", "wanted"), [("bob", False), ("ann", True), (None, True)])
def test_a_job_is_told_to_whom_it_may_be_told_alone(world: World, only: str | None, wanted: bool) -> None:
    """Whoever names a job follows it before anybody has looked whose it is."""
    job, followed = job_of(world), Followed(only or "root", only)
    assert followed.add([job.id])
    assert followed.wants(job) is wanted
    assert bool(followed.messages(job, asked=False)) is wanted


def test_a_snapshot_first_then_every_event_once(world: World) -> None:
    job, followed = job_of(world), Followed("ann", "ann")
    followed.add([job.id])
    assert kinds(followed.messages(job, asked=True)) == ["snapshot"]
    assert followed.messages(job, asked=False) == []
    world.run_next()
    told = followed.messages(done := world.job(job.id), asked=False)
    assert kinds(told)[0] == "started" and kinds(told)[-1] == "finished" and told[-1]["final"] is True
    assert followed.messages(done, asked=False) == []
    assert followed.messages(job, asked=False) == []
    assert followed.ids() == []


def test_what_was_read_before_what_was_told_is_not_told(world: World) -> None:
    before, followed = job_of(world), Followed("ann", "ann")
    followed.add([before.id])
    world.run_next()
    ended = world.job(before.id)
    running = replace(ended, state=JobState.RUNNING, events=ended.events[:-1])
    assert kinds(followed.messages(running, asked=True)) == ["snapshot"]
    assert followed.messages(before, asked=False) == []
    assert kinds(followed.messages(ended, asked=False)) == ["finished"]


def test_of_a_new_job_of_ones_own_everything_is_told(world: World) -> None:
    followed, before = Followed("ann", "ann"), job_of(world)
    followed.add_mine()
    assert kinds(followed.messages(before, asked=False)) == ["snapshot"], "its news came before the answer"
    followed.newest = before.number
    job = job_of(world)
    assert kinds(followed.messages(job, asked=False)) == ["accepted"]
    followed.drop([job.id])
    while world.run_next():
        pass
    told = followed.messages(world.job(job.id), asked=False)
    assert "accepted" not in kinds(told) and kinds(told)[-1] == "finished"


def test_who_follows_theirs_no_more_follows_what_they_named(world: World) -> None:
    followed, named, other = Followed("ann", "ann"), job_of(world), job_of(world)
    followed.add_mine()
    followed.add([named.id])
    for job in (named, other):
        followed.messages(job, asked=True)
    followed.drop_mine()
    assert (followed.wants(named), followed.wants(other)) == (True, False)
    assert followed.messages(other, asked=False) == []
    followed.drop([named.id])
    assert followed.ids() == []


def test_jobs_are_named_up_to_a_bound(world: World) -> None:
    followed = Followed("ann", None)
    assert followed.add([f"{number:036}" for number in range(MOST_NAMED)])
    assert followed.add([f"{0:036}"]), "it is among them"
    assert not followed.add(["x"])
    followed.drop([f"{0:036}"])
    assert followed.add(["x"])
    assert len({*followed.ids()}) == MOST_NAMED


def test_a_gap_is_told_by_a_snapshot(world: World) -> None:
    def work(context: Any) -> dict[str, Any]:
        for number in range(EVENTS_KEPT + 20):
            context.phase(str(number))
        return {}

    world.task._work = work
    followed, job = Followed("ann", "ann"), job_of(world)
    followed.add([job.id])
    followed.messages(job, asked=True)
    world.run_next()
    (told,) = followed.messages(world.job(job.id), asked=False)
    assert (told["event"], told["gap"], told["final"]) == ("snapshot", True, True)
