"""One embedded Spark for the whole directory, and a fresh world on it for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tag_tasks.datasets.sample import write_sample as write_bookings
from tag_tasks.datasets.tables import TABLES
from tag_tasks.spark.endpoint import spark_endpoint
from tag_tasks.spark.session import Spark
from tag_tasks.tags.sample import write_sample
from tests.spark.business import Business
from tests.spark.world import TODAY, World, eventually

SAMPLE_USERS = 5_000
SAMPLE_BOOKINGS = 5_000


@pytest.fixture(scope="session")
def spark() -> Iterator[Spark]:
    spark = Spark(spark_endpoint("sail"))
    spark.start()
    try:
        eventually(spark.ready)
        yield spark
    finally:
        spark.stop()


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's own sample, 5,000 users of it. Not to be written to."""
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, SAMPLE_USERS, TODAY)
    return folder


@pytest.fixture
def world(spark: Spark, tmp_path: Path) -> World:
    """Without a user: put some and save."""
    return World(spark, tmp_path)


@pytest.fixture
def sampled(world: World, sample: Path) -> World:
    """With the sample's users."""
    shutil.copytree(sample, world.data.folder)
    world.data.load()
    return world


@pytest.fixture(scope="session")
def bookings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's own business sample, 5,000 bookings of it. Not to be written to."""
    folder = tmp_path_factory.mktemp("bookings")
    write_bookings(folder, SAMPLE_BOOKINGS, TODAY)
    return folder


@pytest.fixture
def business(spark: Spark, tmp_path: Path) -> Business:
    """A good row in each table, before a test writes others."""
    business = Business(spark, tmp_path)
    for table in TABLES:
        business.write(table, {})
    return business


@pytest.fixture
def busy(spark: Spark, tmp_path: Path, bookings: Path) -> Business:
    """With the sample, which nobody may write to."""
    return Business(spark, tmp_path, bookings)
