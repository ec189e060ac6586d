"""The celery_task API row by row: its codes, its words, its pages, before a world in one thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from tagapi.app import may_still
from tagapi.auth import Admission, Gate, OpenGate
from tagapi.jobs.errors import TaskFailed
from tagapi.jobs.lists import Query
from tagapi.jobs.schedule_registry import ScheduleQuery
from tagapi.jobs.task import TaskContext
from tagapi.namespaces.celery_task.asked import FLAGS, NOT_OFFERED
from tagapi.namespaces.celery_task.words import STATUS, TYPES
from tagapi.tokens import Principal, Role
from tests.unit.fakes import FakeTask, World
from tests.unit.fronts import client_of

ROOT = "/api/celery_task"
SAMPLE = "d7b2f1c4-6374-5e9d-bf49-g6d5g0be8d43"  # the document's own, which is no UUID
DOMAIN = {"task_type": "domain_task", "data": {"name": "示例域名任务", "target": "example.com"}}
MONITOR = {"task_type": "asset_site_update", "data": {"scope_id": "corp", "schedule": {"every_seconds": 21_600}}}
DATA = {
    "domain_task": {"target": "example.com"},
    "ip_task": {"target": "192.0.2.1"},
    "run_risk_cruising": {"target": "https://example.com/"},
    "domain_task_sync_task": {"task_id": "", "scope_id": "corp"},
    "fofa_task": {"query": 'domain="example.com"'},
    "domain_exec_task": {"scope_id": "corp"},
    "ip_exec_task": {"scope_id": "corp", "target": "192.0.2.0/24"},
    "github_task_task": {"keyword": "example.com"},
    "github_task_monitor": {"keyword": "example.com"},
    "asset_site_update": {"scope_id": "corp"},
    "add_asset_site_task": {"scope_id": "corp", "target": "https://example.com/"},
    "asset_wih_update": {"scope_id": "corp"},
}


class Desk:
    """A client, and what runs behind it."""

    def __init__(self, work: Callable[[TaskContext], Any] = lambda context: {"message": "完成"}) -> None:
        tasks = {f"celery_task.{name}": FakeTask(work, lambda job: False) for name in TYPES}
        self.world = World(other_tasks={**tasks})
        self.client = client_of(OpenGate(), world=self.world)

    def ask(self, method: str, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """The status, and the body: whose code agrees with it wherever the document has none of its own."""
        answer = self.client.open(ROOT + path, method=method, **more)
        body = answer.json
        assert set(body) == {"code", "message", "data"}
        expected = {102: 404, 103: 404, 104: 409, 105: 409}.get(body["code"], body["code"])
        assert answer.status_code == expected, body
        return body["code"], body

    def create(self, body: Any = DOMAIN, **headers: str) -> dict[str, Any]:
        code, told = self.ask("POST", "/", json=body, headers=headers)
        assert (code, told["message"]) == (200, "success"), told
        data: dict[str, Any] = told["data"]
        return data

    def status(self, celery_id: str) -> dict[str, Any]:
        data: dict[str, Any] = self.ask("GET", f"/{celery_id}/")[1]["data"]
        return data


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture(scope="module")
def refusing() -> Desk:
    """For what leaves nothing behind."""
    return Desk()


# -- what there is -------------------------------------------------------------------------


def test_the_types_are_the_documents(refusing: Desk) -> None:
    _, told = refusing.ask("GET", "/types/")
    assert told["data"] == {"task_types": dict(TYPES)}
    assert len(TYPES) == 12 == len(DATA)


@pytest.mark.parametrize("path", ["/types/", "/", "/active/", "/schedules/", "/scopes/", "/assets/leaks/"])
def test_paths_are_served_with_and_without_their_last_slash(refusing: Desk, path: str) -> None:
    assert refusing.ask("GET", path) == refusing.ask("GET", path.removesuffix("/"))


@pytest.mark.parametrize("kind", [name for name in TYPES if name != "domain_task_sync_task"])
def test_each_type_is_begun_and_told(desk: Desk, kind: str) -> None:
    made = desk.create({"task_type": kind, "data": {**DATA[kind], "type": "domain", "task_tag": "task"}})
    assert set(made) == {"celery_id", "status"} and made["status"] == "PENDING"
    told = desk.status(made["celery_id"])
    assert told["task_type"] == kind
    assert (told["type"], told["task_tag"], told["name"]) == ("domain", "task", TYPES[kind])
    assert (told["status"], told["start_time"], told["end_time"]) == ("PENDING", None, None)
    named = DATA[kind].get("target") or next(iter(DATA[kind].values()))
    assert told["target"] == named
    assert re.fullmatch("[0-9a-f]{24}", told["task_id"])
    assert desk.status(told["task_id"]) == told


def test_times_are_milliseconds_in_utc(desk: Desk) -> None:
    made = desk.create()
    desk.world.run_next()
    told = desk.status(made["celery_id"])
    assert told["status"] == "SUCCESS" and told["message"] == "完成"
    for name in ("start_time", "end_time"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told[name])


def test_a_task_that_failed_says_why() -> None:
    def fails(context: TaskContext) -> Any:
        raise TaskFailed(reason="the scope is closed")

    desk = Desk(fails)
    made = desk.create()
    desk.world.run_next()
    told = desk.status(made["celery_id"])
    assert (told["status"], told["error"]) == ("FAILURE", "the scope is closed")


# -- the five codes ------------------------------------------------------------------------


@pytest.mark.parametrize("given", [SAMPLE, "nope", "0" * 23, "x" * 24, "a" * 25])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_id_is_102(refusing: Desk, method: str, given: str) -> None:
    code, told = refusing.ask(method, f"/{given}/")
    assert (code, told["message"], told["data"]) == (102, "CeleryIdNotFound", {"celery_id": given})
    code, told = refusing.ask("POST", "/revoke/", json={"celery_id": given})
    assert (code, told["data"]) == (102, {"celery_id": given})


@pytest.mark.parametrize("given", ["0" * 24, "f" * 24, "000000000000000000000099"])
def test_an_unknown_number_is_103(refusing: Desk, given: str) -> None:
    code, told = refusing.ask("GET", f"/{given}/")
    assert (code, told["message"], told["data"]) == (103, "NotFoundTask", {"task_id": given})


def test_a_job_of_another_api_is_an_unknown_one(desk: Desk) -> None:
    job = desk.world.service.submit("tags.compute", {}, owner="local").job
    assert desk.ask("GET", f"/{job.id}/")[0] == 102
    assert desk.ask("GET", f"/{job.number:024x}/")[0] == 103


def test_what_is_over_is_105(desk: Desk) -> None:
    made = desk.create()
    assert desk.ask("DELETE", f"/{made['celery_id']}/")[1]["data"] == {
        "celery_id": made["celery_id"],
        "status": "revoked",
    }
    assert desk.status(made["celery_id"])["status"] == "REVOKED"
    for method, path, body in (("DELETE", f"/{made['celery_id']}/", None), ("POST", "/revoke/", made["celery_id"])):
        code, told = desk.ask(method, path, **({"json": {"celery_id": body}} if body else {}))
        assert (code, told["message"], told["data"]) == (105, "TaskIsDone", {"celery_id": made["celery_id"]})


def test_what_runs_and_is_not_to_be_terminated_is_104() -> None:
    told: list[tuple[int, dict[str, Any]]] = []
    statuses: list[str] = []

    def work(context: TaskContext) -> Any:
        body = {"celery_id": context.job_id, "terminate": False}
        told.append(desk.ask("POST", "/revoke/", json=body))
        told.append(desk.ask("POST", "/batch_revoke/", json={"celery_ids": [context.job_id], "terminate": False}))
        statuses.append(desk.status(context.job_id)["status"])
        return {}

    desk = Desk(work)
    made = desk.create()
    desk.world.run_next()
    (code, one), (_, batch) = told
    assert (code, one["message"], one["data"]) == (104, "TaskIsRunning", {"celery_id": made["celery_id"]})
    assert batch["data"]["results"] == [{"celery_id": made["celery_id"], "status": "TaskIsRunning"}]
    assert statuses == ["STARTED"]
    assert desk.status(made["celery_id"])["status"] == "SUCCESS", "the cancel was not asked"


def test_what_waits_is_revoked_where_nothing_is_to_be_terminated(desk: Desk) -> None:
    made = desk.create()
    assert desk.ask("POST", "/revoke/", json={"celery_id": made["celery_id"], "terminate": False})[0] == 200
    assert desk.status(made["celery_id"])["status"] == "REVOKED"


def test_a_batch_says_of_each_what_became_of_it_in_the_order_asked(desk: Desk) -> None:
    done, waits = desk.create()["celery_id"], desk.create()["celery_id"]
    desk.world.run_next()
    number = desk.status(waits)["task_id"]
    asked = [SAMPLE, waits, done, str(uuid4()), number, waits]
    _, told = desk.ask("POST", "/batch_revoke/", json={"celery_ids": asked})
    statuses = ["CeleryIdNotFound", "revoked", "TaskIsDone", "CeleryIdNotFound", "revoked", "revoked"]
    assert told["data"]["results"] == [
        {"celery_id": one, "status": status} for one, status in zip(asked, statuses, strict=True)
    ]


# -- lists ---------------------------------------------------------------------------------


def test_a_list_is_newest_first_with_exact_totals_and_pages(desk: Desk) -> None:
    made = [desk.create()["celery_id"] for _ in range(25)]
    seen = []
    for page in (1, 2, 3, 4):
        _, told = desk.ask("GET", f"/?page={page}&size=10")
        assert (told["data"]["total"], told["data"]["page"], told["data"]["size"]) == (25, page, 10)
        seen += [item["celery_id"] for item in told["data"]["items"]]
    assert seen == made[::-1]
    item = told["data"]["items"] or desk.ask("GET", "/")[1]["data"]["items"][0]
    assert set(item) >= {"_id", "name", "target", "status", "type", "task_tag", "task_type", "start_time", "end_time"}
    assert desk.ask("GET", "/")[1]["data"]["size"] == 10


def test_filters_filter_and_go_together(desk: Desk) -> None:
    first = desk.create()["celery_id"]
    desk.world.run_next()
    second = desk.create({"task_type": "ip_task", "data": DATA["ip_task"]})["celery_id"]

    def ids(query: str) -> list[str]:
        return [item["celery_id"] for item in desk.ask("GET", f"/?{query}")[1]["data"]["items"]]

    assert ids("status=SUCCESS") == [first]
    assert ids("status=PENDING") == [second]
    assert ids("task_type=ip_task") == [second]
    assert ids("task_type=ip_task&status=SUCCESS") == []
    assert ids(f"celery_id={first}") == [first]
    assert ids(f"celery_id={first}&status=PENDING") == ids(f"celery_id={SAMPLE}") == []
    for wrong in ("status=success", "task_type=nope", "size=101", "size=0", "page=0", "sort=name", "page=x"):
        code, told = desk.ask("GET", f"/?{wrong}")
        assert (code, told["data"]["field"]) == (400, wrong.partition("=")[0])


def test_what_is_active_is_told_exactly() -> None:
    seen: list[dict[str, Any]] = []

    def work(context: TaskContext) -> Any:
        seen.extend(desk.ask("GET", "/active/")[1]["data"]["active_tasks"])
        return {}

    desk = Desk(work)
    running, queued = desk.create()["celery_id"], desk.create()["celery_id"]
    desk.world.run_next()
    assert [(one["id"], one["state"]) for one in seen] == [(running, "active"), (queued, "reserved")]
    first = seen[0]
    assert first["name"] == "app.celerytask.casm_task" and first["args"] == []
    assert first["kwargs"]["options"]["celery_action"] == "domain_task"
    assert first["kwargs"]["options"]["data"]["target"] == "example.com"
    assert "user" not in first["kwargs"]["options"]["data"]
    assert isinstance(first["time_start"], float) and first["worker"].startswith("celery@")
    assert seen[1]["time_start"] is None and seen[1]["worker"] is None
    desk.ask("DELETE", f"/{queued}/")
    assert desk.ask("GET", "/active/")[1]["data"] == {"active_tasks": []}


# -- what comes in -------------------------------------------------------------------------


WRONG: list[tuple[Any, str]] = [
    ({}, "task_type"),
    ({"task_type": "domain_task"}, "data"),
    ({"task_type": "nope", "data": {}}, "task_type"),
    ({"task_type": 1, "data": {}}, "task_type"),
    ({"task_type": "domain_task", "data": []}, "data"),
    ({"task_type": "domain_task", "data": {}}, "data.target"),
    ({"task_type": "domain_task", "data": {"target": ""}}, "data.target"),
    ({"task_type": "domain_task", "data": {"target": ["a.example"]}}, "data.target"),
    ({"task_type": "domain_task", "data": {"target": "a.example", "nope": 1}}, "data.nope"),
    ({"task_type": "domain_task", "data": {"target": "a.example", "keyword": "x"}}, "data.keyword"),
    ({"task_type": "domain_task", "data": {"target": "a.example", "type": "x" * 65}}, "data.type"),
    ({"task_type": "domain_task", "data": {"target": "a.example", "name": ""}}, "data.name"),
    ({"task_type": "domain_task", "data": {"target": "a.example", "options": {"nope": True}}}, "data.options.nope"),
    (
        {"task_type": "domain_task", "data": {"target": "a.example", "options": {"port_scan": 1}}},
        "data.options.port_scan",
    ),
    (
        {"task_type": "ip_task", "data": {"target": "192.0.2.1", "options": {"port_scan_type": "custom"}}},
        "data.options.port_custom",
    ),
    (
        {"task_type": "domain_task", "data": {"target": "a.example", "options": {"domain_brute_type": "huge"}}},
        "data.options.domain_brute_type",
    ),
    (
        {"task_type": "domain_task", "data": {"target": "a.example", "schedule": {"every_seconds": 21_600}}},
        "data.schedule",
    ),
    ({"task_type": "asset_site_update", "data": {}}, "data.scope_id"),
    ({"task_type": "asset_site_update", "data": {"scope_id": "corp", "schedule": {}}}, "data.schedule.cron"),
    (
        {"task_type": "asset_site_update", "data": {"scope_id": "corp", "schedule": {"every_seconds": True}}},
        "data.schedule.every_seconds",
    ),
    ({"task_type": "fofa_task", "data": {}}, "data.query"),
    ({"task_type": "github_task_task", "data": {"keyword": "x" * 257}}, "data.keyword"),
    ({"task_type": "domain_task_sync_task", "data": {"scope_id": "corp"}}, "data.task_id"),
    ({"task_type": "domain_task", "data": {"target": "a.example"}, "more": 1}, "more"),
]


@pytest.mark.parametrize(("body", "field"), WRONG)
def test_what_is_wrong_is_named_and_leaves_nothing_behind(refusing: Desk, body: Any, field: str) -> None:
    code, told = refusing.ask("POST", "/", json=body)
    assert (code, told["data"]["field"]) == (400, field)
    assert told["message"].startswith("参数错误") and told["data"]["reason"]
    assert refusing.world.everything().total == 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [({}, "is required"), ({"data": None}, "must not be null"), ({"data": 1}, "must be a JSON object")],
)
def test_data_that_are_not_there_are_told_as_other_fields_are(refusing: Desk, data: Any, reason: str) -> None:
    _, told = refusing.ask("POST", "/", json={"task_type": "domain_task", **data})
    assert told["data"] == {"field": "data", "reason": reason}


@pytest.mark.parametrize("name", sorted(NOT_OFFERED))
def test_what_would_attack_is_refused_by_its_name(refusing: Desk, name: str) -> None:
    body = {"task_type": "ip_task", "data": {"target": "192.0.2.1", "options": {name: True}}}
    code, told = refusing.ask("POST", "/", json=body)
    assert (code, told["data"]["field"]) == (400, f"data.options.{name}")
    assert "fuzzes" in told["data"]["reason"]


def test_options_are_false_where_they_are_not_given(desk: Desk) -> None:
    told = desk.status(desk.create()["celery_id"])
    assert {name: told["options"][name] for name in FLAGS} == dict.fromkeys(FLAGS, False)


@pytest.mark.parametrize("body", [{"celery_ids": []}, {"celery_ids": ["x"] * 1001}, {"celery_ids": [1]}, {}])
def test_a_batch_of_nothing_or_too_much_is_refused(refusing: Desk, body: Any) -> None:
    code, told = refusing.ask("POST", "/batch_revoke/", json=body)
    assert code == 400 and told["data"]["field"].startswith("celery_ids")


def test_other_bodies_paths_and_methods_are_refused_in_the_fronts_shape(refusing: Desk) -> None:
    assert refusing.ask("POST", "/", data=b"{", content_type="application/json")[0] == 400
    assert refusing.ask("POST", "/", data=b"{}", content_type="text/plain")[0] == 415
    assert refusing.ask("GET", "/nope/nope/")[0] == 404
    assert refusing.ask("PUT", "/types/")[0] == 405


def test_one_key_is_one_task(desk: Desk) -> None:
    made = desk.create(**{"Idempotency-Key": "k"})
    answer = desk.client.post(f"{ROOT}/", json=DOMAIN, headers={"Idempotency-Key": "k"})
    assert answer.json["data"] == made and answer.headers["Idempotency-Replayed"] == "true"
    other = {**DOMAIN, "data": {**DOMAIN["data"], "target": "www.example.com"}}  # type: ignore[dict-item]
    assert desk.ask("POST", "/", json=other, headers={"Idempotency-Key": "k"})[0] == 422
    assert desk.world.everything().total == 1


# -- syncs ---------------------------------------------------------------------------------


def test_what_is_synced_has_to_be_there_and_over() -> None:
    desk = Desk()
    body = {"task_type": "domain_task_sync_task", "data": {"scope_id": "corp", "task_id": "0" * 24}}
    code, told = desk.ask("POST", "/", json=body)
    assert (code, told["data"]) == (103, {"task_id": "0" * 24})
    source = desk.create()["celery_id"]
    body["data"]["task_id"] = source  # type: ignore[index]
    code, told = desk.ask("POST", "/", json=body)
    assert (code, told["data"]) == (104, {"celery_id": source})
    desk.world.run_next()
    body["data"]["task_id"] = desk.status(source)["task_id"]  # type: ignore[index]
    made = desk.create(body)
    job = desk.world.job(made["celery_id"])
    assert job.request.arguments["task_id"] == source


# -- schedules -----------------------------------------------------------------------------


def test_a_monitor_is_begun_at_once_and_told(desk: Desk) -> None:
    made = desk.create(MONITOR)
    assert set(made) == {"celery_id", "status", "schedule_id"} and made["status"] == "PENDING"
    assert desk.world.job(made["celery_id"]).lane == "monitors"
    _, told = desk.ask("GET", f"/schedules/{made['schedule_id']}/")
    facts = told["data"]
    assert (facts["task_type"], facts["every_seconds"], facts["paused"], facts["runs"]) == (
        "asset_site_update",
        21_600,
        None,
        1,
    )
    assert facts["last_celery_id"] == made["celery_id"]
    _, listed = desk.ask("GET", "/schedules/")
    assert listed["data"]["items"] == [facts] and listed["data"]["total"] == 1


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        ({"every_seconds": 21_599}, "data.schedule.every_seconds"),
        ({"every_seconds": 0}, "data.schedule.every_seconds"),
        ({"cron": "*/5 * * * *"}, "data.schedule.cron"),
        ({"cron": "0 3 * *"}, "data.schedule.cron"),
        ({"cron": "0 3 * * *", "timezone": "Mars/Base"}, "data.schedule.timezone"),
        ({"every_seconds": 21_600, "timezone": "UTC"}, "data.schedule.timezone"),
    ],
)
def test_a_timing_that_is_none_or_too_often_is_refused(refusing: Desk, schedule: Any, field: str) -> None:
    body = {"task_type": "asset_site_update", "data": {"scope_id": "corp", "schedule": schedule}}
    code, told = refusing.ask("POST", "/", json=body)
    assert (code, told["data"]["field"]) == (400, field)
    assert refusing.ask("GET", "/schedules/")[1]["data"]["total"] == 0
    assert refusing.world.everything().total == 0


def test_a_schedule_is_paused_resumed_and_deleted(desk: Desk) -> None:
    schedule_id = desk.create(MONITOR)["schedule_id"]
    _, told = desk.ask("POST", f"/schedules/{schedule_id}/pause/")
    assert told["data"]["paused"] == "local asked for it" and told["data"]["next_run"] is None
    _, told = desk.ask("POST", f"/schedules/{schedule_id}/resume/")
    assert told["data"]["paused"] is None and told["data"]["next_run"]
    assert desk.ask("DELETE", f"/schedules/{schedule_id}/")[0] == 200
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "pause/"), ("POST", "resume/")):
        code, told = desk.ask(method, f"/schedules/{schedule_id}/{path}")
        assert (code, told["message"]) == (404, "没有找到定时任务")


def test_one_key_is_one_schedule(desk: Desk) -> None:
    made = desk.create(MONITOR, **{"Idempotency-Key": "k"})
    answer = desk.client.post(f"{ROOT}/", json=MONITOR, headers={"Idempotency-Key": "k"})
    assert answer.json["data"] == made and answer.headers["Idempotency-Replayed"] == "true"
    assert desk.world.registry.find(Query()).total == 1


# -- who may -------------------------------------------------------------------------------


class Named(Gate):
    """Lets everybody in by the name that they say."""

    asks = True

    def __init__(self, *names: Principal) -> None:
        self._names = {one.name: one for one in names}

    def _identify(self, authorization: str | None, address: str) -> Admission:
        return Admission(self._names[str(authorization)])

    def holds(self, admission: Admission) -> bool:
        return True

    def known(self, name: str) -> Principal | None:
        return self._names.get(name)

    def by_ticket(self, ticket: str, address: str | None) -> tuple[Admission, str]:
        raise NotImplementedError


@pytest.fixture
def people() -> Iterator[tuple[FlaskClient, World]]:
    world = World(other_tasks={f"celery_task.{name}": FakeTask(lambda _: {}, lambda _: False) for name in TYPES})
    scan = frozenset({"scan"})
    gate = Named(Principal("ann", Role.USER, scan), Principal("bob", Role.USER, scan), Principal("cy", Role.USER))
    yield client_of(gate, world=world), world


def test_to_begin_needs_the_right_to_scan(people: tuple[FlaskClient, World]) -> None:
    client, world = people
    answer = client.post(f"{ROOT}/", json=DOMAIN, headers={"Authorization": "cy"})
    assert answer.status_code == 403 == answer.json["code"]
    assert "may: [scan]" in answer.json["message"]
    assert world.everything().total == 0
    assert client.post(f"{ROOT}/", json=DOMAIN, headers={"Authorization": "ann"}).status_code == 200


def test_what_is_others_is_unknown(people: tuple[FlaskClient, World]) -> None:
    client, world = people
    ann, bob = {"Authorization": "ann"}, {"Authorization": "bob"}
    made = client.post(f"{ROOT}/", json=MONITOR, headers=ann).json["data"]
    number = f"{world.job(made['celery_id']).number:024x}"
    for method, path in (("GET", "/"), ("DELETE", "/"), ("GET", "/result/")):
        for given, code in ((made["celery_id"], 102), (number, 103)):
            answer = client.open(f"{ROOT}/{given}{path}", method=method, headers=bob)
            assert answer.json["code"] == code
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "pause/"), ("POST", "resume/")):
        assert (
            client.open(f"{ROOT}/schedules/{made['schedule_id']}/{path}", method=method, headers=bob).status_code == 404
        )
    asked = {"celery_ids": [made["celery_id"]]}
    told = client.post(f"{ROOT}/batch_revoke/", json=asked, headers=bob).json["data"]["results"]
    assert told == [{"celery_id": made["celery_id"], "status": "CeleryIdNotFound"}]
    for path in ("/", "/schedules/"):
        assert client.get(ROOT + path, headers=bob).json["data"]["total"] == 0
        assert client.get(ROOT + path, headers=ann).json["data"]["total"] == 1
    assert client.get(f"{ROOT}/active/", headers=bob).json["data"]["active_tasks"] == []
    assert client.get(f"{ROOT}/{made['celery_id']}/", headers=ann).json["data"]["status"] == "PENDING"


def test_every_state_has_a_word() -> None:
    assert set(STATUS.values()) == {"PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED"}


# -- who was an admin ----------------------------------------------------------------------


def failing_world() -> World:
    def fail(context: TaskContext) -> Any:
        raise TaskFailed(reason="nobody answers")

    return World(other_tasks={f"celery_task.{name}": FakeTask(fail, lambda job: False) for name in TYPES})


def test_who_is_no_admin_any_more_repeats_nothing_that_saw_every_scope() -> None:
    world, scan = failing_world(), frozenset({"scan"})
    admin, ann = Principal("ann", Role.ADMIN), Principal("ann", Role.USER, scan)
    before, after = client_of(Named(admin), world=world), client_of(Named(ann), world=world)
    as_ann = {"Authorization": "ann"}
    wide = before.post(f"{ROOT}/", json=DOMAIN, headers=as_ann).json["data"]["celery_id"]
    narrow = after.post(f"{ROOT}/", json=DOMAIN, headers=as_ann).json["data"]["celery_id"]
    assert world.run_next() and world.run_next()
    refused = after.post(f"/api/tasks/retry/{wide}", json={}, headers=as_ann)
    assert refused.status_code == 400 and "admin" in refused.text
    assert world.everything().total == 2
    for client, job_id in ((before, wide), (after, narrow)):
        assert client.post(f"/api/tasks/retry/{job_id}", json={}, headers=as_ann).status_code == 202


def test_the_schedules_of_who_is_no_admin_any_more_see_no_more_than_their_owner() -> None:
    world, scan = failing_world(), frozenset({"scan"})
    admin, ann = Principal("ann", Role.ADMIN), Principal("ann", Role.USER, scan)
    as_ann = {"Authorization": "ann"}
    for one in (admin, ann):
        assert client_of(Named(one), world=world).post(f"{ROOT}/", json=MONITOR, headers=as_ann).status_code == 200
    narrow, wide = world.scheduling.find(ScheduleQuery()).schedules
    assert may_still(Named(admin), wide) and may_still(Named(admin), narrow)
    assert not may_still(Named(ann), wide) and may_still(Named(ann), narrow)
    assert not may_still(Named(Principal("ann", Role.USER)), narrow) and not may_still(Named(), narrow)
