"""What the family of audiences can do, and what can be read of it."""

from __future__ import annotations

from collections.abc import Sequence

from tag_tasks.audiences.accounts import Accounts
from tag_tasks.audiences.person import PersonRemoval
from tag_tasks.audiences.reader import AudienceReader
from tag_tasks.audiences.removal import AudienceRemoval
from tag_tasks.audiences.sync import AudienceSync
from tag_tasks.means import Means
from tag_tasks.platforms.audiences import Audiences, GoogleAudiences, MetaAudiences
from tagapi.jobs.task import Task


def accounts(means: Means) -> Accounts:
    real: dict[str, Audiences] = {}
    if means.meta is not None:
        real["meta"] = MetaAudiences(means.meta)
    if means.google is not None:
        real["google"] = GoogleAudiences(means.google)
    return Accounts(real)


def tasks(means: Means) -> Sequence[Task]:
    known = accounts(means)
    return [
        AudienceSync(means.spark, means.sources, means.members, means.segments, means.models, means.sent, known),
        AudienceRemoval(means.sent, known),
        PersonRemoval(means.spark, means.sent, known),
    ]


def reader(means: Means, at_once: int) -> AudienceReader:
    """`at_once` is how many readings may be under way."""
    return AudienceReader(means.spark, means.sources, means.members, means.sent, accounts(means), at_once)
