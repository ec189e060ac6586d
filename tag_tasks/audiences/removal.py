"""`tasks.audience_removal`: an audience goes, here and on its platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tag_tasks.audiences import removed
from tag_tasks.audiences.accounts import Accounts
from tag_tasks.audiences.sent import SentTable, Step
from tag_tasks.audiences.upload import hold, release
from tagapi.jobs.model import Json
from tagapi.jobs.task import Task, TaskContext


class AudienceRemoval(Task):
    """Arguments: `audiences`, a list of `{platform, simulated, name, key}`. Result: `removed`, each with its id."""

    name = "tasks.audience_removal"
    lane = "audiences"
    max_attempts = 8
    time_limit = 3600.0

    def __init__(self, table: SentTable, accounts: Accounts) -> None:
        self._table = table
        self._accounts = accounts

    def run(self, context: TaskContext) -> Json:
        audiences = context.arguments["audiences"]
        for asked in audiences:
            self._remove(context, asked)
        return removed.result(context, "Audiencia eliminada aquí y en la plataforma", audiences)

    def _remove(self, context: TaskContext, asked: Mapping[str, Any]) -> None:
        audience, platform = self._accounts.kept(asked)
        hold(context, audience)
        held = self._table.held(audience.key, context.job_id)
        if held.about is not None:
            audience_id = str(held.about["audience_id"])
            removed.note(context, audience.key, audience_id)
            platform.delete(audience_id)
            self._table.change(audience.key, context.job_id, held, Step(go=held.files))
        release(context, audience)

    def undo(self, context: TaskContext) -> str | None:
        return removed.told(context)
