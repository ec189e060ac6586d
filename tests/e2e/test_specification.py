"""The specification is valid, complete and true; its page needs nothing from elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tagapi.namespaces.index import PLACES
from tests.e2e.server import Client, Server, refusing_spark, run_python, until

EXAMPLES = 15
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
OPERATIONS = [
    ("GET", "/health"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("POST", "/api/v1/tags/trigger"),
    ("GET", "/api/v1/tags/available"),
    ("GET", "/api/v1/tags/{tag_id}"),
    ("GET", "/api/v1/tags/{tag_id}/users"),
    ("GET", "/api/v1/tasks"),
    ("DELETE", "/api/v1/tasks/{task_id}"),
    ("GET", "/api/v1/tasks/{task_id}/status"),
    ("POST", "/api/v1/tasks/{task_id}/settle"),
    ("GET", "/api/v1/users/{user_id}/tags"),
    ("GET", "/api/v1/workers/"),
    ("POST", "/api/v1/workers/"),
    ("GET", "/api/v1/workers/{task_id}/"),
    ("DELETE", "/api/v1/workers/{task_id}/"),
    ("GET", "/api/v1/workers/{task_id}/status/"),
    ("GET", "/api/v1/workers/{task_id}/result/"),
    ("POST", "/api/v1/workers/{task_id}/settle/"),
    ("GET", "/api/tasks/status/{task_id}"),
    ("GET", "/api/tasks"),
    ("POST", "/api/tasks/cancel/{task_id}"),
    ("POST", "/api/tasks/retry/{task_id}"),
    ("POST", "/api/tasks/settle/{task_id}"),
    ("GET", "/api/tasks/progress/{task_id}"),
    ("GET", "/api/tasks/events/{task_id}"),
    ("GET", "/api/tasks/ws"),
    ("POST", "/api/tasks/ws/ticket"),
    ("GET", "/api/tasks/whoami"),
    ("GET", "/api/tasks/service"),
    ("GET", "/api/tasks/arguments/{task_id}"),
    ("POST", "/api/tasks/audiences/preview"),
    ("POST", "/api/tasks/publish/meta"),
    ("POST", "/api/tasks/publish/google"),
    ("GET", "/api/tasks/webhooks"),
    ("POST", "/api/tasks/webhooks"),
    ("GET", "/api/tasks/webhooks/{webhook_id}"),
    ("DELETE", "/api/tasks/webhooks/{webhook_id}"),
    ("POST", "/api/tasks/webhooks/{webhook_id}/resume"),
    ("GET", "/api/tasks/webhooks/{webhook_id}/deliveries"),
    ("POST", "/api/tasks/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver"),
    ("POST", "/api/v3/stream/export"),
    ("POST", "/api/v3/stream/s/{stream_id}/export"),
    ("POST", "/api/v3/stream/p/{project_id}/export"),
    ("GET", "/api/v3/tasks/export"),
    ("GET", "/api/v3/tasks/export/{task_id}"),
    ("DELETE", "/api/v3/tasks/export/{task_id}"),
    ("POST", "/api/v3/stream/query/validate"),
    ("GET", "/api/v1/status/credits"),
    ("GET", "/api/v3/stream/info"),
    ("GET", "/api/v3/stream/c/{collector_id}"),
    ("PUT", "/api/v3/stream/c/{collector_id}"),
    ("DELETE", "/api/v3/stream/c/{collector_id}"),
    ("POST", "/api/v3/stream/c/{collector_id}/pause"),
    ("POST", "/api/v3/stream/c/{collector_id}/resume"),
    ("GET", "/api/v3/stream/s/{stream_id}"),
    ("PUT", "/api/v3/stream/s/{stream_id}"),
    ("DELETE", "/api/v3/stream/s/{stream_id}"),
    ("GET", "/api/v3/stream/p/{project_id}"),
    ("PUT", "/api/v3/stream/p/{project_id}"),
    ("DELETE", "/api/v3/stream/p/{project_id}"),
    ("GET", "/api/celery_task/types/"),
    ("GET", "/api/celery_task/"),
    ("POST", "/api/celery_task/"),
    ("GET", "/api/celery_task/{celery_id}/"),
    ("DELETE", "/api/celery_task/{celery_id}/"),
    ("POST", "/api/celery_task/revoke/"),
    ("POST", "/api/celery_task/batch_revoke/"),
    ("GET", "/api/celery_task/active/"),
    ("GET", "/api/celery_task/{celery_id}/result/"),
    ("GET", "/api/celery_task/assets/{kind}/"),
    ("GET", "/api/celery_task/scopes/"),
    ("GET", "/api/celery_task/schedules/"),
    ("GET", "/api/celery_task/schedules/{schedule_id}/"),
    ("DELETE", "/api/celery_task/schedules/{schedule_id}/"),
    ("POST", "/api/celery_task/schedules/{schedule_id}/pause/"),
    ("POST", "/api/celery_task/schedules/{schedule_id}/resume/"),
]
REFUSING = [
    ("POST", "/api/v1/tags/trigger"),
    ("GET", "/api/v1/tags/{tag_id}"),
    ("GET", "/api/v1/tags/{tag_id}/users"),
    ("GET", "/api/v1/tasks"),
    ("POST", "/api/v1/tasks/{task_id}/settle"),
    ("GET", "/api/v1/users/{user_id}/tags"),
    ("GET", "/api/v1/workers/"),
    ("POST", "/api/v1/workers/"),
    ("POST", "/api/v1/workers/{task_id}/settle/"),
    ("GET", "/api/tasks"),
    ("POST", "/api/tasks/retry/{task_id}"),
    ("POST", "/api/tasks/settle/{task_id}"),
    ("POST", "/api/tasks/publish/meta"),
    ("POST", "/api/tasks/publish/google"),
    ("GET", "/api/tasks/webhooks"),
    ("POST", "/api/tasks/webhooks"),
    ("GET", "/api/tasks/webhooks/{webhook_id}/deliveries"),
    ("POST", "/api/v3/stream/export"),
    ("POST", "/api/v3/stream/query/validate"),
    ("POST", "/api/v3/stream/count"),
    ("GET", "/api/v3/tasks/export"),
    ("GET", "/api/v3/stream/info"),
    ("PUT", "/api/v3/stream/c/{collector_id}"),
    ("PUT", "/api/v3/stream/s/{stream_id}"),
    ("PUT", "/api/v3/stream/p/{project_id}"),
    ("POST", "/api/celery_task/"),
    ("GET", "/api/celery_task/"),
    ("POST", "/api/celery_task/revoke/"),
    ("POST", "/api/celery_task/batch_revoke/"),
    ("GET", "/api/celery_task/{celery_id}/result/"),
    ("GET", "/api/celery_task/schedules/"),
]
"""Those for whose parameters there are wrong values."""

POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
LIST_ROUTES = """
import json
from tagapi.app import create_app
from tagapi.settings import load_settings
app = create_app(load_settings("local"))
routes = [[rule.rule, sorted(rule.methods - {"HEAD", "OPTIONS"}), rule.endpoint] for rule in app.url_map.iter_rules()]
print(json.dumps(routes), flush=True)
import os; os._exit(0)
"""
NOT_OURS = ("/swaggerui/<path:filename>", "/swagger.json", "/docs", "/docs/", "/page/<release>/<path:name>", *PLACES)
"""Routes that the documentation itself is made of, and those that lead there."""


@pytest.fixture(scope="module")
def specification(server: Server) -> dict[str, Any]:
    response = server.get("/swagger.json")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    told: dict[str, Any] = response.json()
    return told


@pytest.fixture(scope="module")
def schema(tagged: Server) -> Any:
    """Without its tokens, which this server does not ask for: `test_auth.py` has a server that does."""
    found = schemathesis.openapi.from_url(f"{tagged.url}/swagger.json", wait_for_schema=10)
    found.config.generation.update(with_security_parameters=False)
    return found


def test_it_is_valid_swagger_2(specification: dict[str, Any], schema: Any) -> None:
    assert specification["swagger"] == "2.0"
    schema.validate()


def test_every_reference_leads_somewhere(specification: dict[str, Any]) -> None:
    references = set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(specification)))
    assert references <= {f"#/definitions/{name}" for name in specification["definitions"]}


def _operations(specification: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in specification["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    }


def test_every_route_is_documented_with_its_answers(specification: dict[str, Any], tmp_path: Path) -> None:
    with refusing_spark() as address:
        listed = run_python("-c", LIST_ROUTES, folder=tmp_path, variables={"TAGAPI_SPARK__REMOTE": address})
    assert listed.returncode == 0, listed.stderr
    routes = {
        (method, re.sub(r"<(?:[^:<>]*:)?([^<>]*)>", r"{\1}", rule))
        for rule, methods, _ in json.loads(listed.stdout.splitlines()[-1])
        if rule not in NOT_OURS
        for method in methods
    }
    documented = _operations(specification)
    assert routes == set(documented)
    assert set(OPERATIONS) <= routes
    for (method, path), operation in documented.items():
        assert operation["summary"] and operation["summary"].count("`") % 2 == 0, (method, path)  # else it is cut
        assert operation["responses"], (method, path)
        for status, answer in operation["responses"].items():
            assert status.isdigit() and answer["description"] and answer["schema"], (method, path, status)
        assert any(status.startswith("2") or status == "101" for status in operation["responses"])
        in_path = set(re.findall(r"{([^}]*)}", path))
        shared = specification["paths"][path].get("parameters", [])
        parameters = [*shared, *operation.get("parameters", [])]
        assert {one["name"] for one in parameters if one["in"] == "path"} == in_path
    assert len({operation["operationId"] for operation in documented.values()}) == len(documented)


def test_the_trigger_documents_its_key_and_its_body(specification: dict[str, Any]) -> None:
    trigger = _operations(specification)["POST", "/api/v1/tags/trigger"]
    assert {"Idempotency-Key", "payload"} <= {one["name"] for one in trigger["parameters"]}
    assert {"202", "400", "413", "415", "422", "429", "503"} <= set(trigger["responses"])


# -- the page ------------------------------------------------------------------------------


def test_the_page_needs_no_other_host(server: Server) -> None:
    page = server.get("/docs")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "/swagger.json" in page.text
    loaded = re.findall(r'<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="([^"]*)"', page.text)
    assert any(one.endswith(".js") for one in loaded) and any(one.endswith(".css") for one in loaded)
    for place in loaded:
        _fetch(server, "/docs", place)


def test_a_token_that_is_pasted_alone_is_sent_as_one(server: Server) -> None:
    """By the page's own script, which stands among its options exactly once."""
    page = server.get("/docs").text
    options = page[page.index("new SwaggerUIBundle({") :]
    assert options.count("requestInterceptor:") == page.count("requestInterceptor:") == 1


