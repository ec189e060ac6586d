"""That publishing under fire sees what there is to see: the books of the stand-ins, one thing in them made false."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.chaos.books import THINGS, campaign_of, judge_books
from tests.chaos.verdict import Verdict
from tests.unit.outside import PLATFORMS, Context, Platform

PUBLISHED = ("meta", "google")


class Story:
    """One publication that succeeded, by the real client: everything true."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        asked = {**campaign_of(platform.name, "fuego"), "audience_id": None, "simulate": False}
        context = Context(asked)
        self.job: dict[str, Any] = {"task_id": context.job_id, "status": "SUCCESS", "error": None}
        self.job["result"] = platform.task.run(context)

    def ended(self, status: str, error: str | None = None) -> None:
        self.job |= {"status": status, "error": error, "result": None}

    def things(self, kind: str) -> list[str]:
        """Their names in the books, newest first."""
        there = self.platform.books.things
        return [name for name, facts in reversed(there.items()) if kind in (facts.get("kind"), *name.split("/"))]

    def again(self, kind: str) -> None:
        """The newest of a kind is there once more."""
        name = self.things(kind)[0]
        self.platform.books.things[f"{name}7"] = dict(self.platform.books.things[name])

    def verdict(self) -> Verdict:
        verdict, name = Verdict(), self.platform.name
        things = THINGS[name](self.platform.books.books())
        judge_books(verdict, name, {self.job["task_id"]: self.job}, things, lambda job: f"the story of {job}")
        return verdict


@pytest.fixture(params=PUBLISHED)
def story(request: pytest.FixtureRequest) -> Iterator[Story]:
    with PLATFORMS[request.param]() as platform:
        yield Story(platform)


def test_a_campaign_as_its_job_tells_is_clean(story: Story) -> None:
    verdict = story.verdict()
    assert verdict.clean, list(verdict.evidence())
    assert verdict.facts[f"{story.platform.name} campaigns"] == 1


def test_a_cancelled_job_that_left_nothing_is_clean(story: Story) -> None:
    story.platform.books.things.clear()
    story.ended("REVOKED")
    assert story.verdict().clean


FALSE: Mapping[str, tuple[str, Callable[[Story], object]]] = {
    "there is another campaign": ("duplicated", lambda story: story.again("campaigns")),
    "nothing is there": ("lied", lambda story: story.platform.books.things.clear()),
    "it is told under another id": ("lied", lambda story: story.job["result"].update(external_campaign_id="1")),
    "it was cancelled": ("lied", lambda story: story.ended("REVOKED")),
    "it failed and names nothing": ("lied", lambda story: story.ended("FAILURE", "GoogleAdsError: no")),
    "it does not end": ("stuck", lambda story: story.ended("RETRY")),
    "it failed by itself": ("failed", lambda story: story.ended("FAILURE", "KeyError: internal error: KeyError")),
    "nobody asked for it": ("wrong", lambda story: story.job.update(task_id="another")),
}


@pytest.mark.parametrize("what", FALSE)
def test_false_books_are_seen_through(story: Story, what: str) -> None:
    kind, falsify = FALSE[what]

    falsify(story)

    verdict = story.verdict()
    assert verdict.counts[kind] > 0, list(verdict.evidence())


@pytest.mark.parametrize(("name", "kind"), [("meta", "ads"), ("google", "adGroupAds"), ("google", "campaignCriteria")])
def test_a_part_that_is_missing_is_missed(name: str, kind: str) -> None:
    with PLATFORMS[name]() as platform:
        story = Story(platform)
        del platform.books.things[story.things(kind)[0]]
        assert story.verdict().counts["lied"] == 1


def test_what_goes_with_a_named_campaign_needs_no_name_and_a_creative_does() -> None:
    with PLATFORMS["meta"]() as platform:
        story = Story(platform)
        (campaign,), (creative,) = story.things("campaigns"), story.things("adcreatives")
        story.ended("FAILURE", f"NotUndone: en Meta queda {campaign}")
        assert story.verdict().counts["lied"] == 1
        story.ended("FAILURE", f"NotUndone: en Meta queda {campaign}; {creative}")
        assert story.verdict().clean


def test_nothing_is_said_to_be_left_where_nothing_is(story: Story) -> None:
    story.platform.books.things.clear()
    story.ended("FAILURE", "NotUndone: queda la campaña 1")
    assert story.verdict().counts["lied"] == 1


def test_a_budget_goes_with_its_campaign_and_not_without_it() -> None:
    with PLATFORMS["google"]() as platform:
        story = Story(platform)
        (campaign,), (budget,) = story.things("campaigns"), story.things("campaignBudgets")
        story.ended("FAILURE", f"NotUndone: en Google Ads queda la campaña {campaign.rpartition('/')[2]}")
        assert story.verdict().clean
        platform.books.things[campaign]["status"] = "REMOVED"
        assert story.verdict().counts["wrong"] + story.verdict().counts["lied"] == 1, budget
