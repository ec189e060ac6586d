"""Who may have an export done again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tagapi.auth import Principal, Role
from tagapi.jobs.errors import NotFoundInData
from tagapi.jobs.model import Job, Json
from tagapi.namespaces.export.front import ExportFront
from tagapi.namespaces.export.render import TASK
from tagapi.namespaces.problems import Invalid
from tests.e2e.stand_in import NoDocuments
from tests.unit.fakes import World

ANN, ROOT = Principal("ann", Role.USER), Principal("root", Role.ADMIN)


class Collectors(NoDocuments):
    """By owner and name."""

    def __init__(self) -> None:
        self.there = {("ann", "c"): "1"}

    def define(self, what: Callable[[Any], Any]) -> Any:
        return what(self)

    def get(self, owner: str, kind: str, name: str) -> Json:
        if (owner, name) not in self.there:
            raise NotFoundInData(thing=kind, name=name)
        return {"generation": self.there[owner, name], "collector_query": None}


def export_of_anns(world: World) -> Job:
    return world.service.submit(TASK, {"target": "c", "generation": "1"}, owner="ann").job


def test_what_upkeep_starts_has_no_target() -> None:
    world = World()
    job = world.service.submit("export.arrivals", {}, owner="upkeep").job
    ExportFront(world.service, Collectors(), None).recheck(job, ROOT)


def test_only_whose_collector_it_is_exports_into_it_again() -> None:
    world, documents = World(), Collectors()
    front, job = ExportFront(world.service, documents, None), export_of_anns(world)
    front.recheck(job, ANN)
    with pytest.raises(Invalid):
        front.recheck(job, ROOT)
    documents.there["root", "c"] = "2"
    with pytest.raises(Invalid):
        front.recheck(job, ROOT)
    documents.there["ann", "c"] = "3"
    with pytest.raises(Invalid):
        front.recheck(job, ANN)
