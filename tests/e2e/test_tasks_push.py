"""What is pushed of jobs, by socket and by stream, whichever process runs them and wherever they are kept."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tagapi import tickets
from tagapi.tokens import digest_of
from tests.e2e.conftest import PRINCIPALS, served, write_tokens
from tests.e2e.pushes import MESSAGE, Message, Stream, socket_to, stream_of
from tests.e2e.scripts import MANY, MANY_PHASES, PHASES, RETRIES, TICKS
from tests.e2e.server import Client, Server, until
from tests.e2e.stand_in import FAILS, RUNS
from tests.e2e.tasks_client import TASKS, cancel, ended, reached, refused, started
from tests.valkey import Valkey

WITHIN = 0.5  # seconds, in which a change is heard of
REVOKED, GOING_AWAY = 1008, 1001
STATES = ("accepted", "started", "retried", "parked", "finished", "undoing", "settled")
"""The events that may change the status."""


def stand_in(folder: Path, **settings: object) -> Server:
    folder.mkdir(exist_ok=True)
    tokens = write_tokens(folder / "tokens.yaml")
    told = {"auth__tokens_file": tokens, "jobs__max_concurrent": 8, **settings}
    variables = {f"TAGAPI_{name.upper()}": str(value) for name, value in told.items()}
    return Server(folder, variables, program=("-m", "tests.e2e.stand_in"))


@pytest.fixture(scope="module", params=["memory", "sqlite", "redis"])
def pushing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """On every registry; with two workers where they can share it."""
    folder = tmp_path_factory.mktemp("pushing")
    if request.param == "memory":
        yield from served(stand_in(folder, registry__url="memory://"), ready=False)
    elif request.param == "sqlite":
        yield from served(stand_in(folder, server__workers=2), ready=False)
    else:
        with Valkey(folder / "valkey") as valkey:
            yield from served(stand_in(folder, server__workers=2, registry__url=valkey.url), ready=False)


@pytest.fixture
def ann(pushing: Server) -> Iterator[Client]:
    with Client(pushing.url, "ann-token") as client:
        yield client


@pytest.fixture
def bob(pushing: Server) -> Iterator[Client]:
    with Client(pushing.url, "bob-token") as client:
        yield client


def events_of(client: Client, task_id: str) -> list[Message]:
    events: list[Message] = client.read(f"{TASKS}/events/{task_id}")["events"]
    return events


def states(messages: list[Message]) -> list[tuple[int, str, str]]:
    """The number, the event and the status of what may change the status."""
    return [(one["number"], one["event"], one["status"]) for one in messages if one["event"] in STATES]


def assert_each_change_once(told: list[Message], client: Client, task_id: str) -> None:
    """A snapshot first; then every change behind it, once and in order; the last one says that it is."""
    snapshot, *rest = told
    assert snapshot["event"] == "snapshot"
    numbers = [one["number"] for one in told]
    assert numbers == sorted(set(numbers)), "each once, and in order"
    happened = [event for event in events_of(client, task_id) if event["number"] > snapshot["number"]]
    assert states(rest) == states(happened)
    assert all(one.keys() >= MESSAGE and one["task_id"] == task_id for one in told)
    assert [one.get("final", False) for one in told] == [False] * len(rest) + [True]


# -- sockets -------------------------------------------------------------------------------


@pytest.mark.parametrize(("script", "end"), [(RETRIES, "SUCCESS"), (FAILS, "FAILURE")])
def test_a_snapshot_first_then_each_change_once(pushing: Server, ann: Client, script: int, end: str) -> None:
    with socket_to(pushing) as socket:
        task_id = started(ann, script)
        socket.subscribe(task_id)
        told = socket.final()
        if len(told) > 1:
            assert_each_change_once(told, ann, task_id)
        assert told[-1]["status"] == end
        socket.quiet(0.3)


def test_phases_and_progress_are_heard_of_while_the_job_runs(pushing: Server, ann: Client) -> None:
    with socket_to(pushing) as socket:
        task_id = started(ann, PHASES)
        socket.subscribe(task_id)
        socket.until(lambda message: message["progress"] == {"done": 1, "total": 4, "percentage": 25.0})
        assert cancel(ann, task_id).status_code == 200
        assert socket.final()[-1]["status"] == "REVOKED"


def test_of_a_job_that_has_ended_there_is_one_message(pushing: Server, ann: Client) -> None:
    task_id = ended(ann, started(ann))["task_id"]
    with socket_to(pushing) as socket:
        socket.subscribe(task_id.upper())
        message = socket.next()
        assert (message["event"], message["status"], message["final"]) == ("snapshot", "SUCCESS", True)
        assert message["task_id"] == task_id and message.keys() >= MESSAGE
        socket.quiet(0.3)
        socket.subscribe(task_id)
        assert socket.next() == message, "asked again, told again"


def test_several_jobs_are_followed_on_one_socket(pushing: Server, ann: Client) -> None:
    jobs = [started(ann, RETRIES) for _ in range(5)]
    with socket_to(pushing) as socket:
        socket.subscribe(*jobs[:3])
        socket.subscribe(*jobs[3:])
        socket.until(lambda _: sum(bool(one.get("final")) for one in socket.seen) == len(jobs))
    for task_id in jobs:
        assert_each_change_once([one for one in socket.seen if one["task_id"] == task_id], ann, task_id)


def test_whoever_follows_all_of_theirs_hears_of_new_jobs_from_the_beginning(
    pushing: Server, ann: Client, bob: Client
) -> None:
    runs = started(bob, RUNS)
    reached(bob, runs, "STARTED")
    with socket_to(pushing, "bob-token") as socket:
        socket.say({"subscribe": "mine"})
        snapshot = socket.next()
        assert (snapshot["task_id"], snapshot["event"], snapshot["status"]) == (runs, "snapshot", "STARTED")
        foreign = started(ann, RETRIES)
        mine = started(bob, RETRIES)
        told = [one for one in socket.final() if one["task_id"] != runs]
        assert {one["task_id"] for one in told} == {mine}
        assert states(told) == states(events_of(bob, mine))
        assert told[0]["event"] == "accepted", "it began while it was followed"
        ended(ann, foreign)
        cancel(bob, runs)
        assert [one["task_id"] for one in socket.final()][-1] == runs
        socket.quiet(0.3)
        assert foreign not in {one["task_id"] for one in socket.seen}


def test_what_is_followed_no_more_is_not_heard_of(pushing: Server, ann: Client) -> None:
    kept, dropped = started(ann, TICKS), started(ann, TICKS)
    with socket_to(pushing) as socket:
        socket.subscribe(kept, dropped)
        socket.until(lambda _: {one["task_id"] for one in socket.seen} == {kept, dropped})
        socket.say({"unsubscribe": [dropped]})
        time.sleep(WITHIN)
        del socket.seen[:]
        assert cancel(ann, dropped).status_code == 200
        assert cancel(ann, kept).status_code == 200
        socket.until(lambda message: message["task_id"] == kept and message.get("final") is True)
        socket.quiet(0.3)
    late = [one for one in socket.seen if one["task_id"] == dropped and one["event"] in STATES]
    assert late == []


def test_who_follows_theirs_no_more_hears_of_none_of_them(pushing: Server, ann: Client) -> None:
    first, named = started(ann, TICKS), started(ann, TICKS)
    with socket_to(pushing) as socket:
        socket.subscribe(named)
        socket.say({"subscribe": "mine"})
        socket.until(lambda _: {one["task_id"] for one in socket.seen} >= {first, named})
        socket.say({"unsubscribe": "mine"})
        time.sleep(WITHIN)
        later = started(ann, FAILS)
        ended(ann, later)
        assert cancel(ann, first).status_code == 200
        assert cancel(ann, named).status_code == 200
        del socket.seen[:]
        socket.until(lambda message: message["task_id"] == named and message.get("final") is True)
        socket.quiet(0.3)
    assert later not in {one["task_id"] for one in socket.seen}
    ends = {one["task_id"] for one in socket.seen if one.get("final")}
    assert ends == {named}, "what was named is followed still"


def test_what_is_named_no_more_is_followed_on_with_all_of_theirs(pushing: Server, ann: Client) -> None:
    task_id = started(ann, TICKS)
    with socket_to(pushing) as socket:
        socket.say({"subscribe": "mine"})
        socket.subscribe(task_id)
        socket.until(lambda message: message["task_id"] == task_id and message["event"] == "phase")
        socket.say({"unsubscribe": [task_id]})
        time.sleep(WITHIN)
        assert cancel(ann, task_id).status_code == 200
        socket.until(lambda message: message["task_id"] == task_id and message.get("final") is True)
    numbers = [one["number"] for one in socket.seen if one["task_id"] == task_id and one["event"] != "snapshot"]
    assert numbers == sorted(set(numbers)), "nothing is told twice"


def unknown(task_id: str) -> Message:
    return {"task_id": task_id, "event": "unknown", "status": "PENDING", "final": True}


def test_an_unknown_job_and_a_foreign_one_are_told_alike(pushing: Server, ann: Client) -> None:
    foreign, nobodys = started(ann, TICKS), str(uuid.uuid4())
    with socket_to(pushing, "bob-token") as socket, socket_to(pushing, "root-token") as admin:
        socket.subscribe(foreign, nobodys)
        told = {(message := socket.next())["task_id"]: message for _ in range(2)}
        assert told == {foreign: unknown(foreign), nobodys: unknown(nobodys)}
        admin.subscribe(foreign)
        assert admin.next()["event"] == "snapshot"
    cancel(ann, foreign)


def test_a_foreign_job_that_changes_right_then_is_not_told_either(pushing: Server, ann: Client) -> None:
    """The answer that there is none, and the news of a change, may come in the same moment."""
    foreign = [started(ann, TICKS) for _ in range(6)]
    with socket_to(pushing, "bob-token") as socket:
        for _ in range(60):
            socket.subscribe(*foreign)
            for _ in foreign:
                message = socket.next()
                assert message == unknown(message["task_id"])
            time.sleep(0.03)
        socket.quiet(1.0)
    for task_id in foreign:
        cancel(ann, task_id)


def test_an_admin_follows_everybodys_jobs_and_nobody_else_does(pushing: Server, ann: Client, bob: Client) -> None:
    before = started(bob, RUNS)
    with socket_to(pushing, "root-token") as socket, socket_to(pushing, "ann-token") as refused:
        socket.say({"subscribe": "all"})
        refused.say({"subscribe": "all"})
        assert refused.next()["error"] == "invalid"
        socket.until(lambda message: message["task_id"] == before and message["event"] == "snapshot")
        job_id = started(ann, RUNS)
        socket.until(lambda message: message["task_id"] == job_id and message["event"] == "accepted")
        for client, task_id in ((bob, before), (ann, job_id)):
            cancel(client, task_id)
            socket.until(
                lambda message, task_id=task_id: message["task_id"] == task_id and message.get("final") is True
            )
        socket.say({"unsubscribe": "all"})
        socket.say("x")
        socket.until(lambda message: "error" in message)
        cancel(ann, started(ann, RUNS))
        socket.quiet(1.0)
        refused.quiet(0.2)


WRONG = [
    "",
    "{",
    "[]",
    "null",
    '"mine"',
    "{}",
    '{"subscribe": []}',
    '{"subscribe": "all"}',
    '{"subscribe": null}',
    '{"subscribe": {"id": 1}}',
    '{"subscribe": [1]}',
    '{"subscribe": ["no-uuid"]}',
    '{"subscribe": "mine", "unsubscribe": "mine"}',
    '{"subscribe": "mine", "x": 1}',
    '{"SUBSCRIBE": "mine"}',
    '{"subscribe": ["\\ud800"]}',
    '{"subscribe": NaN}',
    "[" * 10_000,
    json.dumps({"subscribe": [str(uuid.uuid4()) for _ in range(101)]}),
    json.dumps({"unsubscribe": [str(uuid.uuid4()) for _ in range(101)]}),
]


def test_a_message_that_makes_no_sense_is_answered_and_the_socket_goes_on(pushing: Server, ann: Client) -> None:
    task_id = ended(ann, started(ann))["task_id"]
    with socket_to(pushing) as socket:
        for message in WRONG:
            socket.say(message)
            answer = socket.next()
            assert answer.keys() == {"error", "message"} and answer["error"] == "invalid", message
        socket.subscribe(*[str(uuid.uuid4()) for _ in range(99)], task_id)
        socket.until(lambda message: message["event"] == "snapshot")


@pytest.mark.parametrize(
    ("message", "code"),
    [(b"\x00", 1003), ("x" * 20_000, 1009), ("x" * 2_000_000, 1009), ([""] * 20_000, 1009)],
    ids=["bytes", "long", "huge", "without end"],
)
def test_what_is_no_message_closes_the_socket(pushing: Server, message: str | bytes | list[str], code: int) -> None:
    with socket_to(pushing) as socket:
        with suppress(ConnectionClosed):
            socket.connection.send(message)
        assert socket.closed(5) == code


def test_a_ping_is_answered_and_a_close_is_too(pushing: Server) -> None:
    with socket_to(pushing) as socket:
        assert socket.connection.ping().wait(5)
        socket.connection.close(1000)
        assert socket.connection.close_code == 1000


# -- tickets -------------------------------------------------------------------------------


def ticket_of(client: Client) -> str:
    answer = client.request("POST", f"{TASKS}/ws/ticket")
    assert answer.status_code == 200
    assert answer.json().keys() == {"ticket", "expires_in"}
    assert answer.json()["expires_in"] == 30
    return str(answer.json()["ticket"])


def status_of_handshake(server: Server, token: str | None = None, query: str = "", **headers: str) -> int:
    """101, or the status of the refusal."""
    try:
        with socket_to(server, token, query, **headers):
            return 101
    except InvalidStatus as refusal:
        assert refusal.response.body is not None
        assert json.loads(refusal.response.body)["message"]
        return refusal.response.status_code


def test_a_ticket_opens_a_socket_as_its_owner(pushing: Server, ann: Client, bob: Client) -> None:
    task_id = started(ann, RUNS)
    for client, event in ((ann, "snapshot"), (bob, "unknown")):
        with socket_to(pushing, None, f"?ticket={ticket_of(client)}") as socket:
            socket.subscribe(task_id)
            assert socket.next()["event"] == event
    cancel(ann, task_id)


def test_a_ticket_counts_once_in_all_processes_together(pushing: Server, ann: Client) -> None:
    for _ in range(4):
        query = f"?ticket={ticket_of(ann)}"
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda _, query=query: status_of_handshake(pushing, None, query), range(8)))
        assert sorted(statuses) == [101] + [401] * 7


def test_a_ticket_that_is_none_opens_nothing(pushing: Server, ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = ticket_of(ann)
    said, nonce, mac = ticket.split(".")
    made_of = digest_of("ann-token")
    now = time.time()
    wrong = ["", "x", f"{said}.{nonce}.{mac[::-1]}", f"{int(said) + 1}.{nonce}.{mac}", f"{said}.{'0' * 32}.{mac}"]
    wrong += [tickets.make(b""), tickets.make(digest_of("revoked-token")), ticket.upper(), f"{ticket}x"]
    for moment in (now - tickets.SECONDS - 2, now + tickets.SECONDS + 60):  # expired, and not of our time
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        wrong.append(tickets.make(made_of))
    monkeypatch.undo()
    assert status_of_handshake(pushing, None, f"?ticket={tickets.make(made_of)}") == 101, "it is made as here"
    for one in wrong:
        assert status_of_handshake(pushing, None, f"?ticket={one}") == 401, one
    assert status_of_handshake(pushing, None, f"?ticket={ticket}") == 101, "none of these used it up"
    assert status_of_handshake(pushing) == 401


def test_a_ticket_opens_pushes_alone(pushing: Server, ann: Client) -> None:
    task_id = ended(ann, started(ann))["task_id"]
    with Client(pushing.url) as nobody:
        for path in (TASKS, f"{TASKS}/status/{task_id}", f"{TASKS}/progress/{task_id}"):
            refused(nobody.get(path, ticket=ticket_of(ann)), 401, "authentication_required")
        for method, path in (("POST", f"{TASKS}/ws/ticket"), ("POST", f"{TASKS}/cancel/{task_id}")):
            answer = nobody.request(method, f"{path}?ticket={ticket_of(ann)}")
            refused(answer, 401, "authentication_required")
    with stream_of(pushing, task_id, token=None, query=f"?ticket={ticket_of(ann)}") as stream:
        assert [data["event"] for _, _, data in stream.events()][-1] == "finished"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "file://"])
def test_a_page_of_elsewhere_opens_nothing(pushing: Server, ann: Client, origin: str) -> None:
    task_id = ended(ann, started(ann))["task_id"]
    assert status_of_handshake(pushing, "ann-token", Origin=origin) == 403
    assert status_of_handshake(pushing, None, f"?ticket={ticket_of(ann)}", Origin=origin) == 403
    with stream_of(pushing, task_id, Origin=origin) as stream:
        assert (stream.answer.status_code, stream.answer.json()["error"]) == (403, "foreign_origin")


def test_a_page_of_ours_opens_a_socket(pushing: Server) -> None:
    for origin in (pushing.url, f"http://localhost:{pushing.port}"):
        assert status_of_handshake(pushing, "ann-token", Origin=origin) == 101
    elsewhere = {"Host": "tagapi.example.org", "Origin": "https://tagapi.example.org"}
    with Client(pushing.url, "ann-token") as ann:
        assert ann.request("GET", f"{TASKS}/ws", headers=elsewhere).status_code == 400, "no handshake, and not refused"


# -- streams -------------------------------------------------------------------------------


def numbered(stream: Stream, most: int = 10_000) -> list[Message]:
    """The events of a stream, whose ids are their numbers, up to its end or `most`."""
    came = []
    for event_id, name, data in stream.events():
        assert name == data["event"]
        assert event_id == str(data["number"])
        came.append(data)
        if len(came) == most:
            break
    return came


def test_a_stream_tells_everything_from_the_beginning_and_ends_with_the_job(pushing: Server, ann: Client) -> None:
    task_id = started(ann, RETRIES)
    with stream_of(pushing, task_id) as stream:
        assert stream.answer.status_code == 200
        assert stream.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert stream.answer.headers["Cache-Control"] == "no-store"
        told = numbered(stream)
    assert states(told) == states(events_of(ann, task_id))
    assert told[-1]["final"] is True
    numbers = [one["number"] for one in told]
    assert numbers == sorted(set(numbers)) and numbers[0] == 1


def test_a_stream_that_broke_goes_on_behind_the_last_event(pushing: Server, ann: Client) -> None:
    task_id = started(ann, TICKS)
    told: list[Message] = []
    for part in (2, 3, 1, 4):
        with stream_of(pushing, task_id, after=told[-1]["number"] if told else None) as stream:
            told += numbered(stream, part)
    assert cancel(ann, task_id).status_code == 200
    with stream_of(pushing, task_id, after=told[-1]["number"]) as stream:
        told += numbered(stream)
    happened = events_of(ann, task_id)
    kept = {event["number"] for event in happened}
    numbers = [one["number"] for one in told]
    assert numbers == sorted(set(numbers)), "without repetition"
    assert kept <= set(numbers), "without a gap"
    assert told[-1]["status"] == "REVOKED"


def test_a_page_whose_ticket_is_spent_goes_on_with_another_one(pushing: Server, ann: Client) -> None:
    """A browser's own second try sends the header and the old ticket, which counts no more."""
    task_id = ended(ann, started(ann, RETRIES))["task_id"]
    ticket = f"?ticket={ticket_of(ann)}"
    with stream_of(pushing, task_id, token=None, query=ticket) as stream:
        told = numbered(stream, 2)
    with stream_of(pushing, task_id, after=told[-1]["number"], token=None, query=ticket) as stream:
        assert (stream.answer.status_code, stream.answer.json()["error"]) == (401, "ticket_invalid")
    query = f"?ticket={ticket_of(ann)}&last_event_id={told[-1]['number']}"
    with stream_of(pushing, task_id, token=None, query=query) as stream:
        told += numbered(stream)
    assert states(told) == states(events_of(ann, task_id))
    last = told[-1]["number"]
    with stream_of(pushing, task_id, after=last, query="?last_event_id=1") as stream:
        assert stream.answer.status_code == 204, "the header goes before"


