"""What an attempt writes: files that know their size and checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from tag_tasks.folders import Folder


class StagedFile:
    """A file that is written from its beginning to its end, and knows its size and checksum then."""

    def __init__(self, folder: Folder, name: str, content_type: str) -> None:
        self._folder = folder
        self._name = name
        self._content_type = content_type
        self._digest = hashlib.sha256()
        self._size = 0
        self._doomed = False
        self._file = folder.write(name)

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
        name = self._name.rpartition("/")[2]
        return {"name": name, "content_type": self._content_type, "size": self._size, "sha256": sha256}

    def sync(self) -> None:
        """Have it outlast a power cut: the last step before the point of no return, since it may take long."""
        self._folder.sync(self._name)
