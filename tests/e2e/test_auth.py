"""Who may do what, over HTTP: every route with every kind of token, probes for what is others', and the tokens file."""

from __future__ import annotations

import itertools
import json
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from requests.adapters import HTTPAdapter

from tagapi.auth import BURST, Policy
from tagapi.namespaces.base import Front
from tagapi.namespaces.celery_task.asked import BatchRevokeRequest, CreateTaskRequest, RevokeRequest
from tagapi.namespaces.celery_task.front import CeleryTaskFront
from tagapi.namespaces.documentation import METHODS, operation_of
from tagapi.namespaces.export.asked import (
    CollectorRequest,
    CountRequest,
    ProjectExportRequest,
    ProjectRequest,
    QueryExportRequest,
    StreamExportRequest,
    StreamRequest,
    ValidateRequest,
)
from tagapi.namespaces.export.front import ExportFront
from tagapi.namespaces.health.front import HealthFront
from tagapi.namespaces.metrics.front import MetricsFront
from tagapi.namespaces.tags.front import TagsFront
from tagapi.namespaces.tasks.asked import (
    PredictRequest,
    PublishGoogleRequest,
    PublishMetaRequest,
    SyncRequest,
    TrainRequest,
)
from tagapi.namespaces.tasks.front import TasksFront
from tagapi.namespaces.tasks.schemas_page import PreviewRequest
from tagapi.namespaces.tasks.webhook_shapes import WebhookRequest
from tagapi.namespaces.workers.front import WorkersFront
from tagapi.tokens import Principal, Role, digest_of
from tests.e2e.conftest import PRINCIPALS, served, write_tokens
from tests.e2e.server import Client, Server, refusing_spark, until
from tests.e2e.stand_in import FAILS, RUNS, content_of

WORKERS = "/api/v1/workers/"
TASKS = "/api/tasks"
V3 = "/api/v3"
CELERY = "/api/celery_task"
REVOKED = "revoked-token"
NOTICED = 5.0  # seconds, within which a change of the tokens file counts
NOTHING = cast("Any", None)
FRONTS: list[Front] = [
    TagsFront(NOTHING, NOTHING, NOTHING, ""),
    WorkersFront(NOTHING, NOTHING, NOTHING, NOTHING),
    TasksFront(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING),
    ExportFront(NOTHING, NOTHING, NOTHING),
    CeleryTaskFront(NOTHING, NOTHING, NOTHING, NOTHING),
    HealthFront(NOTHING, "", NOTHING),
    MetricsFront(NOTHING, NOTHING),
]
BODIES: Mapping[str, Any] = {
    "/api/v1/tags/trigger": {"tag_ids": [1]},
    WORKERS: {"task_type": "bookings_export"},
    "/api/v1/tasks/<string:task_id>/settle": {"outcome": "retry"},
    f"{WORKERS}<string:task_id>/settle/": {"outcome": "retry"},
    f"{TASKS}/settle/<string:task_id>": {"outcome": "retry"},
    f"{TASKS}/publish/meta": PublishMetaRequest.example,
    f"{TASKS}/publish/google": PublishGoogleRequest.example,
    f"{TASKS}/audiences/sync": SyncRequest.example,
    f"{TASKS}/audiences/preview": PreviewRequest.example,
    f"{TASKS}/segments/train": TrainRequest.example,
    f"{TASKS}/segments/predict": PredictRequest.example,
    f"{TASKS}/webhooks": WebhookRequest.example,
    f"{V3}/stream/export": QueryExportRequest.example,
    f"{V3}/stream/s/<string:stream_id>/export": StreamExportRequest.example,
    f"{V3}/stream/p/<string:project_id>/export": ProjectExportRequest.example,
    f"{V3}/stream/query/validate": ValidateRequest.example,
    f"{V3}/stream/count": CountRequest.example,
    f"{V3}/stream/c/<string:collector_id>": CollectorRequest.example,
    f"{V3}/stream/s/<string:stream_id>": StreamRequest.example,
    f"{V3}/stream/p/<string:project_id>": ProjectRequest.example,
    f"{CELERY}/": CreateTaskRequest.example,
    f"{CELERY}/revoke/": RevokeRequest.example,
    f"{CELERY}/batch_revoke/": BatchRevokeRequest.example,
}
TOO_EARLY = ("/result/", "/settle", "/settle/", f"{TASKS}/retry/<string:task_id>", f"{TASKS}/settle/<string:task_id>")
"""How the paths end of what is asked of jobs that are not at that yet."""
WITHOUT_HANDSHAKE = f"{TASKS}/ws"
NOT_THERE = (
    f"{TASKS}/audiences/<string:name>",
    f"{TASKS}/segments/predict",
    f"{TASKS}/segments/models/<string:model>",
    f"{TASKS}/segments/models/<string:model>/users/<anything:user_id>",
    f"{TASKS}/webhooks/<string:webhook_id>",
    f"{TASKS}/webhooks/<string:webhook_id>/resume",
    f"{TASKS}/webhooks/<string:webhook_id>/deliveries",
    f"{TASKS}/webhooks/<string:webhook_id>/deliveries/<string:delivery_id>/redeliver",
)
"""Paths to audiences, models and webhooks, of which there are none of that name."""
NAMES_AN_AUDIENCE = {
    (method, f"{TASKS}/audiences/{name}") for method in ("GET", "HEAD", "DELETE") for name in ("sync", "preview")
}
IN_THE_BODY = (f"{TASKS}/status/", f"{V3}/tasks/export/")
"""Paths whose answers say there that a job is not known."""
NEEDS_RIGHT = {
    ("DELETE", f"{TASKS}/audiences/users/<anything:user_id>"),
    ("POST", f"{CELERY}/"),
    ("GET", "/metrics"),
    ("HEAD", "/metrics"),
}