def test_a_stream_that_begins_before_what_is_kept_says_that_there_is_a_gap(pushing: Server, ann: Client) -> None:
    task_id = started(ann, MANY)
    until(
        lambda: (
            len(ann.read(f"{TASKS}/progress/{task_id}")["phases"]) == 50
            and ann.read(f"{TASKS}/progress/{task_id}")["phase"] == f"fase {MANY_PHASES - 1}"
        ),
        "all phases have begun",
    )
    oldest = events_of(ann, task_id)[1]["number"]
    assert oldest > 5
    with stream_of(pushing, task_id, after=3) as stream:
        came = stream.events()
        event_id, name, snapshot = next(came)
        assert (name, snapshot["event"], snapshot["gap"]) == ("snapshot", "snapshot", True)
        _, _, first = next(came)
        assert first["number"] == oldest
    with stream_of(pushing, task_id, after=event_id) as stream:
        _, name, again = next(stream.events())
        assert name != "snapshot" and again["number"] == oldest, "behind the snapshot it goes on without another one"
    cancel(ann, task_id)


def test_an_id_that_has_not_been_given_yet_begins_with_a_snapshot(pushing: Server, ann: Client) -> None:
    """A store that was restored from a copy knows less than its clients."""
    task_id = started(ann, TICKS)
    reached(ann, task_id, "STARTED")
    with stream_of(pushing, task_id, after=99_999) as stream:
        came = stream.events()
        _, name, snapshot = next(came)
        assert (name, snapshot["gap"]) == ("snapshot", True)
        assert next(came)[1] == "phase"
    cancel(ann, task_id)


