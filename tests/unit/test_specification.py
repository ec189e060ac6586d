"""The specification without a server: valid by a validator that knows Swagger 2.0 and is not ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft4Validator
from marshmallow import Schema
from openapi_spec_validator import OpenAPIV2SpecValidator

from tagapi.auth import OpenGate
from tagapi.namespaces.celery_task import asked as celery_asked
from tagapi.namespaces.celery_task import schemas as celery_schemas
from tagapi.namespaces.export import asked as export_asked
from tagapi.namespaces.export import schemas as export_schemas
from tagapi.namespaces.health import schemas as health_schemas
from tagapi.namespaces.tags import schemas as tags_schemas
from tagapi.namespaces.tasks import asked as tasks_asked
from tagapi.namespaces.tasks import schemas as tasks_schemas
from tagapi.namespaces.tasks import schemas_page as tasks_schemas_page
from tagapi.namespaces.tasks import webhook_shapes
from tagapi.namespaces.workers import schemas as workers_schemas
from tests.unit.fronts import client_of

FILE = "file"  # a type that Swagger 2.0 knows in answers, and the validator does not


@pytest.fixture(scope="module")
def specification() -> dict[str, Any]:
    told = client_of(OpenGate()).get("/swagger.json").json
    assert told is not None
    return told


def test_a_strict_validator_finds_nothing_wrong(specification: dict[str, Any]) -> None:
    wrong = [error for error in OpenAPIV2SpecValidator(specification).iter_errors() if error.instance != FILE]
    assert [f"{list(error.path)}: {error.message}" for error in wrong] == []


def test_what_may_be_left_out_has_no_default_of_null(specification: dict[str, Any]) -> None:
    """The page would say `Default value: null`, and offer to send it."""
    told = json.dumps(specification)
    assert '"default": null' not in told
    assert '"default": 100' in told, "other defaults are told"


# -- what the page shows -------------------------------------------------------------------


Shown = tuple[str, str, str, dict[str, Any]]


def _answers(specification: dict[str, Any]) -> Iterator[Shown]:
    """Every answer of every operation: method, path, status, and what is said of it."""
    for path, methods in specification["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                for status, answer in operation["responses"].items():
                    yield method.upper(), path, status, answer


def _nullable(part: Any) -> Any:
    """The schema as JSON Schema has it, which says null in another way."""
    if isinstance(part, list):
        return [_nullable(one) for one in part]
    if not isinstance(part, dict):
        return part
    told = {key: _nullable(value) for key, value in part.items()}
    return {"anyOf": [told, {"type": "null"}]} if part.get("x-nullable") is True else told


def test_every_answer_has_an_example_that_it_could_give(specification: dict[str, Any]) -> None:
    definitions = _nullable(specification["definitions"])
    for method, path, status, answer in _answers(specification):
        if answer["schema"] == {"type": "file"}:
            continue
        example = answer["examples"]["application/json"]
        schema = {"definitions": definitions, "allOf": [answer["schema"]]}
        wrong = [error.message for error in Draft4Validator(schema).iter_errors(example)]
        assert wrong == [], (method, path, status)


def _example(specification: dict[str, Any], method: str, path: str, status: int) -> Any:
    return specification["paths"][path][method]["responses"][str(status)]["examples"]["application/json"]


@pytest.mark.parametrize(
    ("method", "path", "status", "word"),
    [
        ("post", "/api/v1/workers/", 201, "pending"),
        ("delete", "/api/v1/workers/{task_id}/", 200, "cancelled"),
        ("delete", "/api/v1/workers/{task_id}/", 202, "processing"),
        ("post", "/api/tasks/publish/meta", 202, "PENDING"),
        ("post", "/api/tasks/cancel/{task_id}", 200, "REVOKED"),
        ("post", "/api/tasks/cancel/{task_id}", 202, "STARTED"),
        ("post", "/api/tasks/retry/{task_id}", 202, "PENDING"),
        ("get", "/api/tasks/status/{task_id}", 200, "SUCCESS"),
        ("get", "/health/live", 200, "alive"),
        ("get", "/health/ready", 200, "ready"),
        ("get", "/health/ready", 503, "starting"),
    ],
)
def test_an_example_fits_its_status(
    specification: dict[str, Any], method: str, path: str, status: int, word: str
) -> None:
    assert _example(specification, method, path, status)["status"] == word


@pytest.mark.parametrize(("status", "word"), [(200, "cancelled"), (202, "running")])
def test_what_is_cancelled_has_no_result(specification: dict[str, Any], status: int, word: str) -> None:
    told = _example(specification, "delete", "/api/v1/tasks/{task_id}", status)["status"]
    assert told["status"] == word
    assert "result" not in told


def test_an_example_of_a_refusal_is_one_of_that_status(specification: dict[str, Any]) -> None:
    seen: dict[str, set[str]] = {}
    for method, path, status, answer in _answers(specification):
        if status >= "400" and path.startswith("/api/v1/workers/") and not path.endswith("/settle/"):
            seen.setdefault(f"{method} {status}", set()).add(answer["examples"]["application/json"]["error"]["code"])
    assert seen["POST 400"] == seen["GET 400"] == {"VALIDATION_ERROR"}
    assert seen["DELETE 400"] == {"TASK_CANNOT_CANCEL"}
    assert seen["GET 401"] == seen["POST 401"] == {"AUTHENTICATION_REQUIRED"}
    assert seen["POST 413"] == {"PAYLOAD_TOO_LARGE"}
    assert seen["POST 503"] == {"QUEUE_FULL"}
    assert seen["GET 503"] == {"STORE_UNAVAILABLE"}
    told = _example(specification, "get", "/api/v1/tasks", 401)
    assert (told["error"], told["message"]) == ("Authentication required", "需要有效的访问令牌")


def test_only_what_can_be_answered_is_said_of_a_status(specification: dict[str, Any]) -> None:
    for method, path, status, answer in _answers(specification):
        if path.startswith("/api/v1/workers/"):
            assert ("TASK_CANNOT_CANCEL" in answer["description"]) == (method == "DELETE" and status == "400")
            starts = (method, path) == ("POST", "/api/v1/workers/")
            assert ("QUEUE_FULL" in answer["description"]) == (starts and status == "503")


@pytest.mark.parametrize(("method", "path"), [("delete", "{celery_id}/"), ("post", "revoke/")])
def test_each_code_of_what_cannot_be_revoked_is_told(specification: dict[str, Any], method: str, path: str) -> None:
    answers = specification["paths"][f"/api/celery_task/{path}"][method]["responses"]
    told = "; ".join(answers[status]["description"] for status in ("404", "409"))
    assert set(re.findall(r"10\d", told)) == {"102", "103", "104", "105"}


def test_no_summary_is_cut_within_a_name(specification: dict[str, Any]) -> None:
    """It ends at the first full stop, wherever that is."""
    every = [one for methods in specification["paths"].values() for one in methods.values() if isinstance(one, dict)]
    assert [one["summary"] for one in every if one["summary"].count("`") % 2] == []


def test_the_example_of_a_period_finds_the_sample(specification: dict[str, Any]) -> None:
    """Whose days are counted back from the day on which it is made."""
    shown = specification["definitions"]["CreateRequest"]
    for period in (shown["example"], {name: one.get("example") for name, one in shown["properties"].items()}):
        now = datetime.now(UTC)
        assert datetime.fromisoformat(period["date_from"]) < now - timedelta(days=730)
        assert now < datetime.fromisoformat(period["date_to"])


def test_the_page_begins_with_a_quick_start(specification: dict[str, Any]) -> None:
    told = specification["info"]["description"]
    assert "Quick start" in told
    for path in re.findall(r"\$API((?:/[a-z][a-z0-9]*)+)", told):
        assert any(re.sub("{[^}]*}", "coffee", known).startswith(path) for known in specification["paths"]), path


def test_each_section_says_in_english_what_it_is(specification: dict[str, Any]) -> None:
    sections = {tag["name"]: tag["description"] for tag in specification["tags"]}
    assert list(sections) == ["tags", "workers", "tasks", "export", "celery_task", "health", "metrics"]
    for text in sections.values():
        assert re.search(r"[A-Za-z]+(,? [a-z]+){3}", text)


def test_probes_are_a_section_of_their_own(specification: dict[str, Any]) -> None:
    for path, methods in specification["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                assert (operation["tags"] == ["health"]) == path.startswith("/health"), path


def test_no_two_shapes_have_one_name() -> None:
    """The second one would be shown as the first."""
    modules = (
        tags_schemas,
        workers_schemas,
        tasks_schemas,
        tasks_schemas_page,
        tasks_asked,
        webhook_shapes,
        export_asked,
        export_schemas,
        celery_asked,
        celery_schemas,
        health_schemas,
    )
    names = [one.__name__ for module in modules for one in vars(module).values() if _is_shape(one, module.__name__)]
    assert len(names) > 20
    assert len(names) == len(set(names))


def _is_shape(one: Any, module: str) -> bool:
    return isinstance(one, type) and issubclass(one, Schema) and one.__module__ == module
