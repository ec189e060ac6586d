"""Webhooks as the tasks API tells them: made, listed, read, resumed and removed by whose they are, and their log."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tagapi.auth import OpenGate, TokenGate
from tagapi.jobs import notifying, webhooks
from tagapi.jobs.errors import Unusable
from tagapi.jobs.notifying import AT_MOST
from tagapi.jobs.webhooks import TYPES, Answer, Webhook
from tagapi.namespaces.tasks import words
from tagapi.tokens import Entry, Principal, Role, TokensFile, digest_of
from tagapi.webhooks import addresses, posting
from tests.unit.fakes import World
from tests.unit.fronts import client_of
from tests.unit.test_tasks_front import ENGLISH

WEBHOOKS = "/api/tasks/webhooks"
BODY: Mapping[str, Any] = {"url": "https://example.org/x", "events": ["job.started", "job.succeeded"]}
SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World) -> FlaskClient:
    return client_of(OpenGate(), world=world)


@pytest.fixture
def people(tmp_path: Path, world: World) -> dict[str, Person]:
    path = tmp_path / "tokens.yaml"
    roles = {"ann": Role.USER, "bob": Role.USER, "root": Role.ADMIN}
    entries = [Entry(Principal(name, role), digest_of(f"{name}-token")) for name, role in roles.items()]
    path.write_text("".join(one.lines() for one in entries), encoding="utf-8")
    client = client_of(TokenGate(TokensFile(path)), world=world)
    return {name: Person(client, name) for name in roles}


class Person:
    def __init__(self, client: FlaskClient, name: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {name}-token"}

    def ask(self, method: str, path: str = "", **more: Any) -> TestResponse:
        return self._client.open(f"{WEBHOOKS}{path}", method=method, headers=self._headers, **more)

    def make(self, **more: Any) -> str:
        answer = self.ask("POST", json={**BODY, **more})
        assert answer.status_code == 201, answer.text
        return str(told(answer)["id"])


def told(answer: TestResponse) -> dict[str, Any]:
    assert isinstance(answer.json, dict), answer.text
    return answer.json


def make(client: FlaskClient, **more: Any) -> dict[str, Any]:
    answer = client.post(WEBHOOKS, json={**BODY, **more})
    assert answer.status_code == 201, answer.text
    return told(answer)


# -- made and told -------------------------------------------------------------------------


def test_the_secret_is_told_once(client: FlaskClient) -> None:
    made = make(client)
    secret = made.pop("secret")
    assert SECRET.fullmatch(secret)
    assert len(b64decode(secret.removeprefix("whsec_"))) == 32
    assert make(client)["secret"] != secret
    wanted = {**BODY, "tasks": None, "everyone": False, "owner": "local", "paused": None}
    assert {key: made[key] for key in wanted} == wanted
    answers = [
        client.get(WEBHOOKS),
        client.get(f"{WEBHOOKS}/{made['id']}"),
        client.post(f"{WEBHOOKS}/{made['id']}/resume"),
    ]
    assert told(answers[1]) == told(answers[2]) == made
    assert all("whsec" not in one.text and secret[6:] not in one.text for one in answers)


def test_an_id_is_taken_in_capitals(client: FlaskClient) -> None:
    made = make(client)
    assert told(client.get(f"{WEBHOOKS}/{made['id'].upper()}"))["id"] == made["id"]


def test_they_are_listed_page_by_page(client: FlaskClient) -> None:
    ids = [make(client)["id"] for _ in range(5)][::-1]
    seen, cursor = [], ""
    while True:
        page = told(client.get(f"{WEBHOOKS}?page_size=2{cursor}"))
        assert page["total"] == 5
        seen += [one["id"] for one in page["webhooks"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == ids


def test_what_is_removed_is_gone(client: FlaskClient) -> None:
    made = make(client)
    assert told(client.delete(f"{WEBHOOKS}/{made['id']}")) == {"id": made["id"], "message": words.WEBHOOK_REMOVED}
    for answer in (client.get(f"{WEBHOOKS}/{made['id']}"), client.delete(f"{WEBHOOKS}/{made['id']}")):
        assert (answer.status_code, told(answer)["error"]) == (404, "webhook_not_found")
    assert told(client.get(WEBHOOKS))["total"] == 0


def test_nobody_has_more_than_so_many(people: dict[str, Person]) -> None:
    for _ in range(AT_MOST):
        people["ann"].make()
    answer = people["ann"].ask("POST", json=BODY)
    assert (answer.status_code, told(answer)["error"]) == (409, "too_many_webhooks")
    people["bob"].make()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": None}, "url"),
        ({"url": 1}, "url"),
        ({"url": ""}, "url"),
        ({"url": "x" * 2001}, "url"),
        ({"events": None}, "events"),
        ({"events": []}, "events"),
        ({"events": ["job.exploded"]}, "events[0]"),
        ({"events": ["job.started", "job.started"]}, "events"),
        ({"events": "job.started"}, "events"),
        ({"tasks": []}, "tasks"),
        ({"tasks": ["tags.compute", "tags.compute"]}, "tasks"),
        ({"tasks": ["tags.compute", "no.task"]}, "tasks[1]"),
        ({"tasks": [1]}, "tasks[0]"),
        ({"everyone": 1}, "everyone"),
        ({"everyone": None}, "everyone"),
        ({"secret": "whsec_mine"}, "secret"),
    ],
)
def test_what_is_wrong_is_named_and_leaves_nothing(client: FlaskClient, change: dict[str, Any], field: str) -> None:
    answer = client.post(WEBHOOKS, json={**BODY, **change})
    assert (answer.status_code, told(answer)["error"], told(answer)["field"]) == (400, "invalid", field)
    assert not ENGLISH.search(told(answer)["message"]), told(answer)
    assert told(client.get(WEBHOOKS))["total"] == 0


@pytest.mark.parametrize("missing", ["url", "events"])
def test_what_has_to_be_said(client: FlaskClient, missing: str) -> None:
    answer = client.post(WEBHOOKS, json={key: value for key, value in BODY.items() if key != missing})
    assert (answer.status_code, told(answer)["field"]) == (400, missing)


def test_an_address_that_may_not_be_is_a_wrong_url(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = [value for name, value in vars(addresses).items() if name.startswith(("NOT_", "HAS_"))]
    assert len(reasons) == 5
    for reason in reasons:
        error = Unusable(field="url", reason=reason)
        monkeypatch.setattr(notifying.Notifying, "create", raising(error))
        answer = client.post(WEBHOOKS, json=BODY)
        assert (answer.status_code, told(answer)["field"]) == (400, "url")
        assert not ENGLISH.search(told(answer)["message"]), reason


def raising(error: Exception) -> Any:
    def raises(*_: Any, **__: Any) -> Any:
        raise error

    return raises


# -- whose they are ------------------------------------------------------------------------


def test_each_has_their_own_and_an_admin_sees_all(people: dict[str, Person]) -> None:
    ids = {name: people[name].make() for name in people}
    for name, wanted in (("ann", {"ann"}), ("bob", {"bob"}), ("root", set(people))):
        page = told(people[name].ask("GET"))
        assert {one["owner"] for one in page["webhooks"]} == wanted
        assert page["total"] == len(wanted)
    assert people["root"].ask("DELETE", f"/{ids['ann']}").status_code == 200


def test_somebody_elses_is_an_unknown_one(people: dict[str, Person], world: World) -> None:
    mine, nobodys = people["ann"].make(), str(uuid4())
    delivery = deliver(world, mine)
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/resume"),
        ("GET", "/deliveries"),
        ("POST", f"/deliveries/{delivery}/redeliver"),
    ):
        foreign, unknown = (people["bob"].ask(method, f"/{one}{path}") for one in (mine, nobodys))
        assert foreign.status_code == unknown.status_code == 404, path
        assert foreign.text == unknown.text


def test_only_an_admin_hears_of_everybodys(people: dict[str, Person]) -> None:
    answer = people["ann"].ask("POST", json={**BODY, "everyone": True})
    assert (answer.status_code, told(answer)["error"]) == (403, "permission_denied")
    people["root"].make(everyone=True)


def test_who_is_no_admin_any_more_does_not_resume_what_hears_of_everybodys(
    people: dict[str, Person], world: World
) -> None:
    """Its log would tell of the jobs of others until it is paused again."""
    facts: dict[str, Any] = {"id": str(uuid4()), "url": BODY["url"], "secret": b"s", "types": TYPES, "everyone": True}
    made = Webhook(**facts, owner="ann", created_at=world.clock.now(), paused=notifying.OWNER_GONE)
    webhook = world.registry.outbox.add(made, AT_MOST)
    answer = people["ann"].ask("POST", f"/{webhook.id}/resume")
    assert (answer.status_code, told(answer)["error"]) == (403, "permission_denied")
    assert world.registry.outbox.get(webhook.id).paused == notifying.OWNER_GONE
    assert people["root"].ask("POST", f"/{webhook.id}/resume").status_code == 200


# -- the log -------------------------------------------------------------------------------


def deliver(world: World, webhook_id: str) -> str:
    """A job of the webhook's owner begins; answers with the id of its delivery."""
    owner = world.registry.outbox.get(webhook_id).owner
    world.service.submit("fake.work", {}, owner=owner)
    world.run_next()
    return world.registry.outbox.find(webhook_id, None, 1).deliveries[0].id


