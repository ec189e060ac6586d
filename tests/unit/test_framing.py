"""When a request is whole, however its bytes come in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagapi.serving.framing import MOST_BODY, MOST_HEAD, MOST_LINE, Incoming, Refused, Stage, Unfinished

GET = b"GET /a/b?c=d HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-LENGTH:  5 \r\n\r\nhello"
CHUNKS = (
    b"POST /p HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\nA\r\n" + b"\r\n" * 5 + b"\r\n0\r\nT: u\r\n\r\n"
)
WHOLE = [GET, b"\r\n" + GET, b"GET / HTTP/1.0\r\n\r\n", POST, CHUNKS, CHUNKS.replace(b"0\r\nT: u\r\n", b"00\r\n")]


def fed(*parts: bytes) -> Incoming:
    incoming = Incoming()
    for part in parts:
        incoming.data += part
        incoming.look()
    return incoming


@given(request=st.sampled_from(WHOLE), following=st.sampled_from([b"", *WHOLE]), cuts=st.sets(st.integers(1, 120)))
def test_a_request_ends_where_it_ends(request: bytes, following: bytes, cuts: set[int]) -> None:
    """In whatever pieces it comes; what follows it is the next one's."""
    edges = [0, *sorted(cut for cut in cuts if cut < len(request)), len(request)]
    incoming = Incoming()
    for begin, end in pairwise(edges):
        assert incoming.look() is not Stage.WHOLE
        incoming.data += request[begin:end]
    incoming.data += following
    assert incoming.look() is Stage.WHOLE
    assert not incoming.cut

    read = b""
    while len(read) < len(request):
        read += incoming.recv(7)
    assert read == request
    with pytest.raises(Unfinished):
        incoming.recv(7)
    incoming.skip()
    assert bytes(incoming.data) == following


@given(request=st.sampled_from(WHOLE), taken=st.integers(0, 40))
def test_what_nobody_read_of_a_request_is_skipped(request: bytes, taken: int) -> None:
    incoming = fed(request + GET)
    if taken:
        incoming.recv(taken)
    incoming.skip()
    assert bytes(incoming.data) == GET


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: -1",
        b"Content-Length: x",
        b"Content-Length: %d" % (MOST_BODY + 1),
        b"Content-Length: " + b"9" * 5000,
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: chunked, identity",
    ],
)
def test_what_will_be_refused_is_handed_over_at_once_and_ends_the_connection(head: bytes) -> None:
    incoming = fed(b"POST /p HTTP/1.1\r\n" + head + b"\r\n\r\n")
    assert incoming.stage is Stage.WHOLE
    assert incoming.cut


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"-1\r\n", b" 3\r\nabc\r\n", b"3\r\nabcd\r\n", b"1" * 9000, b"\r\n"])
def test_chunks_that_make_no_sense_end_the_connection(chunks: bytes) -> None:
    incoming = fed(b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert incoming.stage is Stage.WHOLE
    assert incoming.cut


def test_a_body_in_chunks_is_read_to_a_bound() -> None:
    incoming = fed(b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    pieces = 0
    while incoming.stage is not Stage.WHOLE:
        incoming.data += piece
        incoming.look()
        pieces += 1
    assert incoming.cut
    assert MOST_BODY < pieces * 0x100000 <= MOST_BODY + 2 * 0x100000


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"GET /" + b"x" * MOST_LINE, 414),
        (b"GET /" + b"x" * MOST_LINE + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (MOST_HEAD // 6), 431),
        (b"GET / HTTP/1.1\nHost: x", 400),
        (b"\nGET", 400),
    ],
)
@pytest.mark.parametrize("step", [1000, 10**6])
def test_what_will_never_be_a_request_is_refused_at_once(text: bytes, status: int, step: int) -> None:
    with pytest.raises(Refused) as refused:
        fed(*(text[at : at + step] for at in range(0, len(text), step)))
    assert refused.value.status == status


def test_the_path_is_known_as_soon_as_it_is_there_and_later_too() -> None:
    incoming = fed(b"GE")
    assert incoming.path is None
    incoming.data += GET[2:]
    assert incoming.look() is Stage.WHOLE
    incoming.recv(1000)
    assert (incoming.method, incoming.path) == ("GET", "/a/b")


@pytest.mark.parametrize(("version", "expects"), [(b"1.1", True), (b"1.0", False)])
def test_only_a_client_that_knows_it_is_told_to_continue(version: bytes, expects: bool) -> None:
    head = b"POST /p HTTP/" + version + b"\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n"
    assert fed(head).expects is expects
