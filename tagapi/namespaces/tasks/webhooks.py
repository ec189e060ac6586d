"""The views of webhooks: who is told of tasks over HTTP, what was sent, and sending it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagapi.auth import PermissionDenied, Policy
from tagapi.jobs.errors import DeliveryNotFound, TooManyWebhooks, WebhookNotFound, WebhookPaused
from tagapi.namespaces.base import Route, load_body, load_query
from tagapi.namespaces.documentation import WITH_BODY, Answer, operation
from tagapi.namespaces.problems import Invalid
from tagapi.namespaces.tasks import webhook_shapes as shapes
from tagapi.namespaces.tasks.render import PREFIX
from tagapi.namespaces.tasks.schemas import TasksPageQuery
from tagapi.namespaces.tasks.views import TasksResource
from tagapi.namespaces.tasks.webhook_render import (
    render_created,
    render_deliveries,
    render_delivery,
    render_webhook,
    render_webhooks,
)
from tagapi.namespaces.tasks.words import WEBHOOK_REMOVED

WEBHOOK_ID = {"webhook_id": "El id del webhook"}
NO_WEBHOOK = WebhookNotFound(webhook_id=shapes.EXAMPLE_WEBHOOK)
EVERYONE = "hear of the jobs of others"


class WebhookList(TasksResource):
    @operation(
        policy=Policy.USER,
        query=TasksPageQuery,
        answers={200: Answer("Una página, los más recientes primero", shapes.WebhooksPage)},
        errors=(Invalid("page_size", "debe estar entre 1 y 100"),),
    )
    def get(self) -> Any:
        """Los webhooks propios; un administrador ve los de todos (list webhooks)."""
        page = load_query(TasksPageQuery)
        return render_webhooks(self.front.notifying.every(self.caller.only), page["cursor"], page["page_size"])

    @operation(
        policy=Policy.USER,
        body=shapes.WebhookRequest,
        answers={201: Answer("Creado; el secreto solo se dice aquí", shapes.WebhookCreated)},
        errors=(
            Invalid("url", "debe ser una dirección https"),
            PermissionDenied(what=EVERYONE),
            TooManyWebhooks(owner="ana", webhooks=20),
            *WITH_BODY,
        ),
    )
    def post(self) -> Any:
        """Avisar por HTTP de lo que pasa con las tareas: firmado según Standard Webhooks (create a webhook).

        Se avisa al menos una vez de cada cosa; lo que no se puede entregar se repite durante 24 horas.
        """
        return render_created(self.front.create_webhook(load_body(shapes.WebhookRequest), self.caller))


class WebhookById(TasksResource):
    @operation(
        policy=Policy.USER,
        path=WEBHOOK_ID,
        answers={200: Answer("El webhook, sin su secreto", shapes.WebhookFacts)},
        errors=(NO_WEBHOOK,),
    )
    def get(self, webhook_id: str) -> Any:
        """Un webhook (read a webhook)."""
        return render_webhook(self.front.notifying.get(webhook_id.lower(), self.caller.only))

    @operation(
        policy=Policy.USER,
        path=WEBHOOK_ID,
        answers={200: Answer("Eliminado, con todas sus entregas", shapes.WebhookGone)},
        errors=(NO_WEBHOOK,),
    )
    def delete(self, webhook_id: str) -> Any:
        """Eliminar un webhook y lo que le quedaba por entregar (remove a webhook)."""
        self.front.notifying.remove(webhook_id.lower(), self.caller.only)
        return {"id": webhook_id.lower(), "message": WEBHOOK_REMOVED}


class WebhookResume(TasksResource):
    @operation(
        policy=Policy.USER,
        path=WEBHOOK_ID,
        answers={200: Answer("El webhook, que vuelve a enviar", shapes.WebhookFacts)},
        errors=(NO_WEBHOOK, PermissionDenied(what=EVERYONE)),
    )
    def post(self, webhook_id: str) -> Any:
        """Reanudar un webhook en pausa: envía lo que esperaba y lo que pase desde ahora (resume a webhook)."""
        return render_webhook(self.front.resume_webhook(webhook_id.lower(), self.caller))


class WebhookDeliveries(TasksResource):
    @operation(
        policy=Policy.USER,
        path=WEBHOOK_ID,
        query=TasksPageQuery,
        answers={200: Answer("Una página, las más recientes primero", shapes.DeliveriesPage)},
        errors=(Invalid("page_size", "debe estar entre 1 y 100"), NO_WEBHOOK),
    )
    def get(self, webhook_id: str) -> Any:
        """Qué se ha enviado y qué se respondió (the log of deliveries)."""
        page = load_query(TasksPageQuery)
        asked = (webhook_id.lower(), self.caller.only, page["cursor"], page["page_size"])
        return render_deliveries(self.front.notifying.deliveries(*asked))


class WebhookRedelivery(TasksResource):
    @operation(
        policy=Policy.USER,
        path={**WEBHOOK_ID, "delivery_id": "El id de la entrega"},
        answers={202: Answer("Se envía otra vez, con el mismo id", shapes.DeliveryFacts, shapes.REDELIVERED)},
        errors=(NO_WEBHOOK, DeliveryNotFound(delivery_id=shapes.EXAMPLE_DELIVERY), WebhookPaused(why="gone")),
    )
    def post(self, webhook_id: str, delivery_id: str) -> Any:
        """Enviar otra vez una entrega, fuera lo que fuera de ella (redeliver)."""
        asked = (webhook_id.lower(), delivery_id.lower(), self.caller.only)
        return render_delivery(self.front.notifying.deliver_again(*asked)), 202


WEBHOOK_ROUTES: Sequence[Route] = (
    (f"{PREFIX}/webhooks", WebhookList),
    (f"{PREFIX}/webhooks/<string:webhook_id>", WebhookById),
    (f"{PREFIX}/webhooks/<string:webhook_id>/resume", WebhookResume),
    (f"{PREFIX}/webhooks/<string:webhook_id>/deliveries", WebhookDeliveries),
    (f"{PREFIX}/webhooks/<string:webhook_id>/deliveries/<string:delivery_id>/redeliver", WebhookRedelivery),
)
