"""In which order the documents' files are read: by stretches of time, where the files are ordered by it.

Documents come out ordered by when they were published. Where each file holds a stretch of time, as a table has it
that is written as documents come, one stretch after the other is read and sorted, and the first documents are there
at once; where every file may hold anything, the whole has to be sorted first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from pyarrow.parquet import FileMetaData, Statistics

from tag_tasks.documents.source import DOCUMENTS
from tag_tasks.spark.sources import Sources

ROWS = 250_000
"""Of which a stretch has about so many."""
READ_AGAIN = 1.5
"""Times that a file is read on average from which on there is nothing to be won."""


MICROSECOND = timedelta(microseconds=1)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Documents that were published from one moment on, up to another; `files` hold them all, None is the table."""

    start: datetime
    stop: datetime
    files: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    rows: int
    first: datetime
    last: datetime


def stretches(sources: Sources, start: datetime, stop: datetime) -> Sequence[Stretch]:
    """What has to be read of these days, in order, from the first document to the last, as far as files say.

    Raises TaskFailed and Transient as the sources do.
    """
    whole = [Stretch(start, stop)]
    files = sources.files(DOCUMENTS)
    names = None if files is None else sources.names(DOCUMENTS, files)
    if names is None:
        return whole
    found = [_bounds(name, footer) for name, footer in zip(names, sources.footers(DOCUMENTS, names), strict=True)]
    if None in found:
        return whole
    within = sorted(
        (file for file in found if file is not None and file.first < stop and file.last >= start),
        key=lambda file: (file.first, file.name),
    )
    if not within:
        return []
    newest = max(file.last for file in within)
    start, stop = max(start, within[0].first), min(stop, newest + MICROSECOND) if newest < stop else stop
    whole, planned = [Stretch(start, stop)], _planned(within, start, stop)
    read = sum(len(stretch.files or ()) for stretch in planned)
    return planned if read <= READ_AGAIN * len(within) else whole


def _planned(within: Sequence[_File], start: datetime, stop: datetime) -> list[Stretch]:
    """Cut where so many rows have begun."""
    cuts, rows = [start], 0
    for file in within:
        if rows >= ROWS and file.first > cuts[-1]:
            cuts.append(file.first)
            rows = 0
        rows += file.rows
    cuts.append(stop)
    parts = []
    for begin, end in pairwise(cuts):
        names = tuple(file.name for file in within if file.first < end and file.last >= begin)
        if names:
            parts.append(Stretch(begin, end, names))
    return parts


def _bounds(name: str, footer: FileMetaData) -> _File | None:
    """When the documents of a file were published; None where its footer does not say."""
    if "published" not in footer.schema.names:
        return None
    place = footer.schema.names.index("published")
    bounds = [footer.row_group(group).column(place).statistics for group in range(footer.num_row_groups)]
    if not bounds or any(bound is None or not bound.has_min_max for bound in bounds):
        return None
    first, last = min(_bound(one, "min") for one in bounds), max(_bound(one, "max") for one in bounds)
    return _File(name, footer.num_rows, first, last)


def _bound(statistics: Statistics, which: str) -> datetime:
    """A moment without an offset is in UTC; one that Python has no year for is before, or behind, all others."""
    try:
        moment: datetime = getattr(statistics, which)
    except OverflowError:
        return FIRST if getattr(statistics, f"{which}_raw") < 0 else LAST
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
