"""Publishing to Meta: campaign, ad set, creative and ad, one after the other, all of it or nothing.

https://developers.facebook.com/docs/marketing-api/get-started: deleting a campaign takes its ad sets and
ads along; creatives are deleted on their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Protocol

from tag_tasks.campaigns.once import in_doubt, made, settled
from tag_tasks.platforms.model import Campaign, Found, name_for
from tag_tasks.platforms.transport import PlatformRefused
from tagapi.jobs.errors import NotUndone, TaskFailed
from tagapi.jobs.model import Job, JobState, Json
from tagapi.jobs.task import Task, TaskContext

STEPS = ("campaign", "adset", "creative", "ad")
KINDS = {"campaign": "campaigns", "adset": "adsets", "creative": "adcreatives", "ad": "ads"}
"""What the platform calls the things that a step makes."""
ROOTS = ("campaigns", "adcreatives")
"""What is deleted; the rest goes with it."""
DONE = "Campaña publicada con éxito en Meta Ads"
NOT_CONFIGURED = "Meta no está configurada: falta TAGAPI_META__ACCOUNT_ID, __PAGE_ID o __ACCESS_TOKEN"


class Meta(Protocol):
    """MetaClient, or its simulator."""

    settle_seconds: float

    def create_campaign(self, name: str, campaign: Campaign) -> str: ...
    def smallest(self, amount: Decimal) -> int: ...
    def create_ad_set(
        self, name: str, campaign: Campaign, budget: int, campaign_id: str, audience_id: str | None
    ) -> str: ...
    def create_creative(self, name: str, campaign: Campaign) -> str: ...
    def create_ad(self, name: str, ad_set_id: str, creative_id: str) -> str: ...
    def find(self, kind: str, text: str) -> Sequence[Found]: ...
    def delete(self, thing: str) -> None: ...


class MetaPublish(Task):
    """Arguments: `campaign`, `audience_id` or null, `simulate`. Result: the document's MetaPublishResult."""

    name = "tasks.meta_publish"
    lane = "platforms"
    phases = ("crear", "comprobar")
    max_attempts = 8
    time_limit = 1800.0

    def __init__(self, meta: Meta | None, simulated: Meta) -> None:
        self._meta = meta
        self._simulated = simulated

    def run(self, context: TaskContext) -> Json:
        asked, meta = context.arguments, self._platform(context.arguments)
        campaign = Campaign.of(asked["campaign"])
        there = Made.by(meta, asked, context.job_id)
        name = there.name
        audience: str | None = asked.get("audience_id")
        budget = meta.smallest(campaign.daily_budget)
        ids: dict[str, str] = {}
        makers = {
            "campaign": lambda: meta.create_campaign(name, campaign),
            "adset": lambda: meta.create_ad_set(name, campaign, budget, ids["campaign"], audience),
            "creative": lambda: meta.create_creative(name, campaign),
            "ad": lambda: meta.create_ad(name, ids["adset"], ids["creative"]),
        }
        context.phase("crear", len(STEPS))
        for done, step in enumerate(STEPS, 1):
            find = partial(there.ids, KINDS[step])
            ids[step] = made(context, step, makers[step], find, meta.settle_seconds)
            context.progress(done, len(STEPS))
        context.phase("comprobar", 1)
        self._remove_doubles(context, there, [*ids.values()])
        return {
            "success": True,
            "message": DONE,
            "external_campaign_id": ids["campaign"],
            "external_ad_set_id": ids["adset"],
            "external_ad_id": ids["ad"],
            "external_audience_id": audience,
            **({"simulated": True} if asked["simulate"] else {}),
        }

    def undo(self, context: TaskContext) -> str | None:
        meta = self._platform(context.arguments)
        there = Made.by(meta, context.arguments, context.job_id)
        context.phase("deshacer")
        for step in STEPS:  # what may still come is waited for: it would be left there
            settled(context, step, partial(there.ids, KINDS[step]), meta.settle_seconds)
        remove_all(there, keep=())
        left = [found for kind in ROOTS for found in there.find(kind)]
        if left:
            raise NotUndone(left=f"en Meta queda: {', '.join(map(str, left))}")
        return None

    def look_again(self, job: Job) -> str | None:
        if job.request.arguments["simulate"] or self._meta is None:
            return None
        keep = [str(entry.fact["id"]) for entry in job.journal if "id" in entry.fact]
        there = Made.by(self._meta, job.request.arguments, job.id)
        gone = remove_all(there, keep if job.state is JobState.SUCCEEDED else ())
        return f"se borró: {', '.join(map(str, gone))}" if gone else None

    def _remove_doubles(self, context: TaskContext, there: Made, keep: Sequence[str]) -> None:
        """Where something was made anew, what had been asked for before may have come since."""
        asked_for = [entry.step for entry in context.journaled() if entry.fact.get("about") == "create"]
        if len(asked_for) > len(set(asked_for)) or any(in_doubt(context.journaled(), step) for step in STEPS):
            remove_all(there, keep)

    def _platform(self, arguments: Json) -> Meta:
        if arguments["simulate"]:
            return self._simulated
        if self._meta is None:
            raise TaskFailed(reason=NOT_CONFIGURED)
        return self._meta


@dataclass(frozen=True, slots=True)
class Made:
    """What a job has made on Meta."""

    meta: Meta
    name: str
    job_id: str

    @classmethod
    def by(cls, meta: Meta, arguments: Json, job_id: str) -> Made:
        return cls(meta, name_for(Campaign.of(arguments["campaign"]).name, job_id), job_id)

    def find(self, kind: str) -> list[Found]:
        """Looked for by the id, and by the whole name: a copy that somebody made there has another, and is theirs."""
        return [found for found in self.meta.find(kind, self.job_id) if found.name == self.name]

    def ids(self, kind: str) -> list[str]:
        return [found.id for found in self.find(kind)]


def remove_all(made: Made, keep: Sequence[str]) -> list[Found]:
    """Delete all of it, but for these. Raises NotUndone for what Meta will not delete."""
    gone: list[Found] = []
    left: list[str] = []
    for kind in ("campaigns", "ads", "adsets", "adcreatives") if keep else ROOTS:
        for found in made.find(kind):
            if found.id not in keep:
                try:
                    made.meta.delete(found.id)
                    gone.append(found)
                except PlatformRefused as error:  # the rest is deleted all the same
                    left.append(f"{found}: {error}")
    if left:
        raise NotUndone(left=f"en Meta queda {'; '.join(left)}")
    return gone
