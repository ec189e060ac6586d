"""What a folder of files can do, wherever it lies.

It promises what a disk and an object store both can: a file is there whole or not at all once it was created or
replaced, one of many creators wins, and what was told to be written is there when the call returns. There is no
rename, since object stores have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

S3 = "s3://"
CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
"""For which a bucket is waited for; a disk lets nobody choose."""
TRIES = 3
"""Of a request to a bucket that is not answered, or answered that it cannot be now."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a folder."""

    name: str
    """Without the folder's."""
    size: int | None
    """In bytes; None of a folder."""


class Output(Protocol):
    """A file that is written from its beginning to its end."""

    def write(self, data: bytes | memoryview, /) -> int: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...

    @property
    def closed(self) -> bool: ...


class Folder(Protocol):
    """Names are relative, with `/` between their parts. Safe to use from many threads and processes.

    Errors are OSErrors, without the place in their words where that is known.
    """

    def make(self, folder: str) -> None:
        """Have a folder that files can be written to. One that is there already is no error."""

    def write(self, name: str) -> Output:
        """A new file, to be written; nobody may read it before it is closed. Raises FileNotFoundError where its
        folder was removed and can be missed, which those of object stores cannot."""

    def sync(self, name: str) -> None:
        """Have a file that was written and closed outlast a power cut."""

    def create(self, name: str, content: bytes) -> bool:
        """Make a file unless it is there: whole, durable, and by exactly one of those who try. Answers whether it was
        this one; where an answer was lost on its way and asked for again, False may be told to who did."""

    def replace(self, name: str, content: bytes) -> None:
        """Make a file, or another one in its place: whole, and durable."""

    def open(self, name: str) -> BinaryIO | None:
        """A file to be read, at any place of it; None where it is not there."""

    def list(self, folder: str) -> Sequence[Entry]:
        """What is in a folder, by name; nothing where it is not there."""

    def remove(self, name: str) -> None:
        """Remove a file, or a folder and all that is in it. What is not there is no error."""

    def link(self, name: str, seconds: float, saved_as: str, content_type: str) -> str | None:
        """A URL at which anybody can get the file for so long, under that name; None where there is no such thing."""
