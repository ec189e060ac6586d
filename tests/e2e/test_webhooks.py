"""Webhooks of a real service, with tokens and without Spark: what is told is what the service says, and to whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tagapi.client
from tagapi.namespaces.tasks.asked import PublishMetaRequest
from tests.e2e.conftest import PRINCIPALS, served, write_tokens
from tests.e2e.receiver import Received, Receiver, receiving
from tests.e2e.server import Client, Server, refusing_spark, until

TASKS, WEBHOOKS = "/api/tasks", "/api/tasks/webhooks"
ENDS = ["job.succeeded", "job.failed", "job.cancelled"]
NOTICED = 5.0  # seconds, within which a change of the tokens file counts


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that may tell this machine."""
    folder = tmp_path_factory.mktemp("telling")
    path = write_tokens(folder / "tokens.yaml", PRINCIPALS)
    with refusing_spark() as address:
        settings = {
            "TAGAPI_SPARK__REMOTE": address,
            "TAGAPI_JOBS__DRAIN_SECONDS": "0.1",
            "TAGAPI_WEBHOOKS__ALLOW": '["127.0.0.1"]',
            "TAGAPI_AUTH__TOKENS_FILE": str(path),
        }
        yield from served(Server(folder, settings), ready=False)


def ask(client: Client, url: str, **more: Any) -> dict[str, Any]:
    answer = client.post(WEBHOOKS, {"url": url, "events": ENDS, **more})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def publish(client: Client) -> str:
    """A job that needs no Spark, and no account."""
    answer = client.post(f"{TASKS}/publish/meta", PublishMetaRequest.example)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


def heard_of(receiver: Receiver, path: str, job: str) -> Received:
    def look() -> list[Received]:
        return [one for one in receiver.received(path) if one.told["data"]["task_id"] == job]

    (found,) = until(look, f"{path} hears of {job}")
    return found


def test_what_is_told_is_what_the_service_says(telling: Server, receiver: Receiver) -> None:
    with Client(telling.url, "ann-token") as ann:
        webhook = ask(ann, f"{receiver.url}/ann?key=in-the-url", tasks=["tasks.meta_publish"])
        job, other = publish(ann), ann.trigger([1])
        ann.post(f"{TASKS}/cancel/{other}", None)
        received = heard_of(receiver, "/ann?key=in-the-url", job)
        received.verify(webhook["secret"])
        status = ann.read(f"{TASKS}/status/{job}")
        assert received.told["type"] == "job.succeeded"
        assert received.told["timestamp"] == status["completed_at"]
        assert {**received.told["data"], "found": True} == status
        assert status["result"]["external_campaign_id"].startswith("SIM-")
        log = f"{WEBHOOKS}/{webhook['id']}/deliveries"
        until(lambda: ann.read(log)["deliveries"][0]["status"] == "SUCCESS", "the log says so")
        assert ann.read(log)["total"] == 1, "the other task is none of its own"
        assert ann.post(f"{log}/{received.id}/redeliver", None).status_code == 202
        again = until(lambda: receiver.received("/ann?key=in-the-url")[1:], "it comes again")[0]
        assert (again.id, again.body) == (received.id, received.body)
    logged = telling.log_file.read_text(encoding="utf-8")
    assert "webhook_sent" in logged
    assert webhook["secret"].removeprefix("whsec_") not in logged
    assert "in-the-url" not in logged


def test_each_hears_of_their_own_and_an_admin_of_everyones(telling: Server, receiver: Receiver) -> None:
    with Client(telling.url, "ann-token") as ann, Client(telling.url, "root-token") as root:
        ask(ann, f"{receiver.url}/anns")
        ask(root, f"{receiver.url}/roots")
        everyones = ask(root, f"{receiver.url}/everyones", everyone=True)
        with Client(telling.url, "bob-token") as bob:
            job = bob.trigger([1])
            assert bob.post(f"{TASKS}/cancel/{job}", None).status_code == 200
        received = heard_of(receiver, "/everyones", job)
        received.verify(everyones["secret"])
        assert (received.told["type"], received.told["data"]["owner"]) == ("job.cancelled", "bob")
        assert receiver.received("/anns") == receiver.received("/roots") == []


