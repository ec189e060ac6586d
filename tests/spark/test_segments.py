"""Segments: known clusters are found, the same seed finds the same, and Spark agrees with scikit-learn on everybody."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from sklearn.metrics import adjusted_rand_score, pairwise_distances_argmin

from tag_tasks.segments.assigned import SegmentTable
from tag_tasks.segments.features import FEATURES
from tag_tasks.segments.model import LIKE_ALL, Model, described
from tag_tasks.segments.models import ModelTable
from tag_tasks.segments.predict import SegmentPredict
from tag_tasks.segments.reader import SegmentReader
from tag_tasks.segments.train import SegmentTrain
from tag_tasks.spark.session import Spark
from tagapi.jobs.errors import NotFoundInData, TaskFailed
from tagapi.jobs.model import Json
from tests.spark.world import ACTIVITY, ASSETS, BASIC, NOON, SCHEMAS, World
from tests.unit.outside import Context

USERS = 3000
TODAY = NOON.date()
CENTRES = {
    "age": (25, 45, 70, 45),
    "total_asset_value": (1_000.0, 50_000.0, 2_000_000.0, 900.0),
    "trade_count_30d": (40, 5, 1, 2),
    "last_login_date": (1, 20, 3, 200),
}
"""What four kinds of users are like; of a date, how many days ago it was."""


@dataclass
class SegmentWorld:
    world: World
    models: ModelTable
    table: SegmentTable
    kinds: np.ndarray
    """Of each user, by number, which kind they are."""

    def train(self, sample: int = 10**6, **asked: Any) -> Json:
        task = SegmentTrain(self.world.spark, self.world.sources, self.models, sample)
        arguments = {"model": "clientes", "segments": 4, "features": [*CENTRES_FEATURES], **asked}
        return task.run(Context(arguments, submitted_at=NOON))

    def predict(self, **asked: Any) -> Json:
        return self.attempt(Context({"model": "clientes", "version": None, "user_ids": None, **asked}))

    def attempt(self, context: Context) -> Json:
        context.submitted_at = NOON
        return SegmentPredict(self.world.spark, self.world.sources, self.models, self.table).run(context)

    def assigned(self) -> dict[str, int]:
        """As any reader of Delta sees it; nobody is there twice."""
        rows = DeltaTable(self.table.path).to_pyarrow_table(columns=["user_id", "segment"]).to_pylist()
        found = {row["user_id"]: row["segment"] for row in rows}
        assert len(found) == len(rows)
        return found

    def reader(self) -> SegmentReader:
        return SegmentReader(self.world.spark, self.models, self.table, 2)


CENTRES_FEATURES = ("age", "total_asset_value", "trade_count_30d", "days_since_login")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """3,000 users of four kinds, some of whose numbers are unknown, or none, and some of whom lie in no other table."""
    folder, random = tmp_path_factory.mktemp("kinds"), np.random.default_rng(5)
    kinds = random.integers(0, 4, USERS)
    users = [f"user{number:04}" for number in range(USERS)]

    def around(name: str, spread: float) -> np.ndarray:
        middle = np.array(CENTRES[name], float)[kinds]
        return np.abs(middle * (1 + random.normal(0, spread, USERS)))

    def holes(values: Sequence[Any], *other: float) -> list[Any]:
        there = iter((*other, *[None] * USERS))
        return [next(there) if random.random() < 0.01 else value for value in values]

    stamps = [NOON - timedelta(days=1)] * USERS
    columns: dict[str, dict[str, list[Any]]] = {
        BASIC: {"age": holes([int(value) for value in around("age", 0.05)])},
        ASSETS: {
            "total_asset_value": holes(around("total_asset_value", 0.2).tolist(), math.nan, math.inf, -math.inf, 1e300)
        },
        ACTIVITY: {
            "trade_count_30d": holes([int(value) for value in around("trade_count_30d", 0.1)]),
            "last_login_date": holes([TODAY - timedelta(days=int(value)) for value in around("last_login_date", 0.05)]),
        },
    }
    world_folder = folder / "sources"
    for table, given in columns.items():
        rows = {"user_id": users, "updated_time": stamps, **given}
        whole = {name: rows.get(name, [None] * USERS) for name in SCHEMAS[table].names}
        (world_folder / table).mkdir(parents=True)
        told = pa.table(whole, SCHEMAS[table])
        pa.parquet.write_table(told if table == BASIC else told.slice(0, USERS - 5), world_folder / table / "p.parquet")
    return folder, kinds


@pytest.fixture
def there(spark: Spark, tmp_path: Path, sources: tuple[Path, np.ndarray]) -> Iterator[SegmentWorld]:
    folder, kinds = sources
    world = World(spark, folder)
    yield SegmentWorld(world, ModelTable(str(tmp_path / "models")), SegmentTable(str(tmp_path / "segments")), kinds)


def numbers_of(there: SegmentWorld, model: Model) -> tuple[list[str], np.ndarray]:
    """Every user's numbers, made comparable as the model says, without a line of Spark."""
    tables = {name: pa.parquet.read_table(there.world.data.folder / name).to_pylist() for name in SCHEMAS}
    users = [row["user_id"] for row in tables[BASIC]]
    by_user = {name: {row["user_id"]: row for row in rows} for name, rows in tables.items()}
    columns = []
    for scale in model.scales:
        feature = FEATURES[scale.name]
        raw = [by_user[feature.source].get(user, {}).get(feature.column) for user in users]
        if feature.days_since:
            raw = [None if value is None else (TODAY - value).days for value in raw]
        known = np.array([np.nan if value is None else value for value in raw], np.float64)
        known[np.abs(known) > np.finfo(np.float32).max] = np.nan
        filled = np.where(np.isnan(known), scale.median, known.astype(np.float32).astype(np.float64))
        columns.append(((np.log1p(filled) if scale.log else filled) - scale.mean) / scale.deviation)
    return users, np.column_stack(columns)


