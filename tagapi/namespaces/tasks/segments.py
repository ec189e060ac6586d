"""The views of segments: training and prediction begin here, models and a user's segment are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagapi.auth import Policy
from tagapi.jobs.errors import NotFoundInData, NotReady
from tagapi.namespaces.base import Route, load_body, load_query
from tagapi.namespaces.documentation import SUBMITTING, Answer, operation
from tagapi.namespaces.problems import Invalid
from tagapi.namespaces.tasks import asked
from tagapi.namespaces.tasks import schemas as shapes
from tagapi.namespaces.tasks.render import PREFIX
from tagapi.namespaces.tasks.starting import ACCEPTED, KEYS, StartingResource

NO_MODEL = NotFoundInData(thing="model", name="clientes")
NO_VERSION = NotFoundInData(thing="version", name=9)
NO_SEGMENT = NotFoundInData(thing="segment", name="user_000001")
UNREAD = NotReady(part="the storage", retry_after=5)
MODEL = {"model": "El nombre del modelo"}


class TrainSegments(StartingResource):
    @operation(
        policy=Policy.USER,
        body=asked.TrainRequest,
        headers=KEYS,
        answers=ACCEPTED,
        errors=(Invalid("segments", 'debe ser un número de 2 a 20, o "auto"'), *SUBMITTING),
    )
    def post(self) -> Any:
        """Entrenar segmentos de usuarios, como versión nueva de un modelo (train segments)."""
        return self.start("segment_train", load_body(asked.TrainRequest))


class PredictSegments(StartingResource):
    @operation(
        policy=Policy.USER,
        body=asked.PredictRequest,
        headers=KEYS,
        answers=ACCEPTED,
        errors=(Invalid("user_ids", "debe tener de 1 a 100000 elementos"), NO_MODEL, NO_VERSION, UNREAD, *SUBMITTING),
    )
    def post(self) -> Any:
        """Poner a cada usuario en su segmento (predict segments)."""
        return self.start("segment_predict", load_body(asked.PredictRequest))


class ModelList(StartingResource):
    @operation(
        policy=Policy.USER,
        answers={200: Answer("La versión más nueva de cada modelo", shapes.ModelsResponse)},
        errors=(UNREAD,),
    )
    def get(self) -> Any:
        """Los modelos que hay (list models)."""
        return {"models": list(self.front.orders.segments.models())}


class ModelByName(StartingResource):
    @operation(
        policy=Policy.USER,
        path=MODEL,
        query=asked.VersionQuery,
        answers={200: Answer("El modelo entero, con sus segmentos en palabras", shapes.ModelResponse)},
        errors=(Invalid("version", "debe estar entre 1 y 1000000000"), NO_MODEL, NO_VERSION, UNREAD),
    )
    def get(self, model: str) -> Any:
        """Un modelo: con qué se entrenó, sus centros, tamaños y descripciones (read a model)."""
        return dict(self.front.orders.segments.model(model, load_query(asked.VersionQuery)["version"]))


class SegmentOfUser(StartingResource):
    @operation(
        policy=Policy.USER,
        path={**MODEL, "user_id": "El id del usuario"},
        answers={200: Answer("Su segmento, de la última predicción", shapes.UserSegment)},
        errors=(NO_MODEL, NO_SEGMENT, UNREAD),
    )
    def get(self, model: str, user_id: str) -> Any:
        """El segmento de un usuario (a user's segment)."""
        return dict(self.front.orders.segments.segment_of(model, user_id))


SEGMENT_ROUTES: Sequence[Route] = (
    (f"{PREFIX}/segments/train", TrainSegments),
    (f"{PREFIX}/segments/predict", PredictSegments),
    (f"{PREFIX}/segments/models", ModelList),
    (f"{PREFIX}/segments/models/<string:model>", ModelByName),
    (f"{PREFIX}/segments/models/<string:model>/users/<anything:user_id>", SegmentOfUser),
)
