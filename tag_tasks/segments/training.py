"""K-means over a matrix of numbers: seeded, the same to the last digit wherever it runs.

scikit-learn is told to use one thread: with several, sums are added in the order in which threads are done. It is
imported when it is needed first: that takes a second, which the start of the service has not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tag_tasks.segments.model import Scale, rounded

Matrix = NDArray[np.float32]

SEED = 20
SILHOUETTE_USERS = 10_000
SEARCH_USERS = 50_000
"""Users among whom the first centres are looked for, and the number of segments."""
STARTS = 8
"""Of which the best one is gone on with."""
AUTO = range(2, 13)
"""Numbers of segments that `auto` tries."""
WORKING_MEMORY = 32  # MiB for distances at once, of 800 that all of a silhouette's would take
LONG_TAIL = 1.0
"""Skewness from which on the logarithm of a feature is taken."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Centres in the scaled space, by their first coordinates, and how many rows are nearest to each."""

    centres: Sequence[Sequence[float]]
    sizes: Sequence[int]
    silhouette: float
    silhouette_on: int
    tried: Sequence[Mapping[str, Any]]


def scaled(numbers: Matrix, names: Sequence[str]) -> tuple[list[Scale], Matrix]:
    """How each column is made comparable, and the rows made so, in an order that is always the same.

    `numbers` has NaN where nothing is known; it is changed in place.
    """
    scales = [_scale(numbers[:, place], name) for place, name in enumerate(names)]
    order = np.lexsort(numbers.T)
    return scales, numbers[order]


def _scale(column: Matrix, name: str) -> Scale:
    known = column[~np.isnan(column)].astype(np.float64)
    median = rounded(float(np.median(known))) if len(known) else 0.0
    column[np.isnan(column)] = median
    values = column.astype(np.float64)
    log = bool(len(known)) and float(values.min()) >= 0 and _skewness(values) > LONG_TAIL
    if log:
        values = np.log1p(values)
    mean, deviation = rounded(float(values.mean())), rounded(float(values.std())) or 1.0
    column[:] = (values - mean) / deviation
    return Scale(name, median, log, mean, deviation)


def _skewness(values: NDArray[np.float64]) -> float:
    deviation = float(values.std())
    return float(np.mean(((values - values.mean()) / deviation) ** 3)) if deviation else 0.0


def fit(rows: Matrix, segments: int | str, check: Callable[[], None], tell: Callable[[int, int], None]) -> Fitted:
    """Find the centres of so many segments, or of as many as have the best silhouette (`auto`).

    `check` is called between steps, and may raise; `tell` hears how many of the numbers were tried.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        some, few = _some(rows, SEARCH_USERS), _some(rows, SILHOUETTE_USERS)
        tried: list[dict[str, Any]] = []
        if segments == "auto":
            numbers = [number for number in AUTO if number < len(few)]
            for done, number in enumerate(numbers):
                check()
                tell(done, len(numbers))
                quality = _silhouette(few, _searched(some, number))
                tried.append({"segments": number, "silhouette": quality})
            segments = max(tried, key=lambda one: float(one["silhouette"]))["segments"]
        check()
        found = KMeans(int(segments), init=_searched(some, int(segments)), n_init=1, max_iter=100).fit(rows)
        check()
        centres = np.array([[rounded(float(value)) for value in centre] for centre in found.cluster_centers_])
        centres = centres[np.lexsort(centres.T[::-1])]
        nearest = _nearest(rows, centres)
        sizes = np.bincount(nearest, minlength=len(centres)).tolist()
        return Fitted(centres.tolist(), sizes, _silhouette(few, centres), len(few), tried)


def _searched(some: Matrix, segments: int) -> Matrix:
    from sklearn.cluster import KMeans

    found = KMeans(segments, n_init=STARTS, random_state=SEED).fit(some)
    centres: Matrix = found.cluster_centers_
    return centres


def _silhouette(few: Matrix, centres: NDArray[Any]) -> float:
    from sklearn import config_context
    from sklearn.metrics import silhouette_score

    nearest = _nearest(few, centres)
    if len(set(nearest.tolist())) < 2:
        return 0.0
    with config_context(working_memory=WORKING_MEMORY):
        return rounded(float(silhouette_score(few, nearest)))


def _nearest(rows: Matrix, centres: NDArray[Any]) -> NDArray[np.int64]:
    """The number of each row's nearest centre; the first one of those that are as near."""
    weights = centres.astype(np.float64)
    constants = (weights**2).sum(axis=1) / 2
    best: NDArray[np.int64] = np.concatenate(
        [np.argmax(part.astype(np.float64) @ weights.T - constants, axis=1) for part in np.array_split(rows, 64)]
    )
    return best


def _some(rows: Matrix, most: int) -> Matrix:
    """So many rows at most, chosen by the seed."""
    if len(rows) <= most:
        return rows
    chosen = np.random.default_rng(SEED).choice(len(rows), most, replace=False)
    return rows[np.sort(chosen)]