def test_a_stream_that_has_been_told_whole_is_not_asked_for_again(pushing: Server, ann: Client) -> None:
    task_id = ended(ann, started(ann))["task_id"]
    last = events_of(ann, task_id)[-1]["number"]
    for after, status in ((last, 204), (last + 1, 204), (last - 1, 200)):
        with stream_of(pushing, task_id, after=after) as stream:
            assert stream.answer.status_code == status
            assert [data["number"] for _, _, data in stream.events()] == ([last] if status == 200 else [])


def test_a_stream_of_a_job_that_is_not_there(pushing: Server, ann: Client) -> None:
    for task_id, token in ((str(uuid.uuid4()), "ann-token"), (started(ann), "bob-token")):
        with stream_of(pushing, task_id, token=token) as stream:
            assert (stream.answer.status_code, stream.answer.json()["error"]) == (404, "job_not_found")


def test_the_head_of_a_stream_holds_no_place(pushing: Server, ann: Client) -> None:
    task_id = started(ann, RUNS)
    for _ in range(210):  # more than there are places
        head = ann.request("HEAD", f"{TASKS}/events/{task_id}", headers={"Accept": "text/event-stream"})
        assert (head.status_code, head.content) == (200, b"")
    cancel(ann, task_id)


# -- the end -------------------------------------------------------------------------------


