"""The one thread of a process that writes to SQLite: what has come together is committed together.

A commit waits for the disk. Requests that come meanwhile share the next one, so that many
at once cost little more than one, and each is acknowledged only after its own commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import apsw

from tagapi.jobs.errors import JobError

Answer = TypeVar("Answer")
Step = Callable[[apsw.Connection], Any]

GROUP = 64  # steps in one transaction, so that other processes get their turn


class GroupWriter:
    """Runs steps, each wholly or not at all. A step that raises a JobError must not have written before."""

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        self._connect = connect
        self._connection: apsw.Connection | None = None
        self._waiting: SimpleQueue[tuple[Step, Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    def write(self, step: Callable[[apsw.Connection], Answer]) -> Answer:
        """Have the step committed, and answer with what it answered. Raises apsw.Error, or what the step raised."""
        promised: Future[Any] = Future()
        self._waiting.put((step, promised))
        answer: Answer = promised.result()
        return answer

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        group: list[tuple[Step, Future[Any]]] = []
        while (first := self._waiting.get()) is not None:
            group = [first, *self._more()]
            self._commit(group)
        if self._connection is not None:
            self._connection.close()

    def _more(self) -> list[tuple[Step, Future[Any]]]:
        more: list[tuple[Step, Future[Any]]] = []
        try:
            while len(more) < GROUP - 1:
                if (one := self._waiting.get_nowait()) is None:
                    self._waiting.put(None)  # closing: after this group
                    break
                more.append(one)
        except Empty:
            pass
        return more

    def _commit(self, group: list[tuple[Step, Future[Any]]]) -> None:
        try:
            self._connection = connection = self._connection or self._connect()
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [_outcome(step, connection) for step, _ in group]
            connection.execute("COMMIT")
        except Exception as error:
            self._give_up()
            for _, promised in group:
                promised.set_exception(error)
            return
        for (_, promised), (answer, refusal) in zip(group, outcomes, strict=True):
            if refusal is not None:
                promised.set_exception(refusal)
            else:
                promised.set_result(answer)

    def _give_up(self) -> None:
        """Closing rolls back whatever was begun; the next group opens the file anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(True)  # whatever was left unfinished on it


def _outcome(step: Step, connection: apsw.Connection) -> tuple[Any, JobError | None]:
    try:
        return step(connection), None
    except JobError as refusal:
        return None, refusal
