"""The files that jobs leave, each job's complete or not at all: in a folder, on a disk or in a bucket.

    <results>/<job_id>/<epoch>/<name>     what the attempt of that epoch wrote; it stays where it was written
    <results>/<job_id>/<epoch>.verdict    `published`, or nothing: then that attempt is shut out for ever
    <results>/.staging/<job_id>-<epoch>   attempts that have not tidied up yet, for whoever does it in their place

A verdict is given once, by whoever is first: the attempt, when its files are complete, or whoever doubts whether
they will be. So an attempt that wakes up late finds that it was shut out, and who doubted has a sure answer. Nobody
touches what a later attempt than their own has written: who was given up must not harm who has taken over.

Earlier releases made `<results>/<job_id>/<name>` by a rename: that is read, and found, as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import BinaryIO

from tag_tasks.datasets.staged import StagedFile
from tag_tasks.folders import Folder
from tag_tasks.storage import storage_errors
from tagapi.jobs.errors import Transient

log = logging.getLogger(__name__)

STAGING = ".staging"
VERDICT = ".verdict"
PUBLISHED = b"published"
UNREADABLE, UNWRITABLE = "the result cannot be read", "the result cannot be written"
EARLIER = 0
"""The epoch of what earlier releases published."""


class TakenOver(Transient):
    """Nothing of this attempt is published, nor will be: what it staged elsewhere may go, too."""

    message = "the result was taken over by another attempt"
    code = "taken_over"


class ResultFolder:
    """All results of a service. Safe to use from many threads and processes."""

    def __init__(self, folder: Folder, link_seconds: float | None = None) -> None:
        """`link_seconds` is for how long a file may be had by a link from where it lies; None gives no links."""
        self._folder = folder
        self._link_seconds = link_seconds

    # -- an attempt's side -------------------------------------------------------------------

    @contextmanager
    def stage(self, attempt_name: str) -> Iterator[Staged]:
        """Where one attempt, `<job_id>-<epoch>`, writes its files. What is not published goes away at the end.

        Its predecessors are shut out first, and what they have not published goes away. Raises Transient where the
        storage hesitates, TaskFailed where it refuses for good.
        """
        job_id, epoch = _split(attempt_name)
        staged = Staged(self, self._folder, _plain(job_id), epoch)
        with storage_errors(UNWRITABLE):
            self._shut_out(job_id, 1, epoch - 1)
            self._folder.make(STAGING)
            self._folder.replace(f"{STAGING}/{attempt_name}", b"")
            self._folder.make(staged.path)
            try:
                yield staged
            finally:
                with suppress(OSError):  # whatever happened is told; what is left is swept, or goes with the job
                    if staged.asked:
                        self._shut_out(job_id, epoch, epoch)
                    else:
                        self._folder.remove(staged.path)
                    self._folder.remove(f"{STAGING}/{attempt_name}")

    def publish(self, attempt_name: str) -> None:
        """Make what the attempt staged the job's result, for good when this returns.

        Raises TakenOver where another attempt has shut this one out, or was faster. Any other Transient leaves open
        whether it happened, since a storage may do what it reports as failed.
        """
        job_id, epoch = _split(attempt_name)
        try:
            if epoch > 1 and any(published for before, published in self._told(job_id).items() if before < epoch):
                raise TakenOver
            # It may be there although somebody is told to have come too late: answers are lost, and asked for again.
            if not self._folder.create(_verdict(job_id, epoch), PUBLISHED) and not self._told(job_id).get(epoch):
                raise TakenOver
        except FileNotFoundError:  # whatever there was of the job was removed
            raise TakenOver from None
        except OSError as error:
            raise Transient(reason=f"the result cannot be published: {_reason(error)}") from error

    def verdict(self, attempt_name: str) -> bool | None:
        """Whether the attempt has published, or was shut out; None as long as neither is. Raises OSError."""
        job_id, epoch = _split(attempt_name)
        return self._told(job_id).get(epoch)

    def find(self, job_id: str, epoch: int) -> bool:
        """Whether the job's result is there, having made sure that no attempt up to this one can publish it later.

        Raises Transient where the storage does not say.
        """
        try:
            return any(self._shut_out(job_id, 1, epoch).values())
        except OSError as error:
            raise Transient(reason=f"the result cannot be looked for: {_reason(error)}") from error

    def withdraw(self, job_id: str, epoch: int) -> None:
        """Take away what attempts before this one have published, for a task whose attempts begin anew.

        Raises Transient where the storage hesitates, TaskFailed where it refuses for good.
        """
        with storage_errors(UNWRITABLE):
            for entry in self._folder.list(job_id):
                before = _epoch_of(entry.name)
                if entry.size and before == EARLIER:
                    self._folder.remove(f"{job_id}/{entry.name}")
                elif entry.size and before < epoch:
                    self._folder.replace(f"{job_id}/{entry.name}", b"")
                    self._folder.remove(f"{job_id}/{before}")

    # -- everyone else's ---------------------------------------------------------------------

    def published(self, job_id: str) -> Published | None:
        """The job's result; None where there is none.

        Raises Transient where the storage hesitates, TaskFailed where it refuses for good.
        """
        if not is_plain(job_id):
            return None
        with storage_errors(UNREADABLE):
            told = self._told(job_id)
        epoch = max((epoch for epoch, published in told.items() if published), default=None)
        if epoch is None:
            return None
        return Published(self._folder, job_id if epoch == EARLIER else f"{job_id}/{epoch}", self._link_seconds)

    def open(self, job_id: str, name: str) -> BinaryIO | None:
        """A file of a job's result, as `Published.open`; None where there is no result, either."""
        published = self.published(job_id)
        return None if published is None else published.open(name)

    def remove(self, job_ids: Iterable[str]) -> None:
        """Remove whatever there is of these jobs. A job without files is no error."""
        for job_id in job_ids:
            try:
                self._folder.remove(_plain(job_id))
            except (OSError, ValueError) as error:
                log.warning("result_not_removed", extra={"job": job_id, "error": str(error)})

    def sweep(self, ended: Callable[[str], bool]) -> None:
        """Take away what attempts have left behind of jobs of which `ended` says so: nobody comes after them who would.

        Of a job that goes on, its next attempt does.
        """
        for entry in self._folder.list(STAGING):
            job_id, epoch = _split(entry.name)
            try:
                if job_id and ended(job_id):
                    self._shut_out(job_id, epoch, epoch)
                    self._folder.remove(f"{STAGING}/{entry.name}")
            except OSError as error:
                log.warning("staging_not_cleared", extra={"job": job_id, "error": str(error)})

    # -- verdicts ----------------------------------------------------------------------------

    def _shut_out(self, job_id: str, first: int, last: int) -> Mapping[int, bool]:
        """Shut out the attempts of these epochs that have no verdict yet, and remove what the shut out have written.

        Answers with all verdicts that there are then, as `_told`.
        """
        if last < first:
            return {}
        told = self._told(job_id)
        for epoch in range(first, last + 1):
            if epoch not in told:
                self._folder.make(job_id)
                mine = self._folder.create(_verdict(job_id, epoch), b"")
                told[epoch] = not mine and self._told(job_id).get(epoch, False)
            if not told[epoch]:
                self._folder.remove(f"{job_id}/{epoch}")
        return told

    def _told(self, job_id: str) -> dict[int, bool]:
        """Of each attempt that has a verdict whether it has published, by epoch."""
        files = [entry for entry in self._folder.list(job_id) if entry.size is not None]
        return {_epoch_of(entry.name): _epoch_of(entry.name) == EARLIER or entry.size != 0 for entry in files}


