"""Every line of the tags document and of what was decided about it: triggers, statuses, lists, cancels, keys."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.e2e.conftest import USERS, StartServer
from tests.e2e.server import Client, Server, until

ALL_TAGS = list(range(1, 9))
TWO_USERS = ["user_000001", "user_000002"]
TASK_CLASSES = {
    1: ("HighNetWorthUserTask", "高净值用户"),
    2: ("ActiveTraderTask", "活跃交易者"),
    3: ("LowRiskUserTask", "低风险用户"),
    4: ("NewUserTask", "新注册用户"),
    5: ("VIPUserTask", "VIP客户"),
    6: ("CashRichUserTask", "现金充足用户"),
    7: ("YoungUserTask", "年轻用户"),
    8: ("RecentActiveUserTask", "最近活跃用户"),
}
LIST_ERROR = ("tag_ids must be a non-empty list", "标签ID必须是非空列表")


def moment(text: str) -> datetime:
    """A time as it is told: ISO 8601, with the offset of UTC."""
    told = datetime.fromisoformat(text)
    assert told.utcoffset() == timedelta(0), text
    return told


def refusal(response: requests.Response, status: int) -> tuple[str, str]:
    """`error` and `message` of an answer that must be this refusal."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert body["success"] is False
    assert body["error"] and body["message"]
    return body["error"], body["message"]


# -- health --------------------------------------------------------------------------------


def test_health_has_the_documented_keys(server: Server) -> None:
    body = server.read("/health")
    assert (body["status"], body["environment"]) == ("healthy", "local")
    assert abs(moment(body["timestamp"]) - datetime.now(UTC)) < timedelta(seconds=30)


@pytest.mark.parametrize("probe", ["live", "ready"])
def test_probes_answer_for_orchestrators(server: Server, probe: str) -> None:
    assert server.get(f"/health/{probe}").status_code == 200


def test_without_spark_the_service_is_alive_and_not_ready(still: Server) -> None:
    assert still.get("/health").status_code == 200
    assert still.get("/health/live").status_code == 200
    assert still.get("/health/ready").status_code == 503


# -- trigger -------------------------------------------------------------------------------


def test_trigger_answers_as_documented(server: Server) -> None:
    response = server.ask(tag_ids=[1, 2, 3], user_ids=TWO_USERS, mode="full")
    assert response.status_code == 202
    assert response.headers["Content-Type"] == "application/json"
    assert "Idempotency-Replayed" not in response.headers
    body = response.json()
    assert abs(moment(body["data"].pop("submitted_at")) - datetime.now(UTC)) < timedelta(seconds=30)
    assert uuid.UUID(body["task_id"]).version == 4
    assert body == {
        "success": True,
        "task_id": body["task_id"],
        "message": "标签任务已成功提交",
        "data": {
            "tag_ids": [1, 2, 3],
            "user_ids": TWO_USERS,
            "user_ids_total": 2,
            "mode": "full",
            "environment": "local",
        },
    }


@pytest.mark.parametrize("everyone", [{}, {"user_ids": None}])
def test_absent_and_null_user_ids_mean_everyone(server: Server, everyone: dict[str, Any]) -> None:
    task = server.ask(tag_ids=[3], **everyone).json()
    assert task["data"]["user_ids"] is None
    assert task["data"]["mode"] == "full"
    assert server.wait(task["task_id"])["result"]["total_users"] == USERS


def test_duplicate_ids_count_once(server: Server) -> None:
    task = server.ask(tag_ids=[2, 1, 2, 2], user_ids=["user_000002", "user_000001", "user_000002"]).json()
    assert task["data"]["tag_ids"] == [2, 1]
    assert task["data"]["user_ids"] == ["user_000002", "user_000001"]
    result = server.wait(task["task_id"])["result"]
    assert result["total_users"] == 2
    assert sorted(tag["tag_id"] for tag in result["tags"]) == [1, 2]


@pytest.mark.parametrize("body", [{}, {"mode": "full"}, {"user_ids": TWO_USERS}])
def test_without_tag_ids(server: Server, body: dict[str, Any]) -> None:
    assert refusal(server.ask(**body), 400) == ("tag_ids is required", "标签ID列表是必需的")


@pytest.mark.parametrize(
    "tag_ids", [None, [], {}, "1", 1, True, [True], [1, False], [1.0], [1.5], ["1"], [None], [[1]], [1, {}]]
)
def test_tag_ids_that_are_no_list_of_integers(server: Server, tag_ids: Any) -> None:
    assert refusal(server.ask(tag_ids=tag_ids), 400) == LIST_ERROR


