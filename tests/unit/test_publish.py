"""Publishing, by the real clients against the platforms' stand-ins: once, or not at all, wherever it is stopped."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tagapi.jobs import changes
from tagapi.jobs.errors import JobCancelled, NotUndone, TaskFailed, Transient
from tagapi.jobs.model import Job, JobState, Request
from tests.platforms import faults
from tests.platforms.faults import Fault
from tests.platforms.google import DEVELOPER, REFRESH, SECRET
from tests.platforms.meta import TOKEN
from tests.platforms.server import ARRIVED, Asked
from tests.unit.outside import PLATFORMS, Context, Killed, Platform

CREATIONS = {
    "meta": ["POST .*/campaigns", "POST .*/adsets", "POST .*/adcreatives", "POST .*/ads$"],
    "google": ["POST .*googleAds:mutate"],
}
STEPS = {"meta": 16, "google": 4}
"""At which a process may die: before and after each note."""


EVERY_STEP = [(name, step) for name, steps in STEPS.items() for step in range(steps)]
EVERY_CREATION = [(name, creation) for name, creations in CREATIONS.items() for creation in creations]


@pytest.fixture(params=PLATFORMS)
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    with PLATFORMS[request.param]() as platform:
        yield platform


def attempts(platform: Platform, context: Context, most: int = 12) -> Any:
    """Attempt after attempt, as the runner has them, until one has an outcome."""
    for _ in range(most):
        try:
            return platform.task.run(context)
        except (Killed, Transient):
            context.dies_at = None
    raise AssertionError("no outcome")


def undo(platform: Platform, context: Context, most: int = 12) -> str | None:
    context.cancelled = False
    for _ in range(most):
        try:
            return platform.task.undo(context)
        except (Killed, Transient):
            context.dies_at = None
    raise AssertionError("not undone")


def assert_one_whole_campaign(platform: Platform, context: Context, result: Any) -> None:
    there = platform.campaigns()
    assert len(there) == platform.whole(), there
    named = [thing["name"] for thing in there if "name" in thing]
    assert all(context.job_id in name for name in named)
    statuses = {thing["status"] for thing in there if "status" in thing}
    assert statuses == {"PAUSED"}
    assert result["success"] is True
    assert result["external_campaign_id"] in str(platform.books.things.keys())


def test_a_campaign_is_published_as_the_document_says(platform: Platform) -> None:
    context = platform.context()
    result = platform.task.run(context)
    assert_one_whole_campaign(platform, context, result)
    if platform.name == "meta":
        keys = {"success", "message", "external_campaign_id", "external_ad_set_id", "external_ad_id"}
        assert set(result) == {*keys, "external_audience_id"}
        assert result["message"] == "Campaña publicada con éxito en Meta Ads"
    else:
        assert set(result) == {"success", "message", "external_campaign_id", "external_ids"}
        assert set(result["external_ids"]) == {"budget_id", "campaign_id", "ad_group_id", "ad_id"}
        assert result["message"] == "Campaña publicada con éxito en Google Ads"


def test_what_is_made_is_what_was_asked_for(platform: Platform) -> None:
    platform.task.run(platform.context())
    things = platform.books.things
    if platform.name == "meta":
        (ad_set,) = (one for one in things.values() if one["kind"] == "adsets")
        assert ad_set["daily_budget"] == 1250
        assert ad_set["targeting"] == {"geo_locations": {"countries": ["CO", "US"]}, "age_min": 25, "age_max": 54}
        (creative,) = (one for one in things.values() if one["kind"] == "adcreatives")
        assert creative["object_story_spec"]["link_data"]["link"] == "https://example.org/verano"
    else:
        budget = next(one for name, one in things.items() if "/campaignBudgets/" in name)
        assert budget["amountMicros"] == "12500000"
        targets = [one["location"]["geoTargetConstant"] for one in things.values() if "location" in one]
        assert targets == ["geoTargetConstants/2170", "geoTargetConstants/2840"]
        ages = {one["ageRange"]["type"] for one in things.values() if "ageRange" in one}
        assert ages == {"AGE_RANGE_18_24", "AGE_RANGE_55_64", "AGE_RANGE_65_UP"}


@pytest.mark.parametrize(("platform", "step"), EVERY_STEP, indirect=["platform"])
def test_wherever_it_is_killed_there_is_one_campaign(platform: Platform, step: int) -> None:
    context = replace(platform.context(), dies_at=step)
    result = attempts(platform, context)
    assert context.steps > step
    assert_one_whole_campaign(platform, context, result)


@pytest.mark.parametrize(("platform", "step"), EVERY_STEP, indirect=["platform"])
def test_wherever_it_is_cancelled_nothing_is_left(platform: Platform, step: int) -> None:
    context = replace(platform.context(), dies_at=step)
    with pytest.raises(Killed):
        platform.task.run(context)
    context.dies_at, context.cancelled = None, True
    with suppress(JobCancelled):  # the last one may be found, and then there is nothing more to stop
        platform.task.run(context)
    undo(platform, context)
    assert platform.campaigns() == []


@pytest.mark.parametrize("kind", [one for one in faults.KINDS if one != faults.EXPIRED])
@pytest.mark.parametrize(("platform", "creation"), EVERY_CREATION, indirect=["platform"])
def test_whatever_goes_wrong_at_a_creation_there_is_one_campaign(platform: Platform, kind: str, creation: str) -> None:
    platform.books.faults.set(Fault(kind, creation, nth=1))
    context = platform.context()
    result = attempts(platform, context)
    platform.server.settle()
    assert_one_whole_campaign(platform, context, result)


@pytest.mark.parametrize("kind", [faults.LOST_AFTER, faults.LATE, faults.FAILS_AFTER, faults.LOST_BEFORE])
@pytest.mark.parametrize(("platform", "creation"), EVERY_CREATION, indirect=["platform"])
def test_whatever_goes_wrong_before_a_cancel_nothing_is_left(platform: Platform, kind: str, creation: str) -> None:
    platform.books.faults.set(Fault(kind, creation, nth=1))
    context = platform.context()
    with pytest.raises(Transient):
        platform.task.run(context)
    undo(platform, context)
    platform.server.settle()
    assert platform.campaigns() == []


def test_what_comes_later_than_anybody_waits_for_is_removed_by_upkeep(platform: Platform) -> None:
    platform.books.faults.set(Fault(faults.LATE, CREATIONS[platform.name][0], nth=1, seconds=1.5))
    context = platform.context()
    with pytest.raises(Transient):
        platform.task.run(context)
    undo(platform, context)
    assert platform.campaigns() == []
    platform.server.settle()
    assert len(platform.campaigns()) > 0
    assert "se borró" in str(platform.task.look_again(finished(context, JobState.CANCELLED)))
    assert platform.campaigns() == []
    assert platform.task.look_again(finished(context, JobState.CANCELLED)) is None


def test_a_double_that_comes_late_is_removed_and_the_campaign_of_the_result_stays() -> None:
    with PLATFORMS["meta"]() as platform:
        platform.books.faults.set(Fault(faults.LATE, CREATIONS["meta"][0], nth=1, seconds=1.5))
        context = platform.context()
        result = attempts(platform, context)
        platform.server.settle()
        assert len(platform.campaigns()) == platform.whole() + 1
        assert "se borró" in str(platform.task.look_again(finished(context, JobState.SUCCEEDED)))
        assert_one_whole_campaign(platform, context, result)


def finished(context: Context, state: JobState) -> Job:
    request = Request(job_id=context.job_id, task="tasks.x", owner="ana", arguments=context.arguments)
    job = changes.accept(request, datetime.now(UTC))
    return replace(job, state=state, finished_at=datetime.now(UTC), journal=tuple(context.entries))


def test_what_somebody_copied_is_theirs() -> None:
    with PLATFORMS["meta"]() as platform:
        context = platform.context()
        result = platform.task.run(context)
        made = platform.books.things[result["external_campaign_id"]]
        platform.books.things["77"] = {**made, "name": f"{made['name']} - Copy"}
        assert platform.task.look_again(finished(context, JobState.SUCCEEDED)) is None
        platform.task.undo(context)
        assert [*platform.books.things] == ["77"]


def test_what_the_platform_will_not_take_back_is_named(platform: Platform) -> None:
    context = replace(platform.context(), dies_at=STEPS[platform.name] - 1)
    with pytest.raises(Killed):
        platform.task.run(context)
    if platform.name == "meta":
        platform.books.undeletable = {"campaigns"}
    else:
        platform.books.unremovable = True
    with pytest.raises(NotUndone) as left:
        undo(platform, context)
    campaign = next(name for name in platform.books.things if platform.name == "meta" or "/campaigns/" in name)
    assert campaign.rpartition("/")[2] in str(left.value)


@pytest.mark.parametrize("kind", ["campaigns", "adcreatives"])
def test_all_that_meta_takes_back_is_gone_and_all_that_it_does_not_is_named(kind: str) -> None:
    with PLATFORMS["meta"]() as platform:
        context = replace(platform.context(), dies_at=STEPS["meta"] - 1)
        with pytest.raises(Killed):
            platform.task.run(context)
        platform.books.undeletable = {kind}
        with pytest.raises(NotUndone) as left:
            undo(platform, context)
        roots = {thing: facts for thing, facts in platform.books.things.items() if "name" in facts}
        assert {facts["kind"] for facts in roots.values()} & {"campaigns", "adcreatives"} == {kind}
        assert all(thing in str(left.value) for thing, facts in roots.items() if facts["kind"] == kind)


class Overtaken:
    """Before a deletion has its effect, one that was sent earlier has it."""

    def __init__(self, platform: Platform) -> None:
        self._books = platform.books

    def fault(self, asked: Asked) -> Fault | None:
        return None

    def at(self, moment: str, asked: Asked) -> None:
        if moment == ARRIVED and (asked.method == "DELETE" or b'"remove"' in asked.body):
            self._books.carried_out(asked)


def test_what_an_earlier_request_has_removed_is_not_said_to_be_left(platform: Platform) -> None:
    context = platform.context()
    platform.task.run(context)
    platform.server.watcher = Overtaken(platform)
    assert undo(platform, context) is None
    assert platform.campaigns() == []


def test_a_refusal_fails_at_once_with_the_platforms_own_words(platform: Platform) -> None:
    context = platform.context(campaign={**platform.context().arguments["campaign"], "daily_budget": "0.50"})
    with pytest.raises(TaskFailed) as refused:
        platform.task.run(context)
    told = {"meta": ("(100)", "Atr4ceId"), "google": ("MONEY_AMOUNT_TOO_SMALL", "rEqUeStId")}[platform.name]
    assert all(part in str(refused.value) for part in told)
    undo(platform, context)
    assert platform.campaigns() == []


def test_an_expired_token_is_renewed_where_it_can_be_and_refused_where_not(platform: Platform) -> None:
    platform.books.faults.set(Fault(faults.EXPIRED, CREATIONS[platform.name][0], nth=1))
    context = platform.context()
    if platform.name == "google":
        assert_one_whole_campaign(platform, context, platform.task.run(context))
        return
    with pytest.raises(TaskFailed, match="190"):
        platform.task.run(context)


def test_who_cannot_be_reached_is_tried_again(platform: Platform) -> None:
    context = platform.context()
    platform.server.shutdown()
    platform.server.socket.close()
    with pytest.raises(Transient) as away:
        platform.task.run(context)
    assert away.value.facts["detail"].startswith("Failed to establish connection")
    platform.server.shutdown = lambda: None  # type: ignore[method-assign]


def test_nothing_secret_is_ever_told(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    for kind in faults.KINDS:
        platform.books.faults.set(Fault(kind, CREATIONS[platform.name][0], nth=1))
        try:
            platform.task.run(platform.context())
        except (Transient, TaskFailed) as error:
            told.append(f"{error} {error.facts}")
    assert told
    secrets = (TOKEN, DEVELOPER, SECRET, REFRESH, "access-secret")
    everything = " ".join([*told, caplog.text, repr(platform.task.__dict__)])
    assert not [secret for secret in secrets if secret in everything]
    for asked in platform.books.requests:
        assert not [one for one in secrets if one in asked.path or any(one in value for value in asked.query.values())]


def test_a_simulation_takes_the_same_steps_and_makes_nothing(platform: Platform) -> None:
    context = platform.context(simulate=True)
    result = platform.task.run(context)
    assert result["simulated"] is True
    assert result["external_campaign_id"].startswith("SIM-")
    assert platform.books.requests == []
    again = replace(platform.context(simulate=True), job_id=context.job_id, dies_at=1)
    assert attempts(platform, again) == result
    assert undo(platform, again) is None
    assert platform.task.look_again(finished(again, JobState.SUCCEEDED)) is None


def test_without_an_account_only_simulations_are_published() -> None:
    with PLATFORMS["meta"]() as platform:
        task = type(platform.task)(None, platform.task._simulated)  # type: ignore[attr-defined, call-arg]
        with pytest.raises(TaskFailed, match="TAGAPI_META__"):
            task.run(platform.context())


def test_a_currency_without_cents_takes_whole_amounts() -> None:
    with PLATFORMS["meta"]() as platform:
        platform.books.currency = "COP"
        with pytest.raises(TaskFailed, match="COP"):
            platform.task.run(platform.context())
        platform.task.run(
            platform.context(campaign={**platform.context().arguments["campaign"], "daily_budget": "50000"})
        )
        (ad_set,) = (one for one in platform.books.things.values() if one["kind"] == "adsets")
        assert ad_set["daily_budget"] == 50_000
