"""Every line that was decided about the tasks API, over HTTP: the jobs of all fronts, and what may be done."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import served, write_tokens
from tests.e2e.scripts import BROKEN, HICCUP, LEAVES, LEFT, PHASES, RETRIES, UNDOES
from tests.e2e.server import Client, Server, until
from tests.e2e.stand_in import COMMITS, DONE, FAILS, REASON, ROWS, RUNS, STUBBORN
from tests.e2e.tasks_client import (
    CAMPAIGN,
    NOT_FOUND,
    PENDING,
    STATUS,
    TASKS,
    cancel,
    ended,
    new_key,
    publish,
    reached,
    refused,
    retry,
    started,
    status,
)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A stand-in that runs one job at a time of what is no publication."""
    folder = tmp_path_factory.mktemp("front")
    variables = {"TAGAPI_AUTH__TOKENS_FILE": str(write_tokens(folder / "tokens.yaml"))}
    variables |= {"TAGAPI_JOBS__MAX_CONCURRENT": "4"}
    yield from served(Server(folder, variables, program=("-m", "tests.e2e.stand_in")), ready=False)


@pytest.fixture
def ann(front: Server) -> Iterator[Client]:
    with Client(front.url, "ann-token") as client:
        yield client


@pytest.fixture
def bob(front: Server) -> Iterator[Client]:
    with Client(front.url, "bob-token") as client:
        yield client


@pytest.fixture
def pia(front: Server) -> Iterator[Client]:
    """Who may publish."""
    with Client(front.url, "pia-token") as client:
        yield client


@pytest.fixture
def root(front: Server) -> Iterator[Client]:
    with Client(front.url, "root-token") as client:
        yield client


def moment(text: str) -> datetime:
    told = datetime.fromisoformat(text)
    assert told.utcoffset() == timedelta(0), text
    return told


# -- status --------------------------------------------------------------------------------


def test_a_job_that_succeeded(ann: Client) -> None:
    told = ended(ann, task_id := started(ann))
    assert told.keys() == STATUS
    assert (told["task_id"], told["status"], told["error"], told["found"]) == (task_id, "SUCCESS", None, True)
    assert told["result"]["success"] is True and told["result"]["message"]
    assert told["result"]["total_records"] == ROWS
    assert told["progress"] == {"done": ROWS, "total": ROWS, "percentage": 100.0}
    assert (told["attempt"], told["max_attempts"], told["task"]) == (1, 4, "workers.bookings_export")
    assert (told["owner"], told["retry_of"]) == ("ann", None)
    assert moment(told["created_at"]) <= moment(told["started_at"]) <= moment(told["completed_at"])


def test_a_job_of_the_tags_api(ann: Client) -> None:
    told = ended(ann, ann.trigger([1]))
    assert told.keys() == STATUS
    assert (told["status"], told["task"]) == ("SUCCESS", "tags.compute")
    assert (told["result"]["success"], told["result"]["message"]) == (True, "No results")
    assert told["result"]["total_users"] == 0


@pytest.mark.parametrize("platform", ["meta", "google"])
def test_a_job_of_this_api(ann: Client, platform: str) -> None:
    told = ended(ann, publish(ann, platform).json()["task_id"])
    assert told.keys() == STATUS
    assert (told["status"], told["task"]) == ("SUCCESS", f"tasks.{platform}_publish")


def test_a_job_that_runs(ann: Client) -> None:
    task_id = started(ann, RUNS)
    told = until(lambda: (seen := status(ann, task_id))["progress"]["done"] and seen, "it has progressed")
    assert told.keys() == STATUS
    assert (told["status"], told["result"]) == ("STARTED", "La tarea está en estado: STARTED")
    assert told["progress"] == {"done": DONE, "total": ROWS, "percentage": 50.0}
    assert (told["error"], told["completed_at"], told["found"]) == (None, None, True)
    assert cancel(ann, task_id).status_code == 200


