"""One push by hand, at both ends of a socket: what it says when nothing happens, and when it lets go."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, Pong, TextMessage

from tagapi.pushes.chunked import SMALL, UNTAKEN, ChunkedStream
from tagapi.pushes.events import COMMENT_EVERY, EventStream
from tagapi.pushes.hub import GOING_AWAY, Hub
from tagapi.pushes.push import MOST_UNSENT, Gone, Push
from tagapi.pushes.websocket import PING_EVERY, SILENT, WebSocket

NOW = 1000.0
PATIENCE = 5.0


class Silent(EventStream):
    """A stream of whatever a test says."""

    def heard(self) -> None: ...

    def left(self) -> None: ...


class Chunks(ChunkedStream):
    """Chunks of whatever a test puts."""

    def heard(self) -> None: ...

    def end(self, code: int, reason: str) -> None: ...

    def left(self) -> None: ...


class Echo(WebSocket):
    """Says what it hears."""

    gone = False

    def message(self, text: str) -> None:
        self.say(text)

    def heard(self) -> None:
        self.take()

    def left(self) -> None:
        self.gone = True


Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(PATIENCE)
    with ours, theirs:
        yield ours, theirs


def test_a_stream_says_now_and_then_that_it_is_there(ends: Ends) -> None:
    stream = Silent(ends[0], NOW)
    stream.beat(NOW + COMMENT_EVERY - 1)
    assert stream.unsent == 0
    stream.beat(NOW + COMMENT_EVERY + 1)
    stream.flush()
    assert ends[1].recv(100).startswith(b":"), "a comment, which is no event"
    stream.beat(NOW + COMMENT_EVERY + 2)
    assert stream.unsent == 0


def test_an_event_is_as_the_standard_has_it(ends: Ends) -> None:
    stream = Silent(ends[0], NOW)
    stream.say("finished", '{"number": 7}', 7)
    stream.flush()
    assert ends[1].recv(1000) == b'id: 7\nevent: finished\ndata: {"number": 7}\n\n'


@pytest.mark.parametrize("kind", [Silent, lambda sock, now: Echo(sock, b"", now)])
def test_who_leaves_too_much_untaken_is_let_go(ends: Ends, kind: Callable[[socket.socket, float], Push]) -> None:
    push = kind(ends[0], NOW)
    with pytest.raises(Gone):
        for _ in range(MOST_UNSENT):
            push.send(b"x" * 1024)
            push.flush()
    assert push.unsent <= MOST_UNSENT + 1024


def frames(theirs: socket.socket) -> list[Event]:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(theirs.recv(65536))
    return list(client.events())


def test_a_silent_client_is_asked_and_then_let_go(ends: Ends) -> None:
    push = Echo(ends[0], b"", NOW)
    push.beat(NOW + PING_EVERY - 1)
    assert push.unsent == 0
    push.beat(NOW + PING_EVERY + 1)
    push.flush()
    assert isinstance(frames(ends[1])[0], Ping)
    push.beat(NOW + PING_EVERY + 2)
    assert push.unsent == 0, "once is enough"
    with pytest.raises(Gone):
        push.beat(NOW + SILENT + 1)


def test_chunks_of_which_nothing_was_sent_are_taken_back(ends: Ends) -> None:
    stream = Chunks(ends[0], NOW, chunked=True)
    for place in ("a", "b"):
        stream.put(place.encode(), place=place)
    assert (stream.take_back(), stream.unsent, stream.take_back()) == ("a", 0, None)
    stream.put(b"c" * 10, place="c")
    stream.flush()
    stream.put(b"d", b"e" * SMALL, place="d")
    stream.put(b"f", place="f")
    assert (stream.take_back(), stream.unsent) == ("d", 0)
    stream.finish()
    stream.flush()
    assert ends[1].recv(100) == b"a\r\n" + b"c" * 10 + b"\r\n0\r\n\r\n"


def test_chunks_are_let_go_when_they_are_not_taken(ends: Ends) -> None:
    stream = Chunks(ends[0], NOW, chunked=True)
    stream.beat(NOW + 2 * UNTAKEN)
    stream.beat(NOW + 4 * UNTAKEN)
    stream.put(b"a", place="a")
    stream.beat(NOW + 5 * UNTAKEN)
    with pytest.raises(Gone):
        stream.beat(NOW + 5 * UNTAKEN + 1)


def test_who_answers_a_ping_is_there(ends: Ends) -> None:
    push = Echo(ends[0], b"", NOW)
    push.moved = NOW + SILENT
    push.received(Connection(ConnectionType.CLIENT).send(Pong()))
    push.beat(NOW + SILENT + 1)


def test_what_came_behind_the_handshake_is_heard(ends: Ends) -> None:
    push = Echo(ends[0], Connection(ConnectionType.CLIENT).send(TextMessage(data="hola")), NOW)
    push.heard()
    push.flush()
    (message,) = frames(ends[1])
    assert isinstance(message, TextMessage) and message.data == "hola"


# -- on the hub ----------------------------------------------------------------------------


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(2)
    hub.start()
    yield hub
    hub.stop()


def opened(hub: Hub, sock: socket.socket) -> Echo:
    assert hub.reserve()
    push = Echo(sock.dup(), b"", time.monotonic())
    hub.add(push)
    return push


def test_the_last_words_reach_a_client_whose_own_were_not_read(hub: Hub, ends: Ends) -> None:
    """Closed with bytes unread a socket is reset, and what was on its way is lost."""
    client = Connection(ConnectionType.CLIENT)
    push = opened(hub, ends[0])
    ends[1].sendall(client.send(TextMessage(data="hola")))
    assert ends[1].recv(100)
    ends[1].sendall(b"\xff" * 200_000)  # no frames: it closes at the first of them
    told = b""
    while data := ends[1].recv(65536):
        told += data
    client.receive_data(told)
    (close,) = list(client.events())
    assert isinstance(close, CloseConnection) and close.code == 1002
    ends[1].close()
    assert _soon(lambda: push.gone)


def test_places_are_given_back(hub: Hub, ends: Ends) -> None:
    push = opened(hub, ends[0])
    assert hub.reserve()
    assert not hub.reserve()
    hub.cede()
    ends[0].close()
    ends[1].close()
    assert _soon(lambda: push.gone)
    assert _soon(hub.reserve) and hub.reserve()


def test_who_does_not_hang_up_is_hung_up_on(hub: Hub, ends: Ends) -> None:
    push = opened(hub, ends[0])
    ends[1].sendall(Connection(ConnectionType.CLIENT).send(CloseConnection(code=1000)))
    assert _soon(lambda: push.leaving is not None)
    assert not push.gone, "it waits for the other side"
    assert _soon(lambda: push.gone)


def test_at_the_end_everybody_is_told(ends: Ends) -> None:
    hub = Hub(2)
    hub.start()
    opened(hub, ends[0])
    ends[0].close()
    began = time.monotonic()
    hub.stop()
    assert time.monotonic() - began < 1.5
    (close,) = frames(ends[1])
    assert isinstance(close, CloseConnection) and close.code == GOING_AWAY
    assert not hub.reserve()


def _soon(look: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not look() and time.monotonic() < deadline:
        time.sleep(0.01)
    return time.monotonic() < deadline