def test_a_revoked_token_loses_its_sockets_and_its_streams(pushing: Server, ann: Client, bob: Client) -> None:
    path = pushing.folder / "tokens.yaml"
    task_id = started(bob, RUNS)
    with socket_to(pushing, "bob-token") as lost, socket_to(pushing) as kept, ExitStack() as stack:
        by_ticket = stack.enter_context(socket_to(pushing, None, f"?ticket={ticket_of(bob)}"))
        stream = stack.enter_context(stream_of(pushing, task_id, token="bob-token"))
        came = stream.events()
        next(came)
        left = ticket_of(bob)
        write_tokens(path, {token: one for token, one in PRINCIPALS.items() if one.name != "bob"})
        began = time.monotonic()
        try:
            assert lost.closed(5) == REVOKED
            assert by_ticket.closed(max(0.1, began + 5 - time.monotonic())) == REVOKED
            list(came)
            assert time.monotonic() - began < 5
            assert status_of_handshake(pushing, None, f"?ticket={left}") == 401
            kept.say("{")
            assert kept.next()["error"] == "invalid"
        finally:
            write_tokens(path)
    until(lambda: bob.get(TASKS).status_code == 200, "the token is good again")
    cancel(bob, task_id)


def test_every_socket_and_stream_is_told_that_the_service_stops(tmp_path: Path) -> None:
    server = stand_in(tmp_path, server__workers=2)
    try:
        server.wait_alive()
        with Client(server.url, "ann-token") as ann, ExitStack() as stack:
            task_id = started(ann, RUNS)
            sockets = [stack.enter_context(socket_to(server)) for _ in range(12)]
            for socket in sockets:
                socket.subscribe(task_id)
                socket.next()
            stream = stack.enter_context(stream_of(server, task_id))
            came = stream.events()
            next(came)
            stopping = ThreadPoolExecutor(1)
            began = time.monotonic()
            stopped = stopping.submit(server.stop)
            with ThreadPoolExecutor(len(sockets)) as pool:
                codes = list(pool.map(lambda socket: socket.closed(5), sockets))
            assert time.monotonic() - began < 1.0
            assert codes == [GOING_AWAY] * len(sockets)
            list(came)
            assert stopped.result(60) == 0
            stopping.shutdown()
    finally:
        server.kill()
