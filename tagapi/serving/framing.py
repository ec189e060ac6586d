"""When a request is whole: RFC 9112's framing, looked at as bytes come in. It knows no socket and no clock.

Nothing is judged here that gunicorn's parser judges: it gets the bytes of one request, from memory, and
refuses what makes no sense. What could be framed in two ways is handed to it at once, since it refuses that too.
"""

from __future__ import annotations

import enum
import re

from gunicorn.http.body import CHUNK_EXT_RE
from gunicorn.http.errors import ParseException

MOST_LINE = 8190  # bytes of a request line, as gunicorn is told
MOST_HEAD = 64 * 1024  # bytes of a request line and headers
MOST_BODY = 8 * 1024 * 1024  # bytes: a larger one is not read, and the app refuses it
MOST_CHUNKS = 100_000  # of a body
MOST_CHUNK_LINE = 8190  # bytes of a chunk's size and extensions
AHEAD = 64 * 1024  # bytes beyond MOST_BODY, so that the app, and not the lack of more, ends a chunked body

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([^\r\n]*?)[ \t]*\r\n")
CODING = re.compile(rb"\r\ntransfer-encoding:[ \t]*([^\r\n]*?)[ \t]*\r\n")
EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n")
TARGET = re.compile(rb"(?:\r\n)?([A-Z]{3,20}) (/[^ ?#\r\n]*)")
DIGITS = re.compile(rb"[0-9]{1,18}")
TRAILERS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*")
FRAMING = re.compile(rb"^(?:content-length|transfer-encoding|host|connection):", re.IGNORECASE | re.MULTILINE)
"""What no trailer may say: others on the way might heed it."""

HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]{1,16}")


class Stage(enum.Enum):
    """How far a request has come in."""

    HEAD = "head"
    BODY = "body"
    WHOLE = "whole"
    """All there, or as much of it as will be read."""