@pytest.mark.parametrize("tag_ids", [[999], [0], [-1], [2**31], [2**63 - 1]])
def test_unknown_tags_are_named_with_those_that_there_are(server: Server, tag_ids: list[int]) -> None:
    response = server.ask(tag_ids=tag_ids)
    assert response.status_code == 400
    assert response.json() == {
        "success": False,
        "error": f"Invalid tag_ids: {tag_ids}",
        "message": f"无效的标签ID: {tag_ids}",
        "available_tag_ids": ALL_TAGS,
    }


def test_only_the_unknown_ones_are_named(server: Server) -> None:
    error, _ = refusal(server.ask(tag_ids=[1, 999, 2, 998, 999]), 400)
    assert error == "Invalid tag_ids: [999, 998]"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mode", "FULL"),
        ("mode", "partial"),
        ("mode", ""),
        ("mode", None),
        ("mode", 1),
        ("user_ids", []),
        ("user_ids", "user_000001"),
        ("user_ids", {}),
        ("user_ids", [1]),
        ("user_ids", [None]),
        ("user_ids", [True]),
        ("user_ids", [["user_000001"]]),
        ("user_ids", [""]),
        ("user_ids", ["x" * 256]),
        ("user_ids", [f"user_{number:06d}" for number in range(100_001)]),
        ("dry_run", 1),
        ("dry_run", "true"),
        ("dry_run", None),
        ("diff", 0),
        ("diff", []),
    ],
)
def test_other_wrong_fields_are_named(server: Server, field: str, value: Any) -> None:
    error, message = refusal(server.ask(tag_ids=[1], **{field: value}), 400)
    assert field in error
    assert field in message


def test_as_many_users_as_are_allowed(server: Server) -> None:
    users = [f"user_{number:06d}" for number in range(1, 100_001)]
    result = server.run([1], user_ids=users, dry_run=True)
    assert result["total_users"] == USERS
    assert result["unknown_user_ids"] == users[USERS : USERS + 100]


# -- status --------------------------------------------------------------------------------


def test_status_of_a_completed_task(server: Server) -> None:
    task_id = server.trigger([1, 2, 3], user_ids=TWO_USERS)
    server.wait(task_id)
    body = server.read(f"/api/v1/tasks/{task_id}/status")
    assert (body["success"], body["task_id"], set(body)) == (True, task_id, {"success", "task_id", "status"})
    status = body["status"]
    assert moment(status["submitted_at"]) <= moment(status["started_at"]) <= moment(status["completed_at"])
    assert {key: status[key] for key in ("task_id", "tag_ids", "user_ids", "mode", "environment", "status")} == {
        "task_id": task_id,
        "tag_ids": [1, 2, 3],
        "user_ids": TWO_USERS,
        "mode": "full",
        "environment": "local",
        "status": "completed",
    }
    assert status["attempt"] == 1
    assert status["progress"] == {"done": 3, "total": 3, "percentage": 100.0}
    assert "error" not in status
    result = status["result"]
    assert (result["total_users"], result["message"]) == (2, "Successfully processed 2 users")
    assert result["unknown_user_ids"] == []
    assert isinstance(result["table_version"], int)
    assert [set(tag) for tag in result["tags"]] == [{"tag_id", "matched_users", "added", "removed"}] * 3


def test_status_of_a_task_that_waits(still: Server) -> None:
    status = still.status(still.trigger([1]))
    assert status["status"] == "submitted"
    assert (status["started_at"], status["completed_at"], status["user_ids"]) == (None, None, None)
    assert "result" not in status
    assert "error" not in status


@pytest.mark.parametrize("task_id", [str(uuid.uuid4()), "no-uuid", "1", "%00", "任务", "x" * 300])
@pytest.mark.parametrize(("method", "rest"), [("GET", "/status"), ("DELETE", "")])
def test_an_unknown_task(server: Server, method: str, rest: str, task_id: str) -> None:
    response = server.request(method, f"/api/v1/tasks/{task_id}{rest}")
    assert refusal(response, 404) == ("Task not found", "任务不存在")


def test_unknown_users_are_named(server: Server) -> None:
    result = server.run([1, 3], user_ids=["user_000001", "nobody", " user_000001", "USER_000001"])
    assert result["total_users"] == 1
    assert sorted(result["unknown_user_ids"]) == [" user_000001", "USER_000001", "nobody"]


