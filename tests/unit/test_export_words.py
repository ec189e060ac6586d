"""What the export API says: the vendor's code of every problem, and how a task is told in each state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tag_tasks.documents.collectors import NoCredits, TargetGone
from tagapi import auth
from tagapi.hosts import BadHost, ForeignOrigin, Misdirected
from tagapi.jobs import errors
from tagapi.jobs.model import Job, JobState, Request
from tagapi.jobs.outcome import cause_of
from tagapi.namespaces.export import words
from tagapi.namespaces.export.front import BadOperation, ExportFront, NoRules
from tagapi.namespaces.export.reading import OwnReadsFull, ReadsFull
from tagapi.namespaces.export.render import SHOWN, envelope, render_deleted, render_task, status_of
from tagapi.namespaces.problems import HTTP_CODES, STATUS, UNREAD, Invalid, NoPushes, Unsupported, problem_of
from tests.e2e.stand_in import NoDocuments
from tests.unit.fakes import World

NOW = datetime(2026, 3, 1, 12, 30, 15, 250_999, tzinfo=UTC)
ID = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
FRONT = ExportFront(World().service, NoDocuments(), None)
CATALOGUE = [
    (errors.StoreUnavailable(retry_after=1), 503, "1"),
    (errors.QueueFull(queued=9, retry_after=1), 503, "1"),
    (errors.ShuttingDown(retry_after=1), 503, "1"),
    (NoPushes(), 503, "1"),
    (ValueError("a mistake of ours"), 500, "1"),
    (errors.NotReady(part="The data", retry_after=1), 503, "2"),
    (errors.Transient(reason="the storage hangs"), 503, "2"),
    (errors.TaskFailed(reason="the table is unreadable"), 503, "2"),
    (Invalid("start", "is required"), 400, "3"),
    (errors.NotUnderstood(field="query", position=3, expected="a word", found="the end"), 400, "4"),
    (Invalid("limit", "must be from 1 to 1000000"), 400, "5"),
    (errors.Unusable(field="topics", reason="the project has no topic x"), 400, "5"),
    (errors.BadOffset(field="resume_offset"), 400, "5"),
    (errors.KeyReused(), 422, "5"),
    (BadHost(), 400, "5"),
    (Misdirected(host="x"), 421, "5"),
    (auth.AuthenticationRequired(), 401, "7"),
    (auth.TokenNotNeeded(setting="X"), 401, "7"),
    (auth.RateLimited(retry_after=5), 429, "8"),
    (errors.OwnerQueueFull(owner="ann", queued=9, retry_after=1), 429, "8"),
    (auth.PermissionDenied(what="do this"), 403, "13"),
    (auth.OnlyLocal(setting="X"), 403, "13"),
    (ForeignOrigin(), 403, "13"),
    (errors.NotFoundInData(thing="collector", name="c"), 404, "15"),
    (Invalid("body", "is not valid JSON"), 400, "17"),
    (Unsupported(), 415, "17"),
    (BadOperation(name="c"), 400, "18"),
    (NoRules(name="s"), 403, "23"),
    (ReadsFull(open=100, retry_after=5), 429, "30"),
    (OwnReadsFull(open=75, retry_after=5), 429, "30"),
]


@pytest.mark.parametrize(("error", "status", "code"), CATALOGUE, ids=lambda part: type(part).__name__)
def test_the_vendors_code_of_every_problem(error: Exception, status: int, code: str) -> None:
    problem = problem_of(error)
    body = FRONT.render_problem(problem)
    assert (FRONT.status_of(problem), body["status_code"]) == (status, code)
    assert body["status_message"] == words.MESSAGES[code]
    said = {one["key"]: one["value"] for one in body["result_error"]["data"]}
    assert said["details"][0]
    assert FRONT.error_line(body).startswith(f"{code} {words.MESSAGES[code]}: ")
    if status in (429, 503):
        assert int(problem.headers["Retry-After"]) > 0


def test_every_code_that_there_is_can_be_met_or_is_of_tasks_alone() -> None:
    met = {code for _, _, code in CATALOGUE} | {words.NO_ENDPOINT, words.OK}
    assert met | {words.CREDITS} == words.MESSAGES.keys()


def test_a_clients_mistake_never_reads_as_ours() -> None:
    ours = {"internal", "overloaded", "not_implemented"}
    for status, (code, _) in UNREAD.items():
        assert (words.CODES.get(code, "1") == "1") == (code in ours and status >= 500 and code != "not_implemented"), (
            code
        )
    for code in HTTP_CODES.values():
        assert code in words.CODES or code in ("range_not_satisfiable",), code
    for kind, status in STATUS.items():
        if status < 500 and kind.code not in UNUSED:
            assert kind.code in words.CODES, kind


UNUSED = {
    "job_not_found",
    "already_finished",
    "not_parked",
    "not_retryable",
    "conflict",
    "result_not_ready",
    "no_result",
    "is_running",
    "schedule_not_found",
    "too_many_schedules",
    "webhook_not_found",
    "delivery_not_found",
    "too_many_webhooks",
    "webhook_paused",
}
"""What is told in other ways here, or not met."""


def test_what_may_be_a_secret_is_not_repeated() -> None:
    query = "access_token=s&acces%5Ftoken=s&s&target=c%201&pretty=true&page_size=1&x=s&resume_offset=e:1"
    told = envelope({}, "GET", "/api/v3/tasks/export", query, "1")["request"]
    assert told == (
        "GET /api/v3/tasks/export?access_token=***&acces_token=***&***&target=c%201&pretty=true&page_size=1&x=***"
        "&resume_offset=e:1"
    )
    assert "access_token" not in SHOWN


# -- tasks ---------------------------------------------------------------------------------


def a_job(state: JobState, **more: Any) -> Job:
    arguments = {"target": "c1", "start": 0, "stop": None, "limit": 5}
    request = Request(job_id=ID, task="export.documents", owner="ann", arguments=arguments, asked={"query": "a"})
    return Job(request=request, number=1, submitted_at=NOW, state=state, **more)


@pytest.mark.parametrize(
    ("state", "result", "status"),
    [
        (JobState.QUEUED, None, "queued"),
        (JobState.RUNNING, None, "running"),
        (JobState.COMMITTING, None, "running"),
        (JobState.WAITING, None, "running"),
        (JobState.PARKED, None, "running"),
        (JobState.SUCCEEDED, {"processed": 3, "limit_reached": False}, "finished"),
        (JobState.SUCCEEDED, {"processed": 3, "limit_reached": True}, "result_limit_reached"),
        (JobState.FAILED, None, "failed"),
        (JobState.CANCELLED, None, "aborted"),
    ],
)
def test_how_a_task_is_told(state: JobState, result: Any, status: str) -> None:
    kept = {"processed": 3, "before": 2, "last": None, "jobs": [], "progress": 0.25}
    job = a_job(state, result=result, kept=kept, attempt=2, tries=0)
    (told,) = render_task(job)["result_tasks"]["tasks"]
    assert (told["status"], told["state"], status_of(job)) == (status, status.upper(), status)
    assert (told["processed"], told["ready"], told["processed_before"], told["attempt"]) == (3, 3, 2, 1)
    assert told["progress"] == (1.0 if state is JobState.SUCCEEDED else 0.25)
    assert told["creation_date"] == "2026-03-01T12:30:15.250Z"
    assert (told["start"], told["stop"], told["owner"]) == ("1970-01-01T00:00:00.000Z", None, "ann")
    assert told.get("parked", False) == (state is JobState.PARKED)
    body, code = render_deleted(job)
    assert code == (200 if state.final else 202)
    assert body == {"result_tasks": {"tasks": [{"id": ID, "status": status}]}}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoCredits(monthly=5), "9"),
        (TargetGone(name="c1"), "15"),
        (errors.TaskFailed(reason="the source documents cannot be read"), "2"),
        (ValueError("a mistake"), "1"),
    ],
)
def test_why_a_task_failed(error: Exception, code: str) -> None:
    job = replace(a_job(JobState.FAILED), error=str(error), cause=cause_of(error))
    (told,) = render_task(job)["result_tasks"]["tasks"]
    assert told["error"] == {"code": code, "message": str(error)}
