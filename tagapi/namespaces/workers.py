"""The workers API (`workers.ru.md`): exports, cleanup, analysis and reports as jobs, each user their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

from flask import Response, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from tagapi.auth import PermissionDenied, Policy, Principal
from tagapi.jobs.changes import Verdict
from tagapi.jobs.errors import AlreadyFinished, JobNotFound, NoResult, NotFoundInData, NotParked, ResultNotReady
from tagapi.jobs.model import Job, JobState
from tagapi.jobs.registry import Added
from tagapi.jobs.service import JobService
from tagapi.namespaces import workers_schemas as shapes
from tagapi.namespaces import workers_words as words
from tagapi.namespaces.base import Front, NamespaceResource, idempotency_key, load_body, load_query
from tagapi.namespaces.documentation import SUBMITTING, WITH_BODY, Answer, operation
from tagapi.namespaces.downloads import Download, send
from tagapi.namespaces.edge import checked_host, request_id
from tagapi.namespaces.headers import KEY
from tagapi.namespaces.problems import Invalid, Problem
from tagapi.namespaces.workers_filters import FilterKinds
from tagapi.namespaces.workers_render import (
    NAMESPACE,
    PATH,
    check_allowed,
    job_arguments,
    job_query,
    label,
    render_cancel,
    render_created,
    render_error,
    render_page,
    render_status,
    render_worker,
    result_file,
)

NUMBER = re.compile(r"[1-9][0-9]{0,17}")
RESULT_TYPES = (
    "text/csv",
    "application/vnd.apache.parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/json",
    "text/html",
)


class ResultFiles(Protocol):
    """Where the files of finished jobs lie; `app.py` hands one in."""

    def path(self, job_id: str, name: str) -> Path | None:
        """The file, or None where there is none."""


class WorkersFront(Front):
    """See the module."""

    name = "workers"
    title = (
        "Задачи обработки данных: экспорт, очистка, анализ и отчеты — свои у каждого пользователя. "
        "Exports, cleanup, analysis and reports as tasks, each user their own"
    )
    prefixes = ("/api/v1/workers",)
    error_schema = shapes.WorkersError
    statuses: ClassVar[Mapping[str, int]] = {"already_finished": 400}

    def __init__(self, service: JobService, filters: FilterKinds, results: ResultFiles) -> None:
        self.service = service
        self.filters = filters
        self.results = results

    def routes(self) -> Sequence[tuple[str, type[NamespaceResource]]]:
        return [
            (PATH, Workers),
            (f"{PATH}<string:task_id>/", Worker),
            (f"{PATH}<string:task_id>/status/", WorkerStatus),
            (f"{PATH}<string:task_id>/settle/", WorkerSettle),
            (f"{PATH}<string:task_id>/result/", WorkerResult),
        ]

    def render_problem(self, problem: Problem) -> Mapping[str, Any]:
        return render_error(problem)

    def error_line(self, body: Mapping[str, Any]) -> str:
        return f"{body['error']['code']}: {body['error']['message']}"

    def id_of(self, reference: str) -> str:
        """A job's id, by its id or its number. Raises JobNotFound."""
        return self.service.id_of(int(reference)) if NUMBER.fullmatch(reference) else reference

    def job(self, reference: str, caller: Principal) -> Job:
        """A job that the caller may see. Raises JobNotFound."""
        return self.service.get(self.id_of(reference), NAMESPACE, caller.only)

    def create(self, body: Mapping[str, Any], caller: Principal, key: str | None) -> Added:
        """Accept what a valid body asks for. Raises PermissionDenied, Invalid, and what JobService.submit raises."""
        task_type, arguments = body["task_type"], job_arguments(body, self.filters)
        check_allowed(task_type, arguments, admin=caller.admin)
        return self.service.submit(
            f"{NAMESPACE}.{task_type}",
            arguments,
            owner=caller.name,
            labels=(label(task_type),),
            route="workers.create",
            key=key,
            request_id=request_id(),
        )

    def send_result(self, job: Job) -> Response:
        """The job's file. Raises ResultNotReady, NoResult, or NotFoundInData where it is gone."""
        file = result_file(job)
        path = self.results.path(job.id, file["name"])
        gone = NotFoundInData(thing="result", name=job.id)
        if path is None:
            raise gone
        try:
            return send(Download(path, file["name"], file["content_type"], file["sha256"]))
        except FileNotFoundError:  # it went between looking and opening
            raise gone from None


# -- views ---------------------------------------------------------------------------------

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
        answers={201: Answer("Задача создана", shapes.Worker, shapes.CREATED)},
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
        """
        added = self.front.create(load_body(shapes.CreateRequest), self.caller, idempotency_key())
        return render_created(added, site())


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
        answers={200: Answer("Файл целиком", None), 206: Answer("Запрошенная часть файла (Range)", None)},
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
        return self.front.send_result(self.front.job(task_id, self.caller))
