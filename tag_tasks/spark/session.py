"""Sessions on the Spark server: one for each piece of work, with a short temper about a server that is gone.

Errors of the Connect client end here: what another attempt may mend leaves as Transient,
everything else as TaskFailed.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import re
import threading
import time
from collections.abc import Iterator
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
from tag_tasks.storage import tells_of_hiccup
from tagapi.jobs.errors import NotReady, TaskFailed, Transient
from tagapi.jobs.task import TaskContext

log = logging.getLogger(__name__)

ASK_AGAIN = 0.25  # seconds after a server did not answer
ASK_HANGING_AGAIN = 60.0  # seconds after a server that others look after was waited for too long
ANSWERS_WITHIN = 20.0  # seconds: one that takes longer for its first answer hangs
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


@dataclass(slots=True)
class _Probe:
    """A question whether a server answers."""

    address: str
    since: float
    again: float = math.inf
    """When the server may be asked anew, once this question has failed."""

    late: bool = False
    """It was waited for too long already."""


class Spark:
    """The way to Spark for everyone in this process. Safe to use from many threads."""

    def __init__(self, endpoint: SparkEndpoint) -> None:
        self._endpoint = endpoint
        self._answered_at: str | None = None
        """The address of the server that has answered a query."""
        self._idle: list[_Idle] = []
        self._lock = threading.Lock()
        self._probe: _Probe | None = None
        """The last question whether a server answers."""

    def start(self) -> None:
        """Begin to bring Spark up; returns at once."""
        self._endpoint.start()

    def restart(self) -> bool:
        """Kill an embedded server, for work that no interrupt can reach; answers whether there was one."""
        return self._endpoint.restart()

    def stop(self) -> None:
        """Let go of the server and of every session."""
        with self._lock:
            idle, self._idle = self._idle, []
        for one in idle:
            self._close(one.session, alive=False)
        self._endpoint.stop()

    @property
    def address(self) -> str | None:
        """`sc://host:port`; None while there is no server."""
        return self._endpoint.address()

    @property
    def lost(self) -> int:
        """How many embedded servers have ended, each to be replaced by another."""
        return self._endpoint.lost

    def ready(self) -> bool:
        """Whether Spark answers. Where this server has not answered yet it is asked, by a thread of its own and one
        question at a time: nobody waits for a server that hangs, and an embedded one that does is restarted."""
        address = self._endpoint.address()
        if address is not None and address != self._answered_at:
            self._ask(address)
        return address is not None and address == self._answered_at

    def _ask(self, address: str) -> None:
        with self._lock:
            asked, now = self._probe, time.monotonic()
            if asked is None or asked.address != address or now > asked.again:
                self._probe = _Probe(address, now)
                threading.Thread(target=self._answers, args=(self._probe,), name="spark-probe", daemon=True).start()
            elif not asked.late and now - asked.since > ANSWERS_WITHIN:
                asked.late = True
                if not self._endpoint.restart():
                    asked.again = now + ASK_HANGING_AGAIN

    def _answers(self, probe: _Probe) -> None:
        try:
            with self.session() as session:
                session.range(1).collect()
            self._answered_at, self._probe = probe.address, None
        except (Transient, TaskFailed, NotReady):
            probe.again = time.monotonic() + ASK_AGAIN
        except BaseException:
            probe.again = time.monotonic() + ASK_AGAIN
            raise

    @contextmanager
    def session(self, context: TaskContext | None = None) -> Iterator[SparkSession]:
        """A session that nobody else uses meanwhile; leave nothing in it. With a context, a cancel interrupts it.

        Raises NotReady while there is no server; translates the errors of whatever runs inside.
        """
        address = self._endpoint.address()
        if address is None:
            raise Transient(reason="Spark is starting") if context else NotReady(part="Spark", retry_after=RETRY_AFTER)
        if context is None:
            with self._session(address) as session:
                yield session
            return
        interrupter = _Interrupter(context.job_id)
        # To open a session and to close it may hang as well as any query.
        with context.on_cancel(interrupter.interrupt), self._session(address) as session:
            session.addTag(context.job_id)
            interrupter.session = session
            yield session

    @contextmanager
    def _session(self, address: str) -> Iterator[SparkSession]:
        with translated_errors():
            session = self._open(address)
            # A timestamp literal asks the thread's "active session" how it is meant: that must not be a dead one.
            ConnectSession._active_session.session = session
            try:
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


class _Interrupter:
    """Interrupts what carries a tag, from when there is a session for it."""

    def __init__(self, tag: str) -> None:
        self.session: SparkSession | None = None
        self._tag = tag

    def interrupt(self) -> None:
        if self.session is None:
            return
        try:
            self.session.interruptTag(self._tag)
        except Exception as error:  # the server, or the session, is gone: then there is nothing to interrupt
            log.debug("interrupt_not_sent", extra={"error": type(error).__name__})


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise Spark's errors as ours."""
    try:
        yield
    except (PySparkException, grpc.RpcError) as error:
        if is_lost(error):
            raise Transient(reason="the Spark server was lost") from error
        if tells_of_hiccup(str(error)):  # of the storage that Spark reads or writes
            raise Transient(reason=_first_line(str(error))) from error
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
