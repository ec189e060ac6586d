"""What the page reads of the tasks API: who asks, what a job was asked to do, the service, everybody's jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tagapi.auth import OpenGate, TokenGate
from tagapi.jobs.errors import NotReady
from tagapi.jobs.schedule_registry import ScheduleQuery
from tagapi.jobs.schedules import Every
from tagapi.namespaces.tasks.followed import Followed
from tagapi.overview import Overview
from tagapi.tokens import Entry, Principal, Role, TokensFile, digest_of
from tests.unit.fakes import World
from tests.unit.fronts import NoPushes, client_of

TASKS = "/api/tasks"
MANY = 600  # more than are read at once
PEOPLE = [
    Principal("ann", Role.USER, frozenset({"publish"})),
    Principal("bob", Role.USER),
    Principal("root", Role.ADMIN),
]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(tmp_path: Path, world: World) -> FlaskClient:
    path = tmp_path / "tokens.yaml"
    path.write_text("".join(Entry(one, digest_of(f"{one.name}-token")).lines() for one in PEOPLE), encoding="utf-8")
    return client_of(TokenGate(TokensFile(path)), world=world)


def read(client: FlaskClient, path: str, name: str | None = None) -> dict[str, Any]:
    headers = {} if name is None else {"Authorization": f"Bearer {name}-token"}
    answer = client.get(f"{TASKS}{path}", headers=headers)
    assert answer.status_code == 200, answer.text
    assert isinstance(answer.json, dict)
    return answer.json


def trigger(client: FlaskClient, name: str, **more: Any) -> str:
    headers = {"Authorization": f"Bearer {name}-token"}
    answer = client.post("/api/v1/tags/trigger", json={"tag_ids": [1], **more}, headers=headers)
    assert answer.json is not None
    return str(answer.json["task_id"])


def test_everybody_hears_who_they_are_and_what_they_may(client: FlaskClient) -> None:
    told = {name: read(client, "/whoami", name) for name in ("ann", "bob", "root")}
    assert {name: (one["name"], one["role"], one["sees"]) for name, one in told.items()} == {
        "ann": ("ann", "user", "own"),
        "bob": ("bob", "user", "own"),
        "root": ("root", "admin", "all"),
    }
    assert [told[name]["rights"] for name in told] == [["publish"], [], ["publish", "audience", "scan", "metrics"]]
    assert all(one["by_token"] for one in told.values())
    assert "tags.compute" in told["ann"]["tasks"]


def test_on_ones_own_machine_nobody_needs_a_token(world: World) -> None:
    told = read(client_of(OpenGate(), world=world), "/whoami")
    assert (told["name"], told["sees"], told["by_token"]) == ("local", "all", False)


def test_arguments_are_as_asked_and_long_lists_are_cut(client: FlaskClient) -> None:
    users = [f"user_{number}" for number in range(150)]
    job_id = trigger(client, "ann", user_ids=users, mode="incremental")
    told = read(client, f"/arguments/{job_id}", "ann")
    assert (told["task_id"], told["task"]) == (job_id, "tags.compute")
    assert told["arguments"]["user_ids"] == users[:100]
    assert (told["arguments"]["tag_ids"], told["arguments"]["mode"]) == ([1], "incremental")
    assert told["shortened"] == {"user_ids": 150}
    foreign = client.get(f"{TASKS}/arguments/{job_id}", headers={"Authorization": "Bearer bob-token"})
    assert foreign.status_code == 404


def test_the_service_at_a_glance(client: FlaskClient, world: World) -> None:
    trigger(client, "ann")
    world.clock.advance(30)
    trigger(client, "bob")
    world.clock.advance(12)
    seen, of_admin = read(client, "/service", "bob"), read(client, "/service", "root")
    (lane,) = seen["lanes"]
    assert lane == {"lane": "spark", "slots": 1, "running": 0, "waiting": 2, "oldest_seconds": 42.0}
    assert seen["workers"] is None, "which processes there are is the admin's to see"
    assert of_admin["workers"] == []
    assert (seen["spark"], seen["store"]["kind"], seen["parked"], seen["credits"]) == ("ready", "memory", 0, None)
    assert seen["schedules"] == {"total": 0, "paused": 0, "next": None}


def test_schedules_are_counted_as_their_owner_sees_them(client: FlaskClient, world: World) -> None:
    trigger(client, "ann", schedule={"every_seconds": 3600})
    assert read(client, "/service", "bob")["schedules"]["total"] == 0
    mine = read(client, "/service", "ann")["schedules"]
    assert (mine["total"], mine["paused"], mine["next"]["task"]) == (1, 0, "tags.compute")
    (schedule,) = world.scheduling.find(ScheduleQuery()).schedules
    world.scheduling.pause(schedule.id, by="ann")
    assert read(client, "/service", "root")["schedules"] == {"total": 1, "paused": 1, "next": None}


def test_of_many_schedules_the_next_is_found_and_each_paused_one_counted(world: World) -> None:
    """Also where they are the oldest."""
    timings = [Every(seconds=60 if number == 1 else 3600) for number in range(MANY)]
    paused, first, *_ = [world.scheduling.schedule("tags.compute", {}, one, owner="ann").schedule for one in timings]
    world.scheduling.pause(paused.id, by="ann")
    seen = Overview(world.registry, world.scheduling, NoPushes(), {}, dict, lambda _: {"total": 0}).now(None, "ann")
    assert (seen["schedules"]["total"], seen["schedules"]["paused"]) == (MANY, 1)
    assert seen["schedules"]["next"].id == first.id


def test_credits_that_cannot_be_read_hide_nothing_else(world: World) -> None:
    def unread(owner: str) -> Any:
        raise NotReady(part="the storage", retry_after=5)

    seen = Overview(world.registry, world.scheduling, NoPushes(), {"spark": 1}, dict, unread).now(None, "ann")
    assert seen["credits"] == {"used": None, "total": None, "next": None}
    assert [one["lane"] for one in seen["lanes"]] == ["spark"]


def test_only_who_sees_everybodys_jobs_follows_them(world: World) -> None:
    job = world.job(world.submit())
    ann, root = Followed("ann", "ann"), Followed("root", None)
    assert not ann.add_all()
    assert not Followed("bob", "bob").wants(job)
    assert root.add_all() and root.wants(job)
    root.newest = 0
    assert [one["event"] for one in root.messages(job, asked=False)] == ["accepted"]
    root.drop_all()
    assert not root.wants(job)
    assert root.ids() == []


# -- an audience before it is made ----------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "wrong"),
    [
        ({"all": [99]}, "no existe la etiqueta 99"),
        ({"none": [1]}, "all o any debe nombrar a alguien"),
        ({"all": list(range(1, 14))}, "nombra 13 etiquetas; pueden ser 12"),
        ({"all": ["1"]}, "cada miembro"),
        (None, "no puede ser null"),
    ],
)
def test_a_preview_takes_what_an_audience_may_be_made_of(client: FlaskClient, tags: Any, wrong: str) -> None:
    headers = {"Authorization": "Bearer ann-token"}
    answer = client.post(f"{TASKS}/audiences/preview", json={"tags": tags}, headers=headers)
    assert answer.status_code == 400
    assert answer.json is not None
    assert (answer.json["error"], answer.json["field"]) == ("invalid", "tags")
    assert wrong in answer.json["message"]
    assert client.post(f"{TASKS}/audiences/preview", json={"tags": {"all": [1]}}, headers=headers).status_code == 200
