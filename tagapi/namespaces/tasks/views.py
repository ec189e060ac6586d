"""What the tasks API answers of jobs: a view says who may call it, what it takes and gives, and hands over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from flask import request

from tagapi import tickets
from tagapi.auth import PermissionDenied, Policy, TicketInvalid
from tagapi.jobs.changes import Verdict
from tagapi.jobs.errors import AlreadyFinished, JobNotFound, NotParked, NotRetryable, OwnerQueueFull, QueueFull
from tagapi.namespaces.base import NamespaceResource, Route, idempotency_key, load_body, load_query
from tagapi.namespaces.documentation import WITH_BODY, Answer, operation
from tagapi.namespaces.headers import KEY
from tagapi.namespaces.problems import Invalid, NoPushes
from tagapi.namespaces.tasks import schemas as shapes
from tagapi.namespaces.tasks.front import TasksFront
from tagapi.namespaces.tasks.live import PushesFull
from tagapi.namespaces.tasks.render import (
    PREFIX,
    UUID,
    render_accepted,
    render_cancel,
    render_events,
    render_progress,
    render_status,
    render_unknown,
)

TASK_ID = {"task_id": "El UUID de la tarea"}
NO_TASK = JobNotFound(job_id=shapes.EXAMPLE_ID)
EVENT_ID = re.compile(r"[0-9]{1,9}")
LAST_EVENT_ID = "Last-Event-ID"


class TasksResource(NamespaceResource):
    front: TasksFront


class JobStatus(TasksResource):
    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        answers={200: Answer("El estado, o PENDING con found: false", shapes.TaskStatusResponse)},
        errors=(NO_TASK,),
    )
    def get(self, task_id: str) -> Any:
        """Obtener el estado de una tarea, la haya iniciado quien la haya iniciado (status of any job)."""
        try:
            return render_status(self.front.job(task_id, self.caller), self.front.limits)
        except JobNotFound:
            if not UUID.fullmatch(task_id):
                raise
            return render_unknown(task_id.lower())


class JobList(TasksResource):
    @operation(
        policy=Policy.USER,
        query=shapes.JobsQuery,
        answers={200: Answer("Una página, las más recientes primero", shapes.TasksPage)},
        errors=(Invalid("page_size", "debe estar entre 1 y 100"), PermissionDenied(what="list the jobs of others")),
    )
    def get(self) -> Any:
        """Listar las tareas propias de todas las APIs; un administrador ve las de todos (list jobs)."""
        return self.front.find(load_query(shapes.JobsQuery), self.caller)


class JobCancel(TasksResource):
    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        answers={
            200: Answer("Cancelada; lo que hizo fuera se ha deshecho", shapes.TaskStatusResponse, shapes.REVOKED),
            202: Answer("Todavía se está deteniendo", shapes.TaskStatusResponse, shapes.STOPPING),
        },
        errors=(NO_TASK, AlreadyFinished(job_id=shapes.EXAMPLE_ID, state="succeeded")),
    )
    def post(self, task_id: str) -> Any:
        """Cancelar una tarea: espera hasta 5 segundos a que se detenga (cancel)."""
        return render_cancel(self.front.cancel(task_id, self.caller), self.front.limits)


class JobRetry(TasksResource):
    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        query=shapes.RetryQuery,
        headers={KEY: "Obligatoria con force=true"},
        answers={
            202: Answer("La tarea nueva; otra vez, la misma (con force=true, una por clave)", shapes.TaskAccepted)
        },
        errors=(
            Invalid(KEY, "es obligatoria con force=true"),
            PermissionDenied(what="do this"),
            NO_TASK,
            NotRetryable(job_id=shapes.EXAMPLE_ID, state="running", why="it has not ended yet"),
            OwnerQueueFull(owner="ana", queued=1000, retry_after=5),
            QueueFull(queued=1000, retry_after=5),
        ),
    )
    def post(self, task_id: str) -> Any:
        """Repetir una tarea terminada sin éxito, como tarea nueva con los mismos argumentos (retry)."""
        force = load_query(shapes.RetryQuery)["force"]
        return render_accepted(self.front.retry(task_id, self.caller, force=force, key=idempotency_key()))


class JobSettle(TasksResource):
    @operation(
        policy=Policy.ADMIN,
        path=TASK_ID,
        body=shapes.TaskSettleRequest,
        answers={200: Answer("Resuelta; después de retry, sigue", shapes.TaskStatusResponse)},
        errors=(
            Invalid("outcome", "is required"),
            PermissionDenied(what="settle a task"),
            NO_TASK,
            NotParked(job_id=shapes.EXAMPLE_ID, state="succeeded"),
            *WITH_BODY,
        ),
    )
    def post(self, task_id: str) -> Any:
        """Resolver una tarea que no pudo averiguar si su resultado se guardó (settle a parked job).

        Quien lo hace ha mirado antes en la tabla: `completed` y `failed` se creen tal cual.
        """
        verdict = Verdict(load_body(shapes.TaskSettleRequest)["outcome"])
        job = self.front.service.settle(self.front.job(task_id, self.caller).id, verdict, by=self.caller.name)
        return render_status(job, self.front.limits)


class JobProgress(TasksResource):
    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        answers={200: Answer("Cuánto lleva, por fases", shapes.TaskProgressResponse)},
        errors=(NO_TASK,),
    )
    def get(self, task_id: str) -> Any:
        """Progreso detallado, con sus fases y el tiempo que falta (how far a job is)."""
        return render_progress(self.front.job(task_id, self.caller), datetime.now(UTC))


class JobEvents(TasksResource):
    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        query=shapes.EventsQuery,
        ticket=True,
        headers={LAST_EVENT_ID: "El número del último evento recibido: el flujo sigue detrás de él"},
        answers={
            200: Answer(
                "Lo que ha pasado, lo más antiguo primero; con Accept: text/event-stream, en directo", shapes.TaskEvents
            ),
            204: Answer("El flujo ha terminado, no hay nada detrás de Last-Event-ID", None),
        },
        errors=(
            NO_TASK,
            Invalid(LAST_EVENT_ID, "debe ser el número de un evento"),
            TicketInvalid(),
            PushesFull(open=100, retry_after=5),
        ),
        produces=("application/json", "text/event-stream"),
    )
    def get(self, task_id: str) -> Any:
        """Los eventos de una tarea, de una vez o en directo (what happened, at once or live)."""
        asked = load_query(shapes.EventsQuery)["last_event_id"]
        job = self.front.job(task_id, self.caller)
        kinds = ["application/json", "text/event-stream"]
        if request.accept_mimetypes.best_match(kinds, kinds[0]) == kinds[0]:
            return {"task_id": job.id, "events": render_events(job)}
        return self.front.push_events(request, job, self._last_event(asked), self.admission, self.gate)

    @staticmethod
    def _last_event(asked: int | None) -> int:
        """By the header, which a browser sends when it asks again; else as the page says."""
        said = request.headers.get(LAST_EVENT_ID, str(asked or 0))
        if not EVENT_ID.fullmatch(said):
            raise Invalid(LAST_EVENT_ID, "debe ser el número de un evento")
        return int(said)


class PushSocket(TasksResource):
    @operation(
        policy=Policy.USER,
        query=shapes.TicketQuery,
        ticket=True,
        answers={101: Answer("Un WebSocket que envía mensajes como este", shapes.SocketMessage)},
        errors=(
            Invalid("Upgrade", "se espera un WebSocket"),
            TicketInvalid(),
            PushesFull(open=100, retry_after=5),
            NoPushes(),
        ),
    )
    def get(self) -> Any:
        """Seguir tareas por WebSocket (follow jobs by WebSocket).

        El cliente envía `{"subscribe": ["<id>", …]}` (hasta 100) o `{"subscribe": "mine"}` (un administrador, también
        `"all"`), y lo mismo con `unsubscribe`. Recibe primero una instantánea y después cada cambio; el último lleva
        `final: true`.
        Un navegador, que no puede enviar cabeceras, pide antes un tique y lo da en `?ticket=`.
        """
        load_query(shapes.TicketQuery)
        return self.front.push_socket(request, self.admission, self.gate)


class PushTicket(TasksResource):
    @operation(policy=Policy.USER, answers={200: Answer("Un tique de un solo uso", shapes.Ticket)})
    def post(self) -> Any:
        """Pedir un tique para abrir un WebSocket o un flujo de eventos desde un navegador (a one-time ticket)."""
        return {"ticket": tickets.make(self.admission.digest or b""), "expires_in": tickets.SECONDS}


ROUTES: Sequence[Route] = (
    (f"{PREFIX}/status/<string:task_id>", JobStatus),
    (PREFIX, JobList),
    (f"{PREFIX}/cancel/<string:task_id>", JobCancel),
    (f"{PREFIX}/retry/<string:task_id>", JobRetry),
    (f"{PREFIX}/settle/<string:task_id>", JobSettle),
    (f"{PREFIX}/progress/<string:task_id>", JobProgress),
    (f"{PREFIX}/events/<string:task_id>", JobEvents),
    (f"{PREFIX}/ws", PushSocket),
    (f"{PREFIX}/ws/ticket", PushTicket),
)