def answered(world: World, webhook_id: str, delivery_id: str, answer: Answer) -> None:
    outbox = world.registry.outbox
    claimed = outbox.claim(outbox.delivery(webhook_id, delivery_id), timedelta(seconds=30))
    assert claimed is not None
    outbox.answer(claimed, answer, timedelta(minutes=1))


def test_the_log_says_what_became_of_each(client: FlaskClient, world: World) -> None:
    webhook = make(client)["id"]
    last = deliver(world, webhook)
    log = f"{WEBHOOKS}/{webhook}/deliveries"
    waiting = told(client.get(log))
    assert waiting["total"] == 2
    assert [one["event"] for one in waiting["deliveries"]] == ["job.succeeded", "job.started"]
    assert {one["status"] for one in waiting["deliveries"]} == {"PENDING"}
    assert {one["attempts"] for one in waiting["deliveries"]} == {0}
    at = world.clock.now()
    answered(world, webhook, last, Answer(at=at, seconds=0.5, error=posting.TIMEOUT))
    failed = told(client.get(f"{log}?page_size=1"))["deliveries"][0]
    assert (failed["id"], failed["status"], failed["attempts"]) == (last, "RETRY", 1)
    assert failed["last_answer"] == {
        "at": at.isoformat(),
        "status": None,
        "error": words.DELIVERY_ERRORS["timeout"],
        "seconds": 0.5,
    }
    assert failed["next_attempt_at"] == (at + timedelta(minutes=1)).isoformat()
    world.clock.advance(60)
    answered(world, webhook, last, Answer(at=at, seconds=0.5, status=204))
    done = told(client.get(f"{log}?page_size=1"))["deliveries"][0]
    assert (done["status"], done["next_attempt_at"], done["last_answer"]["status"]) == ("SUCCESS", None, 204)


