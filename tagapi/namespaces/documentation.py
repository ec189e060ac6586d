"""The specification: what a view says of itself, turned into Swagger 2.0 from the schemas that validate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask_restx import Api, Namespace, Resource
from flask_restx import fields as restx_fields
from flask_restx.apidoc import ui_for
from marshmallow import Schema
from marshmallow.fields import Field

from tagapi.auth import Policy

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

PAGE_OPTIONS = 'dom_id: "#swagger-ui",'
PASTED = """requestInterceptor: function (request) {
                    const given = request.headers.Authorization;
                    if (given && !/^bearer /i.test(given)) request.headers.Authorization = "Bearer " + given.trim();
                    return request;
                },"""
"""People paste their token and nothing else; Swagger 2.0 has no way to say what belongs before it."""

GUARDED_ERRORS = (401, 403, 429, 503)
"""What the gate may answer, wherever it stands."""


class File(restx_fields.Raw):  # type: ignore[misc]
    """An answer that is a file."""

    __schema_type__ = "file"


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which an operation answers well."""

    text: str
    schema: type[Schema] | None
    """None for a file."""


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

    errors: tuple[int, ...] = ()
    produces: tuple[str, ...] = ()
    """Content types, where it is not JSON."""


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
    """The bundled page, which puts `Bearer` before a token that was pasted alone."""
    page: str = ui_for(api)
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


def describe(
    resource: type[Resource],
    namespace: Namespace,
    definitions: Definitions,
    error_schema: type[Schema],
    error_texts: Mapping[int, str],
) -> None:
    """Document every view of a resource."""
    for name in METHODS:
        method = getattr(resource, name, None)
        if method is None:
            continue
        said = operation_of(method)
        for status, answer in said.answers.items():
            model = File() if answer.schema is None else definitions.model(answer.schema)
            namespace.response(status, answer.text, model)(method)
        guarded = said.policy is not Policy.PUBLIC
        for status in sorted({400, *said.errors, *(GUARDED_ERRORS if guarded else ())}):
            namespace.response(status, error_texts[status], definitions.model(error_schema))(method)
        if guarded:
            namespace.doc(security=[*AUTHORIZATIONS])(method)
        if said.produces:
            namespace.produces([*said.produces])(method)
        if said.body is not None:
            namespace.expect(definitions.model(said.body), validate=False)(method)
        for parameter in definitions.query(said.query) if said.query else ():
            rest = {key: value for key, value in parameter.items() if key not in ("in", "name", "description")}
            namespace.param(parameter["name"], parameter.get("description", ""), _in="query", **rest)(method)
        for parameter_name, text in said.path.items():
            namespace.param(parameter_name, text, _in="path")(method)
        for header, text in said.headers.items():
            namespace.param(header, text, _in="header", type="string")(method)
