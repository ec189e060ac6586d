"""What the celery_task API answers of schedules: those of every front, since they are begun by one clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagapi.auth import Policy
from tagapi.jobs.errors import ScheduleNotFound
from tagapi.jobs.schedule_registry import ScheduleQuery
from tagapi.namespaces.base import Route, load_query
from tagapi.namespaces.celery_task import asked, render
from tagapi.namespaces.celery_task import schemas as shapes
from tagapi.namespaces.celery_task.views import PREFIX, CeleryResource
from tagapi.namespaces.documentation import Answer, operation
from tagapi.namespaces.problems import Invalid

SCHEDULE_ID = {"schedule_id": "定时任务ID"}
NO_SCHEDULE = ScheduleNotFound(schedule_id=shapes.EXAMPLE_SCHEDULE)


class CelerySchedules(CeleryResource):
    @operation(
        policy=Policy.USER,
        query=asked.PageQuery,
        answers={200: Answer("定时任务列表", shapes.SchedulesResponse)},
        errors=(Invalid("size", "must be 1 to 100"),),
    )
    def get(self) -> Any:
        """定时任务列表: your own, of every API, newest first; an admin sees all."""
        page = load_query(asked.PageQuery)
        query = ScheduleQuery(owner=self.caller.only, offset=(page["page"] - 1) * page["size"], limit=page["size"])
        found = self.front.scheduling.find(query)
        return render.render_schedules(found.total, page, found.schedules)


class CelerySchedule(CeleryResource):
    @operation(
        policy=Policy.USER,
        path=SCHEDULE_ID,
        answers={200: Answer("定时任务", shapes.ScheduleResponse)},
        errors=(NO_SCHEDULE,),
    )
    def get(self, schedule_id: str) -> Any:
        """查询定时任务: when it runs next, and what it has run."""
        found = self.front.scheduling.get(schedule_id.lower(), owner=self.caller.only)
        return render.success(render.schedule_facts(found))

    @operation(
        policy=Policy.USER,
        path=SCHEDULE_ID,
        answers={200: Answer("定时任务已删除", shapes.ScheduleGoneResponse)},
        errors=(NO_SCHEDULE,),
    )
    def delete(self, schedule_id: str) -> Any:
        """删除定时任务: forget it; a run that has begun goes on."""
        self.front.scheduling.unschedule(schedule_id.lower(), owner=self.caller.only)
        return render.success({"schedule_id": schedule_id, "status": "deleted"})


class CelerySchedulePause(CeleryResource):
    @operation(
        policy=Policy.USER,
        path=SCHEDULE_ID,
        answers={200: Answer("定时任务已暂停", shapes.ScheduleResponse)},
        errors=(NO_SCHEDULE,),
    )
    def post(self, schedule_id: str) -> Any:
        """暂停定时任务: begin nothing until it is resumed; a run that has begun goes on."""
        paused = self.front.scheduling.pause(schedule_id.lower(), by=self.caller.name, owner=self.caller.only)
        return render.success(render.schedule_facts(paused))


class CeleryScheduleResume(CeleryResource):
    @operation(
        policy=Policy.USER,
        path=SCHEDULE_ID,
        answers={200: Answer("定时任务已恢复", shapes.ScheduleResponse)},
        errors=(NO_SCHEDULE,),
    )
    def post(self, schedule_id: str) -> Any:
        """恢复定时任务: go on with the next time that comes."""
        resumed = self.front.scheduling.resume(schedule_id.lower(), owner=self.caller.only)
        return render.success(render.schedule_facts(resumed))


SCHEDULE_ROUTES: Sequence[Route] = (
    (f"{PREFIX}/schedules/", CelerySchedules),
    (f"{PREFIX}/schedules/<string:schedule_id>/", CelerySchedule),
    (f"{PREFIX}/schedules/<string:schedule_id>/pause/", CelerySchedulePause),
    (f"{PREFIX}/schedules/<string:schedule_id>/resume/", CeleryScheduleResume),
)
