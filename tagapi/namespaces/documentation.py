"""The specification: what a view says of itself, turned into Swagger 2.0 from the schemas that validate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask_restx import Api, Namespace, Resource
from flask_restx import fields as restx_fields
from flask_restx.apidoc import ui_for
from flask_restx.swagger import Swagger
from marshmallow import Schema
from marshmallow.fields import Field
from werkzeug.exceptions import RequestEntityTooLarge

from tagapi.auth import AuthenticationRequired, OnlyLocal, Policy, RateLimited
from tagapi.jobs.errors import KeyReused, OwnerQueueFull, QueueFull, StoreUnavailable
from tagapi.namespaces.problems import Invalid, Problem, Unsupported, problem_of

METHODS = ("get", "post", "put", "patch", "delete")
Method = TypeVar("Method", bound=Callable[..., Any])
AUTHORIZATIONS: Mapping[str, Mapping[str, str]] = {
    "Bearer": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Bearer`, a space, and your token; on this page the token alone will do. "
        "On your own machine, as long as there is no tokens file, none is needed.",
    }
}
"""What the Authorize button asks for: Swagger 2.0 knows no bearer tokens, but it knows headers."""

PAGE_HEAD = "<head>"
PHONES = '<meta name="viewport" content="width=device-width, initial-scale=1">'
IN_THE_DARK = """<style>
        @media (prefers-color-scheme: dark) {
            html { background: #fff; filter: invert(0.9) hue-rotate(180deg); }
            body { background: none; }
        }
    </style>"""
"""Swagger UI has light colours alone: turned over, and their hues back."""
PAGE_OPTIONS = 'dom_id: "#swagger-ui",'
PASTED = """requestInterceptor: function (request) {
                    const given = request.headers.Authorization;
                    if (given && !/^bearer /i.test(given)) request.headers.Authorization = "Bearer " + given.trim();
                    return request;
                },"""
"""People paste their token and nothing else; Swagger 2.0 has no way to say what belongs before it."""

QUICK_START = """
Long-running data work as jobs: accepted at once, followed live, cancelled for real.

**Quick start.** Compute three tags for everybody, follow the task, read who carries the first one:

```
API=http://127.0.0.1:5000   # or wherever this page is served from
curl -X POST $API/api/v1/tags/trigger -H "Content-Type: application/json" -d '{"tag_ids": [1, 2, 3]}'
curl $API/api/v1/tasks/TASK_ID/status
curl "$API/api/v1/tags/1/users?limit=5"
```

Export bookings as a spreadsheet, follow the export, download the file:

```
curl -X POST $API/api/v1/workers/ -H "Content-Type: application/json" \\
  -d '{"task_type": "bookings_export", "format": "xlsx", "filters": {"status": "confirmed"}}'
curl $API/api/v1/workers/ID/status/
curl -OJ $API/api/v1/workers/ID/result/
```

Make an audience of who carries tag 1 and not tag 3, publish a campaign for it, follow the task of any API (`simulate`
needs no account at the platform):

```
curl -X POST $API/api/tasks/audiences/sync -H "Content-Type: application/json" -d '{"platform": "meta",
  "audience": {"name": "Clientes A", "tags": {"all": [1], "none": [3]}}, "consent": "granted", "simulate": true}'
curl $API/api/tasks/status/TASK_ID        # SUCCESS, before the audience can be used
curl -X POST $API/api/tasks/publish/meta -H "Content-Type: application/json" -d '{"simulate": true,
  "audience": "Clientes A", "campaign": {"name": "Verano", "daily_budget": "25.00", "headline": "Verano",
  "text": "Ya llega", "landing_url": "https://example.org/", "special_ad_categories": []}}'
curl $API/api/tasks/status/TASK_ID
curl -N -H "Accept: text/event-stream" $API/api/tasks/events/TASK_ID
```

Copy what a query finds into a collector, follow the task, read it as a stream from any point:

```
curl -X PUT $API/api/v3/stream/c/coffee -H "Content-Type: application/json" -d '{}'
curl -X POST $API/api/v3/stream/export -H "Content-Type: application/json" \\
  -d '{"start": "2024-01-01", "target": "coffee", "query": "coffee lang:en"}'
sleep 5; curl $API/api/v3/tasks/export        # finished
curl "$API/api/v3/stream/c/coffee/results?end_behaviour=stop&max_hits=3"
```

Find what one's own domains show to the internet, inside the scope that `TAGAPI_ASSETS__SCOPE_FILE` names (`make lab`
has one to try), follow the task, page through what it found:

```
curl -X POST $API/api/celery_task/ -H "Content-Type: application/json" -d '{"task_type": "domain_task", "data":
  {"name": "ours", "target": "corp.example", "options": {"domain_brute": true, "site_identify": true}}}'
curl $API/api/celery_task/CELERY_ID/
curl "$API/api/celery_task/CELERY_ID/result/?kind=sites"
```

On this page: open an operation, *Try it out*, *Execute*. Where the service asks for tokens, press *Authorize* first.
A POST that starts a task takes an `Idempotency-Key`: sent again under the same key, it starts nothing twice.
""".strip()

ANYWHERE = (Invalid("nope", "unknown parameter"),)
"""What every operation may be refused for."""

GUARDED = (
    AuthenticationRequired(),
    OnlyLocal(setting="TAGAPI_AUTH__TOKENS_FILE"),
    RateLimited(retry_after=5),
)
"""What the gate may answer, wherever it stands."""

STORED = (StoreUnavailable(retry_after=5),)
"""What an operation may answer that needs the jobs."""

WITH_BODY = (RequestEntityTooLarge(), Unsupported())
"""What an operation may answer that reads a body."""

SUBMITTING = (
    *WITH_BODY,
    KeyReused(),
    OwnerQueueFull(owner="anna", queued=1000, retry_after=5),
    QueueFull(queued=1000, retry_after=5),
)
"""What an operation may answer that starts a job."""


class File(restx_fields.Raw):  # type: ignore[misc]
    """An answer that is a file."""

    __schema_type__ = "file"


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which an operation answers well."""

    text: str
    schema: type[Schema] | None
    """None for a file."""

    example: Mapping[str, Any] | None = None
    """In place of the schema's, where that does not fit this answer."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Who may call a view, what it takes and what it gives."""

    policy: Policy
    answers: Mapping[int, Answer] = field(default_factory=dict)
    body: type[Schema] | None = None
    query: type[Schema] | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    """Path parameters and what they are."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Request headers and what they are for."""

    errors: tuple[Exception, ...] = ()
    """What it may be refused for, beside what is common; the first one of a status is its example."""

    produces: tuple[str, ...] = ()
    """Content types, where it is not JSON."""

    ticket: bool = False
    """Who cannot send a header, since it opens a socket from a page, may show a ticket in the query."""


def operation(**says: Any) -> Callable[[Method], Method]:
    """Say who may call a view, what it takes and what it gives. Its docstring is the operation's text."""

    def remember(method: Method) -> Method:
        method.operation = Operation(**says)  # type: ignore[attr-defined]
        return method

    return remember


def operation_of(method: Any) -> Operation:
    """What a view said. Raises AttributeError for a view that said nothing: none is undocumented."""
    said: Operation = method.operation
    return said


def page_of(api: Api) -> str:
    """The bundled page, fit for phones and for the dark, which puts `Bearer` before a token that was pasted alone."""
    page: str = ui_for(api)
    page = page.replace(PAGE_HEAD, f"{PAGE_HEAD}\n    {PHONES}\n    {IN_THE_DARK}", 1)
    return page.replace(PAGE_OPTIONS, f"{PAGE_OPTIONS}\n                {PASTED}")


class _Converter(OpenAPIConverter):
    """A default of null says only that a field may be left out, and is none that Swagger 2.0 could tell."""

    def field2default(self, field: Field[Any], **kwargs: Any) -> dict[str, Any]:
        told: dict[str, Any] = super().field2default(field, **kwargs)
        return {} if field.load_default is None else told


