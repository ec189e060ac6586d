"""What every namespace shares: reading requests strictly, answering in one way, failing in the namespace's words.

A namespace is a Front: its routes and three kinds of pure functions: schemas for what comes
in, renderers for what goes out, `render_problem` for what went wrong. Errors are rendered in
`NamespaceResource.dispatch_request`, since Flask-RESTX's own error handlers are not scoped
to a namespace: the last one registered would speak for all. There, too, stands the one check
of who may call what.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import orjson
from flask import Flask, Request, Response, request
from flask.globals import request_ctx
from flask_restx import Api, Resource
from marshmallow import Schema
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.routing import BaseConverter, Map, MapAdapter

from tagapi import tickets
from tagapi.auth import Admission, Gate, Policy, Principal, TicketInvalid
from tagapi.hosts import Hosts
from tagapi.jobs.model import Job
from tagapi.namespaces.answers import respond
from tagapi.namespaces.declared import check_declared, check_guarded
from tagapi.namespaces.documentation import (
    AUTHORIZATIONS,
    QUICK_START,
    Definitions,
    Operation,
    Specification,
    describe,
    operation_of,
    page_of,
)
from tagapi.namespaces.edge import Proxies, guard
from tagapi.namespaces.fields import NoQuery
from tagapi.namespaces.headers import KEY
from tagapi.namespaces.index import DOCS, serve_index
from tagapi.namespaces.problems import Invalid, Problem, Unsupported, problem_of
from tagapi.serving.records import PRINCIPAL

TICKET = "ticket"
"""The query parameter in which a browser shows its ticket."""
QUERY_TOKEN = "tagapi.query_token"  # noqa: S105 (in a request's environment: the parameter that may hold its token)
MAX_BODY = 8 * 1024 * 1024  # bytes
VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")


class Front(ABC):
    """One API document."""

    name: ClassVar[str]
    title: ClassVar[str]
    prefixes: ClassVar[tuple[str, ...]]
    """Paths under which errors are this front's to tell."""

    error_schema: ClassVar[type[Schema]]
    every_query: ClassVar[type[Schema]] = NoQuery
    """What a view takes in the query string where it does not say so itself."""

    fronts: Sequence[Front] = ()
    """All that are installed, itself among them."""

    statuses: ClassVar[Mapping[str, int]] = {}
    """The status of a problem's code, where the document wants another one than usual."""

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """What there is, in the order of the documentation."""

    @abstractmethod
    def render_problem(self, problem: Problem) -> Mapping[str, Any]:
        """The body of an error, in the document's shape and language."""

    @abstractmethod
    def error_line(self, body: Mapping[str, Any]) -> str:
        """What the body of an error says, in a line for the documentation."""

    def recheck(self, job: Job, caller: Principal) -> None:  # noqa: B027 (most fronts let everybody start everything)
        """Raise PermissionDenied, or Invalid, where this caller may not start now what a job of this front did."""

    def status_of(self, problem: Problem) -> int:
        return self.statuses.get(problem.code, problem.status)

    def answer(self, body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """A JSON answer, of a view or of what went wrong; a front may put something around it."""
        return respond(body, status, headers)


class NamespaceResource(Resource):  # type: ignore[misc]  # Flask-RESTX is untyped
    """A resource of a front, made anew for each request.

    Views answer with a body, with a body, a status and headers, or with a whole response.
    """

    needs_store: ClassVar[bool] = True
    """Refused while the job store is away: half a service misleads more than none."""

    query_token: ClassVar[str | None] = None
    """The query parameter in which a token is taken, beside the header."""

    admission: Admission
    caller: Principal
    """Who asks, and by what they came in; there is nobody on a public route."""

    def __init__(self, api: Api = None, *args: Any, front: Any, gate: Gate, **kwargs: Any) -> None:
        super().__init__(api, *args, **kwargs)
        self.front = front
        self.gate = gate

    def dispatch_request(self, *args: Any, **kwargs: Any) -> Response:
        try:
            asked = request._get_current_object()  # type: ignore[attr-defined]  # found once, not at each look
            name = "get" if asked.method == "HEAD" else asked.method.lower()
            method = getattr(self, name, None)
            if method is None:
                raise MethodNotAllowed(valid_methods=[*self.methods])
            said = operation_of(method)
            asked.environ[QUERY_TOKEN] = self.query_token
            if said.policy is not Policy.PUBLIC:
                self.admission = self._admitted(said, asked)
                self.caller = self.admission.principal
                asked.environ[PRINCIPAL] = self.caller.name
            if self.needs_store:
                self.front.service.check_store()
            if asked.query_string and said.query is None:
                load_query(self.front.every_query)
            answer = method(*args, **kwargs)
            if isinstance(answer, Response):
                return answer
            told: Response = self.front.answer(*answer) if isinstance(answer, tuple) else self.front.answer(answer)
            return told
        except Exception as error:
            return refuse(self.front, problem_of(error))

    def _admitted(self, said: Operation, asked: Request) -> Admission:
        """By the header; by a token in the query, where one is taken; or by a ticket, where the view takes one."""
        authorization, query_token = asked.headers.get("Authorization"), self.query_token
        if authorization is None and query_token is not None and query_token in asked.args:
            authorization = f"Bearer {asked.args[query_token]}"
        if authorization is None and said.ticket and TICKET in asked.args:
            admission, nonce = self.gate.by_ticket(asked.args[TICKET], asked.remote_addr)
            if not self.front.service.once(f"ticket {nonce}", 2 * tickets.SECONDS):
                raise TicketInvalid
            return admission
        return self.gate.admit(said.policy, authorization, asked.remote_addr)


Route = tuple[str, type[NamespaceResource]]
"""A path, in Flask's syntax, and its resource."""


def refuse(front: Front, problem: Problem) -> Response:
    return front.answer(front.render_problem(problem), front.status_of(problem), problem.headers)


# -- reading requests ----------------------------------------------------------------------


def load_body(schema: type[Schema]) -> dict[str, Any]:
    """The JSON body, validated, defaults filled in. Raises Invalid, ValidationError or Unsupported."""
    if request.mimetype != "application/json":
        raise Unsupported
    try:
        raw = orjson.loads(_read_body())
    except orjson.JSONDecodeError as error:
        too_deep = "ecursion limit" in str(error)
        raise Invalid("body", "is nested too deeply" if too_deep else "is not valid JSON") from None
    loaded: dict[str, Any] = SCHEMAS.of(schema).load(raw)
    return loaded


def _read_body() -> bytes:
    try:
        body = request.get_data(cache=False)
    except HTTPException:
        raise
    except Exception:  # each server has an error of its own for chunks that make no sense
        raise Invalid("body", "cannot be read") from None
    if request.content_length is None and len(body) >= MAX_BODY:  # a chunked body is cut off there without a word
        raise RequestEntityTooLarge
    return body


def load_query(schema: type[Schema]) -> dict[str, Any]:
    """The query string, validated, defaults filled in. A parameter is given once at most."""
    if not request.query_string:
        return dict(SCHEMAS.defaults(schema))
    values = {}
    for name, given in request.args.lists():
        if name == request.environ.get(QUERY_TOKEN):
            continue  # the gate has seen it
        if len(given) > 1:
            raise Invalid(name, "given more than once")
        values[name] = given[0]
    loaded: dict[str, Any] = SCHEMAS.of(schema).load(values)
    return loaded


def idempotency_key() -> str | None:
    """The client's key, if it sent one. Raises Invalid for one that is no key."""
    key = request.headers.get(KEY)
    if key is not None and not VISIBLE.fullmatch(key):
        raise Invalid(KEY, "must be 1 to 255 visible ASCII characters")
    return key


class _Schemas:
    """One instance of each schema: making one costs more than using it."""

    def __init__(self) -> None:
        self._made: dict[type[Schema], Schema] = {}
        self._defaults: dict[type[Schema], Mapping[str, Any]] = {}

    def of(self, schema: type[Schema]) -> Schema:
        if schema not in self._made:
            self._made[schema] = schema()
        return self._made[schema]

    def defaults(self, schema: type[Schema]) -> Mapping[str, Any]:
        """What is loaded where nothing is given: most who read a status or a list give nothing."""
        if schema not in self._defaults:
            self._defaults[schema] = self.of(schema).load({})
        return self._defaults[schema]


SCHEMAS = _Schemas()


# -- putting fronts on an app --------------------------------------------------------------


class Anything(BaseConverter):
    """A path parameter that may hold any character, slashes and line breaks among them: `<anything:user_id>`."""

    regex = "(?s:.+?)"
    part_isolating = False


class Unlike(BaseConverter):
    """A path parameter that is none of some words, which are paths of their own: `<unlike("types"):celery_id>`."""

    def __init__(self, routes: Map, *words: str) -> None:
        super().__init__(routes)
        self.regex = rf"(?!(?:{'|'.join(map(re.escape, words))})(?:/|$))[^/]+"


class _Api(Api):  # type: ignore[misc]
    """Flask-RESTX, with errors left to the fronts."""

    fronts: Sequence[Front] = ()
    _schema: Mapping[str, Any] | None

    @property
    def __schema__(self) -> Mapping[str, Any]:
        with self._schema_lock:  # making it changes what it is made of
            if self._schema is None:
                self._schema = Specification(self).as_dict()
        return self._schema

    def handle_error(self, error: Exception) -> Response:
        return _told_by_front(self.fronts, error)


def _told_by_front(fronts: Sequence[Front], error: Exception) -> Response:
    """What went wrong outside of a view, in the words of the front that the path belongs to."""
    if isinstance(error, NotFound) and error is request.routing_exception:
        error = _wrong_method() or error
    return refuse(front_of(fronts, request.path), problem_of(error))


def _wrong_method() -> MethodNotAllowed | None:
    """A path is the same without the slash at its end, but werkzeug finds such a one for the right methods alone."""
    adapter = request_ctx.url_adapter
    methods = [] if adapter is None else adapter.allowed_methods(f"{adapter.path_info}/")
    return MethodNotAllowed(valid_methods=[*methods]) if methods else None


def _take_handshakes_for_requests(routes: Map) -> None:
    """A rule answers the handshake of a WebSocket as it does any GET: its view looks at the headers."""
    bind = routes.bind_to_environ

    def bound(*args: Any, **kwargs: Any) -> MapAdapter:
        adapter = bind(*args, **kwargs)
        adapter.websocket = False
        return adapter

    routes.bind_to_environ = bound  # type: ignore[method-assign]


def front_of(fronts: Sequence[Front], path: str) -> Front:
    """The front that a path belongs to; the first one speaks for paths that are nobody's."""
    for front in fronts:
        if any(path == prefix or path.startswith(f"{prefix}/") for prefix in front.prefixes):
            return front
    return fronts[0]


def install(app: Flask, fronts: Sequence[Front], gate: Gate, hosts: Hosts, proxies: Proxies, version: str) -> None:
    """Register every front's routes, with their documentation at /swagger.json and /docs, and look at every request.

    Raises UndeclaredRoute for one that does not say who may call it.
    """
    app.config |= {
        "MAX_CONTENT_LENGTH": MAX_BODY,
        "RESTX_INCLUDE_ALL_MODELS": True,
        "RESTX_MASK_SWAGGER": False,
        "RESTX_ERROR_404_HELP": False,
        "ERROR_INCLUDE_MESSAGE": False,
        "SWAGGER_UI_DOC_EXPANSION": "list",
        "SWAGGER_UI_REQUEST_DURATION": True,
    }
    app.url_map.merge_slashes = False
    _take_handshakes_for_requests(app.url_map)
    app.url_map.converters |= {"anything": Anything, "unlike": Unlike}
    serve_index(app, lambda: api.__schema__, version, asks=gate.asks)
    api = _Api(
        app,
        version=version,
        title="tagapi",
        description=QUICK_START,
        doc=DOCS,
        authorizations=AUTHORIZATIONS,
        default_mediatype="application/json",
        validate=False,
    )
    api.fronts = fronts
    api.representations["application/json"] = respond  # the specification, which is large
    api.documentation(lambda: page_of(api))
    definitions = Definitions(api)
    for front in fronts:
        front.fronts = fronts
        namespace = api.namespace(front.name, description=front.title, path="/")
        for path, resource in front.routes():
            check_declared(path, resource)
            describe(resource, namespace, definitions, front)
            # A path with a slash at its end is served without it as well: a redirect would lose a POST's body.
            slashes = {"strict_slashes": not path.endswith("/")}
            namespace.add_resource(resource, path, resource_class_kwargs={"front": front, "gate": gate}, **slashes)

    guard(app, hosts, proxies, partial(front_of, fronts))

    told_by_front = partial(_told_by_front, fronts)
    app.register_error_handler(HTTPException, told_by_front)
    app.register_error_handler(Exception, told_by_front)
    check_guarded(app, NamespaceResource)