def test_known_clusters_are_found(there: SegmentWorld) -> None:
    there.train()
    there.predict()
    assigned = there.assigned()
    found = [assigned[f"user{number:04}"] for number in range(USERS)]
    assert adjusted_rand_score(there.kinds, found) >= 0.95


def test_auto_finds_how_many_there_are_and_says_how(there: SegmentWorld) -> None:
    result = there.train(segments="auto")
    assert len(result["segments"]) == 4
    assert result["chosen_by"] == "silhouette"
    best = max(result["tried"], key=lambda one: one["silhouette"])
    assert best["segments"] == 4 and best["silhouette"] > 0.5


def test_the_same_seed_gives_the_same_model(there: SegmentWorld) -> None:
    there.train()
    there.train()
    first, second = (there.models.read("clientes", version) for version in (1, 2))
    assert first is not None and second is not None
    assert (first.scales, first.centres, first.sizes) == (second.scales, second.centres, second.sizes)


def test_spark_puts_everybody_where_scikit_learn_would(there: SegmentWorld) -> None:
    there.train(segments=7)
    there.predict()
    model = there.models.read("clientes")
    assert model is not None
    users, numbers = numbers_of(there, model)
    theirs = pairwise_distances_argmin(numbers, np.array(model.centres))
    assert there.assigned() == dict(zip(users, theirs.tolist(), strict=True))


def test_a_training_says_what_it_did(there: SegmentWorld) -> None:
    result = there.train()
    assert (result["users"], result["trained_on"], result["version"]) == (USERS, USERS, 1)
    assert sum(one["users"] for one in result["segments"]) == USERS
    assert there.train()["version"] == 2
    richest = max(result["segments"], key=lambda one: one["centroid"]["total_asset_value"])
    assert "más patrimonio" in richest["description"]
    assert 1_000_000 < richest["centroid"]["total_asset_value"] < 3_000_000


def test_of_many_users_a_sample_is_trained_on_which_is_told(there: SegmentWorld) -> None:
    result = there.train(sample=1000)
    assert 800 < result["trained_on"] < 1200 and result["users"] == USERS
    assert there.train(sample=1000)["segments"] == result["segments"]
    there.predict()
    found = [segment for _, segment in sorted(there.assigned().items())]
    assert adjusted_rand_score(there.kinds, found) >= 0.95


def test_a_prediction_of_some_users_changes_theirs_alone(there: SegmentWorld) -> None:
    there.train()
    whole = there.predict()
    assert (whole["updated_count"], whole["error_count"]) == (USERS, 0)
    assert sum(one["users"] for one in whole["segments"]) == USERS
    before = there.assigned()
    there.train(segments=2)
    some = ["user0001", "user0002", "nobody"]
    result = there.predict(user_ids=some)
    assert (result["updated_count"], result["error_count"], result["version"]) == (2, 1, 2)
    after = there.assigned()
    assert {user for user in before if before[user] != after[user]} <= set(some)
    assert len(after) == USERS


def test_a_prediction_is_committed_once(there: SegmentWorld) -> None:
    there.train()
    context = Context({"model": "clientes", "version": None, "user_ids": None})
    there.attempt(context)
    task = SegmentPredict(there.world.spark, there.world.sources, there.models, there.table)
    assert there.table.find_commit(context.job_id)
    assert task.name == "tasks.segment_predict"
    assert len(there.assigned()) == USERS


def test_what_is_not_there_fails(there: SegmentWorld, tmp_path: Path) -> None:
    with pytest.raises(TaskFailed, match="No existe el modelo"):
        there.predict()
    empty = World(there.world.spark, tmp_path)
    for table in SCHEMAS:
        empty.data.write(table, SCHEMAS[table].empty_table())
    poor = SegmentWorld(empty, there.models, there.table, there.kinds)
    with pytest.raises(TaskFailed, match="Hay 0 usuarios"):
        poor.train()
    assert there.models.names() == []
    gone = World(there.world.spark, tmp_path / "nowhere")
    with pytest.raises(TaskFailed, match="user_basic_info"):
        SegmentWorld(gone, there.models, there.table, there.kinds).train()


def test_models_and_segments_can_be_read(there: SegmentWorld) -> None:
    there.train()
    there.predict()
    reader = there.reader()
    assert [(one["model"], one["version"], one["segments"]) for one in reader.models()] == [("clientes", 1, 4)]
    assert reader.model("clientes")["versions"] == [1]
    told = reader.segment_of("clientes", "user0007")
    assert told["segment"] == there.assigned()["user0007"] and told["description"]
    for missing in (lambda: reader.model("otro"), lambda: reader.segment_of("clientes", "nobody")):
        with pytest.raises(NotFoundInData):
            missing()
    with pytest.raises(NotFoundInData):
        reader.model("clientes", 9)


@pytest.mark.parametrize(
    ("centre", "words"),
    [
        ((0.1, 0.2), LIKE_ALL),
        ((0.3, -2.0), "menos efectivo, de más edad"),
        ((-0.3, 0.0), "más jóvenes"),
    ],
)
def test_a_segment_is_described_by_what_sets_it_apart(centre: tuple[float, ...], words: str) -> None:
    assert described(["age", "cash_balance"], centre) == words


def test_a_model_survives_its_json(there: SegmentWorld) -> None:
    there.train()
    model = there.models.read("clientes")
    assert model is not None and Model.from_json(model.to_json()) == model
    assert date.fromisoformat(model.today) == TODAY
    assert datetime.fromisoformat(model.trained_at).tzinfo is UTC
