"""What the workers API reads: the files of finished jobs, whatever the storage does."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

from tag_tasks.datasets.results import Published, ResultFolder
from tag_tasks.reads import Reads
from tagapi.jobs.errors import NotReady

PIECE = 256 * 1024  # bytes that the storage is asked for at once


class ResultReader:
    """Results, looked for on threads of their own. Safe to use from many threads."""

    def __init__(self, results: ResultFolder, reads: Reads) -> None:
        self._results = results
        self._reads = reads

    def published(self, job_id: str) -> ReadableFiles | None:
        """The job's result; None where there is none. Raises NotReady, and as `ResultFolder.published`."""
        published = self._reads.run(lambda: self._results.published(job_id))
        return None if published is None else ReadableFiles(published, self._reads)


class ReadableFiles:
    """`Published`, whose every step raises NotReady where the storage does not answer."""

    def __init__(self, published: Published, reads: Reads) -> None:
        self._published = published
        self._reads = reads

    def open(self, name: str) -> BinaryIO | None:
        file = self._reads.run(lambda: self._published.open(name))
        return None if file is None else io.BufferedReader(_Elsewhere(file, self._reads), PIECE)

    def link(self, name: str, content_type: str) -> str | None:
        return self._reads.run(lambda: self._published.link(name, content_type))


class _Elsewhere(io.RawIOBase):
    """A file that is read on another thread. Not for several threads at once."""

    def __init__(self, file: BinaryIO, reads: Reads) -> None:
        self._file = file
        self._reads = reads
        self._left = False
        """To a thread that may still be reading it, and was waited for no longer."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Any, /) -> int:
        """Raises NotReady where the storage does not answer; then the file can be read no more."""
        wanted = len(buffer)
        try:
            data = self._reads.run(lambda: self._file.read(wanted))
        except NotReady:
            self._left = True
            raise
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed and not self._left:
            self._file.close()
        super().close()
