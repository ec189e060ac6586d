"""What the family of segments can do, and what can be read of it."""

from __future__ import annotations

from collections.abc import Sequence

from tag_tasks.means import Means
from tag_tasks.segments.predict import SegmentPredict
from tag_tasks.segments.reader import SegmentReader
from tag_tasks.segments.train import SegmentTrain
from tagapi.jobs.task import Task


def tasks(means: Means) -> Sequence[Task]:
    return [
        SegmentTrain(means.spark, means.sources, means.models),
        SegmentPredict(means.spark, means.sources, means.models, means.segments),
    ]


def reader(means: Means, at_once: int) -> SegmentReader:
    """`at_once` is how many readings may be under way."""
    return SegmentReader(means.spark, means.models, means.segments, at_once)
