"""The workers front without HTTP: what a body becomes, what a list asks for, how a job is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from marshmallow import ValidationError

from tagapi.auth import PermissionDenied
from tagapi.jobs.errors import NoResult, NotFoundInData, ResultNotReady, StoreTooNew, StoreUnavailable
from tagapi.jobs.lists import Page
from tagapi.jobs.model import Event, EventKind, Job, JobState, Progress, Request
from tagapi.namespaces.base import SCHEMAS
from tagapi.namespaces.pace import seconds_left
from tagapi.namespaces.problems import HTTP_CODES, STATUS, Invalid, Problem, problem_of
from tagapi.namespaces.workers import words as words
from tagapi.namespaces.workers.render import (
    check_allowed,
    job_arguments,
    job_query,
    render_cancel,
    render_error,
    render_page,
    render_status,
    render_worker,
    result_file,
)
from tagapi.namespaces.workers.schemas import FORMATS, STATUSES, TYPES, CreateRequest, WorkersQuery
from tests.e2e.stand_in import FILTERS

NOW = datetime(2024, 2, 29, 12, tzinfo=UTC)
SITE = "http://here"
FILE = {"name": "x.csv", "content_type": "text/csv", "size": 1, "sha256": "ab"}


def job(state: JobState = JobState.QUEUED, task_type: str = "bookings_export", **more: Any) -> Job:
    request = Request(job_id="an-id", task=f"workers.{task_type}", owner="ann", arguments={})
    return Job(request=request, number=7, submitted_at=NOW, state=state, **more)


def arguments(**body: Any) -> dict[str, Any]:
    return job_arguments(SCHEMAS.of(CreateRequest).load({"task_type": "bookings_export", **body}), FILTERS)


def asked(**parameters: str) -> dict[str, Any]:
    loaded: dict[str, Any] = SCHEMAS.of(WorkersQuery).load(parameters)
    return loaded


# -- what comes in -------------------------------------------------------------------------


def test_a_body_is_filled_up() -> None:
    assert arguments() == {"batch_size": 100, "filters": {}, "date_from": None, "date_to": None, "format": "csv"}
    assert arguments(task_type="data_cleanup")["filters"] == {"dry_run": True}


@pytest.mark.parametrize("task_type", TYPES)
def test_only_exports_have_a_format(task_type: str) -> None:
    assert ("format" in arguments(task_type=task_type)) == task_type.endswith("_export")


@pytest.mark.parametrize("task_type", TYPES)
def test_only_reports_have_a_language(task_type: str) -> None:
    assert arguments(task_type=task_type).get("language") == ("ru" if task_type == "report_generation" else None)


def test_a_report_is_in_the_language_asked_for() -> None:
    assert arguments(task_type="report_generation", language="en")["language"] == "en"


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name: str) -> None:
    assert arguments(format=name)["format"] == name


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00+00:00"),
        ("2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00+00:00"),
        ("2024-01-01T02:30:00+02:30", "2024-01-01T00:00:00+00:00"),
        ("2023-12-31T19:00:00-05:00", "2024-01-01T00:00:00+00:00"),
        ("2024-01-01t00:00:00.5z", "2024-01-01T00:00:00.500000+00:00"),
        ("2024-02-29 23:59:59.999999Z", "2024-02-29T23:59:59.999999+00:00"),
        (None, None),
    ],
)
def test_moments_are_kept_in_utc(given: str | None, kept: str | None) -> None:
    assert arguments(date_from=given)["date_from"] == kept


def test_a_cleanup_that_writes_is_for_admins() -> None:
    real, dry = arguments(task_type="data_cleanup", filters={"dry_run": False}), arguments(task_type="data_cleanup")
    with pytest.raises(PermissionDenied):
        check_allowed("data_cleanup", real, admin=False)
    check_allowed("data_cleanup", real, admin=True)
    check_allowed("data_cleanup", dry, admin=False)
    check_allowed("bookings_export", arguments(), admin=False)


def test_a_list_asks_for_a_page_of_ones_own() -> None:
    query = job_query(asked(page="3", page_size="7", task_type="users_export"), "ann")
    assert (query.namespace, query.owner, query.label) == ("workers", "ann", "type:users_export")
    assert (query.offset, query.limit, query.states) == (14, 7, None)
    everything = job_query(asked(), None)
    assert (everything.owner, everything.label, everything.offset, everything.limit) == (None, None, 0, 20)


def test_every_state_is_in_one_status() -> None:
    found = [state for status in STATUSES for state in job_query(asked(status=status), None).states or ()]
    assert sorted(found, key=str) == sorted(JobState, key=str)


# -- what goes out -------------------------------------------------------------------------


@pytest.mark.parametrize("state", JobState)
def test_only_a_completed_job_has_a_result(state: JobState) -> None:
    one = job(state, result={"file": FILE})
    link = render_worker(one, SITE)["result_file"]
    if state is JobState.SUCCEEDED:
        assert link == "http://here/api/v1/workers/an-id/result/"
        assert result_file(one) == FILE
    else:
        assert link is None
        with pytest.raises(NoResult if state.final else ResultNotReady):
            result_file(one)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (JobState.FAILED, "Результата нет: задача завершилась с ошибкой: {no} space"),
        (JobState.CANCELLED, "Результата нет: задача отменена"),
    ],
)
def test_a_job_that_will_have_no_result_says_why(state: JobState, said: str) -> None:
    with pytest.raises(NoResult) as raised:
        result_file(job(state, error="{no} space"))
    problem = problem_of(raised.value)
    assert problem.status == 409
    assert render_error(problem) == {"error": {"code": "NO_RESULT", "message": said, "details": {}}}


@pytest.mark.parametrize(
    ("task_type", "filters", "where"),
    [
        ("services_export", {"min_price": 2, "max_price": 1.99}, "filters.min_price"),
        ("data_analysis", {"services": {"max_price": 0, "min_price": 1}}, "filters.services.min_price"),
    ],
)
def test_prices_that_end_before_they_begin_are_refused(task_type: str, filters: dict[str, Any], where: str) -> None:
    with pytest.raises(Invalid) as raised:
        arguments(task_type=task_type, filters=filters)
    told = render_error(problem_of(raised.value))["error"]
    assert told["details"] == {where: ["Минимальная цена не может быть больше максимальной"]}
    assert told["message"] == "Минимальная цена не может быть больше максимальной"


def test_one_price_is_a_range() -> None:
    filters = {"min_price": 5, "max_price": 5.0}
    assert arguments(task_type="services_export", filters=filters)["filters"] == filters


@pytest.mark.parametrize("result", [None, {}, {"total_records": 1}])
def test_a_completed_job_may_have_no_file(result: dict[str, Any] | None) -> None:
    assert render_worker(job(JobState.SUCCEEDED, result=result), SITE)["result_file"] is None
    with pytest.raises(NotFoundInData):
        result_file(job(JobState.SUCCEEDED, result=result))


@pytest.mark.parametrize(
    ("progress", "after", "left"),
    [
        (Progress(), 10, None),
        (Progress(done=0, total=100), 10, None),
        (Progress(done=50), 10, None),
        (Progress(done=50, total=100), 10, 10),
        (Progress(done=1, total=100), 1, 99),
        (Progress(done=99, total=100), 10, 1),
        (Progress(done=100, total=100), 10, 0),
        (Progress(done=150, total=100), 10, 0),
        (Progress(done=50, total=100), -10, 0),
    ],
)
def test_the_time_left_follows_from_the_pace_so_far(progress: Progress, after: float, left: int | None) -> None:
    running = job(JobState.RUNNING, started_at=NOW, progress=progress)
    assert seconds_left(running, NOW + timedelta(seconds=after)) == left


def test_the_time_left_is_that_of_the_attempt_which_runs() -> None:
    began = [
        Event(kind=EventKind.STARTED, at=NOW + timedelta(seconds=at), number=n, attempt=n)
        for n, at in ((1, 0), (2, 90))
    ]
    running = job(JobState.RUNNING, started_at=NOW, events=tuple(began), progress=Progress(done=50, total=100))
    assert seconds_left(running, NOW + timedelta(seconds=100)) == 10


@pytest.mark.parametrize("state", [one for one in JobState if one not in (JobState.RUNNING, JobState.COMMITTING)])
def test_only_a_job_that_runs_has_time_left(state: JobState) -> None:
    one = job(state, started_at=NOW, progress=Progress(done=1, total=2))
    assert render_status(one, NOW)["estimated_time_remaining"] is None


def test_an_export_of_nothing_is_complete() -> None:
    assert render_worker(job(JobState.SUCCEEDED), SITE)["progress_percentage"] == 100.0
    assert render_worker(job(JobState.QUEUED), SITE)["progress_percentage"] == 0.0


@pytest.mark.parametrize("state", JobState)
def test_a_reason_is_told_of_failures_alone(state: JobState) -> None:
    told = render_worker(job(state, error="why"), SITE)["error_message"]
    assert told == ("why" if state is JobState.FAILED else None)


def test_a_cancel_is_told_as_it_is() -> None:
    assert render_cancel(job(JobState.CANCELLED)) == ({"status": "cancelled"}, 200)
    assert render_cancel(job(JobState.RUNNING)) == ({"status": "processing"}, 202)


@pytest.mark.parametrize("before", [{}, {"page": "2"}, {"cursor": "9"}, {"newer_than": "3"}])
def test_links_lead_on_from_the_jobs_that_a_page_shows(before: dict[str, str]) -> None:
    page = Page(jobs=[job()], total=60, next=5, previous=7)
    told = render_page(page, asked(**before, status="failed"), SITE)
    link = "http://here/api/v1/workers/?status=failed&page_size=20&"
    assert (told["next"], told["previous"]) == (f"{link}cursor=5", f"{link}newer_than=7")


def test_at_the_ends_of_a_list_there_are_no_links() -> None:
    told = render_page(Page(jobs=[job()], total=1), asked(), SITE)
    assert (told["next"], told["previous"]) == (None, None)


@pytest.mark.parametrize(("ways", "wrong"), [(("page", "cursor"), "cursor"), (("cursor", "newer_than"), "newer_than")])
def test_a_page_is_asked_for_in_one_way(ways: tuple[str, ...], wrong: str) -> None:
    with pytest.raises(ValidationError) as raised:
        asked(**dict.fromkeys(ways, "1"))
    assert render_error(problem_of(raised.value))["error"]["details"] == {wrong: [f"нельзя сочетать с {ways[0]}"]}


@pytest.mark.parametrize(("page", "total"), [(2, 0), (2, 20), (3, 21), (10**6, 10)])
def test_beyond_the_last_page_there_is_none(page: int, total: int) -> None:
    with pytest.raises(NotFoundInData):
        render_page(Page(jobs=[], total=total), asked(page=str(page)), SITE)


def test_every_type_and_status_has_its_words() -> None:
    assert set(words.STATUS) == set(JobState)
    assert set(words.STATUS.values()) == set(words.STATUS_DISPLAY)
    assert set(TYPES) == set(words.TYPE_DISPLAY)


# -- errors --------------------------------------------------------------------------------


def test_an_error_that_nobody_foresaw_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    told = render_error(problem_of(RuntimeError("ann@example.org")))
    assert told["error"]["code"] == "INTERNAL_ERROR"
    assert "example" not in str(told)


def test_every_refusal_has_its_words() -> None:
    """But those of reading Spark, which this front does not do, and those that two other fronts meet."""
    codes = {error.code for error in STATUS} | {*HTTP_CODES.values(), "internal"}
    of_tasks = {"not_retryable", "conflict", "right_needed", "unavailable", "ticket_invalid", "unusable"}
    untold = codes - {"not_found_in_data", "transient", "task_failed", "contended", "bad_request"} - of_tasks
    assert untold <= words.ERRORS.keys()


@pytest.mark.parametrize("error", [StoreUnavailable(retry_after=5), StoreTooNew(found=3, known=2, retry_after=5)])
def test_a_store_that_cannot_be_used_is_told_as_decided(error: StoreUnavailable) -> None:
    problem = problem_of(error)
    assert problem.status == 503
    assert render_error(problem)["error"]["code"] == "STORE_UNAVAILABLE"


def test_a_field_that_looks_like_a_message_is_told_whole() -> None:
    told = render_error(Problem(400, "invalid", "a: b: unknown field", "a: b"))["error"]
    assert told["details"] == {"a: b": ["неизвестное поле"]}
    assert told["message"] == "Неверное значение «a: b»: неизвестное поле"


def test_a_message_may_name_a_brace() -> None:
    told = render_error(Problem(400, "invalid", "{x}: unknown field", "{x}"))["error"]
    assert told["details"] == {"{x}": ["неизвестное поле"]}
