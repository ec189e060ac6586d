"""A folder of a disk, local or shared: of a file system with hard links."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tag_tasks.folders.folder import Entry, Output

BUFFER = 1 << 20  # bytes collected before they are written
PARTIAL = ".partial-"  # begins the names of files that are not whole yet


class LocalFolder:
    """See `Folder`."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def make(self, folder: str) -> None:
        path = self._path / folder
        path.mkdir(parents=True, exist_ok=True)
        _sync(path.parent)

    def write(self, name: str) -> Output:
        return (self._path / name).open("wb", BUFFER)

    def sync(self, name: str) -> None:
        _sync(self._path / name)
        _sync((self._path / name).parent)

    def create(self, name: str, content: bytes) -> bool:
        target = self._path / name
        partial = self._partial(target, content)
        try:
            target.hardlink_to(partial)
        except FileExistsError:
            return False
        finally:
            partial.unlink(missing_ok=True)
            _sync(target.parent)  # also of somebody else's: they may have died before this
        return True

    def replace(self, name: str, content: bytes) -> None:
        target = self._path / name
        self._partial(target, content).replace(target)
        _sync(target.parent)

    def open(self, name: str) -> BinaryIO | None:
        try:
            return (self._path / name).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def list(self, folder: str) -> Sequence[Entry]:
        try:
            with os.scandir(self._path / folder) as found:
                entries = [_entry(one) for one in found if not one.name.startswith(PARTIAL)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.name)

    def remove(self, name: str) -> None:
        path = self._path / name
        try:
            path.unlink()
        except FileNotFoundError:
            return
        except OSError:  # of folders some systems say that it is not permitted
            if not path.is_dir():
                raise
            while path.exists():  # somebody may put a file there meanwhile
                with suppress(FileNotFoundError):
                    shutil.rmtree(path)

    def link(self, name: str, seconds: float, saved_as: str, content_type: str) -> str | None:
        return None

    @staticmethod
    def _partial(target: Path, content: bytes) -> Path:
        """A file beside the target, with this content, on disk."""
        partial = target.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return partial


def _entry(found: os.DirEntry[str]) -> Entry | None:
    if found.is_dir(follow_symlinks=False):
        return Entry(found.name, None)
    with suppress(FileNotFoundError):
        return Entry(found.name, found.stat(follow_symlinks=False).st_size)
    return None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