class _Plugin(MarshmallowPlugin):
    Converter = _Converter


class Definitions:
    """The schemas as models of the specification, each registered once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._plugin = _Plugin(schema_name_resolver=_name)
        self._spec = APISpec("tagapi", "1", "2.0", plugins=[self._plugin])

    def model(self, schema: type[Schema]) -> Any:
        """The model of a schema; schemas nested in it are registered with it."""
        name = _name(schema)
        if name not in self._spec.components.schemas:
            self._spec.components.schema(name, schema=schema)
        for known, definition in self._spec.components.schemas.items():
            if known not in self._api.models:
                self._api.schema_model(known, definition)
        example = getattr(schema, "example", None)
        if example is not None:
            self._spec.components.schemas[name]["example"] = example
        return self._api.models[name]

    def query(self, schema: type[Schema]) -> list[dict[str, Any]]:
        """The parameters of a query string."""
        assert self._plugin.converter is not None
        parameters: list[dict[str, Any]] = self._plugin.converter.schema2parameters(schema, location="query")
        return parameters


def _name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return str(kind.__name__)


class Told(Protocol):
    """What of a front the documentation asks."""

    error_schema: ClassVar[type[Schema]]
    every_query: ClassVar[type[Schema]]

    def status_of(self, problem: Problem) -> int: ...
    def render_problem(self, problem: Problem) -> Mapping[str, Any]: ...
    def error_line(self, body: Mapping[str, Any]) -> str: ...


class Specification(Swagger):  # type: ignore[misc]
    """Flask-RESTX's, with an example for each answer."""

    def responses_for(self, doc: Any, method: str) -> Any:
        responses = super().responses_for(doc, method)
        for status, (_, _, more) in doc[method]["responses"].items():
            if more["example"] is not None:
                responses[str(status)]["examples"] = {"application/json": more["example"]}
        return responses


def describe(resource: type[Resource], namespace: Namespace, definitions: Definitions, front: Told) -> None:
    """Document every view of a resource."""
    for name in METHODS:
        method = getattr(resource, name, None)
        if method is None:
            continue
        said = operation_of(method)
        for status, answer in said.answers.items():
            model = File() if answer.schema is None else definitions.model(answer.schema)
            example = answer.example or getattr(answer.schema, "example", None)
            namespace.response(status, answer.text, model, example=example)(method)
        guarded = said.policy is not Policy.PUBLIC
        common = [*ANYWHERE, *(GUARDED if guarded else ()), *(STORED if resource.needs_store else ())]
        for status, bodies in _refusals(front, [*said.errors, *common]).items():
            if status not in said.answers:
                text = "; ".join(dict.fromkeys(map(front.error_line, bodies)))
                namespace.response(status, text, definitions.model(front.error_schema), example=bodies[0])(method)
        if guarded:
            namespace.doc(security=[*AUTHORIZATIONS])(method)
        if said.produces:
            namespace.produces([*said.produces])(method)
        if said.body is not None:
            namespace.expect(definitions.model(said.body), validate=False)(method)
        for parameter in definitions.query(said.query or front.every_query):
            rest = {key: value for key, value in parameter.items() if key not in ("in", "name", "description")}
            namespace.param(parameter["name"], parameter.get("description", ""), _in="query", **rest)(method)
        for parameter_name, text in said.path.items():
            namespace.param(parameter_name, text, _in="path")(method)
        for header, text in said.headers.items():
            namespace.param(header, text, _in="header", type="string")(method)


def _refusals(front: Told, errors: Sequence[Exception]) -> Mapping[int, Sequence[Mapping[str, Any]]]:
    """The bodies of these errors as the front tells them, by status."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    for problem in map(problem_of, errors):
        found.setdefault(front.status_of(problem), []).append(front.render_problem(problem))
    return dict(sorted(found.items()))