class Published:
    """The files of a job's result."""

    def __init__(self, folder: Folder, path: str, link_seconds: float | None) -> None:
        self._folder = folder
        self._path = path
        self._link_seconds = link_seconds

    def open(self, name: str) -> BinaryIO | None:
        """A file, to be read; None where there is none of this name. Raises as `ResultFolder.published`.

        On a disk it stays readable when the result is removed meanwhile.
        """
        with storage_errors(UNREADABLE):
            return self._folder.open(f"{self._path}/{name}") if is_plain(name) else None

    def link(self, name: str, content_type: str) -> str | None:
        """A URL at which anybody can get the file for a while; None where there is no such thing, or none is wanted."""
        if self._link_seconds is None:
            return None
        with storage_errors(UNREADABLE):
            return self._folder.link(f"{self._path}/{_plain(name)}", self._link_seconds, name, content_type)


class Staged:
    """What one attempt writes, and publishes."""

    def __init__(self, results: ResultFolder, folder: Folder, job_id: str, epoch: int) -> None:
        self._results = results
        self._name = f"{job_id}-{epoch}"
        self.folder = folder
        self.path = f"{job_id}/{epoch}"
        """Of its files, in the folder."""
        self.asked = False
        """Whether it has asked to be published: from then on only a verdict says whether it was."""

    def file(self, name: str, content_type: str) -> StagedFile:
        return StagedFile(self.folder, f"{self.path}/{name}", content_type)

    def shut_out(self) -> bool:
        """Whether somebody else has taken over. Raises OSError where the storage does."""
        return self._results.verdict(self._name) is False

    def publish(self) -> None:
        """See `ResultFolder.publish`. All files are written, closed and synced."""
        self.asked = True
        self._results.publish(self._name)


def _verdict(job_id: str, epoch: int) -> str:
    return f"{job_id}/{epoch}{VERDICT}"


def _epoch_of(name: str) -> int:
    """Of which attempt a verdict is; EARLIER for a file that is none."""
    epoch = name.removesuffix(VERDICT)
    return int(epoch) if epoch != name and epoch.isdecimal() else EARLIER


def is_plain(name: str) -> bool:
    """Whether a name is a single step down."""
    return bool(name) and not name.startswith(".") and "/" not in name and "\0" not in name


def _plain(name: str) -> str:
    if not is_plain(name):
        raise ValueError(f"not a plain name: {name!r}")
    return name


def _split(attempt_name: str) -> tuple[str, int]:
    """`<job_id>-<epoch>` as its two parts; what is no such name belongs to no job."""
    job_id, _, epoch = attempt_name.rpartition("-")
    return (job_id, int(epoch)) if epoch.isdecimal() else ("", 0)


def _reason(error: OSError) -> str:
    """What the system says, without the path."""
    return error.strerror or type(error).__name__