@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_no_user_in_scope(server: Server, mode: str) -> None:
    result = server.run([1], user_ids=["nobody"], mode=mode)
    assert isinstance(result.pop("table_version"), int)
    assert result == {
        "total_users": 0,
        "message": "No results",
        "tags": [{"tag_id": 1, "matched_users": 0, "added": 0, "removed": 0}],
        "unknown_user_ids": ["nobody"],
    }


# -- lists ---------------------------------------------------------------------------------


def test_list_item_has_the_documented_keys(server: Server) -> None:
    task_id = server.trigger([1, 2, 3], user_ids=TWO_USERS)
    status = server.wait(task_id)
    newest = server.read("/api/v1/tasks")["tasks"][0]
    keys = ("task_id", "tag_ids", "status", "submitted_at", "completed_at")
    assert newest == {key: status[key] for key in keys}


def test_list_without_parameters_shows_the_newest_thousand_first(start_still_server: StartServer) -> None:
    server = start_still_server(jobs__max_queued=2000, jobs__max_queued_per_user=2000)
    made = [server.trigger([1 if number % 3 else 2]) for number in range(1005)][::-1]

    body = server.read("/api/v1/tasks")
    assert (body["success"], body["total"]) == (True, 1005)
    assert len(server.read(body["next"])["tasks"]) == 5
    assert [task["task_id"] for task in body["tasks"]] == made[:1000]

    pages = [server.read("/api/v1/tasks", page=page, page_size=100) for page in range(1, 13)]
    assert {page["total"] for page in pages} == {1005}
    assert [len(page["tasks"]) for page in pages] == [100] * 10 + [5, 0]
    assert [task["task_id"] for page in pages for task in page["tasks"]] == made

    cancelled = made[2]
    assert server.delete(f"/api/v1/tasks/{cancelled}").status_code == 200
    assert _listed(server, status="cancelled") == ([cancelled], 1)
    assert server.read("/api/v1/tasks", status="submitted", page_size=1)["total"] == 1004
    second = [task_id for number, task_id in enumerate(made[::-1]) if number % 3 == 0][::-1]
    assert _listed(server, tag_id=2) == (second, 335)
    waiting = [task_id for task_id in second if task_id != cancelled]
    assert _listed(server, tag_id=2, status="submitted", page=2, page_size=7) == (waiting[7:14], len(waiting))
    assert _listed(server, tag_id=2, status="completed") == ([], 0)


def _listed(server: Client, **asked: Any) -> tuple[list[str], int]:
    body = server.read("/api/v1/tasks", **asked)
    return [task["task_id"] for task in body["tasks"]], body["total"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page_size", "101"),
        ("page_size", "0"),
        ("page_size", "-1"),
        ("page_size", "ten"),
        ("page_size", ""),
        ("page", "0"),
        ("page", "1.0"),
        ("page", "１"),
        ("page", "9" * 5000),
        ("tag_id", "one"),
        ("tag_id", "true"),
        ("status", "SUBMITTED"),
        ("status", "pending"),
        ("status", ""),
    ],
)
def test_wrong_list_parameters_are_named(server: Server, name: str, value: str) -> None:
    error, message = refusal(server.get("/api/v1/tasks", **{name: value}), 400)
    assert name in error
    assert name in message


def test_available_tags_are_the_documented_ones(server: Server) -> None:
    assert server.read("/api/v1/tags/available") == {
        "success": True,
        "available_tags": [
            {"tag_id": tag_id, "task_class": task_class, "description": description}
            for tag_id, (task_class, description) in TASK_CLASSES.items()
        ],
    }


# -- cancel --------------------------------------------------------------------------------


def test_a_task_that_waits_is_cancelled_at_once(still: Server) -> None:
    server = still
    task_id = server.trigger([1])
    response = server.delete(f"/api/v1/tasks/{task_id}")
    assert response.status_code == 200
    body = response.json()
    assert (body["success"], body["task_id"]) == (True, task_id)
    assert body["status"]["status"] == server.status(task_id)["status"] == "cancelled"
    assert refusal(server.delete(f"/api/v1/tasks/{task_id}"), 409) == ("Task already finished", "任务已结束")


def test_a_completed_task_cannot_be_cancelled(server: Server) -> None:
    task_id = server.trigger([1], user_ids=TWO_USERS)
    before = server.wait(task_id)
    assert refusal(server.delete(f"/api/v1/tasks/{task_id}"), 409) == ("Task already finished", "任务已结束")
    assert server.status(task_id) == before