class From(HTTPAdapter):
    """Connections from an address of the test's own, so that its wrong tokens are nobody else's."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, source_address=(self._address, 0))


_addresses = itertools.count(2)


class Caller(Client):
    """A client that says of itself what the test says, from an address of its own."""

    def __init__(self, url: str, authorization: str | None = None) -> None:
        super().__init__(url)
        self._session.mount("http://", From(f"127.0.0.{next(_addresses)}"))
        if authorization is not None:
            self._session.headers["Authorization"] = authorization


def bearer(token: str) -> str:
    return f"Bearer {token}"


@dataclass(frozen=True)
class Cell:
    """A method of a route, and what it declares; None for a method that there is not."""

    method: str
    path: str
    policy: Policy | None

    @property
    def of_a_job(self) -> bool:
        return "task_id>" in self.path

    @property
    def of_workers(self) -> bool:
        return self.path.startswith(WORKERS)


def cells() -> list[Cell]:
    """Every route with every method."""
    found = []
    for path, resource in (route for front in FRONTS for route in front.routes()):
        for method in (*METHODS, "head"):
            view = getattr(resource, "get" if method == "head" else method, None)
            found.append(Cell(method.upper(), path, None if view is None else operation_of(view).policy))
    return [cell for cell in found if cell.policy or (cell.method, cell.path) not in NAMES_AN_AUDIENCE]


CELLS = cells()
JOB_CELLS = [cell for cell in CELLS if cell.of_a_job and cell.policy]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service itself, with tokens and without Spark; one of the tokens was good until a moment ago."""
    folder = tmp_path_factory.mktemp("guarded")
    path = write_tokens(folder / "tokens.yaml", {**PRINCIPALS, REVOKED: Principal("cat", Role.ADMIN)})
    with refusing_spark() as address:
        settings = {"TAGAPI_SPARK__REMOTE": address, "TAGAPI_JOBS__DRAIN_SECONDS": "0.1"}
        for server in served(Server(folder, {**settings, "TAGAPI_AUTH__TOKENS_FILE": str(path)}), ready=False):
            with Client(server.url, REVOKED) as cat:
                assert cat.get(WORKERS).status_code == 200
                write_tokens(path)
                until(lambda: cat.get(WORKERS).status_code == 401, "the token is revoked", NOTICED)
            yield server


def job_of(server: Server, token: str, cell: Cell) -> str:
    """A new job, of the namespace that the cell is about."""
    with Client(server.url, token) as client:
        if cell.of_workers:
            return str(client.post(WORKERS, BODIES[WORKERS]).json()["task_id"])
        return client.trigger([1])


def call(caller: Client, cell: Cell, task_id: str = "") -> requests.Response:
    path = re.sub(r"<[^>]*:task_id>", task_id, cell.path)
    path = re.sub(r"<int:[^>]*>", "1", re.sub(r"<(?!int)[^>]*:[^>]*>", "user_000001", path))
    body = BODIES.get(cell.path) if cell.method in ("POST", "PUT") else None
    return caller.request(cell.method, path, json=body)


