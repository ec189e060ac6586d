"""The views of audiences that were synced: which there are, and how one goes, or a person out of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagapi.auth import Policy, RightNeeded
from tagapi.jobs.errors import NotFoundInData, NotReady
from tagapi.namespaces.base import Route, load_body, load_query
from tagapi.namespaces.documentation import SUBMITTING, WITH_BODY, Answer, operation
from tagapi.namespaces.problems import Invalid
from tagapi.namespaces.tasks import asked
from tagapi.namespaces.tasks import schemas as shapes
from tagapi.namespaces.tasks import schemas_page as shapes_page
from tagapi.namespaces.tasks.render import PREFIX, render_audiences
from tagapi.namespaces.tasks.starting import ACCEPTED, KEYS, StartingResource

NAME = {"name": "El nombre de la audiencia"}
NO_AUDIENCE = NotFoundInData(thing="audience", name="Clientes A")
NO_TAG = NotFoundInData(thing="computed tag", name=8)
UNREAD = NotReady(part="the storage", retry_after=5)
REMOVED = ("platform", "simulated", "name", "key", "asked_by")
"""What a removal is told of each audience."""
NO_RIGHT = RightNeeded(right="audience", what="remove audiences")


class AudienceList(StartingResource):
    @operation(
        policy=Policy.USER,
        answers={200: Answer("Todas, por nombre", shapes.AudiencesResponse)},
        errors=(UNREAD,),
    )
    def get(self) -> Any:
        """Las audiencias que se han sincronizado (list audiences)."""
        return render_audiences(self.front.orders.audiences.every())


class AudienceByName(StartingResource):
    @operation(
        policy=Policy.USER,
        path=NAME,
        answers={200: Answer("La audiencia, en cada plataforma que la tiene", shapes.AudiencesResponse)},
        errors=(NO_AUDIENCE, UNREAD),
    )
    def get(self, name: str) -> Any:
        """Una audiencia: su definición, sus miembros, cuándo se sincronizó (read an audience)."""
        return render_audiences(self.front.orders.audiences_of(name))

    @operation(
        policy=Policy.USER,
        path=NAME,
        query=asked.RemovalQuery,
        headers=KEYS,
        answers=ACCEPTED,
        errors=(Invalid("platform", "debe ser uno de: meta, google"), NO_AUDIENCE, NO_RIGHT, UNREAD, *SUBMITTING),
    )
    def delete(self, name: str) -> Any:
        """Eliminar una audiencia, aquí y en las plataformas que la tienen (remove an audience)."""
        found = self.front.orders.audiences_of(name, **load_query(asked.RemovalQuery))
        told = [{key: about[key] for key in REMOVED} for about in found]
        return self.start("audience_removal", {"audiences": told})


class AudiencePreview(StartingResource):
    @operation(
        policy=Policy.USER,
        body=shapes_page.PreviewRequest,
        answers={200: Answer("Su tamaño, y cuánto se solapan sus etiquetas", shapes_page.PreviewResponse)},
        errors=(Invalid("tags", "no existe la etiqueta 99"), NO_TAG, UNREAD, *WITH_BODY),
    )
    def post(self) -> Any:
        """Qué tamaño tendría una audiencia de etiquetas, sin hacerla (how large an audience would be)."""
        return dict(self.front.orders.preview(load_body(shapes_page.PreviewRequest)["tags"]))


class AudiencePerson(StartingResource):
    @operation(
        policy=Policy.USER,
        path={"user_id": "El id del usuario"},
        headers=KEYS,
        answers=ACCEPTED,
        errors=(Invalid("user_id", "debe tener de 1 a 255 caracteres"), NO_RIGHT, *SUBMITTING),
    )
    def delete(self, user_id: str) -> Any:
        """Sacar a una persona de todas las audiencias, aquí y en las plataformas, para siempre (remove a person)."""
        if len(user_id) > asked.LONGEST_ID:
            raise Invalid("user_id", f"debe tener de 1 a {asked.LONGEST_ID} caracteres")
        if not asked.PRINTABLE.fullmatch(user_id) or "\ufffd" in user_id:
            raise Invalid("user_id", "no es el id de nadie")
        return self.start("person_removal", {"user_id": user_id})


AUDIENCE_ROUTES: Sequence[Route] = (
    (f"{PREFIX}/audiences", AudienceList),
    (f"{PREFIX}/audiences/preview", AudiencePreview),
    (f"{PREFIX}/audiences/<string:name>", AudienceByName),
    (f"{PREFIX}/audiences/users/<anything:user_id>", AudiencePerson),
)
