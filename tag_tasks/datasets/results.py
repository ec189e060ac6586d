"""The files that jobs leave: `<results>/<job_id>/<name>`, each job's complete or not at all.

An attempt writes in a folder of its own, and one rename makes that the job's result. Whoever
doubts whether it happened takes the attempt's folder away first, so that a rename which
comes late has nothing to rename. Nobody touches the folder of a later attempt than their own: who
was given up and wakes up must not harm who has taken over. The results lie on a local disk, or on
a shared one with a POSIX rename.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Self

from tag_tasks.storage import storage_errors
from tagapi.jobs.errors import Transient

log = logging.getLogger(__name__)

STAGING, TRASH = ".staging", ".trash"
BUFFER = 1 << 20  # bytes collected before they are written
TRASHED = 60.0  # seconds after which what is in the trash was left there: to remove it takes a moment


class TakenOver(Transient):
    """Nothing of this attempt is published, nor will be: what it staged elsewhere may go, too."""

    message = "the result was taken over by another attempt"
    code = "taken_over"


class ResultFolder:
    """All results of a service. Safe to use from many threads and processes."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    # -- an attempt's side -------------------------------------------------------------------

    @contextmanager
    def stage(self, attempt_name: str) -> Iterator[Path]:
        """A new folder for the files of one attempt, `<job_id>-<epoch>`. What is not published goes away at the end.

        Raises Transient where the disk hesitates, TaskFailed where it refuses for good.
        """
        staged = self._staging(attempt_name)
        job_id, epoch = _split(attempt_name)
        with storage_errors("the result cannot be written"):
            self._clear(job_id, epoch)  # of predecessors, which are fenced off
            staged.mkdir(parents=True)
            try:
                yield staged
            finally:
                with suppress(OSError):  # whatever happened is told; what is left goes with the job
                    self._discard(staged)

    def publish(self, attempt_name: str, job_id: str) -> None:
        """Make what the attempt staged the job's result: one rename, on disk when this returns.

        Raises TakenOver where another attempt has taken the staged files away, or was faster. Any other Transient
        leaves open whether it happened, since a shared disk may do what it reports as failed.
        """
        staged, target = self._staging(attempt_name), self._folder / _plain(job_id)
        try:
            mine = _identity(staged)
            try:
                staged.rename(target)
            except OSError:
                there = _identity(target)
                if there is None and _identity(staged):
                    raise
                if there is None or there != mine:
                    raise TakenOver from None
            _sync(self._folder)
        except OSError as error:
            raise Transient(reason=f"the result cannot be published: {_reason(error)}") from error

    def find(self, job_id: str, epoch: int) -> bool:
        """Whether the job's result is there, having made sure that no attempt up to this one can publish it later.

        Raises Transient where the disk does not say.
        """
        try:
            self._clear(job_id, epoch)
            if not _identity(self._folder / _plain(job_id)):
                return False
            _sync(self._folder)  # whoever published it may have died before this
        except OSError as error:
            raise Transient(reason=f"the result cannot be looked for: {_reason(error)}") from error
        return True

    def withdraw(self, job_id: str, mine: Callable[[Path], bool]) -> None:
        """Take the job's result away where `mine` says so of its folder: what an attempt's predecessors published.

        It is asked again when the folder is out of everybody's reach: one that came in its place is put back. Raises
        Transient where the disk hesitates, TaskFailed where it refuses for good.
        """
        target, trash = self._folder / _plain(job_id), self._folder / TRASH / uuid.uuid4().hex
        with storage_errors("the result cannot be written"), suppress(FileNotFoundError):
            if not target.exists() or not mine(target):
                return
            trash.parent.mkdir(parents=True, exist_ok=True)
            target.rename(trash)
            if not mine(trash):
                trash.rename(target)
        shutil.rmtree(trash, ignore_errors=True)

    # -- everyone else's ---------------------------------------------------------------------

    def path(self, job_id: str, name: str) -> Path | None:
        """Where a file of a job's result lies; None where there is none."""
        try:
            path = self._folder / _plain(job_id) / _plain(name)
        except ValueError:
            return None
        return path if path.is_file() else None

    def open(self, job_id: str, name: str) -> BinaryIO | None:
        """A file of a job's result, to be read: it stays readable when the result is removed meanwhile."""
        path = self.path(job_id, name)
        if path is None:
            return None
        try:
            return path.open("rb")
        except FileNotFoundError:
            return None

    def remove(self, job_ids: Iterable[str]) -> None:
        """Remove whatever there is of these jobs. A job without files is no error."""
        for job_id in job_ids:
            try:
                self._clear(job_id)
                self._discard(self._folder / _plain(job_id))
            except (OSError, ValueError) as error:
                log.warning("result_not_removed", extra={"job": job_id, "error": str(error)})
        shutil.rmtree(self._folder / TRASH, ignore_errors=True)  # what a process that died had begun to remove

    def sweep(self, ended: Callable[[str], bool]) -> None:
        """Take away what attempts have left behind of jobs of which `ended` says so: nobody comes after them who would.

        Of a job that goes on, its next attempt does. What somebody died over while it was removed goes, too.
        """
        for job_id in {job_id for _, job_id, _ in self._left() if job_id}:
            try:
                if ended(job_id):
                    self._clear(job_id)
            except OSError as error:
                log.warning("staging_not_cleared", extra={"job": job_id, "error": str(error)})
        with suppress(FileNotFoundError):
            for trash in (self._folder / TRASH).iterdir():
                if trash.stat().st_ctime < time.time() - TRASHED:
                    shutil.rmtree(trash, ignore_errors=True)

    # -- folders -----------------------------------------------------------------------------

    def _staging(self, attempt_name: str) -> Path:
        return self._folder / STAGING / _plain(attempt_name)

    def _clear(self, job_id: str, epoch: float = math.inf) -> None:
        """Take away whatever attempts of this job have staged, up to the one of this epoch."""
        for folder, owner, its_epoch in self._left():
            if owner == job_id and its_epoch <= epoch:
                self._discard(folder)

    def _left(self) -> Iterator[tuple[Path, str, int]]:
        """The folders of all attempts, each with its job and epoch."""
        with suppress(FileNotFoundError):
            for folder in (self._folder / STAGING).iterdir():
                yield (folder, *_split(folder.name))

    def _discard(self, folder: Path) -> None:
        """At once for everyone who looks, and then in fact."""
        trash = self._folder / TRASH / uuid.uuid4().hex
        while folder.exists():
            trash.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # somebody else was faster, with the folder or with the trash
                folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)


