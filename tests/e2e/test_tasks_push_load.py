"""Pushes in number: each is heard of in time, they are bounded, and whoever asks otherwise does not wait for them."""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, closing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection
from wsproto.events import Request, TextMessage

from tests.e2e.conftest import served
from tests.e2e.pushes import Message, socket_to, stream_of
from tests.e2e.scripts import TICKS
from tests.e2e.server import Client, Server, until
from tests.e2e.stand_in import RUNS
from tests.e2e.tasks_client import TASKS, cancel, reached, started
from tests.e2e.test_tasks_push import STATES, WITHIN, events_of, stand_in
from tests.valkey import Valkey

SOCKETS, JOBS, FOLLOWED = 50, 10, 4
SECONDS = 6.0
ROUNDS = 3
MIB = 1024 * 1024
SLOWER = 1.3  # times, at most, with every push open
BOTHER = {"Authorization": "Bearer ann-token"}


@pytest.fixture(params=["sqlite", "redis"])
def two_workers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    settings = {"server__workers": 2, "jobs__max_concurrent": JOBS}
    if request.param == "sqlite":
        yield from served(stand_in(tmp_path, **settings), ready=False)
    else:
        with Valkey(tmp_path / "valkey") as valkey:
            yield from served(stand_in(tmp_path, registry__url=valkey.url, **settings), ready=False)


def url_of(server: Server) -> str:
    return f"ws://127.0.0.1:{server.port}{TASKS}/ws"


# -- each is heard of in time --------------------------------------------------------------

Heard = list[tuple[float, Message]]


async def listen(connection: ClientConnection, jobs: Sequence[str]) -> Heard:
    """Everything that is told of these jobs, to their ends, and when it came."""
    await connection.send(json.dumps({"subscribe": list(jobs)}))
    heard: Heard = []
    left = set(jobs)
    while left:
        message = json.loads(await connection.recv())
        heard.append((time.time(), message))
        if message.get("final"):
            left.discard(message["task_id"])
    return heard


async def listen_all(server: Server, jobs: Sequence[str]) -> list[Heard]:
    """By SOCKETS sockets, each of which follows some of the jobs."""
    async with AsyncExitStack() as stack:
        opening = [
            stack.enter_async_context(connect(url_of(server), additional_headers=BOTHER, proxy=None, compression=None))
            for _ in range(SOCKETS)
        ]
        sockets = [await one for one in opening]
        chosen = [[jobs[(place + step) % JOBS] for step in range(FOLLOWED)] for place in range(SOCKETS)]
        return list(await asyncio.gather(*map(listen, sockets, chosen)))