class Refused(Exception):
    """This cannot become a request: the status says why."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Unfinished(ParseException):  # type: ignore[misc]  # gunicorn is untyped
    """More was asked for than the request has."""


class Incoming:
    """The bytes of a connection that came in and have not been parsed."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.begin()

    def begin(self) -> None:
        """What is there from here on is the next request."""
        self.stage = Stage.HEAD
        self.expects = False
        self.cut = False  # whether there may be more of it than will be read: nothing can follow it then
        self._line = b""  # the request line, once there is a head
        self._looked = 0  # bytes of the head in which there is nothing more to find
        self._body = 0  # where the body begins
        self._end: int | None = None  # where the request ends, where its head says so
        self._chunk = 0  # where the next chunk begins
        self._decoded = 0  # bytes in the chunks before it
        self._chunks = 0  # how many

    def look(self) -> Stage:
        """How far it is now. Raises Refused."""
        if self.stage is Stage.HEAD:
            self._look_for_head()
        if self.stage is Stage.BODY:
            if self._end is None:
                self._look_for_last_chunk()
            elif len(self.data) >= self._end:
                self.stage = Stage.WHOLE
        return self.stage

    @property
    def body(self) -> int:
        """Bytes of the body that are there."""
        return len(self.data) - self._body if self.stage is Stage.BODY else 0

    @property
    def path(self) -> str | None:
        """What is asked for, as far as that is known yet."""
        found = TARGET.match(self._line or self.data)
        return found[2].decode("latin-1") if found else None

    @property
    def method(self) -> str | None:
        found = TARGET.match(self._line or self.data)
        return found[1].decode("latin-1") if found else None

    def recv(self, size: int) -> bytes:
        """As gunicorn's parser reads a socket, and never beyond this request. Raises Unfinished."""
        end = len(self.data) if self._end is None else min(self._end, len(self.data))
        taken = bytes(self.data[: min(size, end)])
        if not taken:
            raise Unfinished
        del self.data[: len(taken)]
        if self._end is not None:
            self._end -= len(taken)
        return taken

    def skip(self) -> None:
        """Let go of what is left of this request; the next one may be there already."""
        del self.data[: self._end]
        self.begin()

    # -- the head --------------------------------------------------------------------------

    def _look_for_head(self) -> None:
        data, end = self.data, self.data.find(b"\r\n\r\n", max(0, self._looked - 3))
        if end < 0:
            self._check_head()
            return
        self._body = end + 4
        self._line = bytes(data[: data.find(b"\r\n", 2)])
        if len(self._line) > MOST_LINE + 2:
            raise Refused(414)
        if self._body > MOST_HEAD:
            raise Refused(431)
        self._frame(bytes(data[: self._body]).lower())

    def _check_head(self) -> None:
        """Raise Refused for what will never become a head, as soon as that is plain."""
        data, since = self.data, max(0, self._looked - 1)
        if data.count(b"\n", since) != data.count(b"\r\n", since) + (data[since : since + 1] == b"\n" and since > 0):
            raise Refused(400)
        if len(data) > MOST_LINE + 4 and data.find(b"\r\n", 2, MOST_LINE + 4) < 0:
            raise Refused(414)
        if len(data) > MOST_HEAD:
            raise Refused(431)
        self._looked = len(data)

    def _frame(self, head: bytes) -> None:
        """Where the request ends, by its head in lower case."""
        self.stage, self._end = Stage.WHOLE, self._body
        self.cut = b"\r\ntransfer-encoding:" in head or b"\r\ncontent-length:" in head  # unless it is framed below
        if b"\r\ntransfer-encoding:" in head:
            coding = CODING.search(head)
            if b"\r\ncontent-length:" not in head and coding and coding[1].endswith(b"chunked"):
                self.stage, self.cut, self._end, self._chunk = Stage.BODY, False, None, self._body
        elif b"\r\ncontent-length:" in head:
            length = LENGTH.search(head)
            if length and DIGITS.fullmatch(length[1]) and int(length[1]) <= MOST_BODY:
                self.stage, self.cut, self._end = Stage.BODY, False, self._body + int(length[1])
        self.expects = self.stage is Stage.BODY and b" http/1.1\r\n" in head and EXPECT.search(head) is not None

    # -- a body in chunks ------------------------------------------------------------------

    def _look_for_last_chunk(self) -> None:
        data = self.data
        while (line_end := data.find(b"\r\n", self._chunk)) >= 0:
            size, extended, extension = bytes(data[self._chunk : line_end]).partition(b";")
            if not HEXADECIMAL.fullmatch(size.rstrip(b" \t") if extended else size) or self._chunks >= MOST_CHUNKS:
                return self._cut()  # the parser refuses it, or nobody sends so many
            if extended and not CHUNK_EXT_RE.fullmatch(b";" + extension):
                return self._cut()
            self._chunks += 1
            if not (length := int(size, 16)):
                return self._look_for_trailers(line_end)
            begin = line_end + 2
            if self._decoded + min(length, len(data) - begin) > MOST_BODY + AHEAD or len(data) > 2 * MOST_BODY:
                return self._cut()
            if len(data) < begin + length + 2:
                return None
            if data[begin + length : begin + length + 2] != b"\r\n":
                return self._cut()
            self._chunk = begin + length + 2
            self._decoded += length
        return self._cut() if len(data) - self._chunk > MOST_CHUNK_LINE else None

    def _look_for_trailers(self, line_end: int) -> None:
        end = self.data.find(b"\r\n\r\n", line_end)
        if end >= 0:
            trailers = bytes(self.data[line_end + 2 : end + 2])
            self.stage, self._end = Stage.WHOLE, end + 4
            self.cut = not TRAILERS.fullmatch(trailers) or FRAMING.search(trailers) is not None
        elif len(self.data) - line_end > MOST_HEAD:
            self._cut()

    def _cut(self) -> None:
        self.stage, self.cut = Stage.WHOLE, True
