"""What the family of campaigns can do."""

from __future__ import annotations

from collections.abc import Sequence

from tag_tasks.campaigns.google_publish import GooglePublish
from tag_tasks.campaigns.meta_publish import MetaPublish
from tag_tasks.means import Means
from tag_tasks.platforms.google import GoogleClient
from tag_tasks.platforms.meta import MetaClient
from tag_tasks.platforms.simulated import SimulatedGoogle, SimulatedMeta
from tagapi.jobs.task import Task


def tasks(means: Means) -> Sequence[Task]:
    return [
        MetaPublish(None if means.meta is None else MetaClient(means.meta), SimulatedMeta()),
        GooglePublish(None if means.google is None else GoogleClient(means.google), SimulatedGoogle()),
    ]