def test_every_socket_hears_of_every_change_within_half_a_second(two_workers: Server) -> None:
    """Nothing may be missed, ever; what else the machine does only adds time, so the best of three rounds tells."""
    rounds = []
    with Client(two_workers.url, "ann-token") as ann:
        while len(rounds) < ROUNDS and not any(late[int(0.99 * len(late))] < WITHIN for late in rounds):
            rounds.append(sorted(heard_late(two_workers, ann)))
            assert len(rounds[-1]) > SOCKETS * FOLLOWED * SECONDS
    best = min(rounds, key=lambda late: late[int(0.99 * len(late))])
    assert best[int(0.99 * len(best))] < WITHIN, (best[len(best) // 2], best[int(0.99 * len(best))], best[-1])


def heard_late(server: Server, ann: Client) -> list[float]:
    """Seconds from each change of some jobs to each socket that follows it, none of which misses one."""
    jobs = [started(ann, TICKS) for _ in range(JOBS)]
    with ThreadPoolExecutor(1) as pool:
        hearing = pool.submit(lambda: asyncio.run(listen_all(server, jobs)))
        time.sleep(SECONDS)
        for task_id in jobs:
            assert cancel(ann, task_id).status_code == 200
        heard = hearing.result(60)
    happened = {task_id: events_of(ann, task_id) for task_id in jobs}
    assert len(heard) == SOCKETS
    late = []
    for one in heard:
        for task_id in {message["task_id"] for _, message in one}:
            told = [(when, message) for when, message in one if message["task_id"] == task_id]
            assert told[0][1]["event"] == "snapshot"
            numbers = [message["number"] for _, message in told]
            assert numbers == sorted(set(numbers))
            missed = {event["number"] for event in happened[task_id]} - set(numbers)
            assert not {number for number in missed if number > numbers[0]}
            changes = (one for one in told[1:] if one[1]["event"] in (*STATES, "phase"))
            late.extend(when - moment(message["at"]) for when, message in changes)
    return late


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_socket_outlives_the_store_and_misses_nothing(tmp_path: Path) -> None:
    with Valkey(tmp_path / "valkey", appendfsync="always") as valkey:
        server = stand_in(tmp_path / "server", registry__url=valkey.url, server__workers=2)
        for _ in served(server, ready=False):
            with Client(server.url, "ann-token") as ann, socket_to(server) as follower:
                task_id = started(ann, TICKS)
                follower.subscribe(task_id)
                follower.until(lambda message: message["event"] == "phase")
                valkey.kill()
                until(lambda: ann.get(TASKS).status_code == 503, "the loss is noticed", seconds=5)
                valkey.start()
                until(lambda: ann.get(TASKS).status_code == 200, "it is back", seconds=10)
                follower.until(lambda message: message["event"] == "phase")
                assert cancel(ann, task_id).status_code in (200, 202)
                follower.final()
                happened = events_of(ann, task_id)
        numbers = [message["number"] for message in follower.seen]
        assert numbers == sorted(set(numbers))
        assert {event["number"] for event in happened if event["number"] > numbers[0]} <= set(numbers)


# -- bounds --------------------------------------------------------------------------------


def test_one_push_more_than_there_is_room_for_is_refused(tmp_path: Path) -> None:
    for server in served(stand_in(tmp_path, server__max_pushes=3), ready=False):
        with Client(server.url, "ann-token") as ann, ExitStack() as stack:
            task_id = started(ann, RUNS)
            first = stack.enter_context(socket_to(server))
            stack.enter_context(socket_to(server))
            stream = stack.enter_context(stream_of(server, task_id))
            next(stream.events())
            with pytest.raises(InvalidStatus) as refused, socket_to(server):
                pass
            answer = refused.value.response
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.body is not None
            assert json.loads(answer.body)["error"] == "pushes_full"
            with stream_of(server, task_id) as other:
                assert (other.answer.status_code, other.answer.json()["error"]) == (503, "pushes_full")
                assert int(other.answer.headers["Retry-After"]) >= 1
            assert ann.get(f"{TASKS}/status/{task_id}").status_code == 200

            first.connection.close()
            until(partial(opens, server), "there is room again", seconds=5)
            assert cancel(ann, task_id).status_code == 200


def opens(server: Server) -> bool:
    with suppress(InvalidStatus), socket_to(server):
        return True
    return False


def test_places_of_clients_that_vanish_are_given_back(tmp_path: Path) -> None:
    for server in served(stand_in(tmp_path, server__max_pushes=5), ready=False):
        for _ in range(20):
            opened = [client for client in (Rude(server) for _ in range(5)) if client.opened]
            for client in opened:
                client.reset()
            until(partial(opens, server), "there is room again", seconds=5)


class Rude:
    """A client that sends and never reads what comes, with as little room for it as can be had."""

    def __init__(self, server: Server) -> None:
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.settimeout(10)
        self.sock.connect(("127.0.0.1", server.port))
        self._frames = WSConnection(ConnectionType.CLIENT)
        headers = [(b"Authorization", b"Bearer ann-token")]
        target = f"{TASKS}/ws"
        asked = Request(host=f"127.0.0.1:{server.port}", target=target, extra_headers=headers)
        self.sock.sendall(self._frames.send(asked))
        self._frames.receive_data(answer := self.sock.recv(65536))
        list(self._frames.events())
        self.opened = answer.startswith(b"HTTP/1.1 101")

    def say(self, text: str) -> None:
        self.sock.sendall(self._frames.send(TextMessage(data=text)))

    @staticmethod
    def frame(text: str) -> bytes:
        return Connection(ConnectionType.CLIENT).send(TextMessage(data=text))

    def reset(self) -> None:
        """Gone without a word."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.sock.close()


def memory(server: Server) -> int:
    """Bytes, of all processes of the server."""
    return sum(process.memory_info().rss for process in server.processes() if process.status() != psutil.STATUS_ZOMBIE)


def test_whoever_stops_reading_is_let_go_and_takes_no_memory(tmp_path: Path) -> None:
    for server in served(stand_in(tmp_path), ready=False):
        with Client(server.url, "ann-token") as ann, socket_to(server) as patient:
            task_id = started(ann, RUNS)
            reached(ann, task_id, "STARTED")
            before = memory(server)
            for _ in range(5):
                rude = Rude(server)
                with closing(rude.sock), pytest.raises(OSError):
                    for _ in range(20_000):
                        rude.say(json.dumps({"subscribe": [str(uuid.uuid4()) for _ in range(100)]}))
            assert memory(server) - before < 32 * MIB
            patient.subscribe(task_id)
            assert patient.next()["event"] == "snapshot", "nobody else is the worse for it"
            assert cancel(ann, task_id).status_code == 200


def test_whoever_asks_without_end_takes_no_memory_and_no_ones_time(tmp_path: Path) -> None:
    """The same again and again: one answer does for all that was asked meanwhile."""
    for server in served(stand_in(tmp_path), ready=False):
        with Client(server.url, "ann-token") as ann, socket_to(server) as patient, ExitStack() as stack:
            task_id = started(ann, RUNS)
            reached(ann, task_id, "STARTED")
            question = json.dumps({"subscribe": [*(str(uuid.uuid4()) for _ in range(99)), task_id]})
            before, took = memory(server), []
            for _ in range(5):
                rude = stack.enter_context(closing(Rude(server).sock))
                rude.settimeout(10)
                frame = Rude.frame(question)
                for _ in range(500):
                    rude.sendall(frame * 2)
                began = time.monotonic()
                patient.subscribe(task_id)
                assert patient.next()["event"] == "snapshot"
                took.append(time.monotonic() - began)
            assert max(took) < 2 * WITHIN, took
            assert memory(server) - before < 32 * MIB
            assert cancel(ann, task_id).status_code == 200


# -- others do not wait for them -----------------------------------------------------------


def median_latency(client: Client, path: str, requests: int = 150) -> float:
    """Seconds."""
    taken = []
    for _ in range(requests):
        began = time.perf_counter()
        assert client.get(path).status_code == 200
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


async def hold_open(server: Server, count: int, task_id: str, ready: list[int], done: asyncio.Event) -> None:
    """So many sockets that follow a job, until it is done."""
    async with AsyncExitStack() as stack:
        for _ in range(count):
            opening = connect(url_of(server), additional_headers=BOTHER, proxy=None, compression=None)
            opened = await stack.enter_async_context(opening)
            await opened.send(json.dumps({"subscribe": [task_id]}))
            await opened.recv()
        ready.append(count)
        await done.wait()


def test_requests_are_answered_as_fast_with_every_push_open(tmp_path: Path) -> None:
    """In pairs, one right after the other: the machine has other things to do, too."""
    open_at_once = 100
    for server in served(stand_in(tmp_path, server__max_pushes=open_at_once), ready=False):
        with Client(server.url, "ann-token") as ann:
            task_id = started(ann, RUNS)
            reached(ann, task_id, "STARTED")
            path = f"{TASKS}/status/{task_id}"
            median_latency(ann, path)
            ratios = []
            for _ in range(5):
                alone = median_latency(ann, path)
                ratios.append(with_open_pushes(server, open_at_once, ann, task_id) / alone)
            assert statistics.median(ratios) <= SLOWER, ratios
            cancel(ann, task_id)


def with_open_pushes(server: Server, count: int, client: Client, task_id: str) -> float:
    """The latency while so many sockets are open."""
    ready: list[int] = []
    loop, done = asyncio.new_event_loop(), asyncio.Event()
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(loop.run_until_complete, hold_open(server, count, task_id, ready, done))
        try:
            until(lambda: ready or holding.done(), "all are open")
            return median_latency(client, f"{TASKS}/status/{task_id}")
        finally:
            loop.call_soon_threadsafe(done.set)
            holding.result(30)
            loop.close()
