"""Sessions on the Spark server: one for each piece of work, with a short temper about a server that is gone.

Errors of the Connect client end here: what another attempt may mend leaves as Transient,
everything else as TaskFailed.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import grpc
from pyspark.errors import PySparkException
from pyspark.errors.exceptions.connect import SparkConnectGrpcException
from pyspark.sql import SparkSession
from pyspark.sql.connect.client.core import DefaultChannelBuilder
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.session import SparkSession as ConnectSession

from tag_tasks.spark.endpoint import SparkEndpoint
from tagapi.jobs.errors import NotReady, TaskFailed, Transient
from tagapi.jobs.task import TaskContext

log = logging.getLogger(__name__)

ASK_AGAIN = 0.25  # seconds after a server did not answer
RETRY_AFTER = 2  # seconds: a lost server is back by then
DETAILS = re.compile(r'details = "(.*)"')
LOST = ("UNAVAILABLE", "SESSION_NOT_FOUND", "SESSION_CHANGED", "SESSION_CLOSED", "RETRIES_EXCEEDED", "Socket closed")
UNCOMPRESSED = ("grpc.compression_enabled_algorithms_bitset", 1)
"""Sail packs what it sends with gzip, wherever the client takes it: six times slower than sending it as it is."""

DEBUGGING = "spark.python.sql.dataFrameDebugging.enabled"
"""While it is true, PySpark looks up the caller's line for every column expression: half a millisecond each."""


IDLE_FOR = 60.0  # seconds that an unused session is kept: far less than any server keeps it


@dataclass(frozen=True, slots=True)
class _Idle:
    session: SparkSession
    address: str
    since: float


class Spark:
    """The way to Spark for everyone in this process. Safe to use from many threads."""

    def __init__(self, endpoint: SparkEndpoint) -> None:
        self._endpoint = endpoint
        self._answered_at: str | None = None
        """The address of the server that has answered a query."""
        self._idle: list[_Idle] = []
        self._lock = threading.Lock()
        self._probing = threading.Lock()
        self._silent: str | None = None
        """The address of a server that was asked and did not answer, not to be asked before `_ask_again`."""
        self._ask_again = 0.0

    def start(self) -> None:
        """Begin to bring Spark up; returns at once."""
        self._endpoint.start()

    def restart(self) -> None:
        """Kill an embedded server: for work that no interrupt can reach."""
        self._endpoint.restart()

    def stop(self) -> None:
        """Let go of the server and of every session."""
        with self._lock:
            idle, self._idle = self._idle, []
        for one in idle:
            self._close(one.session, alive=False)
        self._endpoint.stop()

    def ready(self) -> bool:
        """Whether Spark answers. Asks it, where this server has not answered yet: one caller at a time, and not
        again at once, since many threads wait for the answer and asking costs."""
        address = self._endpoint.address()
        if address is None or address == self._answered_at:
            return address is not None
        if not self._probing.acquire(blocking=False):
            return False
        try:
            if self._silent == address and time.monotonic() < self._ask_again:
                return False
            return self._answers(address)
        finally:
            self._probing.release()

    def _answers(self, address: str) -> bool:
        try:
            with self.session() as session:
                session.range(1).collect()
        except (Transient, TaskFailed, NotReady):
            self._silent, self._ask_again = address, time.monotonic() + ASK_AGAIN
            return False
        self._answered_at = address
        return True

    def is_up(self) -> bool:
        """Whether Spark has answered and is still there; does not ask."""
        address = self._endpoint.address()
        return address is not None and address == self._answered_at

    @contextmanager
    def session(self, context: TaskContext | None = None) -> Iterator[SparkSession]:
        """A session that nobody else uses meanwhile; leave nothing in it. With a context, a cancel interrupts it.

        Raises NotReady while there is no server; translates the errors of whatever runs inside.
        """
        address = self._endpoint.address()
        if address is None:
            raise Transient(reason="Spark is starting") if context else NotReady(part="Spark", retry_after=RETRY_AFTER)
        with translated_errors():
            session = self._open(address)
            # A timestamp literal asks the thread's "active session" how it is meant: that must not be a dead one.
            ConnectSession._active_session.session = session
            try:
                if context is None:
                    yield session
                else:
                    session.addTag(context.job_id)
                    with context.on_cancel(_interrupter(session, context.job_id)):
                        yield session
            except BaseException as error:
                lost = isinstance(error, Exception) and is_lost(error)
                if lost:
                    self._answered_at = None  # so that nothing is claimed until it answers again
                self._close(session, alive=not lost and self._endpoint.address() == address)
                raise
            session.clearTags()
            with self._lock:
                self._idle.append(_Idle(session, address, time.monotonic()))

    def _open(self, address: str) -> SparkSession:
        """A session that nobody uses: one that worked a moment ago, or a new one (15 ms with its connection)."""
        while True:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            if idle is None:
                break
            if idle.address == address and time.monotonic() - idle.since < IDLE_FOR:
                return idle.session
            self._close(idle.session, alive=idle.address == address)
        os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # as PySpark's own builder does; it takes no channel options
        channel = DefaultChannelBuilder(address, [UNCOMPRESSED])
        session = cast("SparkSession", ConnectSession.builder.channelBuilder(channel).create())
        # Before anything is asked: the default policy would retry for ten minutes, and a loss is to be noticed at once.
        session.client.set_retry_policies(
            [DefaultPolicy(max_retries=2, initial_backoff=50, backoff_multiplier=2, max_backoff=200)]
        )
        try:
            session.conf.set("spark.sql.session.timeZone", "UTC")  # timestamps without an offset are UTC
            self._settle_debugging(session)
        except BaseException:
            self._close(session, alive=False)
            raise
        return session

    @staticmethod
    def _settle_debugging(session: SparkSession) -> None:
        try:
            session.conf.set(DEBUGGING, "false")
        except PySparkException as error:  # JVM Spark takes it at its own start only
            if is_lost(error):
                raise

    @staticmethod
    def _close(session: SparkSession, alive: bool) -> None:
        """Stopping a session on a dead server takes 10 s, and one that is not unregistered is never freed."""
        try:
            if alive:
                session.stop()
        except Exception as error:
            log.debug("session_not_closed", extra={"error": type(error).__name__})
        atexit.unregister(session.client._on_exit)


def _interrupter(session: SparkSession, tag: str) -> Callable[[], None]:
    def interrupt() -> None:
        try:
            session.interruptTag(tag)
        except Exception as error:  # the server, or the session, is gone: then there is nothing to interrupt
            log.debug("interrupt_not_sent", extra={"error": type(error).__name__})

    return interrupt


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise Spark's errors as ours."""
    try:
        yield
    except (PySparkException, grpc.RpcError) as error:
        if is_lost(error):
            raise Transient(reason="the Spark server was lost") from error
        raise TaskFailed(reason=_first_line(str(error))) from error


def is_lost(error: Exception) -> bool:
    """Whether an error of the client says that the server, or the session on it, is gone."""
    remote = isinstance(error, SparkConnectGrpcException | grpc.RpcError)
    return remote and any(sign in str(error) for sign in LOST)


def _first_line(text: str) -> str:
    """The line that tells people most: of a raw gRPC error its details, else the first."""
    if (details := DETAILS.search(text)) is not None:
        return details[1][:500]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else "Spark gave no reason")[:500]