def _fetch(server: Server, base: str, place: str) -> None:
    """Load what a page refers to, and what a style sheet in turn refers to, from this server alone."""
    path = urljoin(base, place)
    assert not urlsplit(path).netloc, f"{base} loads {place}"
    found = server.get(path)
    assert found.status_code == 200, f"{base} loads {place}"
    assert found.content
    if path.endswith(".css"):
        for inner in re.findall(r"(?:url\(\s*|@import\s+)[\"']?([^\"')\s;]+)", found.text):
            if not inner.startswith("data:"):
                _fetch(server, path, inner)


# -- the live service against its specification --------------------------------------------


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_service_answers_as_it_says(tagged: Server, schema: Any, method: str, path: str) -> None:
    known = {"tag_id": 3, "task_id": _known_task(tagged, path)}
    fixed = {name: value for name, value in known.items() if f"{{{name}}}" in path}
    _conforms(tagged, schema[path][method].as_strategy(generation_mode=POSITIVE, path_parameters=fixed or None))


def _known_task(server: Server, path: str) -> str:
    """The id of a task of the path's namespace."""
    if "/workers/" in path:
        return str(server.post("/api/v1/workers/", {"task_type": "data_cleanup"}).json()["task_id"])
    return str(server.read("/api/v1/tasks", page_size=1)["tasks"][0]["task_id"])


