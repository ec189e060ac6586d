"""The platforms' own books against the jobs: one whole campaign for each that succeeded, nothing for any other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.verdict import Verdict

JOB = re.compile(r"\[([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\]")
FINISHED = ("SUCCESS", "FAILURE", "REVOKED")
LEFT = "NotUndone"
OUTSIDE = ("OAuthException", "GoogleAdsError", "MetaError", "ConnectionError", LEFT)
"""How the error begins of a job that failed for what a platform did."""
WHOLE: Mapping[str, Mapping[str, int]] = {
    "meta": {"campaigns": 1, "adsets": 1, "adcreatives": 1, "ads": 1},
    "google": {
        "campaignBudgets": 1,
        "campaigns": 1,
        "campaignCriteria": 2,
        "adGroups": 1,
        "adGroupCriteria": 4,
        "adGroupAds": 1,
    },
}
"""What a campaign of `campaign_of` is: two countries; a word, and three ranges of ages left out."""


def campaign_of(platform: str, name: str) -> dict[str, Any]:
    """The body of a publication."""
    campaign: dict[str, Any] = {
        "name": name,
        "objective": "traffic",
        "daily_budget": "12.50",
        "landing_url": "https://example.org/verano",
        "countries": ["CO", "US"],
        "age_min": 25,
        "age_max": 54,
    }
    if platform == "meta":
        campaign |= {"headline": "Llega el verano", "text": "Todo a mitad de precio", "special_ad_categories": []}
    else:
        campaign |= {"headlines": ["Verano", "Ofertas", "Rebajas"], "keywords": ["ropa de verano"]}
        campaign |= {"descriptions": ["Todo a mitad de precio", "Solo este mes"]}
    return {"campaign": campaign}


@dataclass(frozen=True, slots=True)
class Thing:
    """Something on a platform."""

    id: str
    kind: str
    job: str | None
    """Whose id is in its name, or in the name of what it belongs to."""
    goes_with: str | None = None
    """The id of what it goes with when that is deleted."""


def on_meta(books: Mapping[str, Any]) -> list[Thing]:
    """Creatives stand by themselves; ads go with their ad sets, and these with their campaigns."""
    return [
        Thing(thing, facts["kind"], _job_in(facts["name"]), facts.get("campaign_id") or facts.get("adset_id"))
        for thing, facts in books["things"].items()
    ]


def on_google(books: Mapping[str, Any]) -> list[Thing]:
    """What is removed, or below what is, is not there. A budget goes with the campaign that has it."""
    things: Mapping[str, Mapping[str, Any]] = books["things"]
    above = {name: facts.get("adGroup") or facts.get("campaign") for name, facts in things.items()}
    above |= {facts["campaignBudget"]: name for name, facts in things.items() if _there(facts, "campaignBudget")}
    return [
        Thing(
            _number(name),
            name.split("/")[2],
            next((_job_in(things[one]["name"]) for one in _way_up(name, above) if "name" in things[one]), None),
            None if (one := above[name]) is None else _number(one),
        )
        for name, facts in things.items()
        if all(things[one].get("status") != "REMOVED" for one in (name, *_parents(name, things)))
    ]


def _there(facts: Mapping[str, Any], key: str) -> bool:
    return key in facts and facts.get("status") != "REMOVED"


def _parents(name: str, things: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    while (above := things[name].get("adGroup") or things[name].get("campaign")) is not None:
        yield above
        name = above


def _way_up(name: str | None, above: Mapping[str, str | None]) -> Iterable[str]:
    while name is not None:
        yield name
        name = above[name]


def _number(resource: str) -> str:
    return resource.rpartition("/")[2].rpartition("~")[2]


def _job_in(name: str) -> str | None:
    found = JOB.search(name)
    return found and found[1]


THINGS: Mapping[str, Callable[[Mapping[str, Any]], list[Thing]]] = {"meta": on_meta, "google": on_google}


def judge_books(
    verdict: Verdict,
    platform: str,
    jobs: Mapping[str, Mapping[str, Any]],
    things: Sequence[Thing],
    story: Callable[[str], str],
) -> None:
    """`jobs` are the platform's, as the tasks API tells them in the end; `story` tells all that is known of one."""
    of_job: dict[str, list[Thing]] = {job: [] for job in jobs}
    for thing in things:
        if thing.job in of_job:
            of_job[thing.job].append(thing)
        else:
            verdict.wrong.append(f"{platform}: {thing} belongs to no job")
    for job, told in jobs.items():
        status, left = told["status"], of_job[job]
        verdict.facts[f"{platform} {status}"] += 1
        if status not in FINISHED:
            verdict.stuck.append(f"{job} is {status}: {story(job)}")
        elif status == "SUCCESS":
            _judge_success(verdict, platform, told, left, story)
        else:
            _judge_nothing(verdict, platform, told, left, story)


def _judge_success(
    verdict: Verdict, platform: str, told: Mapping[str, Any], left: Sequence[Thing], story: Callable[[str], str]
) -> None:
    """Exactly one, whole, and the one that was told."""
    job, whole = told["task_id"], WHOLE[platform]
    found = Counter(thing.kind for thing in left)
    if any(count > whole.get(kind, 0) for kind, count in found.items()):
        verdict.duplicated.append(f"{job} succeeded and has {dict(found)}: {story(job)}")
    elif found != whole:
        verdict.lied.append(f"{job} succeeded and has {dict(found)}: {story(job)}")
    elif lost := [told_id for told_id in _told(told["result"]) if told_id not in {thing.id for thing in left}]:
        verdict.lied.append(f"{job} tells of {lost}, which is not there: {story(job)}")
    verdict.facts[f"{platform} campaigns"] += found["campaigns"]


def _told(result: Mapping[str, Any]) -> list[str]:
    """Every id of what was made that a result tells."""
    ids = [value for key, value in result.items() if key.endswith("_id") and key != "external_audience_id"]
    return [*ids, *result.get("external_ids", {}).values()]


def _judge_nothing(
    verdict: Verdict, platform: str, told: Mapping[str, Any], left: Sequence[Thing], story: Callable[[str], str]
) -> None:
    """Nothing is there; of a failure, what its error names, and that is there."""
    job, error = told["task_id"], str(told["error"] or "")
    failed = told["status"] == "FAILURE"
    if failed and not error.startswith(OUTSIDE):
        verdict.failed.append(f"{job}: {error}: {story(job)}")
    above = {thing.id: thing.goes_with for thing in left}
    unnamed = [thing for thing in left if not any(one in error for one in _way_up_of(thing.id, above))]
    if left and not failed:
        verdict.lied.append(f"{job} is {told['status']} and has {left}: {story(job)}")
    elif unnamed:
        verdict.lied.append(f"{job} failed and does not name {unnamed}: {story(job)}")
    elif error.startswith(LEFT) and not left:
        verdict.lied.append(f"{job} says that something is left, and nothing is: {story(job)}")
    verdict.facts[f"{platform} failures that name what is left"] += failed and bool(left)


def _way_up_of(thing: str | None, above: Mapping[str, str | None]) -> Iterable[str]:
    while thing is not None and thing in above:
        yield thing
        thing = above[thing]
