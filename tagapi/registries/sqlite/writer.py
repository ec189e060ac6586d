"""The one thread of a process that writes to SQLite: what has come together is committed together.

A commit waits for the disk. Requests that come meanwhile share the next one, so that many
at once cost little more than one, and each is acknowledged only after its own commit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import apsw

from tagapi.jobs.errors import JobError

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Step = Callable[[apsw.Connection], Any]

GROUP = 64  # steps in one transaction, so that other processes get their turn
PATIENCE = 5.0  # seconds for a commit, and the one before it: several times what a disk under load takes


class Write:
    """A step, and what its caller is told of it."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.told: Future[Any] = Future()
        self.given_up = False
        """Its caller has gone. One who goes while it is under way cannot know whether it happened."""


class StepFailed(Exception):
    """A step raised what is no refusal: whatever its group has written is taken back."""


class GroupWriter:
    """Runs steps, each wholly or not at all. A step that raises a JobError must not have written before."""

    def __init__(self, connect: Callable[[], apsw.Connection], patience: float = PATIENCE) -> None:
        self._connect = connect
        self.patience = patience
        """Seconds that anybody waits for anything here."""
        self._connection: apsw.Connection | None = None
        self._waiting: SimpleQueue[Write | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    def write(self, step: Callable[[apsw.Connection], Answer]) -> Answer:
        """Have the step committed, and answer with what it answered. Raises apsw.Error, or what the step raised.

        Raises OSError where the writer failed, or did not come to it in time: what has not begun by then
        does not happen any more; of what has, nobody knows.
        """
        if self._closed:
            raise OSError("the writer was closed")
        write = Write(step)
        self._waiting.put(write)
        try:
            answer: Answer = write.told.result(self.patience)
        except TimeoutError:
            write.given_up = True
            raise
        return answer

    def close(self) -> None:
        """Let what waits be written, and the thread end; where it does not, it is left to the process's end."""
        self._closed = True
        self._waiting.put(None)
        self._thread.join(self.patience)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            group = [first, *self._more()]
            try:
                self._commit(group)
            except BaseException as error:  # a thread that ended here would be waited for by everybody
                log.critical("sqlite_writer_failed", exc_info=True)
                self._let_go()
                _tell_all(group, OSError(f"the writer failed: {error!r}"))
        self._let_go()

    def _more(self) -> list[Write]:
        more: list[Write] = []
        try:
            while len(more) < GROUP - 1:
                if (one := self._waiting.get_nowait()) is None:
                    self._waiting.put(None)  # closing: after this group
                    break
                more.append(one)
        except Empty:
            pass
        return more

    def _commit(self, group: Sequence[Write]) -> None:
        group = [write for write in group if not write.given_up]
        try:
            outcomes = self._together(group)
        except StepFailed as failed:
            self._let_go()
            if len(group) == 1:
                _tell_all(group, failed.__cause__)
                return
            for write in group:  # each by itself, so that it fails nobody else
                self._commit([write])
            return
        except Exception as error:
            self._let_go()
            _tell_all(group, error)
            return
        for write, (answer, refusal) in zip(group, outcomes, strict=True):
            if refusal is not None:
                write.told.set_exception(refusal)
            else:
                write.told.set_result(answer)

    def _together(self, group: Sequence[Write]) -> list[tuple[Any, JobError | None]]:
        """All in one transaction."""
        self._connection = connection = self._connection or self._connect()
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [_outcome(write.step, connection) for write in group]
        connection.execute("COMMIT")
        return outcomes

    def _let_go(self) -> None:
        """Closing rolls back whatever was begun; the next group opens the file anew."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.close(True)  # whatever was left unfinished on it
        except Exception:
            log.warning("sqlite_connection_not_closed", exc_info=True)


def _tell_all(group: Sequence[Write], error: BaseException | None) -> None:
    for write in group:
        if not write.told.done():
            write.told.set_exception(error)


def _outcome(step: Step, connection: apsw.Connection) -> tuple[Any, JobError | None]:
    try:
        return step(connection), None
    except JobError as refusal:
        return None, refusal
    except Exception as error:
        raise StepFailed from error
