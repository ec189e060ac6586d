"""The Python client against real servers, over a way that loses answers."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tagapi.client import (
    Busy,
    Client,
    Conflict,
    DownloadBroken,
    Event,
    Invalid,
    JobCancelled,
    JobFailed,
    JobNotFinished,
    NotAllowed,
    NotFound,
    Progress,
    Refused,
    TagapiError,
    Unreachable,
)
from tests.e2e.lossy import Lossy, cut, flip, lose, lossy
from tests.e2e.said import Said, saying
from tests.e2e.scripts import PHASES, TICKS
from tests.e2e.server import Server, until
from tests.e2e.stand_in import FAILS, REASON, ROWS, RUNS, content_of
from tests.e2e.tasks_client import CAMPAIGN

TOKEN = "ann-token"
KEY = "Idempotency-Key: "


@pytest.fixture
def way(stand_in: Server) -> Iterator[Lossy]:
    with lossy(stand_in.port) as one:
        yield one


@pytest.fixture
def client(way: Lossy) -> Iterator[Client]:
    with Client(way.url, TOKEN) as one:
        yield one


@pytest.fixture
def said() -> Iterator[Said]:
    with saying() as one:
        yield one


def total(client: Client) -> int:
    return sum(1 for _ in client.jobs.list())


def header(request: str, name: str) -> str:
    return next(line for line in request.split("\r\n") if line.startswith(name)).removeprefix(name)


# -- a job, from its beginning to its end --------------------------------------------------


def test_a_job_is_begun_and_waited_for(client: Client) -> None:
    seen: list[Progress] = []
    job = client.workers.export("bookings", filters={"status": "confirmed"})
    result = job.wait(progress=seen.append)
    assert result["total_records"] == ROWS
    assert result == job.result
    assert [one.status for one in seen][:2] == ["PENDING", "STARTED"]
    assert (seen[-1].status, seen[-1].done, seen[-1].total, seen[-1].percentage) == ("SUCCESS", ROWS, ROWS, 100)
    status = job.status()
    assert (status.status, status.task, status.owner) == ("SUCCESS", "workers.bookings_export", "ann")
    assert status.created_at is not None
    assert status.created_at.tzinfo is not None


def test_a_failure_is_told_in_the_services_words(client: Client) -> None:
    with pytest.raises(JobFailed, match=REASON) as failed:
        client.workers.run("bookings_export", batch_size=FAILS).wait()
    assert failed.value.status.status == "FAILURE"
    assert not isinstance(failed.value, Refused | Unreachable)


def test_a_cancel_says_what_it_did(client: Client) -> None:
    job = client.workers.run("bookings_export", batch_size=RUNS)
    with pytest.raises(JobNotFinished):
        _ = job.result
    assert job.cancel().status == "REVOKED"
    with pytest.raises(JobCancelled):
        job.wait()
    with pytest.raises(Conflict) as refused:
        job.cancel()
    assert (refused.value.status, refused.value.code) == (409, "already_finished")


def test_a_cancel_whose_answer_is_lost_is_still_a_cancel(client: Client, way: Lossy) -> None:
    job = client.workers.run("bookings_export", batch_size=RUNS)
    way.spoil("POST /api/tasks/cancel", lose)
    assert job.cancel().status == "REVOKED"
    assert len(way.asked("POST /api/tasks/cancel")) == 2


def test_a_wait_ends_when_its_time_is_up_and_the_job_goes_on(client: Client) -> None:
    job = client.workers.run("bookings_export", batch_size=RUNS)
    began = time.monotonic()
    with pytest.raises(JobNotFinished) as late:
        job.wait(timeout=0.5)
    assert 0.5 <= time.monotonic() - began < 5
    assert isinstance(late.value, TimeoutError)
    assert job.status().status == "STARTED"
    job.cancel()


def test_a_retry_is_a_new_job_and_only_one(client: Client, way: Lossy) -> None:
    failed = client.workers.run("bookings_export", batch_size=FAILS)
    with pytest.raises(JobFailed):
        failed.wait()
    way.spoil("POST /api/tasks/retry", lose)
    again = failed.retry()
    assert again.id != failed.id
    assert again.status().retry_of == failed.id
    assert failed.retry().id == again.id


def test_phases_are_told_with_the_progress(client: Client) -> None:
    job = client.workers.run("bookings_export", batch_size=PHASES)
    seen: list[Progress] = []

    def look(progress: Progress) -> None:
        seen.append(progress)
        if (progress.phase, progress.done) == ("escribir", 1):
            with suppress(Conflict):
                job.cancel()

    with pytest.raises(JobCancelled):
        job.wait(look)
    assert {one.phase for one in seen} >= {None, "leer", "escribir"}
    assert [phase["name"] for phase in job.progress()["phases"]] == ["leer", "escribir"]


# -- answers that are lost -----------------------------------------------------------------

BEGINNINGS: dict[str, tuple[str, Callable[[Client], Any]]] = {
    "tags": ("POST /api/v1/tags/trigger", lambda client: client.tags.run([1])),
    "workers": ("POST /api/v1/workers/", lambda client: client.workers.report()),
    "tasks": (
        "POST /api/tasks/publish/meta",
        lambda client: client.campaigns.publish("meta", CAMPAIGN, simulate=True),
    ),
    "celery_task": ("POST /api/celery_task/", lambda client: client.scans.run("domain_task", target="example.com")),
}


@pytest.mark.parametrize("front", BEGINNINGS)
def test_a_lost_answer_never_makes_a_second_job(way: Lossy, front: str) -> None:
    line, begin = BEGINNINGS[front]
    client = Client(way.url, "root-token")
    before = total(client)
    way.spoil(line, lose, lose)
    job = begin(client)
    assert job.replayed
    assert total(client) == before + 1
    keys = [header(request, KEY) for request in way.asked(line)]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert begin(client).id != job.id  # each beginning has a key of its own


@pytest.mark.parametrize("after", [0, 12, 16, 60, 200, 280, 320])
def test_an_answer_that_breaks_off_anywhere_is_asked_for_again(
    client: Client, way: Lossy, after: int, tmp_path: Path
) -> None:
    before = total(client)
    way.spoil("POST /api/v1/workers/", cut(after))
    job = client.workers.export("users")
    assert total(client) == before + 1
    job.wait()
    way.spoil(RESULT, cut(after), AS_IT_IS, cut(after + 1))
    assert job.download(tmp_path).read_bytes() == content_of("users_export.csv")


def test_the_same_key_is_the_same_job(client: Client) -> None:
    key = hashlib.sha256(str(time.time()).encode()).hexdigest()
    job = client.tags.run([1], key=key)
    again = client.tags.run([1], key=key)
    assert (again.id, again.replayed) == (job.id, True)
    with pytest.raises(Invalid) as refused:
        client.tags.run([1], dry_run=True, key=key)
    assert refused.value.status == 422


def test_what_is_not_safe_is_sent_once(client: Client, way: Lossy) -> None:
    job = client.tags.run([1])
    with Client(way.url, "root-token") as admin:
        way.spoil("POST /api/tasks/settle", lose)
        with pytest.raises(Unreachable):
            admin.jobs.settle(job.id, "completed")
    assert len(way.asked("POST /api/tasks/settle")) == 1


def test_a_schedule_is_made_once_and_deleted_once(client: Client, way: Lossy) -> None:
    way.spoil("POST /api/v1/tags/trigger", lose)
    schedule = client.tags.schedule([1], {"cron": "0 4 * * *", "timezone": "Europe/Madrid"})
    assert [one.id for one in client.schedules.list()] == [schedule.id]
    assert client.schedules.pause(schedule.id).told["paused"]
    assert not client.schedules.resume(schedule.id).told["paused"]
    way.spoil("DELETE /api/celery_task/schedules", lose)
    client.schedules.delete(schedule.id)
    assert list(client.schedules.list()) == []
    with pytest.raises(NotFound):
        client.schedules.delete(schedule.id)


def test_schedules_are_deleted_while_they_are_listed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        client.tags.schedule([1], {"every_seconds": 3600})
    monkeypatch.setattr("tagapi.client.front.LARGEST_PAGE", 2)
    for one in client.schedules.list():
        client.schedules.delete(one.id)
    assert list(client.schedules.list()) == []


# -- a service that has no room, or is another one -----------------------------------------

NOBODY_S = "3f0c2a9e-0000-4000-8000-000000000000"
ACCEPTED = {"success": True, "task_id": NOBODY_S}
FULL = {"success": False, "error": "Task queue is full", "message": "任务队列已满，请稍后重试"}


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_without_room_is_asked_again_when_it_says(said: Said, status: int) -> None:
    said.will(status, FULL, Retry_After="1")
    said.will(202, ACCEPTED)
    began = time.monotonic()
    assert Client(said.url).tags.run([1]).id == NOBODY_S
    assert 1 <= time.monotonic() - began < 5
    assert len(said.asked) == 2


def test_a_service_that_stays_full_is_busy_in_its_own_words(said: Said) -> None:
    said.will(503, FULL, Retry_After="3600")
    began = time.monotonic()
    with pytest.raises(Busy, match="任务队列已满") as busy:
        Client(said.url).tags.run([1])
    assert time.monotonic() - began < 2  # an hour is beyond patience
    assert (busy.value.status, busy.value.retry_after) == (503, 3600)


def test_what_is_refused_is_not_asked_again(said: Said) -> None:
    said.will(500, {"error": "internal", "message": "Error"})
    with pytest.raises(Refused):
        Client(said.url).tags.run([1])
    assert len(said.asked) == 1


def test_a_token_is_taken_nowhere_else(said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password secret\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    with saying() as elsewhere:
        elsewhere.will(200, {"tasks": [], "next": None})
        said.will(302, None, Location=f"{elsewhere.url}/api/tasks")
        with pytest.raises(Unreachable, match=elsewhere.url):
            next(Client(said.url, TOKEN).jobs.list(), None)
        assert elsewhere.asked == []
    assert said.asked[0][1]["authorization"] == f"Bearer {TOKEN}"
    with pytest.raises(Unreachable):
        next(Client(said.url, "").jobs.list(), None)
    assert "authorization" not in said.asked[1][1]


ASKING: dict[str, Callable[[Client], Any]] = {
    "a list": lambda client: list(client.jobs.list()),
    "a job": lambda client: client.tags.run([1]),
    "a status": lambda client: client.jobs.get(NOBODY_S).status(),
    "a wait": lambda client: client.jobs.get(NOBODY_S).wait(),
    "a reading": lambda client: list(client.collectors.read("coffee")),
}


@pytest.mark.parametrize("body", [b"<h1>It works!</h1>", {"hello": "you"}, [1]], ids=["a page", "another", "a list"])
@pytest.mark.parametrize("what", ASKING)
def test_who_answers_and_is_not_the_service_is_not_taken_for_it(said: Said, what: str, body: Any) -> None:
    said.will(200, body)
    with pytest.raises(Unreachable, match="is not this service"):
        ASKING[what](Client(said.url, patience=0.5))
    assert len(said.asked) < 10


def test_a_refusal_of_another_shape_is_told_as_it_is(said: Said) -> None:
    said.will(400, {"status_code": "5", "status_message": "no such place", "result_error": "gone"})
    with pytest.raises(Invalid, match="no such place"):
        Client(said.url).health()


def test_a_wait_ends_in_time_where_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        began = time.monotonic()
        with pytest.raises(Unreachable, match="did not answer in time"):
            Client(f"http://127.0.0.1:{listening.getsockname()[1]}", "").jobs.get(NOBODY_S).wait(timeout=1)
        assert time.monotonic() - began < 10


def test_nobody_is_unreachable_and_that_is_said_soon() -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable, match="refused") as error:
        Client("http://127.0.0.1:1").health()
    assert time.monotonic() - began < 8
    assert not isinstance(error.value, Refused)


def test_a_refusal_that_breaks_off_is_a_lost_answer(said: Said, tmp_path: Path) -> None:
    said.will(503, b'{"error": ', Content_Length="400", Connection="close")
    with pytest.raises(Unreachable, match="was lost"):
        Client(said.url, patience=0.5).jobs.get(NOBODY_S).download(tmp_path)
    assert len(said.asked) > 1


def test_a_service_that_ends_before_it_says_who_it_is_is_asked_again() -> None:
    """As one behind TLS does that is starting anew."""
    came = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    with listening.accept()[0] as one:
                        came.append(one.recv(4096))

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(Unreachable, match="was lost"):
            Client(f"https://127.0.0.1:{listening.getsockname()[1]}", patience=1).health()
        listening.shutdown(socket.SHUT_RDWR)
    assert len(came) > 1


def test_a_proxy_that_leads_nowhere_is_blamed_for_it(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(Unreachable, match="proxy"):
        Client(said.url, patience=0.1).health()
    assert said.asked == []
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    said.will(200, {"status": "healthy"})
    assert Client(said.url).health() == {"status": "healthy"}


def test_https_asked_of_an_http_address_says_so(said: Said) -> None:
    with pytest.raises(Unreachable, match="is it an http address"):
        Client(said.url.replace("http:", "https:")).health()


# -- refusals ------------------------------------------------------------------------------

REFUSALS: dict[str, tuple[Callable[[Client], Any], type[Refused], int, str | None, str | None]] = {
    "tags": (lambda client: client.tags.run([99]), Invalid, 400, None, "tag_ids"),
    "tags mode": (lambda client: client.tags.run([1], mode="x"), Invalid, 400, None, "mode"),
    "workers": (
        lambda client: client.workers.export("bookings", filters={"colour": "red"}),
        Invalid,
        400,
        "VALIDATION_ERROR",
        "filters.colour",
    ),
    "tasks": (lambda client: client.campaigns.publish("meta", {}), Invalid, 400, "invalid", "campaign.name"),
    "right": (lambda client: client.campaigns.publish("meta", CAMPAIGN), NotAllowed, 403, "right_needed", None),
    "export": (lambda client: client.documents.export("c", start="soon", query="a"), Invalid, 400, "5", "start"),
    "celery_task": (lambda client: client.scans.run("domain_task", target="x.org"), NotAllowed, 403, "403", None),
    "unknown job": (lambda client: client.jobs.get(NOBODY_S).status(), NotFound, 200, "job_not_found", "task_id"),
    "no id": (lambda client: client.jobs.get("nonsense").status(), NotFound, 404, "job_not_found", None),
    "unknown user": (lambda client: client.segments.of("clientes", "nobody"), NotFound, 404, "not_found_in_data", None),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_refusal_says_what_is_wrong_in_every_front(client: Client, what: str) -> None:
    ask, kind, status, code, field = REFUSALS[what]
    with pytest.raises(kind) as refused:
        ask(client)
    error = refused.value
    assert (error.status, error.code, error.field) == (status, code, field)
    assert error.message
    assert isinstance(error, TagapiError)


def test_a_wrong_token_is_not_allowed(way: Lossy) -> None:
    with pytest.raises(NotAllowed) as refused:
        Client(way.url, "wrong").tags.available()
    assert refused.value.status == 401
    assert refused.value.request_id


@pytest.mark.parametrize("user_id", ["..", ".", ""])
def test_no_name_leads_to_another_path(client: Client, way: Lossy, user_id: str) -> None:
    with pytest.raises(ValueError, match="another path"):
        client.audiences.remove_person(user_id)
    assert way.seen == []


def test_times_without_a_zone_are_refused_before_they_are_sent(client: Client, way: Lossy) -> None:
    with pytest.raises(ValueError, match="offset"):
        client.workers.export("bookings", date_from=datetime(2026, 1, 1))  # noqa: DTZ001
    assert way.seen == []


def test_what_cannot_be_sent_is_said_without_the_secret(client: Client, way: Lossy) -> None:
    with pytest.raises(ValueError, match="token") as wrong:
        Client(way.url, "secret\nX-Other: 1")
    assert "secret" not in str(wrong.value)
    with pytest.raises(ValueError, match="header"):
        client.tags.run([1], key="a\r\nX-Other: 1")
    with pytest.raises(ValueError, match="JSON"):
        client.workers.export("bookings", filters={"status": float("nan")})
    assert way.seen == []


@pytest.mark.parametrize(
    "url", ["127.0.0.1:5000", "ftp://x", "http://ann:secret@127.0.0.1", "http://x?access_token=y", "http://[::1"]
)
def test_an_address_is_an_address_and_holds_no_secret(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Client(url, "")


@pytest.mark.parametrize("host", ["x..y", f"{'x' * 64}.org"])
def test_a_host_that_cannot_be_is_told_so(host: str) -> None:
    with pytest.raises(ValueError, match="label") as wrong:
        Client(f"http://{host}", "").health()
    assert isinstance(wrong.value, TagapiError)


# -- following -----------------------------------------------------------------------------


def test_events_go_on_where_a_connection_broke_off(client: Client, way: Lossy) -> None:
    job = client.workers.run("bookings_export", batch_size=TICKS)
    way.spoil("GET /api/tasks/events", cut(1200), cut(700), lose)
    seen: list[Event] = []
    for event in job.events():
        seen.append(event)
        if len(way.asked("GET /api/tasks/events")) >= 4 and event.kind == "phase":
            with suppress(Conflict):
                job.cancel()
    assert [event.number for event in seen] == sorted({event.number for event in seen})
    assert (seen[0].kind, seen[-1].kind, seen[-1].status) == ("accepted", "finished", "REVOKED")
    kept = [event.number for event in job.past() if event.kind != "progress"]
    assert [event.number for event in seen if event.kind != "progress"] == kept
    assert list(job.events(after=seen[-1].number)) == []


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """Starts a stand-in, again and again on the same jobs; it has room for one push."""
    started: list[Server] = []

    def start() -> Server:
        variables = {"TAGAPI_SERVER__MAX_PUSHES": "1"}
        server = Server(tmp_path / "lone", variables, program=("-m", "tests.e2e.stand_in"))
        started.append(server)
        server.wait_alive()
        return server

    try:
        yield start
    finally:
        for server in started:
            server.kill()


def test_following_survives_a_restart_and_goes_on_without_a_push(lone: Callable[[], Server]) -> None:
    server = lone()
    with lossy(server.port) as way, Client(way.url, "") as client:
        job = client.workers.run("bookings_export", batch_size=TICKS)
        news = Latest()
        seen: list[Event] = []
        events = Client(way.url, "").jobs.get(job.id).events()
        follower = threading.Thread(target=lambda: seen.extend(_each(events, news)))
        follower.start()
        news.until(lambda heard: "phase" in heard)
        assert server.stop() == 0
        server = lone()
        way.upstream = server.port
        news.until(lambda heard: "phase" in heard[heard.index("retried") :] if "retried" in heard else False)
        beside = next(iter(job.events()))  # the follower has the only place
        assert (beside.number, beside.kind) == (1, "accepted")
        job.cancel()
        follower.join(20)
        assert not follower.is_alive()
    assert [event.number for event in seen] == sorted({event.number for event in seen})
    assert (seen[-1].kind, seen[-1].status) == ("finished", "REVOKED")
    assert [event.kind for event in seen].count("started") == 2


class Latest:
    """What a follower has heard, for who waits for it."""

    def __init__(self) -> None:
        self._heard: list[str] = []
        self._changed = threading.Condition()

    def put(self, event: Event) -> None:
        with self._changed:
            self._heard.append(event.kind)
            self._changed.notify_all()

    def until(self, enough: Callable[[list[str]], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: enough(self._heard), 30), self._heard


def _each(events: Iterator[Event], news: Latest) -> Iterator[Event]:
    for event in events:
        news.put(event)
        yield event


# -- downloads -----------------------------------------------------------------------------

NAME = "bookings_export.parquet"
SHORT = 700 + 16 * 1024  # bytes, by which less of an answer is kept than came: its head, and a piece that is not whole
AS_IT_IS = cut(10**9)
"""For the first look, at what there is."""
RESULT = "GET /api/v1/workers/"


@pytest.fixture
def done(client: Client) -> str:
    """A job that left a file."""
    job = client.workers.export("bookings", format="parquet")
    job.wait()
    return job.id


def test_a_download_goes_on_where_it_broke_off(client: Client, way: Lossy, done: str, tmp_path: Path) -> None:
    way.seen.clear()
    way.spoil(RESULT, AS_IT_IS, cut(40_000), cut(30_000), lose)
    told: list[tuple[int, int]] = []
    path = client.jobs.get(done).download(tmp_path, progress=lambda have, of: told.append((have, of)))
    assert path == tmp_path / NAME
    assert path.read_bytes() == content_of(NAME)
    assert told[-1] == (100_000, 100_000)
    begins = [int(header(one, "Range: bytes=").rstrip("-")) for one in way.asked(RESULT) if "Range: " in one]
    assert begins == sorted(begins)
    assert begins[0] >= 40_000 - SHORT
    assert begins[1] >= 70_000 - 2 * SHORT
    assert [one.name for one in tmp_path.iterdir()] == [NAME]


def test_another_client_goes_on_with_what_is_there(stand_in: Server, way: Lossy, done: str, tmp_path: Path) -> None:
    target = tmp_path / "mine.parquet"
    target.write_bytes(b"what was there before")
    with Client(way.url, TOKEN, patience=0.0) as hasty:
        hasty.health()
        way.spoil(RESULT, AS_IT_IS, cut(50_000), *[lose] * 3)
        with pytest.raises(Unreachable):
            hasty.jobs.get(done).download(target)
    assert target.read_bytes() == b"what was there before"
    (part,) = [one for one in tmp_path.iterdir() if one != target]
    kept = part.stat().st_size
    assert kept >= 50_000 - SHORT
    way.faults.clear()
    way.seen.clear()
    with Client(way.url, TOKEN) as later:
        assert later.jobs.get(done).download(target).read_bytes() == content_of(NAME)
    assert [header(one, "Range: ") for one in way.asked(RESULT)[1:]] == [f"bytes={kept}-"]
    assert [*tmp_path.iterdir()] == [target]


def test_a_spoilt_download_is_fetched_anew_and_never_appears(
    client: Client, way: Lossy, done: str, tmp_path: Path
) -> None:
    way.spoil(RESULT, AS_IT_IS, flip(60_000))
    assert client.jobs.get(done).download(tmp_path).read_bytes() == content_of(NAME)
    other = tmp_path / "other"
    way.spoil(RESULT, AS_IT_IS, flip(60_000), flip(70_000))
    with pytest.raises(DownloadBroken):
        client.jobs.get(done).download(other)
    assert [one.name for one in tmp_path.iterdir()] == [NAME]


def test_nothing_but_a_file_is_replaced(client: Client, done: str, tmp_path: Path) -> None:
    pipe, link, real, folder = (tmp_path / name for name in ("pipe", "link", "real", "folder"))
    os.mkfifo(pipe)
    (folder / NAME).mkdir(parents=True)
    for target in (pipe, folder):
        with pytest.raises(OSError, match="is no file"):
            client.jobs.get(done).download(target)
    assert pipe.is_fifo()
    real.write_bytes(b"what was there before")
    link.symlink_to(real.name)
    assert client.jobs.get(done).download(link) == real
    assert link.is_symlink()
    assert real.read_bytes() == content_of(NAME)


@pytest.mark.parametrize(
    ("called", "name"),
    [("../../x.csv", "_.._x.csv"), ("a\\b:c.csv", "a_b_c.csv"), ("..", "result"), ("a%E2%80%AEvsc.exe", "a_vsc.exe")],
)
def test_a_file_is_called_by_a_name_and_nothing_else(said: Said, called: str, name: str, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    quoted = called.replace("\\", "%5C").replace("/", "%2F")
    said.will(200, b"x", ETag=f'"{digest}"', Content_Disposition=f"attachment; filename*=UTF-8''{quoted}")
    assert Client(said.url).jobs.get(NOBODY_S).download(tmp_path) == tmp_path / name


def test_what_left_no_file_says_why(client: Client, tmp_path: Path) -> None:
    job = client.workers.run("bookings_export", batch_size=FAILS)
    with pytest.raises(JobFailed):
        job.wait()
    with pytest.raises(Conflict) as refused:
        job.download(tmp_path)
    assert refused.value.code == "NO_RESULT"
    with pytest.raises(NotFound, match="compute leaves no file"):
        client.tags.run([1]).download(tmp_path)
    assert [*tmp_path.iterdir()] == []


# -- with real data ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tagged: Server) -> str:
    """A collector with documents."""
    with Client(tagged.url, "") as client:
        client.collectors.put("client_docs")
        exported = client.documents.export("client_docs", start="2020-01-01", query="published:[* TO *]").wait()
        assert exported["success"] is True
    return "client_docs"


def test_tags_are_run_and_read(tagged: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(tagged.url, "") as client:
        result = client.tags.run([1, 2], dry_run=True).wait()
        assert [(tag["tag_id"], tag["added"], tag["removed"]) for tag in result["tags"]] == [(1, 0, 0), (2, 0, 0)]
        monkeypatch.setattr("tagapi.client.tags.PAGE", 7)
        members = list(client.tags.members(1))
        assert members == tagged.members(1)
        assert len(members) > 7
        assert 1 in client.tags.of(members[0])
        assert next(tag for tag in client.tags.explain(members[0]) if tag["tag_id"] == 1)["member"] is True
        assert client.tags.get(1)["members"] == len(members)
        assert client.audiences.preview({"all": [1]})["size"] == len(members)


def test_a_collector_is_read_once_whatever_breaks_off(tagged: Server, filled: str) -> None:
    with lossy(tagged.port) as way, Client(way.url, "") as client:
        whole = [one["id"] for one in client.collectors.read(filled)]
        assert len(whole) == len(set(whole)) >= 1500
        way.spoil("GET /api/v3/stream/c", cut(300_000), lose, cut(900), cut(600_000))
        assert [one["id"] for one in client.collectors.read(filled)] == whole
        assert len(way.asked("GET /api/v3/stream/c")) >= 5
        assert not way.faults


def test_a_lost_answer_never_makes_a_second_export(tagged: Server) -> None:
    with lossy(tagged.port) as way, Client(way.url, "") as client:
        client.collectors.put("client_once")
        way.spoil("POST /api/v3/stream/export", lose)
        job = client.documents.export("client_once", start="2020-01-01", query="coffee", limit=3)
        job.wait()
        assert [one["id"] for one in client.documents.exports("client_once")] == [job.id]
        assert client.documents.export_status(job)["processed"] == 3
        way.spoil("DELETE /api/v3/stream/c", lose)
        client.collectors.delete("client_once")


def test_a_reader_goes_on_tomorrow(tagged: Server, filled: str) -> None:
    with Client(tagged.url, "") as client:
        whole = [one["id"] for one in client.collectors.read(filled)]
        reading = client.collectors.read(filled, limit=700)
        first = [one["id"] for one in reading]
        assert first == whole[:700]
    with Client(tagged.url, "") as later:
        batches = list(later.collectors.read(filled, reading.offset).batches())
        assert first + [one["id"] for batch in batches for one in batch.documents] == whole
        assert [*later.collectors.read(filled, batches[-1].offset)] == []
        with pytest.raises(NotFound):
            next(iter(later.collectors.read("nobody_s")))
        with pytest.raises(Invalid) as refused:
            next(iter(later.collectors.read(filled, "nonsense")))
        assert refused.value.field == "resume_offset"


def test_a_reader_that_waits_has_what_comes_later(tagged: Server) -> None:
    with Client(tagged.url, "") as client:
        client.collectors.put("client_later")
        reading = iter(Client(tagged.url, "").collectors.read("client_later", wait=True))
        came: list[Any] = []
        reader = threading.Thread(target=lambda: came.append(next(reading)), daemon=True)
        reader.start()
        client.documents.export("client_later", start="2020-01-01", limit=1, query="published:[* TO *]").wait()
        until(lambda: came, "the document comes")
        reader.join(5)
        assert came[0]["id"]
        assert client.documents.count("published:[* TO *]")["total"] >= 1500
        with pytest.raises(Invalid) as refused:
            client.documents.validate("a AND")
        assert "at position 5" in str(refused.value)
        client.collectors.delete("client_later")
        assert "client_later" not in [one["collector_id"] for one in client.collectors.list()]