@pytest.mark.parametrize(("method", "path"), REFUSING)
def test_the_service_refuses_what_it_does_not_document(tagged: Server, schema: Any, method: str, path: str) -> None:
    _conforms(tagged, schema[path][method].as_strategy(generation_mode=NEGATIVE))


@pytest.mark.parametrize(("method", "path"), [one for one in OPERATIONS if "/workers/" in one[1]])
def test_a_finished_worker_task_is_told_as_it_says(stand_in: Server, method: str, path: str) -> None:
    """With tokens, and with a file to download."""
    headers = {"Authorization": "Bearer ann-token"}
    with Client(stand_in.url, "ann-token") as ann:
        made = ann.post("/api/v1/workers/", {"task_type": "bookings_export", "format": "parquet"}).json()
        until(lambda: ann.read(f"/api/v1/workers/{made['id']}/")["result_file"], "it is done")
    told = schemathesis.openapi.from_url(f"{stand_in.url}/swagger.json", wait_for_schema=10)
    told.config.generation.update(with_security_parameters=False)
    fixed = {"task_id": made["task_id"]} if "task_id" in path else None
    _conforms(stand_in, told[path][method].as_strategy(generation_mode=POSITIVE, path_parameters=fixed), headers)


def _conforms(server: Server, cases: Any, headers: dict[str, str] | None = None) -> None:
    """Send EXAMPLES requests, the same in every run, and check every answer."""

    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    @hypothesis.given(case=cases)
    def conforms(case: Any) -> None:
        case.call_and_validate(base_url=server.url, checks=CHECKS, headers=headers, timeout=30)

    conforms()