class StagedFile:
    """A file that is written from its beginning to its end, and knows its size and checksum then."""

    def __init__(self, path: Path, content_type: str) -> None:
        self._path = path
        self._content_type = content_type
        self._digest = hashlib.sha256()
        self._size = 0
        self._doomed = False
        self._file = path.open("wb", BUFFER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._doomed = self._doomed or kind is not None
        self.close()

    def write(self, data: bytes | memoryview) -> int:
        """Add these bytes. After an error they go nowhere: a format that is closed then has its last words to say."""
        if not self._doomed:
            self._digest.update(data)
            self._size += len(data)
            with self._dooming():
                self._file.write(data)
        return len(data)

    def flush(self) -> None:
        if not self._doomed:
            with self._dooming():
                self._file.flush()

    def close(self) -> None:
        with self._dooming():
            self._file.close()

    @contextmanager
    def _dooming(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            if not self._doomed:
                self._doomed = True
                raise

    @property
    def closed(self) -> bool:
        return self._file.closed

    def described(self) -> dict[str, Any]:
        """What a job's result says of its file."""
        sha256 = self._digest.hexdigest()
        return {"name": self._path.name, "content_type": self._content_type, "size": self._size, "sha256": sha256}

    def sync(self) -> None:
        """Have it on disk: the last step before the point of no return, since it may take long."""
        _sync(self._path)
        _sync(self._path.parent)


def _plain(name: str) -> str:
    """A name that is a single step down. Raises ValueError for any other."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError(f"not a plain name: {name!r}")
    return name


def _split(attempt_name: str) -> tuple[str, int]:
    """`<job_id>-<epoch>` as its two parts; what is no such name belongs to no job."""
    job_id, _, epoch = attempt_name.rpartition("-")
    return (job_id, int(epoch)) if epoch.isdecimal() else ("", 0)


def _identity(path: Path) -> tuple[int, int] | None:
    """What stays the same when a folder is renamed, and differs from any other's; None where there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def _reason(error: OSError) -> str:
    """What the system says, without the path."""
    return error.strerror or type(error).__name__


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
