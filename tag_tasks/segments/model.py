"""A trained model as a value: how numbers are made comparable, where the centres are, and JSON in and out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tag_tasks.segments.features import FEATURES

DIGITS = 9
"""Significant digits that are kept of a number: enough for any user, and the same on every machine."""
TOLD = 3
"""Features that a description names at most."""
NOTABLE = 0.25
"""Standard deviations from everybody's mean from which on a feature is worth a word."""
LIKE_ALL = "como el promedio"


@dataclass(frozen=True, slots=True)
class Scale:
    """What makes one feature comparable: null is the median, a long tail its logarithm, then (x − mean) / deviation."""

    name: str
    median: float
    log: bool
    mean: float
    deviation: float

    def of(self, column: Column) -> Column:
        """The feature before it is shifted and divided: the prediction does that by its weights."""
        filled = F.coalesce(column, F.lit(self.median)).cast("double")
        return F.log1p(F.greatest(filled, F.lit(0.0))) if self.log else filled

    def back(self, value: float) -> float:
        """From a centre's coordinate to the unit of the data."""
        plain = value * self.deviation + self.mean
        return math.expm1(plain) if self.log else plain


@dataclass(frozen=True, slots=True)
class Model:
    """`centres` are in the scaled space, a row a segment."""

    model: str
    version: int
    scales: Sequence[Scale]
    centres: Sequence[Sequence[float]]
    sizes: Sequence[int]
    silhouette: float
    users: int
    trained_on: int
    """Users of a seeded sample, or all of them."""
    silhouette_on: int
    seed: int
    today: str
    """The date that days are counted to."""
    trained_at: str
    tried: Sequence[Mapping[str, Any]] = ()
    """Where the number of segments was chosen: each number with its silhouette."""

    @property
    def features(self) -> list[str]:
        return [scale.name for scale in self.scales]

    def segments(self) -> list[dict[str, Any]]:
        """For people: `segment, users, share, centroid, description`."""
        whole = sum(self.sizes) or 1
        return [
            {
                "segment": number,
                "users": size,
                "share": round(size / whole, 4),
                "centroid": {
                    scale.name: rounded(scale.back(value)) for scale, value in zip(self.scales, centre, strict=True)
                },
                "description": described(self.features, centre),
            }
            for number, (centre, size) in enumerate(zip(self.centres, self.sizes, strict=True))
        ]

    def to_json(self) -> str:
        told = {**asdict(self), "segments": self.segments()}
        return json.dumps(told, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Model:
        told = json.loads(text)
        del told["segments"]
        return cls(**{**told, "scales": [Scale(**scale) for scale in told["scales"]]})

    def predicted(self, rows: DataFrame) -> DataFrame:
        """Of rows with the features: `user_id, segment`, the nearest centre's number.

        |z − c|² is least where z·c − |c|²/2 is greatest; with z = (t − mean) / deviation that is a weighted sum of
        the t, and the weights are numbers. Of two centres that are as near, the first.
        """
        numbers = rows.select("user_id", *(scale.of(F.col(scale.name)).alias(scale.name) for scale in self.scales))
        names = [f"score_{number}" for number in range(len(self.centres))]
        scores = [self._score(centre).alias(name) for centre, name in zip(self.centres, names, strict=True)]
        nearest = _greatest(names, range(len(names)))[1]
        return numbers.select("user_id", *scores).select("user_id", nearest.cast("int").alias("segment"))

    def _score(self, centre: Sequence[float]) -> Column:
        constant, terms = -sum(value * value for value in centre) / 2, []
        for scale, value in zip(self.scales, centre, strict=True):
            weight = value / scale.deviation
            constant -= weight * scale.mean
            terms.append(F.col(scale.name) * F.lit(weight))
        return reduce(Column.__add__, terms, F.lit(constant))


def _greatest(names: Sequence[str], numbers: range) -> tuple[Column, Column]:
    """The greatest of some columns, and its number; halved again and again, so that no comparison is made twice."""
    if len(numbers) == 1:
        return F.col(names[numbers[0]]), F.lit(numbers[0])
    half = len(numbers) // 2
    (one, its), (other, others) = (_greatest(names, part) for part in (numbers[:half], numbers[half:]))
    return F.greatest(one, other), F.when(one >= other, its).otherwise(others)


def described(features: Sequence[str], centre: Sequence[float]) -> str:
    """A segment in words, by what sets it apart most: `más efectivo, menos operaciones`."""
    notable = sorted(zip(centre, features, strict=True), key=lambda one: -abs(one[0]))[:TOLD]
    words = [
        FEATURES[name].much if value > 0 else FEATURES[name].little for value, name in notable if abs(value) >= NOTABLE
    ]
    return ", ".join(words) or LIKE_ALL


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
