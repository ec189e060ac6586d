"""Which files a source had when a run over everyone read it, so that the next run knows the new ones.

A commit refers to them by a number, since a source may have a million: the number is a hash of
the list, which lies beside the table, in a folder that Delta knows nothing of. A list that is
missing or damaged costs a full run, and nothing else.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from pyarrow.fs import FileInfo, FileSelector, FileSystem

from tag_tasks.bounded import BoundedThreads
from tag_tasks.folders.arrow import create
from tag_tasks.spark.sources import SourceFile
from tag_tasks.storage import answered, storage_errors
from tagapi.jobs.errors import TaskFailed, Transient

log = logging.getLogger(__name__)

VERSION = 1
BY_TIME = 1 << 62
"""In a number that is no list's: the source has no files to tell apart, and the time alone says what is new."""


@dataclass(frozen=True)
class Seen:
    """The files of one source, as one run over everyone found them."""

    source: str
    """Where the source lies: the same names elsewhere are other files."""
    run: datetime
    """The run's submission, as in its marks: so a list is not taken for one of another run."""
    files: frozenset[SourceFile]

    @cached_property
    def encoded(self) -> bytes:
        files = sorted((file.path, file.size, file.changed) for file in self.files)
        told = {"version": VERSION, "source": self.source, "run": self.run.isoformat(), "files": files}
        return json.dumps(told).encode()

    @cached_property
    def reference(self) -> int:
        return _hash(self.encoded)

    @classmethod
    def decoded(cls, text: bytes) -> Seen:
        """Raises ValueError, KeyError or TypeError for what is no list, or one of another version."""
        told = json.loads(text)
        if told["version"] != VERSION:
            raise ValueError(f"version {told['version']}")
        files = frozenset(SourceFile(path, size, changed) for path, size, changed in told["files"])
        return cls(told["source"], datetime.fromisoformat(told["run"]), files)


def by_time(source: str) -> int:
    """What a commit refers to for a source without files to tell apart, by where it lies."""
    return BY_TIME | _hash(source.encode())


class SeenStore:
    """The lists beside one table. Safe to use from many threads and processes: a list is never changed."""

    def __init__(self, files: FileSystem, folder: str, threads: BoundedThreads) -> None:
        self._files = files
        self._folder = folder
        self._threads = threads

    def save(self, seen: Seen) -> None:
        """Have the list there before a commit refers to it; again, if it is: what is young is not vacuumed."""
        answered(self._threads, lambda: self._save(seen), "the list of files seen cannot be written")

    def _save(self, seen: Seen) -> None:
        aside = f"{self._folder}/{uuid.uuid4().hex}.new"
        with create(self._files, aside) as target:
            target.write(gzip.compress(seen.encoded, mtime=0))
        self._files.move(aside, self._path(seen.reference))

    def load(self, reference: int) -> Seen | None:
        """The list; None where it cannot be had, for those who can do without."""
        try:
            return self.known(reference)
        except (Transient, TaskFailed) as error:
            log.warning("seen_files_lost", extra={"reference": reference, "error": str(error)})
            return None

    def known(self, reference: int) -> Seen | None:
        """The list; None where it is not there, or not whole. Raises Transient and TaskFailed as the storage does."""
        packed = answered(self._threads, lambda: self._packed(reference), "the list of files seen cannot be read")
        try:
            if packed is None:
                raise ValueError("it is not there")
            text = gzip.decompress(packed)
            if _hash(text) != reference:
                raise ValueError("it is not whole")
            return Seen.decoded(text)
        except Exception as error:  # whatever is wrong with it: everything is read anew
            log.warning("seen_files_lost", extra={"reference": reference, "error": str(error)})
            return None

    def _packed(self, reference: int) -> bytes | None:
        try:
            with self._files.open_input_stream(self._path(reference), compression=None) as source:
                packed: bytes = source.read()
            return packed
        except FileNotFoundError:
            return None

    def vacuum(self, retention_hours: float, referenced: Callable[[], frozenset[int]]) -> None:
        """Remove lists that are older than that and that no tag refers to."""
        with storage_errors("the lists of files seen cannot be cleared"):
            young = time.time() - retention_hours * 3600
            old = [one for one in self._listed() if one.mtime is not None and one.mtime.timestamp() < young]
            kept = {self._path(reference) for reference in referenced()} if old else set()
            for info in old:
                if info.path not in kept:
                    with suppress(FileNotFoundError):
                        self._files.delete_file(info.path)

    def _listed(self) -> list[FileInfo]:
        listed: list[FileInfo] = self._files.get_file_info(FileSelector(self._folder, allow_not_found=True))
        return listed

    def _path(self, reference: int) -> str:
        return f"{self._folder}/{reference:016x}.json.gz"


def _hash(text: bytes) -> int:
    """62 bits, and not zero."""
    return (int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 2) or 1
