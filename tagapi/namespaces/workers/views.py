"""What the workers API answers: a view says who may call it, what it takes and gives, and hands over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from flask import request
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from tagapi.auth import PermissionDenied, Policy
from tagapi.jobs.changes import Verdict
from tagapi.jobs.errors import AlreadyFinished, JobNotFound, NoResult, NotFoundInData, NotParked, ResultNotReady
from tagapi.jobs.model import JobState
from tagapi.jobs.scheduling import Scheduled
from tagapi.namespaces.base import NamespaceResource, Route, idempotency_key, load_body, load_query
from tagapi.namespaces.documentation import SUBMITTING, WITH_BODY, Answer, operation
from tagapi.namespaces.edge import checked_host
from tagapi.namespaces.headers import KEY
from tagapi.namespaces.problems import Invalid
from tagapi.namespaces.workers import schemas as shapes
from tagapi.namespaces.workers import words
from tagapi.namespaces.workers.front import WorkersFront
from tagapi.namespaces.workers.render import (
    NAMESPACE,
    PATH,
    job_query,
    render_cancel,
    render_created,
    render_page,
    render_scheduled,
    render_status,
    render_worker,
)

RESULT_TYPES = (
    "text/csv",
    "application/vnd.apache.parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/json",
    "text/html",
)
TASK_ID = {"task_id": "Номер задачи или ее UUID"}
NO_TASK = JobNotFound(job_id=shapes.EXAMPLE_ID)


def site() -> str:
    """What a link begins with, as this client reached us; nothing where the host that it named was not checked."""
    host = checked_host()
    return f"{request.scheme}://{host}" if host else ""


class WorkersResource(NamespaceResource):
    front: WorkersFront


class Workers(WorkersResource):
    @operation(
        policy=Policy.USER,
        query=shapes.WorkersQuery,
        answers={200: Answer("Страница задач, сначала новые", shapes.WorkersPage)},
        errors=(Invalid("page_size", shapes.PAGE_SIZES), NotFoundInData(thing="page", name=9)),
    )
    def get(self) -> Any:
        """Получить список задач: свои (администратор видит все), с пагинацией и фильтрами (list your tasks)."""
        asked = load_query(shapes.WorkersQuery)
        return render_page(self.front.service.find(job_query(asked, self.caller.only)), asked, site())

    @operation(
        policy=Policy.USER,
        body=shapes.CreateRequest,
        headers={KEY: "От 1 до 255 видимых символов ASCII: тот же ключ и то же тело — та же задача"},
        answers={
            201: Answer("Задача создана", shapes.Worker, shapes.CREATED),
            202: Answer("Расписание создано", shapes.WorkerScheduled),
        },
        errors=(
            Invalid("batch_size", words.BATCH_SIZE),
            Invalid("date_from", words.DATES),
            PermissionDenied(what="clean up for real"),
            *SUBMITTING,
        ),
    )
    def post(self) -> Any:
        """Создать новую задачу: она запускается сама, за ней следят по статусу (start a task).

        Фильтры по типу задачи:

        - `bookings_export`: `status`, `customer_id`, `provider_id`
        - `payments_export`: `status`, `user_id`
        - `users_export`: `role`, `is_active`
        - `services_export`: `provider_id`, `min_price`, `max_price`
        - `data_cleanup`: `dry_run` (по умолчанию true; false — только для администратора)
        - `data_analysis`, `report_generation`: те же ключи под именем таблицы, `{"bookings": {"status": "confirmed"}}`

        Период включает оба конца; формат (`csv`, `parquet`, `xlsx`) — только для экспорта,
        язык (`language`: `ru` или `en`) — только для отчета.

        С `schedule` (`{"cron": "0 4 * * *", "timezone": "Europe/Moscow"}` или `{"every_seconds": 3600}`) сейчас не
        запускается ничего, а только в эти моменты; расписания — в `/api/celery_task/schedules/`.
        """
        begun = self.front.create(load_body(shapes.CreateRequest), self.caller, idempotency_key())
        return render_scheduled(begun) if isinstance(begun, Scheduled) else render_created(begun, site())


class Worker(WorkersResource):
    @operation(policy=Policy.USER, path=TASK_ID, answers={200: Answer("Задача", shapes.Worker)}, errors=(NO_TASK,))
    def get(self, task_id: str) -> Any:
        """Получить детали задачи (one task)."""
        return render_worker(self.front.job(task_id, self.caller), site())

    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        answers={
            200: Answer("Задача отменена, и ничего не записано", shapes.WorkerCancel),
            202: Answer("Задача еще останавливается", shapes.WorkerCancel, {"status": "processing"}),
        },
        errors=(AlreadyFinished(job_id=shapes.EXAMPLE_ID, state="succeeded"), NO_TASK),
    )
    def delete(self, task_id: str) -> Any:
        """Отменить задачу: ждет до 5 секунд, пока она остановится (stop a task)."""
        return render_cancel(self.front.service.cancel(self.front.id_of(task_id), NAMESPACE, self.caller.only))


class WorkerStatus(WorkersResource):
    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        answers={200: Answer("Статус и прогресс", shapes.WorkerStatus)},
        errors=(NO_TASK,),
    )
    def get(self, task_id: str) -> Any:
        """Получить статус задачи: прогресс и сколько осталось ждать (how far a task is)."""
        return render_status(self.front.job(task_id, self.caller), datetime.now(UTC))


class WorkerSettle(WorkersResource):
    @operation(
        policy=Policy.ADMIN,
        path=TASK_ID,
        body=shapes.WorkerSettleRequest,
        answers={200: Answer("Решено; после retry задача продолжается", shapes.WorkerStatus, shapes.SETTLED)},
        errors=(
            Invalid("outcome", words.REQUIRED),
            PermissionDenied(what="settle a task"),
            NO_TASK,
            NotParked(job_id=shapes.EXAMPLE_ID, state="succeeded"),
            *WITH_BODY,
        ),
    )
    def post(self, task_id: str) -> Any:
        """Решить за задачу, которая не смогла выяснить, записан ли ее результат (settle a parked task)."""
        verdict = Verdict(load_body(shapes.WorkerSettleRequest)["outcome"])
        job = self.front.service.settle(self.front.id_of(task_id), verdict, by=self.caller.name, namespace=NAMESPACE)
        return render_status(job, datetime.now(UTC))


class WorkerResult(WorkersResource):
    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        query=shapes.ResultQuery,
        answers={
            200: Answer("Файл целиком", None),
            206: Answer("Запрошенная часть файла (Range)", None),
            307: Answer("Файл лежит по другому адресу, ссылка действует недолго (storage.link_seconds)", None),
        },
        errors=(
            NO_TASK,
            NotFoundInData(thing="result", name=shapes.EXAMPLE_ID),
            ResultNotReady(job_id=shapes.EXAMPLE_ID, state="running"),
            NoResult(job_id=shapes.EXAMPLE_ID, state="cancelled", why=words.WHY_NO_RESULT[JobState.CANCELLED]),
            RequestedRangeNotSatisfiable(1234),
        ),
        produces=RESULT_TYPES,
    )
    def get(self, task_id: str) -> Any:
        """Скачать результат: файл с ETag (SHA-256), целиком или по частям (download the file)."""
        asked = load_query(shapes.ResultQuery)
        return self.front.send_result(self.front.job(task_id, self.caller), asked["link"])


ROUTES: Sequence[Route] = (
    (PATH, Workers),
    (f"{PATH}<string:task_id>/", Worker),
    (f"{PATH}<string:task_id>/status/", WorkerStatus),
    (f"{PATH}<string:task_id>/settle/", WorkerSettle),
    (f"{PATH}<string:task_id>/result/", WorkerResult),
)