def test_a_cancel_in_the_midst_tells_the_truth(start_server: StartServer) -> None:
    """One at a time, so that the first is running and the last is waiting; what was cancelled left no trace."""
    server = start_server(jobs__max_concurrent=1)
    tasks = [server.trigger(ALL_TAGS) for _ in range(6)]
    running = until(lambda: [one for one in tasks if server.status(one)["status"] == "running"], "a task runs")[0]
    answers = {one: server.delete(f"/api/v1/tasks/{one}") for one in (tasks[-1], running)}

    assert answers[tasks[-1]].status_code == 200
    for task_id, answer in answers.items():
        status = server.wait(task_id)
        assert (answer.status_code, status["status"]) in {(200, "cancelled"), (202, "cancelled"), (409, "completed")}
        assert ("result" in status) == (status["status"] == "completed")
    ends = [server.wait(one) for one in tasks]
    versions = [end["result"]["table_version"] for end in ends if end["status"] == "completed"]
    assert versions == list(range(1, len(versions) + 1))


# -- idempotency ---------------------------------------------------------------------------


def keyed(server: Client, key: str | bytes, **body: Any) -> requests.Response:
    return server.ask({"Idempotency-Key": key}, **body)  # type: ignore[dict-item]


def test_the_same_request_under_a_key_is_one_task(server: Server) -> None:
    key = str(uuid.uuid4())
    first = keyed(server, key, tag_ids=[1, 3], user_ids=TWO_USERS)
    server.wait(first.json()["task_id"])
    total = server.total()
    again = keyed(server, key, tag_ids=[1, 3], user_ids=TWO_USERS)
    assert (first.status_code, again.status_code) == (202, 202)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert server.total() == total


def test_bodies_are_compared_after_validation_and_defaults(server: Server) -> None:
    key = str(uuid.uuid4())
    first = keyed(server, key, tag_ids=[1], user_ids=TWO_USERS)
    spelled_out = {"user_ids": [*TWO_USERS, TWO_USERS[0]], "mode": "full", "diff": False, "tag_ids": [1, 1]}
    again = keyed(server, key, **spelled_out, dry_run=False)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["task_id"] == first.json()["task_id"]


@pytest.mark.parametrize("other", [{"tag_ids": [2]}, {"mode": "incremental"}, {"dry_run": True}, {"user_ids": None}])
def test_another_request_under_a_used_key(server: Server, other: dict[str, Any]) -> None:
    key, body = str(uuid.uuid4()), {"tag_ids": [1], "user_ids": TWO_USERS}
    keyed(server, key, **body)
    total = server.total()
    refusal(keyed(server, key, **(body | other)), 422)
    assert server.total() == total


def test_a_refused_request_does_not_use_its_key_up(server: Server) -> None:
    key = str(uuid.uuid4())
    refusal(keyed(server, key, tag_ids=[999]), 400)
    assert keyed(server, key, tag_ids=[1], user_ids=TWO_USERS).status_code == 202


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ключ".encode(), b"\xff", "a\tb"])
def test_a_key_that_is_none(server: Server, key: str | bytes) -> None:
    total = server.total()
    error, message = refusal(keyed(server, key, tag_ids=[1], user_ids=TWO_USERS), 400)
    assert "Idempotency-Key" in error
    assert "Idempotency-Key" in message
    assert server.total() == total


@pytest.mark.parametrize("length", [1, 255])
def test_short_and_long_keys(server: Server, length: int) -> None:
    key = (uuid.uuid4().hex * 8)[:length] if length > 1 else "!"
    assert keyed(server, key, tag_ids=[1], user_ids=TWO_USERS).status_code == 202


# -- full ----------------------------------------------------------------------------------


def test_a_full_queue_refuses_and_keeps_nothing(start_still_server: StartServer) -> None:
    server = start_still_server(jobs__max_queued=2)
    first = keyed(server, "first", tag_ids=[1])
    server.trigger([2])
    refused = server.ask(tag_ids=[3])
    refusal(refused, 503)
    assert int(refused.headers["Retry-After"]) >= 1
    assert server.total() == 2
    assert keyed(server, "first", tag_ids=[1]).json() == first.json(), "a replay needs no place"

    server.delete(f"/api/v1/tasks/{first.json()['task_id']}")
    server.trigger([3])


def test_a_user_over_their_own_bound_is_refused(start_still_server: StartServer) -> None:
    server = start_still_server(jobs__max_queued_per_user=1)
    waiting = server.trigger([1])
    refused = keyed(server, "second", tag_ids=[2])
    refusal(refused, 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert server.total() == 1

    server.delete(f"/api/v1/tasks/{waiting}")
    accepted = keyed(server, "second", tag_ids=[2])
    assert accepted.status_code == 202
    assert "Idempotency-Replayed" not in accepted.headers
