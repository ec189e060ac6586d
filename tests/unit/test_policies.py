"""Who may call what, at the door of the app: declared for every route, checked in one place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tagapi.auth import OpenGate, Policy, TokenGate
from tagapi.hosts import Hosts
from tagapi.namespaces.base import Front, NamespaceResource, install
from tagapi.namespaces.declared import UndeclaredRoute
from tagapi.namespaces.documentation import Answer, operation
from tagapi.namespaces.edge import Proxies
from tagapi.namespaces.health.schemas import ProbeAnswer
from tagapi.namespaces.problems import Problem
from tagapi.namespaces.tags.schemas import TagsError
from tagapi.tokens import Entry, Principal, Role, TokensFile, digest_of
from tests.unit.fronts import client_of

TASKS, WORKERS = "/api/v1/tasks", "/api/v1/workers/"
AWAY = {"REMOTE_ADDR": "192.0.2.1"}


# -- every route says who may call it ------------------------------------------------------


def front_of(resource_type: type[NamespaceResource]) -> Front:
    class OneRoute(Front):
        name, title, prefixes = "one", "One", ("/one",)
        error_schema = TagsError

        def routes(self) -> list[tuple[str, type[NamespaceResource]]]:
            return [("/one", resource_type)]

        def render_problem(self, problem: Problem) -> Mapping[str, Any]:
            return {"code": problem.code}

        def error_line(self, body: Mapping[str, Any]) -> str:
            return str(body["code"])

    return OneRoute()


def resource(**says: Any) -> type[NamespaceResource]:
    class Silent(NamespaceResource):
        needs_store = False

        def get(self) -> Any:
            """Answer with who asks."""
            return {"status": getattr(self, "caller", Principal("nobody", Role.USER)).name}

    if says:
        Silent.get = operation(answers={200: Answer("", ProbeAnswer)}, **says)(Silent.get)
    return Silent


@pytest.mark.parametrize("says", [{}, {"policy": None}, {"policy": "user"}])
def test_a_route_that_does_not_say_who_may_call_it_ends_the_start(says: dict[str, Any]) -> None:
    with pytest.raises(UndeclaredRoute, match="GET /one"):
        client_of(OpenGate(), front_of(resource(**says)))


def test_a_policy_cannot_be_left_out() -> None:
    with pytest.raises(TypeError, match="policy"):
        operation(answers={})(lambda: None)


def test_a_route_past_the_check_ends_the_start() -> None:
    app = Flask("tagapi", static_folder=None)
    app.add_url_rule("/secret", "secret", lambda: "")
    with pytest.raises(UndeclaredRoute, match="/secret"):
        install(
            app,
            [front_of(resource(policy=Policy.USER))],
            OpenGate(),
            Hosts(open_to_all=True),
            Proxies(loopback=True),
            "0",
        )


@pytest.fixture
def tokens(tmp_path: Path) -> TokenGate:
    path = tmp_path / "tokens.yaml"
    entries = [
        Entry(Principal("ann", Role.USER), digest_of("ann-token")),
        Entry(Principal("root", Role.ADMIN), digest_of("root-token")),
    ]
    path.write_text("".join(entry.lines() for entry in entries), encoding="utf-8")
    return TokenGate(TokensFile(path))


@pytest.mark.parametrize(
    ("policy", "nobody", "user", "admin"),
    [(Policy.PUBLIC, 200, 200, 200), (Policy.USER, 401, 200, 200), (Policy.ADMIN, 401, 403, 200)],
)
def test_a_policy_is_kept(tokens: TokenGate, policy: Policy, nobody: int, user: int, admin: int) -> None:
    client = client_of(tokens, front_of(resource(policy=policy)))
    assert client.get("/one").status_code == nobody
    assert client.get("/one", headers={"Authorization": "Bearer ann-token"}).status_code == user
    answer = client.get("/one", headers={"Authorization": "Bearer root-token"})
    assert answer.status_code == admin
    assert answer.json == {"status": "nobody" if policy is Policy.PUBLIC else "root"}


def test_each_front_tells_a_refusal_in_its_own_shape(tokens: TokenGate) -> None:
    client = client_of(tokens)
    of_tags, of_workers = client.get(TASKS), client.get(WORKERS)
    assert (of_tags.status_code, of_workers.status_code) == (401, 401)
    assert of_tags.headers["WWW-Authenticate"] == of_workers.headers["WWW-Authenticate"] == "Bearer"
    assert of_tags.json == {"success": False, "error": "Authentication required", "message": "需要有效的访问令牌"}
    assert of_workers.json == {
        "error": {
            "code": "AUTHENTICATION_REQUIRED",
            "message": "Требуется действительный токен",
            "details": {},
        }
    }


# -- without tokens ------------------------------------------------------------------------


def test_without_tokens_this_machine_is_the_admin() -> None:
    client = client_of(OpenGate())
    made = client.post(WORKERS, json={"task_type": "data_cleanup", "filters": {"dry_run": False}})
    assert made.status_code == 201
    assert made.json is not None
    assert made.json["created_by"] == "local"
    assert client.get(WORKERS).status_code == 200


def test_without_tokens_one_that_is_sent_is_refused_in_the_fronts_words() -> None:
    client = client_of(OpenGate())
    sent = {"Authorization": "Bearer YOUR_TOKEN"}
    for path in (TASKS, WORKERS):
        answer = client.get(path, headers=sent)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    workers = client.get(WORKERS, headers=sent).json
    assert workers is not None
    assert workers["error"]["code"] == "AUTHENTICATION_REQUIRED"
    assert "без токенов" in workers["error"]["message"]
    assert client.get("/health", headers=sent).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Host": "127.0.0.1"},
        {"Authorization": "Bearer x"},
    ],
)
def test_without_tokens_other_machines_are_told_the_setting(headers: dict[str, str]) -> None:
    client = client_of(OpenGate())
    for path in (TASKS, WORKERS):
        answer = client.get(path, headers=headers, environ_overrides=AWAY)
        assert answer.status_code == 403
        assert "TAGAPI_AUTH__TOKENS_FILE" in answer.get_data(as_text=True)
    assert client.get("/health/live", environ_overrides=AWAY).status_code == 200
    assert client.get("/swagger.json", environ_overrides=AWAY).status_code == 200


def test_a_forwarded_address_takes_nothing_away_either() -> None:
    assert client_of(OpenGate()).get(WORKERS, headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 200


# -- the documentation ---------------------------------------------------------------------


def test_the_specification_says_what_needs_a_token() -> None:
    specification = client_of(OpenGate()).get("/swagger.json").json
    assert specification is not None
    (name,) = specification["securityDefinitions"]
    definition = specification["securityDefinitions"][name]
    assert (definition["type"], definition["in"], definition["name"]) == ("apiKey", "header", "Authorization")
    for path, methods in specification["paths"].items():
        for method, said in methods.items():
            if method == "parameters":
                continue
            public = path.startswith("/health")
            assert said.get("security") == (None if public else [{name: []}]), (method, path)
            assert ({"401", "403", "429"} <= set(said["responses"])) == (not public), (method, path)
