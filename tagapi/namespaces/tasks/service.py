"""The views behind the page: who asks, what a job was asked to do, and the service at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagapi.auth import Policy
from tagapi.namespaces.base import Route
from tagapi.namespaces.documentation import Answer, operation
from tagapi.namespaces.tasks import schemas_page as shapes
from tagapi.namespaces.tasks.render import PREFIX
from tagapi.namespaces.tasks.told import render_arguments, render_principal
from tagapi.namespaces.tasks.views import NO_TASK, TASK_ID, TasksResource


class WhoAmI(TasksResource):
    @operation(policy=Policy.USER, answers={200: Answer("Quién pregunta", shapes.PrincipalResponse)})
    def get(self) -> Any:
        """Quién soy y qué puedo ver y hacer (who I am, and what I may)."""
        return render_principal(self.caller, [*self.front.limits], by_token=self.admission.digest is not None)


class ServiceNow(TasksResource):
    @operation(policy=Policy.USER, answers={200: Answer("El servicio ahora", shapes.ServiceResponse)})
    def get(self) -> Any:
        """El servicio de un vistazo: carriles, colas, Spark, almacén, programaciones (the service at a glance).

        `slots` son los intentos a la vez de cada proceso; los procesos (`workers`) los ve un administrador.
        """
        return self.front.seen(self.caller)


class JobArguments(TasksResource):
    @operation(
        policy=Policy.USER,
        path=TASK_ID,
        answers={200: Answer("Los argumentos, con las listas largas acortadas", shapes.TaskArguments)},
        errors=(NO_TASK,),
    )
    def get(self, task_id: str) -> Any:
        """Qué se pidió a una tarea (what a job was asked to do)."""
        return render_arguments(self.front.job(task_id, self.caller))


SERVICE_ROUTES: Sequence[Route] = (
    (f"{PREFIX}/whoami", WhoAmI),
    (f"{PREFIX}/service", ServiceNow),
    (f"{PREFIX}/arguments/<string:task_id>", JobArguments),
)