def test_a_job_that_commits_has_started(ann: Client) -> None:
    task_id = started(ann, COMMITS)
    assert reached(ann, task_id, "STARTED")["result"] == "La tarea está en estado: STARTED"
    assert ended(ann, task_id)["status"] == "SUCCESS"


def test_a_job_that_failed_says_why_to_people_and_to_programs(ann: Client) -> None:
    told = ended(ann, started(ann, FAILS))
    assert told.keys() == STATUS
    assert (told["status"], told["result"], told["error"]) == ("FAILURE", f"Error: {REASON}", f"TaskFailed: {REASON}")
    assert moment(told["started_at"]) <= moment(told["completed_at"])


def test_a_job_that_is_tried_again(ann: Client) -> None:
    task_id = started(ann, RETRIES)
    told = reached(ann, task_id, "RETRY")
    assert told.keys() == STATUS
    assert (told["result"], told["attempt"]) == ("La tarea está en estado: RETRY", 1)
    assert (told["error"], told["completed_at"], told["found"]) == (None, None, True)
    told = ended(ann, task_id)
    assert (told["status"], told["attempt"]) == ("SUCCESS", 2)


def test_a_job_that_was_cancelled(ann: Client) -> None:
    task_id = started(ann, RUNS)
    reached(ann, task_id, "STARTED")
    assert cancel(ann, task_id).status_code == 200
    told = status(ann, task_id)
    assert told.keys() == STATUS
    assert (told["status"], told["result"]) == ("REVOKED", "La tarea está en estado: REVOKED")
    assert told["error"] is None
    assert moment(told["completed_at"])


def test_a_job_that_waits(still: Server) -> None:
    told = status(still, still.trigger([1]))
    assert told.keys() == STATUS
    assert (told["status"], told["result"], told["found"]) == ("PENDING", PENDING, True)
    assert (told["error"], told["started_at"], told["completed_at"], told["attempt"]) == (None, None, None, 0)
    assert told["progress"] == {"done": 0, "total": None, "percentage": 0.0}


def test_a_job_that_left_something_is_a_failure_and_names_it(ann: Client) -> None:
    told = ended(ann, started(ann, LEAVES))
    assert told["status"] == "FAILURE"
    assert told["result"] == f"Error: {BROKEN}; {LEFT}"
    assert told["error"] == f"NotUndone: {LEFT}"


def test_ids_are_read_in_any_case(ann: Client) -> None:
    task_id = started(ann)
    assert ended(ann, task_id.upper())["task_id"] == task_id


UNKNOWN = {
    **dict.fromkeys(STATUS - {"task_id"}),
    "status": "PENDING",
    "result": PENDING,
    "found": False,
}


