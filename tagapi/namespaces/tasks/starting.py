"""The views of the tasks API that start a job: campaigns, audiences, segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagapi.auth import Policy, RightNeeded
from tagapi.jobs.errors import NotFoundInData, NotReady
from tagapi.namespaces.base import NamespaceResource, Route, idempotency_key, load_body
from tagapi.namespaces.documentation import SUBMITTING, Answer, operation
from tagapi.namespaces.headers import KEY
from tagapi.namespaces.problems import Invalid
from tagapi.namespaces.tasks import asked
from tagapi.namespaces.tasks import schemas as shapes
from tagapi.namespaces.tasks.front import TasksFront
from tagapi.namespaces.tasks.orders import NO_CONSENT, NotConfigured
from tagapi.namespaces.tasks.render import PREFIX, render_accepted

KEYS = {KEY: "De 1 a 255 caracteres ASCII visibles: la misma clave y el mismo cuerpo inician una sola tarea"}
ACCEPTED = {202: Answer("Aceptada", shapes.TaskAccepted)}
OUTSIDE = (
    RightNeeded(right="publish", what="publish"),
    NotConfigured(setting="TAGAPI_META__ACCOUNT_ID"),
    *SUBMITTING,
)


class StartingResource(NamespaceResource):
    front: TasksFront

    def start(self, work: str, body: dict[str, Any]) -> Any:
        return render_accepted(self.front.start(work, body, self.caller, idempotency_key()))


class PublishMeta(StartingResource):
    @operation(
        policy=Policy.USER,
        body=asked.PublishMetaRequest,
        headers=KEYS,
        answers=ACCEPTED,
        errors=(
            Invalid("campaign.special_ad_categories", "is required"),
            NotFoundInData(thing="audience", name="A"),
            *OUTSIDE,
        ),
    )
    def post(self) -> Any:
        """Publicar una campaña en Meta Ads, en pausa: una vez o ninguna (publish on Meta)."""
        return self.start("meta_publish", load_body(asked.PublishMetaRequest))


class PublishGoogle(StartingResource):
    @operation(
        policy=Policy.USER,
        body=asked.PublishGoogleRequest,
        headers=KEYS,
        answers=ACCEPTED,
        errors=(Invalid("campaign.headlines", "debe tener de 3 a 15 elementos"), *OUTSIDE),
    )
    def post(self) -> Any:
        """Publicar una campaña en Google Ads, en pausa: una vez o ninguna (publish on Google)."""
        return self.start("google_publish", load_body(asked.PublishGoogleRequest))


class SyncAudience(StartingResource):
    @operation(
        policy=Policy.USER,
        body=asked.SyncRequest,
        headers=KEYS,
        answers=ACCEPTED,
        errors=(
            Invalid("consent", NO_CONSENT),
            RightNeeded(right="audience", what="sync audiences"),
            NotConfigured(setting="TAGAPI_META__ACCOUNT_ID"),
            NotReady(part="Spark", retry_after=5),
            *SUBMITTING,
        ),
    )
    def post(self) -> Any:
        """Poner al día una audiencia en una plataforma: solo las diferencias, solo hashes (sync an audience)."""
        return self.start("audience_sync", load_body(asked.SyncRequest))


STARTING_ROUTES: Sequence[Route] = (
    (f"{PREFIX}/publish/meta", PublishMeta),
    (f"{PREFIX}/publish/google", PublishGoogle),
    (f"{PREFIX}/audiences/sync", SyncAudience),
)
