"""What the table of memberships consists of, and what a run changes there: values, which do nothing themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tag_tasks.delta.files import DataFile


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFile(DataFile):
    """A file of one tag's members; its bounds are of their user ids."""

    tag_id: int

    @classmethod
    def of(cls, tag_id: int, file: DataFile) -> MemberFile:
        return cls(file.path, file.size, file.rows, file.low, file.high, tag_id=tag_id)


@dataclass(frozen=True, slots=True)
class Marks:
    """What a tag's last run over all users left in the table."""

    watermark: datetime
    """The greatest updated_time that was read, never later than the run's submission."""
    rule: int
    """The rule's fingerprint."""
    run: datetime
    """The run's submission."""
    files: int | None = None
    """What refers to the files that the source had (`seen.py`); None in a table of an earlier release."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The table at one version."""

    version: int
    files: Mapping[int, tuple[MemberFile, ...]]

    def of(self, tag_id: int) -> tuple[MemberFile, ...]:
        return self.files.get(tag_id, ())

    def members(self, tag_id: int) -> int:
        return sum(file.rows for file in self.of(tag_id))


@dataclass(frozen=True, slots=True)
class Touched:
    """What a commit changes, or a computation depends on. `users` None means everyone."""

    tag_ids: frozenset[int]
    users: frozenset[str] | None

    def overlaps(self, tag_ids: Iterable[int], users: Iterable[str] | None) -> bool:
        if self.tag_ids.isdisjoint(tag_ids):
            return False
        return self.users is None or users is None or not self.users.isdisjoint(users)


@dataclass(frozen=True, slots=True)
class Edit:
    """The files of a tag that go and come."""

    remove: tuple[MemberFile, ...] = ()
    add: tuple[MemberFile, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.remove or self.add)


@dataclass(frozen=True, slots=True)
class TagChange:
    """What a run does to one tag: counts for the result, files for the commit."""

    tag_id: int
    matched: int
    """Users in the run's scope that match."""
    added: int | None
    """None where it was not compared with the members before; `removed` likewise."""
    removed: int | None
    edit: Edit = Edit()