def test_an_unknown_id_and_a_foreign_one_answer_alike(ann: Client, bob: Client, root: Client) -> None:
    foreign, unknown = started(ann), str(uuid.uuid4())
    answers = [bob.get(f"{TASKS}/status/{one}") for one in (foreign, unknown)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content.replace(unknown.encode(), foreign.encode())
    assert answers[1].json() == {"task_id": unknown, **UNKNOWN}
    headers = [{**answer.headers, "X-Request-ID": "", "Date": ""} for answer in answers]
    assert headers[0] == headers[1]
    assert status(root, foreign)["found"] is True, "an admin sees all"


NO_UUIDS = ["1", "no-uuid", "x" * 300, "%00", "é", f"{uuid.uuid4()}x", uuid.uuid4().hex, f"{{{uuid.uuid4()}}}"]


@pytest.mark.parametrize("task_id", NO_UUIDS)
@pytest.mark.parametrize("place", ["status", "progress", "events", "cancel", "retry"])
def test_an_id_that_is_none(ann: Client, place: str, task_id: str) -> None:
    method = "POST" if place in ("cancel", "retry") else "GET"
    answer = ann.request(method, f"{TASKS}/{place}/{task_id}")
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


@pytest.mark.parametrize("place", ["progress", "events", "cancel", "retry"])
def test_elsewhere_an_unknown_job_and_a_foreign_one_are_not_there(ann: Client, bob: Client, place: str) -> None:
    method = "POST" if place in ("cancel", "retry") else "GET"
    for task_id in (started(ann, FAILS), str(uuid.uuid4())):
        answer = bob.request(method, f"{TASKS}/{place}/{task_id}")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


# -- what this front starts ----------------------------------------------------------------


@pytest.mark.parametrize("platform", ["meta", "google"])
def test_what_is_accepted(ann: Client, platform: str) -> None:
    answer = publish(ann, platform)
    assert answer.status_code == 202
    task_id = answer.json()["task_id"]
    assert uuid.UUID(task_id).version == 4
    assert answer.json() == {"task_id": task_id, "status": "PENDING", "status_url": f"{TASKS}/status/{task_id}"}
    assert "Idempotency-Replayed" not in answer.headers
    assert ann.read(answer.json()["status_url"])["found"] is True


def simulated(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("SIM-")


def test_the_result_of_a_publication_on_meta(ann: Client) -> None:
    result = ended(ann, publish(ann).json()["task_id"])["result"]
    assert (result.pop("success"), result.pop("simulated")) == (True, True)
    assert result.pop("message") == "Campaña publicada con éxito en Meta Ads"
    assert result.pop("external_audience_id") is None
    assert result.keys() == {"external_campaign_id", "external_ad_set_id", "external_ad_id"}
    assert all(map(simulated, result.values()))


def test_the_result_of_a_publication_on_google(ann: Client) -> None:
    result = ended(ann, publish(ann, "google").json()["task_id"])["result"]
    assert (result.pop("success"), result.pop("simulated")) == (True, True)
    assert result.pop("message") == "Campaña publicada con éxito en Google Ads"
    ids = result.pop("external_ids")
    assert ids.keys() == {"budget_id", "campaign_id", "ad_group_id", "ad_id"}
    assert all(map(simulated, ids.values()))
    assert result == {"external_campaign_id": ids["campaign_id"]}


@pytest.mark.parametrize("platform", ["meta", "google"])
def test_who_may_not_publish_for_real_may_simulate(ann: Client, platform: str) -> None:
    before = ann.read(TASKS)["total"]
    assert "may: [publish]" in refused(publish(ann, platform, simulate=False), 403, "right_needed")
    assert ann.read(TASKS)["total"] == before


@pytest.mark.parametrize("platform", ["meta", "google"])
def test_a_platform_that_is_not_configured_says_what_is_missing(pia: Client, root: Client, platform: str) -> None:
    for client in (pia, root):
        before = client.read(TASKS)["total"]
        told = refused(publish(client, platform, simulate=False), 409, "not_configured")
        assert f"TAGAPI_{platform.upper()}__ACCOUNT_ID" in told
        assert client.read(TASKS)["total"] == before


def test_an_audience_that_nobody_synced_is_not_there(ann: Client) -> None:
    told = refused(publish(ann, audience="Nadie"), 404, "not_found_in_data", "audience")
    assert told == "No existe ninguna audiencia simulada Nadie"


@pytest.mark.parametrize("platform", ["meta", "google"])
def test_the_same_request_under_a_key_is_one_job(ann: Client, platform: str) -> None:
    key = new_key()
    first = publish(ann, platform, key)
    total = ann.read(TASKS)["total"]
    again = publish(ann, platform, key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert ann.read(TASKS)["total"] == total


def test_bodies_are_compared_after_validation_and_defaults(ann: Client) -> None:
    key = new_key()
    first = publish(ann, key=key)
    defaults = {"objective": "traffic", "countries": ["CO"], "age_min": 18, "age_max": 65, "image_url": None}
    again = publish(ann, key=key, campaign={**CAMPAIGN, **defaults, "starts_on": None, "ends_on": None}, audience=None)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"


def test_another_request_under_a_used_key_is_refused(ann: Client) -> None:
    key = new_key()
    publish(ann, key=key)
    total = ann.read(TASKS)["total"]
    refused(publish(ann, key=key, campaign={**CAMPAIGN, "name": "Otoño"}), 422, "key_reused")
    assert ann.read(TASKS)["total"] == total


def test_a_key_is_of_one_caller_and_one_path(ann: Client, bob: Client) -> None:
    key = new_key()
    made = [publish(ann, "meta", key), publish(ann, "google", key), publish(bob, "meta", key)]
    assert [answer.status_code for answer in made] == [202] * 3
    assert len({answer.json()["task_id"] for answer in made}) == 3


def test_a_refused_request_does_not_use_its_key_up(ann: Client) -> None:
    key = new_key()
    refused(publish(ann, key=key, audience="Nadie"), 404, "not_found_in_data", "audience")
    accepted = publish(ann, key=key)
    assert (accepted.status_code, "Idempotency-Replayed" in accepted.headers) == (202, False)


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
def test_a_key_that_is_none(ann: Client, key: str) -> None:
    before = ann.read(TASKS)["total"]
    refused(publish(ann, key=key), 400, "invalid", "Idempotency-Key")
    assert ann.read(TASKS)["total"] == before


# -- cancel --------------------------------------------------------------------------------


def test_a_job_that_runs_is_cancelled(ann: Client) -> None:
    task_id = started(ann, RUNS)
    reached(ann, task_id, "STARTED")
    answer = cancel(ann, task_id)
    assert answer.status_code == 200
    assert answer.json() == status(ann, task_id)
    assert answer.json()["status"] == "REVOKED"


def test_a_job_that_waits_is_cancelled_at_once(still: Server) -> None:
    answer = cancel(still, still.trigger([1]))
    assert (answer.status_code, answer.json()["status"]) == (200, "REVOKED")


def test_a_job_that_takes_its_time_is_still_stopping(ann: Client) -> None:
    task_id = started(ann, STUBBORN)
    reached(ann, task_id, "STARTED")
    answer = cancel(ann, task_id)
    assert (answer.status_code, answer.json()["status"]) == (202, "STARTED")
    assert answer.json().keys() == STATUS
    assert reached(ann, task_id, "REVOKED")


def test_a_job_that_did_something_outside_takes_it_back_first(ann: Client) -> None:
    task_id = started(ann, UNDOES)
    until(lambda: len(ann.read(f"{TASKS}/events/{task_id}")["events"]) > 1, "it runs")
    answer = cancel(ann, task_id)
    assert answer.status_code == 202
    assert answer.json().keys() == STATUS | {"undoing"}
    assert answer.json()["undoing"] is True
    told = ended(ann, task_id)
    assert told["status"] == "REVOKED" and told.keys() == STATUS
    assert "undoing" in [event["event"] for event in ann.read(f"{TASKS}/events/{task_id}")["events"]]


@pytest.mark.parametrize(("script", "word"), [(100, "SUCCESS"), (FAILS, "FAILURE")])
def test_a_job_that_has_ended_cannot_be_cancelled(ann: Client, script: int, word: str) -> None:
    before = ended(ann, started(ann, script))
    assert word in refused(cancel(ann, before["task_id"]), 409, "already_finished")
    assert status(ann, before["task_id"]) == before


def test_a_cancelled_job_cannot_be_cancelled_again(ann: Client) -> None:
    task_id = started(ann, RUNS)
    assert cancel(ann, task_id).status_code == 200
    assert "REVOKED" in refused(cancel(ann, task_id), 409, "already_finished")


def test_a_job_past_its_point_of_no_return_cannot_be_cancelled(ann: Client) -> None:
    task_id = started(ann, COMMITS)
    until(lambda: status(ann, task_id)["progress"]["done"] == ROWS, "it commits")
    refused(cancel(ann, task_id), 409, "already_finished")
    assert ended(ann, task_id)["status"] == "SUCCESS"


# -- retry ---------------------------------------------------------------------------------


def test_a_job_that_failed_is_done_again_as_a_new_one(ann: Client) -> None:
    before = ended(ann, started(ann, FAILS))
    answer = retry(ann, before["task_id"])
    assert answer.status_code == 202
    made = answer.json()
    assert made == {
        "task_id": made["task_id"],
        "status": "PENDING",
        "status_url": f"{TASKS}/status/{made['task_id']}",
        "retry_of": before["task_id"],
    }
    assert made["task_id"] != before["task_id"]
    told = ended(ann, made["task_id"])
    assert (told["retry_of"], told["task"], told["status"]) == (before["task_id"], before["task"], "FAILURE")
    assert status(ann, before["task_id"]) == before, "the old one never changes"


def test_asking_again_answers_with_the_same_retry(ann: Client, root: Client) -> None:
    task_id = ended(ann, started(ann, FAILS))["task_id"]
    first = retry(ann, task_id)
    for client in (ann, root):
        again = retry(client, task_id)
        assert (again.status_code, again.json()) == (202, first.json())
        assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers


def test_a_retry_can_be_retried(ann: Client) -> None:
    first = ended(ann, started(ann, FAILS))["task_id"]
    second = ended(ann, retry(ann, first).json()["task_id"])["task_id"]
    third = retry(ann, second).json()
    assert third["retry_of"] == second
    assert third["task_id"] not in (first, second)


def test_a_cancelled_job_is_done_again(ann: Client) -> None:
    task_id = started(ann, RUNS)
    assert cancel(ann, task_id).status_code == 200
    made = retry(ann, task_id)
    assert made.status_code == 202
    assert cancel(ann, made.json()["task_id"]).status_code == 200


def test_what_an_admin_repeats_is_the_admins(ann: Client, root: Client) -> None:
    made = retry(root, ended(ann, started(ann, FAILS))["task_id"]).json()
    assert status(root, made["task_id"])["owner"] == "root"
    assert status(ann, made["task_id"])["found"] is False


def test_a_job_that_has_not_ended_is_not_repeated(ann: Client) -> None:
    task_id = started(ann, RUNS)
    reached(ann, task_id, "STARTED")
    assert "STARTED" in refused(retry(ann, task_id), 409, "not_retryable")
    refused(retry(ann, task_id, new_key(), "?force=true"), 409, "not_retryable")
    assert cancel(ann, task_id).status_code == 200


def test_a_job_that_succeeded_is_repeated_only_by_force_with_a_key(ann: Client) -> None:
    task_id = ended(ann, publish(ann).json()["task_id"])["task_id"]
    total = ann.read(TASKS)["total"]
    assert "force=true" in refused(retry(ann, task_id), 409, "not_retryable")
    refused(retry(ann, task_id, new_key()), 409, "not_retryable")
    refused(retry(ann, task_id, query="?force=true"), 400, "invalid", "Idempotency-Key")
    assert ann.read(TASKS)["total"] == total
    key = new_key()
    made = retry(ann, task_id, key, "?force=true")
    assert made.status_code == 202
    assert retry(ann, task_id, key, "?force=true").json() == made.json()
    told = ended(ann, made.json()["task_id"])
    first = status(ann, task_id)["result"]["external_campaign_id"]
    assert told["status"] == "SUCCESS" and told["result"]["external_campaign_id"] != first


@pytest.mark.parametrize("value", ["yes", "1", "TRUE", ""])
def test_force_is_true_or_false(ann: Client, value: str) -> None:
    refused(retry(ann, str(uuid.uuid4()), new_key(), f"?force={value}"), 400, "invalid", "force")


def test_what_is_repeated_is_authorised_anew(ann: Client, root: Client) -> None:
    """A cleanup for real is an admin's to start, and so it is to repeat."""
    body = {"task_type": "data_cleanup", "filters": {"dry_run": False}, "batch_size": FAILS}
    task_id = ended(root, root.post("/api/v1/workers/", body).json()["task_id"])["task_id"]
    assert retry(root, task_id).status_code == 202
    refused(retry(ann, task_id), 404, "job_not_found")


# -- progress and events -------------------------------------------------------------------


def test_progress_counts_within_phases(ann: Client) -> None:
    task_id = started(ann, PHASES)
    told = until(
        lambda: (seen := ann.read(f"{TASKS}/progress/{task_id}"))["phase"] == "escribir" and seen["done"] and seen,
        "the second phase has progressed",
    )
    assert told.keys() == {
        *("task_id", "status", "done", "total", "percentage", "phase", "phases", "seconds_left"),
    }
    assert (told["task_id"], told["status"]) == (task_id, "STARTED")
    assert (told["done"], told["total"], told["percentage"]) == (1, 4, 25.0)
    assert isinstance(told["seconds_left"], int)
    phases = [(phase["name"], phase["done"], phase["total"]) for phase in told["phases"]]
    assert phases == [("leer", 10, 10), ("escribir", 1, 4)]
    assert all(isinstance(phase["seconds"], float) and phase["seconds"] >= 0 for phase in told["phases"])
    assert cancel(ann, task_id).status_code == 200
    after = ann.read(f"{TASKS}/progress/{task_id}")
    assert (after["status"], after["phase"], after["seconds_left"]) == ("REVOKED", None, None)


def test_progress_of_a_job_without_phases(ann: Client) -> None:
    task_id = ended(ann, started(ann))["task_id"]
    assert ann.read(f"{TASKS}/progress/{task_id}") == {
        "task_id": task_id,
        "status": "SUCCESS",
        "done": ROWS,
        "total": ROWS,
        "percentage": 100.0,
        "phase": None,
        "phases": [],
        "seconds_left": None,
    }


def test_progress_of_a_publication_names_its_phases(ann: Client) -> None:
    task_id = ended(ann, publish(ann).json()["task_id"])["task_id"]
    told = ann.read(f"{TASKS}/progress/{task_id}")
    assert [phase["name"] for phase in told["phases"]] == ["crear", "comprobar"]
    assert told["phases"][0]["done"] == told["phases"][0]["total"] == 4


EVENT = {"task_id", "number", "event", "status", "at", "attempt", "detail", "progress"}


def test_events_tell_what_happened_oldest_first(ann: Client) -> None:
    task_id = ended(ann, started(ann, RETRIES))["task_id"]
    body = ann.read(f"{TASKS}/events/{task_id}")
    assert body.keys() == {"task_id", "events"}
    assert body["task_id"] == task_id
    events = body["events"]
    assert all(event.keys() == EVENT and event["task_id"] == task_id for event in events)
    numbers = [event["number"] for event in events]
    assert numbers == sorted(set(numbers)) and numbers[0] == 1
    moments = [moment(event["at"]) for event in events]
    assert moments == sorted(moments)
    kinds = [(event["event"], event["status"]) for event in events if event["event"] != "progress"]
    assert kinds == [
        ("accepted", "PENDING"),
        ("started", "STARTED"),
        ("retried", "RETRY"),
        ("started", "STARTED"),
        ("committed", "STARTED"),
        ("finished", "SUCCESS"),
    ]
    retried = next(event for event in events if event["event"] == "retried")
    assert (retried["detail"], retried["attempt"]) == (HICCUP, 1)
    assert events[-1]["progress"] == {"done": ROWS, "total": ROWS, "percentage": 100.0}


def test_events_of_a_job_that_was_cancelled(ann: Client) -> None:
    task_id = started(ann, RUNS)
    reached(ann, task_id, "STARTED")
    cancel(ann, task_id)
    kinds = [(event["event"], event["status"]) for event in ann.read(f"{TASKS}/events/{task_id}")["events"]]
    assert ("cancel requested", "STARTED") in kinds
    assert kinds[-1] == ("finished", "REVOKED")


# -- list ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def listed(front: Server) -> Iterator[tuple[Client, dict[str, list[str]]]]:
    """Cleo, and her jobs by their status, oldest first: jobs of three fronts, and of nobody else's tests."""
    with Client(front.url, "cleo-token") as cleo:
        done = [cleo.trigger([1]), publish(cleo).json()["task_id"], publish(cleo, "google").json()["task_id"]]
        done += [started(cleo), started(cleo, task_type="data_analysis")]
        failed = [started(cleo, FAILS)]
        for task_id in (*done, *failed):
            ended(cleo, task_id)
        revoked = [started(cleo, RUNS)]
        cancel(cleo, revoked[0])
        runs = [started(cleo, RUNS)]
        reached(cleo, runs[0], "STARTED")
        yield cleo, {"SUCCESS": done, "FAILURE": failed, "REVOKED": revoked, "STARTED": runs}
        cancel(cleo, runs[0])


Listed = tuple[Client, dict[str, list[str]]]


def ids(client: Client, **asked: Any) -> list[str]:
    page = client.read(TASKS, **asked)
    assert page.keys() == {"tasks", "total", "next"}
    found = [one["task_id"] for one in page["tasks"]]
    assert page["total"] == len(found) or page["next"] is not None
    return found


def newest_first(*groups: list[str]) -> list[str]:
    return [task_id for group in groups for task_id in group][::-1]


def test_a_list_shows_the_jobs_of_every_front_newest_first(listed: Listed) -> None:
    cleo, made = listed
    assert ids(cleo) == newest_first(*made.values())
    page = cleo.read(TASKS)
    assert (page["total"], page["next"]) == (8, None)
    for one in page["tasks"]:
        assert one.keys() == STATUS
        assert one == status(cleo, one["task_id"])


@pytest.mark.parametrize("word", ["SUCCESS", "FAILURE", "REVOKED", "STARTED", "PENDING", "RETRY"])
def test_a_list_by_status(listed: Listed, word: str) -> None:
    cleo, made = listed
    assert ids(cleo, status=word) == newest_first(made.get(word, []))


def test_a_list_of_what_is_active(listed: Listed) -> None:
    cleo, made = listed
    assert ids(cleo, active="true") == made["STARTED"]
    assert ids(cleo, active="false") == newest_first(made["SUCCESS"], made["FAILURE"], made["REVOKED"])
    assert ids(cleo, active="true", status="SUCCESS") == []
    assert ids(cleo, active="false", status="SUCCESS") == newest_first(made["SUCCESS"])


def test_a_list_by_task(listed: Listed) -> None:
    cleo, made = listed
    tags, meta, google, export, analysis = made["SUCCESS"]
    assert ids(cleo, task="tags.compute") == [tags]
    assert ids(cleo, task="tasks.meta_publish") == [meta]
    assert ids(cleo, task="tasks.google_publish") == [google]
    assert ids(cleo, task="workers.data_analysis") == [analysis]
    exports = newest_first([export], made["FAILURE"], made["REVOKED"], made["STARTED"])
    assert ids(cleo, task="workers.bookings_export") == exports
    assert ids(cleo, task="workers.bookings_export", status="FAILURE") == made["FAILURE"]
    assert ids(cleo, task="workers.payments_export") == []


@pytest.mark.parametrize("name", ["nope", "meta.publish", "tags", "compute", "", "tags.compute.x"])
def test_a_task_that_there_is_not_is_named(listed: Listed, name: str) -> None:
    refused(listed[0].get(TASKS, task=name), 400, "invalid", "task")


def test_a_list_since_a_moment(listed: Listed) -> None:
    cleo, made = listed
    first = status(cleo, made["SUCCESS"][0])
    fourth = status(cleo, made["SUCCESS"][3])
    assert ids(cleo, since=first["created_at"]) == newest_first(*made.values())
    later = newest_first(made["SUCCESS"][3:], made["FAILURE"], made["REVOKED"], made["STARTED"])
    assert ids(cleo, since=fourth["created_at"]) == later
    elsewhere = moment(fourth["created_at"]) - timedelta(hours=5)
    assert ids(cleo, since=elsewhere.isoformat().replace("+00:00", "-05:00")) == later
    assert ids(cleo, since=(datetime.now(UTC) + timedelta(hours=1)).isoformat()) == []
    assert ids(cleo, since=fourth["created_at"], status="FAILURE") == made["FAILURE"]


@pytest.mark.parametrize("value", ["", "yesterday", "2026-01-01", "2026-01-01T00:00:00", "1704067200", "9" * 5000])
def test_a_moment_that_is_none_is_named(listed: Listed, value: str) -> None:
    refused(listed[0].get(TASKS, since=value), 400, "invalid", "since")


@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_pages_by_cursor_show_each_job_once(listed: Listed, size: int) -> None:
    cleo, made = listed
    seen, cursor = [], None
    while True:
        page = cleo.read(TASKS, page_size=size, **({} if cursor is None else {"cursor": cursor}))
        assert page["total"] == 8
        assert len(page["tasks"]) <= size
        seen += [one["task_id"] for one in page["tasks"]]
        if (cursor := page["next"]) is None:
            break
    assert seen == newest_first(*made.values())


def test_pages_of_a_filter(listed: Listed) -> None:
    cleo, made = listed
    page = cleo.read(TASKS, status="SUCCESS", page_size=2)
    rest = cleo.read(TASKS, status="SUCCESS", page_size=100, cursor=page["next"])
    assert [one["task_id"] for one in page["tasks"] + rest["tasks"]] == newest_first(made["SUCCESS"])
    assert (page["total"], rest["total"], rest["next"]) == (5, 5, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("page_size", value) for value in ("0", "101", "-1", "ten", "", "1.5", "１", "9" * 5000)],
        *[("cursor", value) for value in ("0", "-1", "x", "", "1e3")],
        *[("active", value) for value in ("yes", "1", "", "TRUE")],
        *[("status", value) for value in ("success", "running", "", "QUEUED")],
    ],
)
def test_wrong_list_parameters_are_named(listed: Listed, name: str, value: str) -> None:
    refused(listed[0].get(TASKS, **{name: value}), 400, "invalid", name)


def test_an_owner_is_an_admins_to_choose(listed: Listed, root: Client, bob: Client) -> None:
    cleo, made = listed
    assert ids(root, owner="cleo") == ids(cleo, owner="cleo") == newest_first(*made.values())
    assert ids(root, owner="cleo", status="FAILURE") == made["FAILURE"]
    assert ids(root, owner="nobody") == []
    refused(bob.get(TASKS, owner="cleo"), 403, "permission_denied")
    refused(bob.get(TASKS, owner="nobody"), 403, "permission_denied")
    assert root.read(TASKS)["total"] > 8
    assert not set(ids(bob, page_size=100)) & set(newest_first(*made.values()))


# -- full ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "status_code", "error"),
    [("MAX_QUEUED", 503, "queue_full"), ("MAX_QUEUED_PER_USER", 429, "owner_queue_full")],
)
def test_a_full_queue_refuses_and_keeps_nothing(tmp_path: Path, setting: str, status_code: int, error: str) -> None:
    """Of a lane: publications wait for nobody else."""
    variables = {f"TAGAPI_JOBS__{setting}": "1", "TAGAPI_JOBS__MAX_CONCURRENT": "1"}
    for server in served(Server(tmp_path, variables, program=("-m", "tests.e2e.stand_in")), ready=False):
        failed = ended(server, started(server, FAILS))["task_id"]
        running = started(server, RUNS)
        reached(server, running, "STARTED")
        waiting = started(server)
        full = retry(server, failed)
        message = refused(full, status_code, error)
        assert int(full.headers["Retry-After"]) >= 1 and full.headers["Retry-After"] in message
        assert server.read(TASKS)["total"] == 3
        assert publish(server).status_code == 202
        for task_id in (waiting, running):
            assert cancel(server, task_id).status_code == 200
        accepted = retry(server, failed)
        assert (accepted.status_code, "Idempotency-Replayed" in accepted.headers) == (202, False)
