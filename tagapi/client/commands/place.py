"""Where a reader of a collector is, kept in a file of its own, together with how much of its output that stands for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import click

if sys.platform != "win32":
    import fcntl


@contextmanager
def alone(state: Path | None) -> Iterator[None]:
    """One command at a time keeps its place in a file. Raises UsageError for the second."""
    if state is None or sys.platform == "win32":
        yield
        return
    lock = state.with_name(f".{state.name}.lock")
    with lock.open("w", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(held.fileno()).st_ino != lock.stat().st_ino:  # of a command that has just ended
                raise FileNotFoundError
        except (BlockingIOError, FileNotFoundError):
            raise click.UsageError(f"another command keeps its place in {state}") from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


@dataclass
class Place:
    """What is kept of one reading."""

    url: str
    collector: str
    state: Path | None
    out: Path | None
    offset: str
    size: int
    """Bytes of the output that belong to what lies before the offset."""

    @classmethod
    def of(cls, url: str, collector: str, state: Path | None, out: Path | None, offset: str | None) -> Place:
        """As it was left. Raises UsageError for what does not fit together."""
        found = _read(state)
        if found is not None and (found["url"], found["collector"]) != (url, collector):
            raise click.UsageError(f"{state} is of {found['collector']!r} at {found['url']}")
        if found is not None and offset is not None:
            raise click.UsageError(f"{state} says where to go on: give no --offset")
        if out is not None and state is not None:
            _check_output(out, state, found)
        size = found["size"] if found is not None and out is not None else 0
        return cls(url, collector, state, out, found["offset"] if found else offset or "earliest", size)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The output, without what was written of a batch whose place was not kept any more."""
        if self.out is None:
            self.keep(sys.stdout.buffer, self.offset)
            yield sys.stdout.buffer
            return
        with self.out.open("ab") as file:
            file.truncate(self.size)
            file.seek(0, os.SEEK_END)
            self.keep(file, self.offset)  # whatever is written from now on belongs to a place
            yield file

    def keep(self, file: BinaryIO, offset: str) -> None:
        """What was written is there, and then its place is."""
        file.flush()
        self.offset = offset
        if self.out is not None:
            os.fsync(file.fileno())
            self.size = file.tell()
        if self.state is not None:
            self._write(self.state)

    def _write(self, state: Path) -> None:
        told = {"url": self.url, "collector": self.collector, "offset": self.offset, "size": self.size}
        told |= {} if self.out is None else {"out": str(self.out.resolve())}
        aside = state.with_name(f".{state.name}.new")
        with aside.open("w", encoding="utf-8") as file:
            json.dump(told, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(state)


def _read(state: Path | None) -> dict[str, Any] | None:
    if state is None or not state.exists():
        return None
    try:
        found = json.loads(state.read_text(encoding="utf-8"))
        return {"out": None, **{name: found[name] for name in ("url", "collector", "offset", "size")}, **found}
    except (ValueError, KeyError, TypeError):
        raise click.UsageError(f"{state} is no place that was kept here") from None


def _check_output(out: Path, state: Path, found: dict[str, Any] | None) -> None:
    size = out.stat().st_size if out.exists() else 0
    if found is None and size:
        raise click.UsageError(f"{out} is there already, and {state} is not: take another file, or remove it")
    if found is not None and found["out"] != str(out.resolve()):
        raise click.UsageError(f"{state} goes with the output {found['out'] or 'of a pipe'}, not with {out}")
    if found is not None and size < found["size"]:
        raise click.UsageError(f"{out} is shorter than {state} says: something of it is gone")