def told(response: requests.Response) -> tuple[int, dict[str, str], bytes]:
    """All that an answer tells, but what time it is and which request was answered."""
    headers = {**response.headers, "Date": "", "X-Request-ID": ""}
    return response.status_code, headers, response.content.replace(response.headers["X-Request-ID"].encode(), b"")


# -- the matrix ----------------------------------------------------------------------------


def test_the_matrix_has_every_route(guarded: Server) -> None:
    documented = {
        (method.upper(), path)
        for path, methods in guarded.read("/swagger.json")["paths"].items()
        for method in methods
        if method != "parameters"
    }
    declared = {(cell.method, re.sub(r"<[^:>]*:([^>]*)>", r"{\1}", cell.path)) for cell in CELLS if cell.policy}
    assert {(method, path) for method, path in declared if method != "HEAD"} == documented


@pytest.mark.parametrize("path", ["/docs", "/swagger.json", "/health", "/health/live"])
def test_what_is_public(guarded: Server, path: str) -> None:
    for authorization in (None, "Bearer wrong", bearer("ann-token")):
        with Caller(guarded.url, authorization) as caller:
            assert caller.get(path).status_code == 200
    assert {cell.path for cell in CELLS if cell.policy is Policy.PUBLIC} == {"/health", "/health/live", "/health/ready"}


WRONG = {
    "no token": None,
    "no scheme": "ann-token",
    "another scheme": "Basic YW5uOmFubi10b2tlbg==",
    "an empty token": "Bearer ",
    "an unknown token": "Bearer unknown",
    "a name": "Bearer ann",
    "a hash": bearer(digest_of("ann-token").hex()),
    "a revoked token": bearer(REVOKED),
}


@pytest.mark.parametrize("kind", WRONG)
def test_without_a_right_token_nothing_but_the_public(guarded: Server, kind: str) -> None:
    for first in range(0, len(CELLS), BURST):  # from one address no more wrong ones are answered at once
        with Caller(guarded.url, WRONG[kind]) as caller, Client(guarded.url) as nobody:
            for cell in CELLS[first : first + BURST]:
                answer = call(caller, cell, str(uuid.uuid4()))
                if cell.policy is None:
                    assert answer.status_code == 405, cell
                elif cell.policy is Policy.PUBLIC:
                    assert answer.status_code == call(nobody, cell).status_code, cell
                else:
                    assert answer.status_code == 401, cell
                    assert answer.headers["WWW-Authenticate"] == "Bearer", cell
                    assert cell.method == "HEAD" or answer.json(), cell


@pytest.mark.parametrize(("size", "requests_left"), [(50_000, 3), (2_000_000, 1)])
def test_a_body_that_nobody_may_send_is_refused_by_its_headers(guarded: Server, size: int, requests_left: int) -> None:
    """What is left of it is no request; after a large one the connection ends."""
    body = b'{"task_type": "' + b"x" * size + b'"}'
    with Caller(guarded.url, "Bearer wrong") as caller:
        for _ in range(requests_left):
            refused = caller.request("POST", WORKERS, data=body, headers={"Content-Type": "application/json"})
            assert refused.status_code == 401
            assert refused.json()["error"]["code"] == "AUTHENTICATION_REQUIRED"


def let_in(cell: Cell, status: int) -> bool:
    """Whether an answer is one of somebody who may: what needs Spark has none here, and no job is parked."""
    if cell.path == WITHOUT_HANDSHAKE:
        return status == 400
    if cell.path in NOT_THERE:
        return status == 404
    if cell.path.startswith(f"{V3}/stream"):  # some are made and removed in passing, and none is the target
        return status in {200, 400, 404, 503}
    if cell.path.startswith(CELERY):  # there is no scope, and no such task, schedule or kind
        return status in {200, 400, 404}
    return status in {200, 201, 202, 503, HTTPStatus.CONFLICT if cell.path.endswith(TOO_EARLY) else 200}


@pytest.mark.parametrize(
    ("token", "owner"), [("ann-token", "ann-token"), ("root-token", "root-token"), ("root-token", "ann-token")]
)
def test_a_right_token_does_what_is_declared(guarded: Server, token: str, owner: str) -> None:
    with Client(guarded.url, token) as caller:
        for cell in CELLS:
            answer = call(caller, cell, job_of(guarded, owner, cell) if cell.of_a_job and cell.policy else "1")
            if cell.policy is None:
                assert answer.status_code == 405, cell
            elif token != "root-token" and (cell.policy is Policy.ADMIN or (cell.method, cell.path) in NEEDS_RIGHT):
                assert answer.status_code == 403, cell
            else:
                assert let_in(cell, answer.status_code), (cell, answer.status_code, answer.text)