def test_the_client_has_all_of_it(telling: Server, receiver: Receiver) -> None:
    with tagapi.client.Client(telling.url, "cleo-token") as client:
        made = client.webhooks.create(f"{receiver.url}/client", ENDS, tasks=["tasks.meta_publish"])
        job = client.campaigns.publish("meta", PublishMetaRequest.example["campaign"], simulate=True)
        job.wait()
        (came,) = receiver.wait(1, "/client")
        came.verify(made["secret"])
        until(lambda: next(client.webhooks.deliveries(made["id"]))["status"] == "SUCCESS", "it is noted")
        (sent,) = client.webhooks.deliveries(made["id"])
        assert (sent["task_id"], sent["id"]) == (job.id, came.id)
        assert client.webhooks.redeliver(made["id"], sent["id"])["status"] == "PENDING"
        assert {one.id for one in receiver.wait(2, "/client")} == {came.id}
        kept = client.webhooks.resume(made["id"])
        assert [*client.webhooks.list()] == [kept] == [client.webhooks.get(made["id"])]
        client.webhooks.delete(made["id"])
        with pytest.raises(tagapi.client.NotFound):
            client.webhooks.get(made["id"])


def test_whoever_is_gone_hears_no_more(telling: Server, receiver: Receiver) -> None:
    """Not even of what an admin does about their jobs."""
    with Client(telling.url, "bob-token") as bob, Client(telling.url, "root-token") as root:
        webhook = ask(bob, f"{receiver.url}/bobs")
        job = bob.trigger([1])
        path = telling.folder / "tokens.yaml"
        write_tokens(path, {token: one for token, one in PRINCIPALS.items() if one.name != "bob"})
        until(lambda: bob.get(TASKS).status_code == 401, "the token is revoked", NOTICED)
        assert root.post(f"{TASKS}/cancel/{job}", None).status_code == 200
        until(lambda: root.read(f"{WEBHOOKS}/{webhook['id']}")["paused"], "it is paused")
        assert receiver.received("/bobs") == []
        write_tokens(path, PRINCIPALS)
        until(lambda: bob.get(TASKS).status_code == 200, "bob is back", NOTICED)
        assert bob.post(f"{WEBHOOKS}/{webhook['id']}/resume", None).json()["paused"] is None
        heard_of(receiver, "/bobs", job).verify(webhook["secret"])


@pytest.mark.parametrize(
    "url", ["http://example.org/", "https://10.0.0.1/", "https://localhost/", "https://169.254.169.254/", "not a url"]
)
def test_nothing_leads_elsewhere(telling: Server, url: str) -> None:
    with Client(telling.url, "ann-token") as ann:
        answer = ann.post(WEBHOOKS, {"url": url, "events": ENDS})
        assert (answer.status_code, answer.json()["field"]) == (400, "url")


def test_what_was_not_taken_is_sent_by_the_next_process(tmp_path: Path, receiver: Receiver) -> None:
    settings = {"TAGAPI_WEBHOOKS__ALLOW": '["127.0.0.1"]', "TAGAPI_WEBHOOKS__RETRY_SECONDS": "1"}
    with refusing_spark() as address:
        settings["TAGAPI_SPARK__REMOTE"] = address
        receiver.behave = lambda path: 503 if path == "/later" else 204
        first = Server(tmp_path, settings)
        try:
            first.wait_alive()
            webhook = ask(first, f"{receiver.url}/later")
            job = publish(first)
            failed = heard_of(receiver, "/later", job)
        finally:
            first.kill()
        receiver.behave = lambda path: 204
        second = Server(tmp_path, settings)
        try:
            second.wait_alive()
            taken = until(lambda: receiver.taken("/later"), "the next process sends it", 60)
            taken[0].verify(webhook["secret"])
            assert (taken[0].id, taken[0].body) == (failed.id, failed.body)
        finally:
            second.kill()
