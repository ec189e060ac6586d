"""What the export API answers of collectors, streams and projects, which people define."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tagapi.auth import Policy
from tagapi.jobs.errors import NotFoundInData, NotUnderstood
from tagapi.namespaces.base import Route, load_body
from tagapi.namespaces.documentation import WITH_BODY, Answer, operation
from tagapi.namespaces.export import asked, render
from tagapi.namespaces.export import schemas as shapes
from tagapi.namespaces.export.front import BadOperation
from tagapi.namespaces.export.views import ExportResource
from tagapi.namespaces.problems import Invalid

COLLECTOR_ID = {"collector_id": f"Its id: it {asked.ID_FORM}"}
STREAM_ID = {"stream_id": f"Its id: it {asked.ID_FORM}"}
PROJECT_ID = {"project_id": f"Its id: it {asked.ID_FORM}"}
NO_COLLECTOR = NotFoundInData(thing="collector", name="collector_1")
NO_STREAM = NotFoundInData(thing="stream", name="stream_1")
NO_PROJECT = NotFoundInData(thing="project", name="project_1")
COLLECTOR = Answer("The collector", shapes.CollectorResponse)
DELETED, PAUSED, RESUMED = (
    Answer(text, shapes.CollectorResponse, shapes.collector_example(method, path, state))
    for text, method, path, state in (
        ("As it was", "DELETE", "", "DELETED"),
        ("The collector", "POST", "/pause", "PAUSED"),
        ("The collector", "POST", "/resume", "ACTIVE"),
    )
)
STREAM = Answer("The stream", shapes.StreamResponse)
PROJECT = Answer("The project", shapes.ProjectResponse)
IN_RULE = NotUnderstood(field="rules[0].query", position=0, expected="a word, a phrase or (", found="the end")


class DefinitionResource(ExportResource):
    def define(self, what: Callable[[Any], Any]) -> Any:
        return self.front.documents.define(what)


def check_id(name: str, kind: str) -> None:
    """Raises Invalid for what cannot be an id."""
    if not asked.ID.fullmatch(name):
        raise Invalid(f"{kind}_id", asked.ID_FORM)


class Collector(DefinitionResource):
    @operation(
        policy=Policy.USER,
        path=COLLECTOR_ID,
        body=asked.CollectorRequest,
        answers={200: COLLECTOR},
        errors=(Invalid("collector_id", asked.ID_FORM), IN_RULE, NO_PROJECT, *WITH_BODY),
    )
    def put(self, collector_id: str) -> Any:
        """Make a collector, or change its query; what it holds stays.

        Without a query (`{}`) it receives what exports copy into it; with one, what arrives from now on and is found.
        """
        check_id(collector_id, "collector")
        query, owner = load_body(asked.CollectorRequest)["collector_query"], self.caller.name
        if query is not None:
            self.front.check_queries("collector_query.queries", query["queries"])
            for place, text in enumerate(query["filters"]):
                self.front.documents.check_query(f"collector_query.filters[{place}]", text)
        told = self.define(lambda known: known.put_collector(owner, collector_id, query))
        return render.render_collector(collector_id, told)

    @operation(policy=Policy.USER, path=COLLECTOR_ID, answers={200: COLLECTOR}, errors=(NO_COLLECTOR,))
    def get(self, collector_id: str) -> Any:
        """A collector and its state."""
        kind, owner = self.front.documents.collector, self.caller.name
        return render.render_collector(collector_id, self.define(lambda known: known.get(owner, kind, collector_id)))

    @operation(policy=Policy.USER, path=COLLECTOR_ID, answers={200: DELETED}, errors=(NO_COLLECTOR,))
    def delete(self, collector_id: str) -> Any:
        """Delete a collector and all that it holds."""
        kind, owner = self.front.documents.collector, self.caller.name
        told = self.define(lambda known: known.remove(owner, kind, collector_id))
        return render.render_collector(collector_id, told, "DELETED")


class CollectorPause(DefinitionResource):
    @operation(policy=Policy.USER, path=COLLECTOR_ID, answers={200: PAUSED}, errors=(NO_COLLECTOR,))
    def post(self, collector_id: str) -> Any:
        """Add nothing more of what arrives; that is skipped for good."""
        owner = self.caller.name
        return render.render_collector(collector_id, self.define(lambda known: known.pause(owner, collector_id)))


class CollectorResume(DefinitionResource):
    @operation(
        policy=Policy.USER,
        path=COLLECTOR_ID,
        answers={200: RESUMED},
        errors=(BadOperation(name="collector_1"), NO_COLLECTOR),
    )
    def post(self, collector_id: str) -> Any:
        """Add what arrives from now on."""
        return render.render_collector(collector_id, self.front.resume(collector_id, self.caller))


class Stream(DefinitionResource):
    @operation(
        policy=Policy.USER,
        path=STREAM_ID,
        body=asked.StreamRequest,
        answers={200: STREAM},
        errors=(Invalid("stream_id", asked.ID_FORM), IN_RULE, *WITH_BODY),
    )
    def put(self, stream_id: str) -> Any:
        """Make a stream of rules, of which one has to find a document, or put these in the place of its rules."""
        check_id(stream_id, "stream")
        body, kind, owner = load_body(asked.StreamRequest), self.front.documents.stream, self.caller.name
        self.front.check_queries("rules", body["rules"])
        return render.render_stream(stream_id, self.define(lambda known: known.put(owner, kind, stream_id, body)))

    @operation(policy=Policy.USER, path=STREAM_ID, answers={200: STREAM}, errors=(NO_STREAM,))
    def get(self, stream_id: str) -> Any:
        """A stream and its rules."""
        kind, owner = self.front.documents.stream, self.caller.name
        return render.render_stream(stream_id, self.define(lambda known: known.get(owner, kind, stream_id)))

    @operation(policy=Policy.USER, path=STREAM_ID, answers={200: STREAM}, errors=(NO_STREAM,))
    def delete(self, stream_id: str) -> Any:
        """Delete a stream. Exports that were begun from it go on."""
        kind, owner = self.front.documents.stream, self.caller.name
        told = self.define(lambda known: known.remove(owner, kind, stream_id))
        return render.render_stream(stream_id, told, enabled=False)


class Project(DefinitionResource):
    @operation(
        policy=Policy.USER,
        path=PROJECT_ID,
        body=asked.ProjectRequest,
        answers={200: PROJECT},
        errors=(Invalid("topics", "is required"), IN_RULE, *WITH_BODY),
    )
    def put(self, project_id: str) -> Any:
        """Make a project: a query, and topics of which one has to find a document; or change it."""
        check_id(project_id, "project")
        body, kind, owner = load_body(asked.ProjectRequest), self.front.documents.project, self.caller.name
        if body["query"] is not None:
            self.front.documents.check_query("query", body["query"])
        self.front.check_queries("topics", body["topics"])
        return render.render_project(project_id, self.define(lambda known: known.put(owner, kind, project_id, body)))

    @operation(policy=Policy.USER, path=PROJECT_ID, answers={200: PROJECT}, errors=(NO_PROJECT,))
    def get(self, project_id: str) -> Any:
        """A project and its topics."""
        kind, owner = self.front.documents.project, self.caller.name
        return render.render_project(project_id, self.define(lambda known: known.get(owner, kind, project_id)))

    @operation(policy=Policy.USER, path=PROJECT_ID, answers={200: PROJECT}, errors=(NO_PROJECT,))
    def delete(self, project_id: str) -> Any:
        """Delete a project. Exports that were begun from it go on, and collectors keep its queries."""
        kind, owner = self.front.documents.project, self.caller.name
        return render.render_project(project_id, self.define(lambda known: known.remove(owner, kind, project_id)))


class Info(DefinitionResource):
    @operation(policy=Policy.USER, answers={200: Answer("All of your own", shapes.InfoResponse)})
    def get(self) -> Any:
        """Your streams, collectors and projects."""
        owner, documents = self.caller.name, self.front.documents
        kinds = (documents.stream, documents.collector, documents.project)
        return render.render_info(*self.define(lambda known: [known.every(owner, kind) for kind in kinds]))


DEFINITION_ROUTES: Sequence[Route] = (
    ("/api/v3/stream/c/<string:collector_id>", Collector),
    ("/api/v3/stream/c/<string:collector_id>/pause", CollectorPause),
    ("/api/v3/stream/c/<string:collector_id>/resume", CollectorResume),
    ("/api/v3/stream/s/<string:stream_id>", Stream),
    ("/api/v3/stream/p/<string:project_id>", Project),
    ("/api/v3/stream/info", Info),
)
