"""Segments over HTTP: trained, read, predicted, and an audience made of one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.server import Server
from tests.e2e.test_tasks_audiences import done

MODEL = "/api/tasks/segments/models/clientes"


@pytest.fixture(scope="module")
def trained(server: Server) -> dict[str, Any]:
    ended = done(server, "/api/tasks/segments/train", model="clientes", segments=3)
    assert ended["status"] == "SUCCESS", ended
    result: dict[str, Any] = ended["result"]
    return result


def test_a_model_is_trained_and_can_be_read(server: Server, trained: dict[str, Any]) -> None:
    assert trained["success"] is True and trained["version"] >= 1 and len(trained["segments"]) == 3
    assert all(one["description"] for one in trained["segments"])
    listed = {one["model"]: one for one in server.read("/api/tasks/segments/models")["models"]}
    assert listed["clientes"]["segments"] == 3
    whole = server.read(MODEL)
    assert whole["segments"] == trained["segments"] and whole["silhouette"] == trained["silhouette"]
    assert server.read(MODEL, version=1)["version"] == 1


def test_everybody_is_put_into_a_segment(server: Server, trained: dict[str, Any]) -> None:
    result = done(server, "/api/tasks/segments/predict", model="clientes")["result"]
    assert result["updated_count"] == trained["users"] == sum(one["users"] for one in result["segments"])
    told = server.read(f"{MODEL}/users/user_000001")
    assert told["segment"] in range(3) and told["version"] == result["version"]
    some = done(server, "/api/tasks/segments/predict", model="clientes", user_ids=["user_000001", "nobody"])["result"]
    assert (some["updated_count"], some["error_count"]) == (1, 1)
    assert server.read(f"{MODEL}/users/user_000001")["segment"] == told["segment"]
    sizes = {one["segment"]: one["users"] for one in result["segments"]}
    definition = {"name": "Del segmento", "segment": {"model": "clientes", "segment": told["segment"]}}
    counted = done(
        server,
        "/api/tasks/audiences/sync",
        platform="meta",
        audience=definition,
        consent="granted",
        simulate=True,
        dry_run=True,
    )["result"]
    assert counted["members"] == sizes[told["segment"]]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/api/tasks/segments/models/nope", "No existe el modelo nope"),
        (f"{MODEL}?version=99", "El modelo no tiene la versión 99"),
        (f"{MODEL}/users/nobody", "El usuario no tiene segmento"),
    ],
)
def test_what_is_not_there_is_a_404(server: Server, trained: dict[str, Any], path: str, message: str) -> None:
    answer = server.get(path)
    assert (answer.status_code, answer.json()["message"]) == (404, message)


@pytest.mark.parametrize(
    ("work", "body", "status", "field"),
    [
        ("train", {"model": "Mayúscula"}, 400, "model"),
        ("train", {"model": "m", "segments": 1}, 400, "segments"),
        ("train", {"model": "m", "segments": 21}, 400, "segments"),
        ("train", {"model": "m", "segments": True}, 400, "segments"),
        ("train", {"model": "m", "features": []}, 400, "features"),
        ("train", {"model": "m", "features": ["age", "age"]}, 400, "features"),
        ("train", {"model": "m", "features": ["email"]}, 400, "features[0]"),
        ("predict", {"model": "clientes", "user_ids": []}, 400, "user_ids"),
        ("predict", {"model": "clientes", "version": 0}, 400, "version"),
        ("predict", {"model": "nope"}, 404, "model"),
        ("predict", {"model": "clientes", "version": 99}, 404, "version"),
    ],
)
def test_what_cannot_be_done_is_refused(
    server: Server, trained: dict[str, Any], work: str, body: dict[str, Any], status: int, field: str | None
) -> None:
    answer = server.request("POST", f"/api/tasks/segments/{work}", json=body)
    assert (answer.status_code, answer.json().get("field")) == (status, field), answer.text
