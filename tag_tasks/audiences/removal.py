"""`tasks.audience_removal`: an audience goes, here and on its platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tag_tasks.audiences.accounts import Accounts
from tag_tasks.audiences.sent import SentTable, Step
from tag_tasks.audiences.upload import RELEASED, hold
from tagapi.jobs.model import Json
from tagapi.jobs.task import Task, TaskContext


class AudienceRemoval(Task):
    """Arguments: `audiences`, a list of `{platform, simulated, name}`. Result: `removed`, the same with their ids."""

    name = "tasks.audience_removal"
    lane = "audiences"
    max_attempts = 8
    time_limit = 3600.0

    def __init__(self, table: SentTable, accounts: Accounts) -> None:
        self._table = table
        self._accounts = accounts

    def run(self, context: TaskContext) -> Json:
        removed = [self._remove(context, asked) for asked in context.arguments["audiences"]]
        return {
            "success": True,
            "message": "Audiencia eliminada aquí y en la plataforma",
            "removed": [one for one in removed if one is not None],
        }

    def _remove(self, context: TaskContext, asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
        audience, platform = self._accounts.named(asked)
        hold(context, audience)
        held = self._table.held(audience.key, context.job_id)
        if held.about is None:
            return None
        platform.delete(str(held.about["audience_id"]))
        self._table.change(audience.key, context.job_id, held, Step(go=held.files))
        hold(context, audience, RELEASED)
        return {**asked, "audience_id": held.about["audience_id"]}