def test_another_users_job_is_an_unknown_one(guarded: Server) -> None:
    with Client(guarded.url, "bob-token") as bob:
        for cell in JOB_CELLS:
            theirs, nobodys = job_of(guarded, "ann-token", cell), str(uuid.uuid4())
            foreign, unknown = call(bob, cell, theirs), call(bob, cell, nobodys)
            says_so = 200 if cell.path.startswith(IN_THE_BODY) else 404
            assert foreign.status_code == (403 if cell.policy is Policy.ADMIN else says_so), cell
            status, headers, content = told(unknown)
            assert told(foreign) == (status, headers, content.replace(nobodys.encode(), theirs.encode())), cell


def test_lists_and_totals_are_their_own(guarded: Server) -> None:
    with Client(guarded.url, "ann-token") as ann, Client(guarded.url, "root-token") as root:
        ann.trigger([1])
        ann.post(WORKERS, BODIES[WORKERS])
        ids = [job["created_by"] for job in ann.read(WORKERS, page_size=100)["results"]]
        assert set(ids) == {"ann"}
        assert root.read("/api/v1/tasks")["total"] > ann.read("/api/v1/tasks")["total"] > 0
    newcomer = Principal("newcomer", Role.USER)
    path = write_tokens(guarded.folder / "tokens.yaml", {**PRINCIPALS, "new-token": newcomer})
    with Client(guarded.url, "new-token") as new:
        until(lambda: new.get(WORKERS).status_code == 200, "the newcomer is known", NOTICED)
        assert new.read(WORKERS) == {"count": 0, "next": None, "previous": None, "results": []}
        assert new.read("/api/v1/tasks") == {"success": True, "tasks": [], "total": 0, "next": None}
        assert new.read("/api/v1/tasks", tag_id=1, status="submitted")["total"] == 0
    write_tokens(path)


# -- probes --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """Something that somebody tries on a job, by its UUID or by its number."""

    method: str
    path: str
    headers: Mapping[str, str]

    def on(self, client: Client, reference: object) -> tuple[int, dict[str, str], bytes]:
        return told(client.request(self.method, self.path.format(reference), headers=self.headers))


ETAG = f'"{digest_of("x").hex()}"'
RESULT_HEADERS: list[Mapping[str, str]] = [
    {},
    {"Range": "bytes=0-9"},
    {"Range": "bytes=999999-"},
    {"If-None-Match": "*"},
    {"If-None-Match": ETAG},
    {"If-Match": ETAG},
    {"If-Modified-Since": "Sun, 22 Nov 2099 00:00:00 GMT"},
]
PROBES = [
    *(
        Probe(method, f"{WORKERS}{{}}{rest}", {})
        for rest in ("/", "", "/status/", "/status")
        for method in ("GET", "HEAD")
    ),
    *(Probe("DELETE", f"{WORKERS}{{}}{slash}", {}) for slash in ("/", "")),
    *(Probe(method, f"{WORKERS}{{}}/result/", headers) for headers in RESULT_HEADERS for method in ("GET", "HEAD")),
    Probe("GET", f"{WORKERS}{{}}/result/?nope=1", {}),
    Probe("GET", "/api/v1/tasks/{}/status", {}),
    Probe("DELETE", "/api/v1/tasks/{}", {}),
    Probe("PUT", f"{WORKERS}{{}}/", {}),
    Probe("POST", f"{WORKERS}{{}}/", {}),
]


@pytest.fixture(scope="module")
def victims(stand_in: Server) -> Iterator[tuple[Client, list[dict[str, Any]], list[str]]]:
    """Ann, her jobs in every state, and the keys that she used."""
    with Client(stand_in.url, "ann-token") as ann:
        jobs, keys = [], []
        for batch_size in (*range(100, 117), RUNS, RUNS, FAILS):
            keys.append(f"key-{uuid.uuid4()}")
            made = ann.post(
                WORKERS, {"task_type": "users_export", "batch_size": batch_size}, {"Idempotency-Key": keys[-1]}
            )
            jobs.append(made.json())
        until(lambda: ann.read(f"{WORKERS}{jobs[0]['id']}/")["status"] == "completed", "a job is done")
        yield ann, jobs, keys
        for job in jobs:
            ann.delete(f"{WORKERS}{job['id']}/")


