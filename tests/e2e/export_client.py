"""What the tests of the export API share: how it is asked, and what its answers have around them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import requests

from tests.e2e.server import Client, until

V3 = "/api/v3"
STREAM = f"{V3}/stream"
TASKS = f"{V3}/tasks/export"
CREDITS = "/api/v1/status/credits"
ENVELOPE = ["status_code", "status_message", "request", "request_id"]
OVER = ("finished", "failed", "aborted", "result_limit_reached")
SINCE = "2020-01-01"


def told(response: requests.Response, status: int = 200) -> dict[str, Any]:
    """The body of an answer that went well, whose envelope is as it has to be."""
    assert response.status_code == status, response.text
    body: dict[str, Any] = response.json()
    assert [*body][:4] == ENVELOPE
    assert (body["status_code"], body["status_message"]) == ("0", "OK")
    assert body["request_id"] == f"#{response.headers['X-Request-ID']}#"
    assert body["request"].startswith(f"{response.request.method} /api/")
    assert [name for name in body if name not in ENVELOPE] == [[*body][4]]
    assert [*body][4].startswith("result_")
    return body


def refused(response: requests.Response, status: int, code: str, param: str | None = None) -> dict[str, str]:
    """What an error says, by its keys."""
    assert response.status_code == status, response.text
    body = response.json()
    assert [*body] == [*ENVELOPE, "result_error"]
    assert body["status_code"] == code, body
    assert body["status_message"]
    assert body["request_id"] == f"#{response.headers['X-Request-ID']}#"
    found = {one["key"]: one["value"][0] for one in body["result_error"]["data"]}
    assert all(len(one["value"]) == 1 for one in body["result_error"]["data"])
    assert found["details"]
    if param is not None:
        assert found["param"] == param, found
    return found


def put(client: Client, path: str, body: Any) -> requests.Response:
    return client.request("PUT", f"{STREAM}/{path}", json=body)


def make_collector(client: Client, name: str) -> dict[str, Any]:
    collector: dict[str, Any] = told(put(client, f"c/{name}", {}))["result_stream"]["collectors"][0]
    return collector


def ask(client: Client, target: str, query: str | None = None, source: str = "", **more: Any) -> requests.Response:
    """An export, whatever comes of it; `source` is as in `s/stream_1`."""
    headers = more.pop("headers", {})
    body = {"start": SINCE, "target": target, **({} if query is None else {"query": query}), **more}
    return client.post(f"{STREAM}/{source}{'/' if source else ''}export", body, headers)


def task(client: Client, task_id: str) -> dict[str, Any]:
    found: dict[str, Any] = told(client.get(f"{TASKS}/{task_id}"))["result_tasks"]["tasks"][0]
    return found


def wait(client: Client, task_id: str, seconds: float = 60.0) -> dict[str, Any]:
    """The task once it is over, however it ended."""

    def look() -> dict[str, Any] | None:
        seen = task(client, task_id)
        return seen if seen["status"] in OVER else None

    return until(look, f"export {task_id} ends", seconds) or {}


def export(client: Client, target: str, query: str | None = None, source: str = "", **more: Any) -> dict[str, Any]:
    """An export that is accepted, once it is over."""
    begun = told(ask(client, target, query, source, **more))["result_tasks"]["tasks"][0]
    assert begun["status"] in ("queued", "running", *OVER)
    return wait(client, begun["id"])


def found(sources: Path, condition: str) -> list[str]:
    """The ids of the documents that fulfil a condition of SQL, in the order of an export, by DuckDB."""
    return found_in(f"{sources}/documents/*.parquet", condition)


def found_in(files: Path | str, condition: str) -> list[str]:
    """The same of some files."""
    asked = f"SELECT id FROM read_parquet($files) WHERE {condition} ORDER BY published, id"
    with duckdb.connect() as db:
        return [row[0] for row in db.execute(asked, {"files": str(files)}).fetchall()]


def definition(client: Client, path: str) -> Mapping[str, Any]:
    """The answer's result."""
    body = told(client.get(f"{STREAM}/{path}"))
    result: Mapping[str, Any] = body[[*body][4]]
    return result