def test_the_log_goes_on_page_by_page(client: FlaskClient, world: World) -> None:
    webhook = make(client)["id"]
    for _ in range(3):
        deliver(world, webhook)
    first = told(client.get(f"{WEBHOOKS}/{webhook}/deliveries?page_size=4"))
    rest = told(client.get(f"{WEBHOOKS}/{webhook}/deliveries?page_size=4&cursor={first['next']}"))
    assert (first["total"], len(first["deliveries"]), len(rest["deliveries"]), rest["next"]) == (6, 4, 2, None)
    assert len({one["id"] for one in (*first["deliveries"], *rest["deliveries"])}) == 6


def test_one_is_sent_again_by_hand(client: FlaskClient, world: World) -> None:
    webhook = make(client)["id"]
    delivery = deliver(world, webhook)
    answered(world, webhook, delivery, Answer(at=world.clock.now(), seconds=0.5, status=410))
    again = f"{WEBHOOKS}/{webhook}/deliveries/{delivery}/redeliver"
    answer = client.post(again)
    assert (answer.status_code, told(answer)["status"], told(answer)["id"]) == (202, "PENDING", delivery)
    assert told(answer)["next_attempt_at"] == world.clock.now().isoformat()
    unknown = client.post(f"{WEBHOOKS}/{webhook}/deliveries/{uuid4()}/redeliver")
    assert (unknown.status_code, told(unknown)["error"]) == (404, "delivery_not_found")


def test_a_paused_one_says_why_and_sends_nothing_again(client: FlaskClient, world: World) -> None:
    webhook = make(client)["id"]
    delivery = deliver(world, webhook)
    world.registry.outbox.update(webhook, partial(webhooks.pause, why=notifying.RECEIVER_GONE))
    assert told(client.get(f"{WEBHOOKS}/{webhook}"))["paused"] == words.PAUSED[notifying.RECEIVER_GONE]
    answer = client.post(f"{WEBHOOKS}/{webhook}/deliveries/{delivery}/redeliver")
    assert (answer.status_code, told(answer)["error"]) == (409, "webhook_paused")
    assert told(client.post(f"{WEBHOOKS}/{webhook}/resume"))["paused"] is None
    assert client.post(f"{WEBHOOKS}/{webhook}/deliveries/{delivery}/redeliver").status_code == 202


def test_whatever_is_told_has_spanish_words() -> None:
    reasons = {notifying.OWNER_GONE, notifying.TOO_MANY_WAIT, notifying.RECEIVER_GONE}
    assert words.PAUSED.keys() == reasons
    errors = {posting.TIMEOUT, posting.NO_NAME, posting.NO_TLS, posting.NO_CONNECTION, posting.NOT_ALLOWED}
    assert words.DELIVERY_ERRORS.keys() == errors
    assert {"job.succeeded", "job.failed", "job.cancelled", "job.parked", "job.started", "job.retrying"} == set(TYPES)