def test_a_thousand_probes_find_nothing(victims: tuple[Client, list[dict[str, Any]], list[str]]) -> None:
    ann, jobs, keys = victims
    seen = [ann.read(f"{WORKERS}{job['id']}/") for job in jobs]
    probes = 0
    with Client(ann.url, "bob-token") as bob:
        for probe in PROBES:
            unknown = {"task_id": probe.on(bob, uuid.uuid4()), "id": probe.on(bob, 10**9)}
            for job, key in itertools.product(jobs, ("id", "task_id")):
                assert probe.on(bob, job[key]) == unknown[key], (probe, key)
                probes += 1
        for key, job in zip(keys, jobs, strict=True):
            batch_size = 100 + keys.index(key)
            for body in ({"task_type": "users_export", "batch_size": batch_size}, {"task_type": "data_analysis"}):
                made = bob.post(WORKERS, body, {"Idempotency-Key": f"{key}"})
                probes += 1
                assert made.status_code in (201, 422), "a key of bob's own, from then on"
                assert "Idempotency-Replayed" not in made.headers
                assert job["task_id"] not in made.text
        for parameters in ({}, {"status": "completed"}, {"task_type": "users_export"}, {"page_size": 100}):
            assert not {job["task_id"] for job in jobs} & set(
                re.findall(r"[0-9a-f-]{36}", bob.get(WORKERS, **parameters).text)
            )
            probes += 1
    assert probes >= 1000
    assert [ann.read(f"{WORKERS}{job['id']}/")["task_id"] for job in jobs] == [one["task_id"] for one in seen]
    assert [ann.read(f"{WORKERS}{job['id']}/")["status"] != "cancelled" for job in jobs] == [True] * len(jobs)
    assert ann.get(f"{WORKERS}{jobs[0]['id']}/result/").content == content_of("users_export.csv")


def test_an_admin_sees_cancels_and_downloads_everybodys(
    victims: tuple[Client, list[dict[str, Any]], list[str]],
) -> None:
    ann, jobs, _ = victims
    with Client(ann.url, "root-token") as root:
        for job in jobs:
            assert root.get(f"{WORKERS}{job['id']}/").content == ann.get(f"{WORKERS}{job['id']}/").content
        assert root.get(f"{WORKERS}{jobs[0]['id']}/result/").content == content_of("users_export.csv")
        running = next(job["id"] for job in jobs if root.read(f"{WORKERS}{job['id']}/")["status"] == "processing")
        assert root.delete(f"{WORKERS}{running}/").json() == {"status": "cancelled"}


def test_who_asks_at_the_same_time_is_never_mixed_up(stand_in: Server) -> None:
    def ask(token: str) -> set[str]:
        """The owners of what a caller is shown and makes, in many requests."""
        with Client(stand_in.url, token) as client:
            answers = [client.post(WORKERS, {"task_type": "data_analysis"}).json() for _ in range(25)]
            return {one["created_by"] for one in answers + client.read(WORKERS, page_size=100)["results"]}

    tokens = ["ann-token", "bob-token"] * 6
    with ThreadPoolExecutor(len(tokens)) as pool:
        assert list(pool.map(ask, tokens)) == [{PRINCIPALS[token].name} for token in tokens]


# -- wrong tokens --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        (WORKERS, lambda body: body["error"]["code"] == "RATE_LIMITED"),
        ("/api/v1/tasks", lambda body: body["success"] is False and body["error"] == "Too many wrong tokens"),
    ],
)
def test_guessing_is_slowed_down_and_locks_nobody_out(
    guarded: Server, path: str, shape: Callable[[dict[str, Any]], bool]
) -> None:
    with Caller(guarded.url) as caller:

        def attempt(token: str) -> requests.Response:
            return caller.request("GET", path, headers={"Authorization": bearer(token)})

        statuses = [attempt(f"guess-{number}").status_code for number in range(BURST + 50)]
        assert statuses[:BURST] == [401] * BURST
        assert 429 in statuses
        (limited,) = until(lambda: [one for one in [attempt("guess")] if one.status_code == 429], "a refusal")
        assert int(limited.headers["Retry-After"]) >= 1
        assert shape(limited.json())
        for _ in range(50):
            attempt("guess")
            assert attempt("ann-token").status_code == 200
        assert caller.get(path).status_code == 401, "no token is no guess"


