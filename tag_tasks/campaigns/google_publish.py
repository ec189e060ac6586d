"""Publishing to Google Ads: one atomic mutate, found again by its name, so that it is made once or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from tag_tasks.campaigns.once import in_doubt, settled
from tag_tasks.platforms.google import AlreadyThere, Published
from tag_tasks.platforms.model import Campaign, name_for
from tag_tasks.platforms.transport import PlatformBusy, PlatformRefused, Unanswered
from tagapi.jobs.errors import NotUndone, TaskFailed
from tagapi.jobs.model import Entry, Job, JobState, Json
from tagapi.jobs.task import Task, TaskContext

STEP = "mutate"
DONE = "Campaña publicada con éxito en Google Ads"
NOT_CONFIGURED = "Google Ads no está configurado: falta alguna de las claves TAGAPI_GOOGLE__…"


class Google(Protocol):
    """GoogleClient, or its simulator."""

    settle_seconds: float

    def publish(self, name: str, campaign: Campaign) -> Published: ...
    def find(self, job_id: str) -> Sequence[Published]: ...
    def remove(self, published: Published) -> None: ...


class GooglePublish(Task):
    """Arguments: `campaign`, `simulate`. Result: the document's GooglePublishResult."""

    name = "tasks.google_publish"
    lane = "platforms"
    phases = ("crear",)
    max_attempts = 8
    time_limit = 1800.0

    def __init__(self, google: Google | None, simulated: Google) -> None:
        self._google = google
        self._simulated = simulated

    def run(self, context: TaskContext) -> Json:
        google = self._platform(context.arguments)
        context.phase("crear", 1)
        published = self._published(context, google)
        context.progress(1, 1)
        return {
            "success": True,
            "message": DONE,
            "external_campaign_id": published.campaign_id,
            "external_ids": _ids(published),
            **({"simulated": True} if context.arguments["simulate"] else {}),
        }

    def _published(self, context: TaskContext, google: Google) -> Published:
        """Its name is unique, so asking again is safe: what is there already is looked up."""
        if (known := _known(context.journaled())) is not None:
            return known
        if in_doubt(context.journaled(), STEP) and (there := google.find(context.job_id)):
            return self._note(context, there[0])
        campaign = Campaign.of(context.arguments["campaign"])
        context.check()
        context.journal(STEP, {"about": "create"})
        try:
            context.check()
            published = google.publish(name_for(campaign.name, context.job_id), campaign)
        except AlreadyThere as error:
            there = google.find(context.job_id)
            if not there:
                raise Unanswered(**{**error.facts, "reason": "Google aún no muestra la campaña"}) from None
            published = there[0]
        except (PlatformRefused, PlatformBusy):
            context.journal(STEP, {"about": "nothing"})
            raise
        return self._note(context, published)

    @staticmethod
    def _note(context: TaskContext, published: Published) -> Published:
        context.journal(STEP, {"id": published.campaign_id, "ids": _ids(published)})
        return published

    def undo(self, context: TaskContext) -> str | None:
        google = self._platform(context.arguments)
        context.phase("deshacer")
        ids = partial(_campaigns, google, context.job_id)
        settled(context, STEP, ids, google.settle_seconds)  # what may still come is waited for
        for published in google.find(context.job_id):
            self._remove(google, published)
        if left := google.find(context.job_id):
            raise NotUndone(left=f"en Google Ads queda la campaña {', '.join(one.campaign_id for one in left)}")
        return None

    @staticmethod
    def _remove(google: Google, published: Published) -> None:
        try:
            google.remove(published)
        except PlatformRefused as error:
            raise NotUndone(left=f"en Google Ads queda la campaña {published.campaign_id}: {error}") from error

    def look_again(self, job: Job) -> str | None:
        if job.request.arguments["simulate"] or self._google is None or job.state is JobState.SUCCEEDED:
            return None  # of one name there is one campaign
        late = self._google.find(job.id)
        for published in late:
            self._remove(self._google, published)
        return f"se borró la campaña {', '.join(one.campaign_id for one in late)}" if late else None

    def _platform(self, arguments: Json) -> Google:
        if arguments["simulate"]:
            return self._simulated
        if self._google is None:
            raise TaskFailed(reason=NOT_CONFIGURED)
        return self._google


def _ids(published: Published) -> dict[str, str]:
    return {
        "budget_id": published.budget_id,
        "campaign_id": published.campaign_id,
        "ad_group_id": published.ad_group_id,
        "ad_id": published.ad_id,
    }


def _known(journal: Sequence[Entry]) -> Published | None:
    return next((Published(**entry.fact["ids"]) for entry in journal if "ids" in entry.fact), None)


def _campaigns(google: Google, job_id: str) -> list[str]:
    return [one.campaign_id for one in google.find(job_id)]
