"""Above the routes stands what there is, for whoever asks there."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tagapi.auth import OpenGate
from tagapi.namespaces.index import PLACES
from tests.unit.fronts import client_of


@pytest.fixture
def client() -> FlaskClient:
    return client_of(OpenGate())


@pytest.mark.parametrize("place", PLACES)
def test_a_place_tells_what_is_below_it(client: FlaskClient, place: str) -> None:
    answer = client.get(place, environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
    assert answer.status_code == 200
    told = answer.json
    assert told is not None
    assert (told["documentation"], told["specification"]) == ("/docs", "/swagger.json")
    specification = client.get("/swagger.json").json
    assert specification is not None
    known = {
        f"{method.upper()} {path}"
        for path, methods in specification["paths"].items()
        for method in methods
        if path.startswith(f"{place.rstrip('/')}/") and method != "parameters"
    }
    assert known
    assert told["routes"].keys() == known
    assert all(told["routes"].values())


def test_a_place_is_only_read(client: FlaskClient) -> None:
    for place, error in {"/api/v1/tags": "Method not allowed", "/api/tasks/publish": "method_not_allowed"}.items():
        answer = client.post(place, json={})
        assert answer.status_code == 405
        assert answer.json is not None
        assert answer.json["error"] == error


def test_the_documentation_has_one_address(client: FlaskClient) -> None:
    answer = client.get("/docs/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/docs")
    assert client.get("/docs").status_code == 200


@pytest.mark.parametrize("path", ["/nope", "/api/v2", "/api/v1/nope", "/docs/nope"])
def test_what_there_is_not_is_not_there(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404