# -- the tokens file -----------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """A server whose tokens file the test may change."""
    path = write_tokens(tmp_path / "tokens.yaml")
    with refusing_spark() as address:
        settings = {"TAGAPI_SPARK__REMOTE": address, "TAGAPI_JOBS__DRAIN_SECONDS": "0.1"}
        for server in served(Server(tmp_path, {**settings, "TAGAPI_AUTH__TOKENS_FILE": str(path)}), ready=False):
            yield server, path


def test_a_tokens_file_that_breaks_lets_nobody_in_until_it_is_mended(own: tuple[Server, Path]) -> None:
    server, path = own
    with Client(server.url, "ann-token") as ann:
        assert ann.get(WORKERS).status_code == 200
        kept = path.read_bytes()
        for broken in (path.unlink, lambda: path.write_text("- {name: ann, sha256: secret}", "utf-8")):
            broken()
            (refused,) = until(
                lambda: [one for one in [ann.get(WORKERS)] if one.status_code != 200], "it is refused", NOTICED
            )
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "STORE_UNAVAILABLE")
            assert int(refused.headers["Retry-After"]) >= 1
            assert server.get(WORKERS).status_code == 401
            assert server.get("/health").status_code == 200
            path.write_bytes(kept)
            until(lambda: ann.get(WORKERS).status_code == 200, "let in again", NOTICED)
    records = [json.loads(line) for line in server.log_file.read_text(encoding="utf-8").splitlines()]
    told = [record["level"] for record in records if record["event"] == "tokens_unusable"]
    assert told == ["error", "error"]
    assert "secret" not in server.log_file.read_text(encoding="utf-8")


# -- logs ----------------------------------------------------------------------------------


def mangled(token: str) -> list[bytes]:
    """Requests that carry a token and that no server takes."""
    line = f"Authorization: Bearer {token}".encode()
    rest = b"Host: x\r\n\r\n"
    return [
        b"GET /health HTTP/1.1\r\n" + line + b"\x00\r\n" + rest,
        b"GET /health HTTP/1.1\r\n" + line + b"\n\x01\r\n" + rest,
        b"GET /health HTTP/1.1\r\n" + line.replace(b":", b"") + b"\r\n" + rest,
        b"GET /health HTTP/1.1\r\n" + line.replace(b":", b" :") + b"\r\n" + rest,
        b"GET /health HTTP/1.1\r\nX: y\r\n " + line + b"\r\n" + rest,
        b"GET /health HTTP/1.1\r\n" + line.replace(b"Authorization: ", b"") + b"(:x\r\n" + rest,
        line + b"\r\n" + rest,
        b"GET /health HTTP/1.1 " + line + b"\r\n" + rest,
        b"G(" + token.encode() + b" /health HTTP/1.1\r\n" + rest,
        b"GET /health HTTP/" + token.encode() + b"\r\n" + rest,
        b"GET /health HTTP/1.1\r\nExpect: " + token.encode() + b"\r\n" + rest,
        b"GET /health HTTP/1.1\r\nTransfer-Encoding: " + token.encode() + b"\r\n" + rest,
        b"GET /health HTTP/1.1\r\nContent-Length: " + token.encode() + b"\r\n" + rest,
        b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + token.encode() + b"\r\n\r\n",
    ]


def test_tokens_reach_neither_log_nor_answer(guarded: Server) -> None:
    token = "tagapi_a-token-that-nobody-may-read"
    for request in mangled(token):
        with socket.create_connection(("127.0.0.1", guarded.port), timeout=5) as connection:
            connection.sendall(request)
            connection.settimeout(2)
            answer = b""
            try:
                while part := connection.recv(65536):
                    answer += part
            except (TimeoutError, ConnectionError):
                pass
            assert token.encode() not in answer, request
    with Caller(guarded.url, bearer(token)) as caller:
        caller.get(WORKERS)
        caller.post(WORKERS, {"task_type": token})
        caller.request("BREW", WORKERS)
    time.sleep(0.2)
    written = guarded.output.read_text(encoding="utf-8") + guarded.log_file.read_text(encoding="utf-8")
    for secret in (token, *PRINCIPALS, REVOKED):
        assert secret not in written
        assert digest_of(secret).hex() not in written
