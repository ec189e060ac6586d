"""How an answer is made: in a thread, which leaves to the loop what the client does not take at once."""

from __future__ import annotations

import logging
import time
from contextvars import copy_context
from typing import Any

from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import create

from tagapi.serving.connection import Answer, Connection, Outgoing
from tagapi.serving.records import TAKE_OVER, RequestLog

log = logging.getLogger(__name__)

AHEAD = 256 * 1024  # bytes of an answer that are made before its client takes them

STATUS = {
    LimitRequestLine: 414,
    ExpectationFailed: 417,
    LimitRequestHeaders: 431,
    UnsupportedTransferCoding: 501,
}
"""Of what gunicorn's parser refuses; 400 for the rest."""

OUR_FAULT = (InvalidResponseHeader, InvalidResponseHeaderName)
"""Of the errors of its parser, those that are about an answer."""


class Answering:
    """Of one worker."""

    def __init__(self, worker: Any, requests: RequestLog) -> None:
        self._worker = worker
        self._requests = requests

    def go_on(self, connection: Connection) -> int:
        """Make an answer, or the next part of it; 0, or the status of a refusal. Raises OSError for a lost client."""
        # In a context of its own: what one request leaves there is not for the next one.
        return copy_context().run(self._go_on, connection)

    def _go_on(self, connection: Connection) -> int:
        try:
            resumed = time.monotonic()
            if connection.answer is None:
                connection.answer = self._begin(connection)
            self._make(connection, connection.answer, resumed)
        except OSError:
            raise
        except BaseException as error:  # a panic of a library is no Exception
            if isinstance(error, ParseException) and not isinstance(error, OUR_FAULT):
                return STATUS.get(type(error), 400)
            log.exception("answer_failed")
            if connection.answer is not None and connection.answer.response.headers_sent:
                raise ConnectionAbortedError from None
            return 500
        return 0

    def _begin(self, connection: Connection) -> Answer:
        request = next(RequestParser(self._worker.cfg, connection.incoming, connection.client))
        request._expected_100_continue = False  # it was told to, if it had to be
        response, environ = create(request, connection.outgoing, connection.client, connection.server, self._worker.cfg)
        environ["wsgi.multithread"], environ[TAKE_OVER] = True, []
        if connection.incoming.cut or not self._worker.alive:
            response.force_close()
        sent = connection.outgoing.sent
        return Answer(response, self._worker.wsgi(environ, response.start_response), environ, sent)

    def _make(self, connection: Connection, answer: Answer, resumed: float) -> None:
        """As much of the answer as the client takes, and a little ahead."""
        try:
            if answer.environ[TAKE_OVER]:
                answer.made = True
            else:
                self._write(connection.outgoing, answer)
        finally:
            answer.seconds += time.monotonic() - resumed
        if answer.made and not connection.outgoing and not answer.environ[TAKE_OVER]:
            self.end(connection, answer)

    @staticmethod
    def _write(outgoing: Outgoing, answer: Answer) -> None:
        response = answer.response
        for item in answer.left:
            response.write(item)
            outgoing.flush()
            if outgoing.pending > AHEAD:
                return
        response.close()
        if answer.cut_short:
            raise ConnectionAbortedError("less came than was said: a file that has shrunk")
        answer.made = True
        outgoing.flush()

    def end(self, connection: Connection, answer: Answer) -> None:
        """An answer is sent, or never will be. Safe to repeat."""
        if answer.ended:
            return
        answer.end()
        size = connection.outgoing.sent - answer.sent_before
        environ, status = answer.environ, answer.response.status_code
        self._requests.note(connection.address, environ["REQUEST_METHOD"], environ, status, answer.seconds, size)
