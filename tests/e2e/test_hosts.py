"""Names that a service answers to, as seen by whom it does not: a page whose name leads to this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.chaos.stalls import ask
from tests.e2e.conftest import served, write_tokens
from tests.e2e.server import Client, Server, refusing_spark

TRIGGER = "/api/v1/tags/trigger"
WORKERS = "/api/v1/workers/"
PATHS = [WORKERS, "/api/v1/tasks", "/health", "/health/live", "/docs", "/swagger.json", "/", "/nowhere"]


def told(answer: requests.Response, path: str) -> str:
    """The error of a refusal, which has the shape of the front that the path belongs to."""
    body: dict[str, Any] = answer.json()
    if path.startswith("/api/v1/workers"):
        return str(body["error"]["code"])
    assert body.keys() == {"success", "error", "message"}
    return str(body["error"])


@pytest.mark.parametrize("path", PATHS)
def test_an_open_service_answers_to_no_foreign_name(still: Server, path: str) -> None:
    answer = still.request("GET", path, headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert told(answer, path)
    assert "evil" not in answer.text


def test_a_page_that_rebinds_its_name_starts_nothing(still: Server) -> None:
    before = still.total()
    rebound = {"Host": "evil.example", "Origin": "http://evil.example"}
    assert still.ask(tag_ids=[1], headers=rebound).status_code == 421
    assert still.ask(tag_ids=[1], headers={"Origin": "http://evil.example"}).status_code == 403
    assert still.ask(tag_ids=[1], headers={"Origin": "null"}).status_code == 403
    assert still.total() == before
    assert still.ask(tag_ids=[1], headers={"Origin": still.url}).status_code == 202


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:5000", "a.localhost:80"])
def test_an_open_service_answers_to_this_machine(still: Server, host: str) -> None:
    assert still.request("GET", WORKERS, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("head", [b'Host: evil"<x>\r\n', b"Host:\r\n", b"", b"Host: a:b\r\n"])
def test_a_request_says_which_host_it_is_for(still: Server, head: bytes) -> None:
    answered = ask(still.port, b"GET " + WORKERS.encode() + b" HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n")
    assert answered.status == 400
    assert json.loads(answered.body)["error"]["code"] == "VALIDATION_ERROR"


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with tokens, and a name."""
    folder: Path = tmp_path_factory.mktemp("named")
    with refusing_spark() as address:
        variables = {
            "TAGAPI_AUTH__TOKENS_FILE": str(write_tokens(folder / "tokens.yaml")),
            "TAGAPI_SERVER__HOSTS": "[api.example]",
            "TAGAPI_SPARK__REMOTE": address,
            "TAGAPI_JOBS__DRAIN_SECONDS": "0.1",
        }
        yield from served(Server(folder, variables), ready=False)


def test_with_tokens_the_names_that_are_set_are_the_ones_that_count(named: Server) -> None:
    with Client(named.url, "ann-token") as ann:
        for host, status in (("api.example", 200), ("API.example:443", 200), ("localhost", 200), ("evil.example", 421)):
            assert ann.request("GET", WORKERS, headers={"Host": host}).status_code == status, host
        pages_of_others = {"Host": "api.example", "Origin": "http://app.example"}
        assert ann.request("GET", WORKERS, headers=pages_of_others).status_code == 200, "a token is what counts"
