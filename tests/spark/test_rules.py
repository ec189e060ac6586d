"""Each rule on literal rows: its boundaries, its nulls, the day it reads, and what it is recognised by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from tag_tasks.spark.session import Spark
from tag_tasks.tags.catalogue import catalogue
from tag_tasks.tags.lifecycle import NewUserTask
from tag_tasks.tags.risk import LowRiskUserTask
from tag_tasks.tags.tag import TagTask
from tag_tasks.tags.wealth import HighNetWorthUserTask
from tagapi.jobs.errors import TaskFailed
from tests.spark.world import ALL, ASSETS, EVERY_TAG, NO_TAG, RULES, SCHEMAS, TODAY, World

TAGS = catalogue()
DOCUMENTED = {
    1: ("HighNetWorthUserTask", "高净值用户"),
    2: ("ActiveTraderTask", "活跃交易者"),
    3: ("LowRiskUserTask", "低风险用户"),
    4: ("NewUserTask", "新注册用户"),
    5: ("VIPUserTask", "VIP客户"),
    6: ("CashRichUserTask", "现金充足用户"),
    7: ("YoungUserTask", "年轻用户"),
    8: ("RecentActiveUserTask", "最近活跃用户"),
}


@dataclass(frozen=True)
class Case:
    """A user, by the columns that the rule reads, and whether they carry the tag."""

    tag_id: int
    row: dict[str, Any]
    matches: bool

    def __str__(self) -> str:
        values = ",".join("null" if value is None else str(value) for value in self.row.values())
        return f"{self.tag_id}-{values}"


def cases(tag_id: int, column: str, inside: Sequence[Any], outside: Sequence[Any]) -> Iterator[Case]:
    for value in inside:
        yield Case(tag_id, {column: value}, True)
    for value in (*outside, None):
        yield Case(tag_id, {column: value}, False)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


CASES = [
    *cases(1, "total_asset_value", [100_000.0, 100_000.01, 1e300, math.inf], [99_999.99, 0.0, -1e300, -math.inf]),
    *cases(2, "trade_count_30d", [11, 2**31 - 1], [10, 0, -11, -(2**31)]),
    *cases(3, "risk_score", [0, 1, 29, 30], [-1, 31, 2**31 - 1]),
    *cases(4, "registration_date", [TODAY, ago(1), ago(30)], [ago(-1), ago(31), date(1, 1, 1), date(9999, 12, 31)]),
    *cases(6, "cash_balance", [50_000.0, 50_000.01, math.inf], [49_999.99, 0.0, -50_000.0]),
    *cases(7, "age", [18, 30, 24], [17, 31, -18, 0]),
    *cases(8, "last_login_date", [TODAY, ago(1), ago(7)], [ago(-1), ago(8), date(1, 1, 1), date(9999, 12, 31)]),
]
VIPS = [
    Case(5, {"user_level": level, "kyc_status": kyc}, level in ("VIP2", "VIP3") and kyc == "verified")
    for level in ("VIP1", "VIP2", "VIP3", "GOLD", "vip2", "VIP2 ", "VIP", "", None)
    for kyc in ("verified", "pending", "rejected", "VERIFIED", "", None)
]


@pytest.fixture
def session(spark: Spark) -> Iterator[SparkSession]:
    with spark.session() as session:
        yield session


def verdicts(session: SparkSession, tag: TagTask, rows: Sequence[dict[str, Any]], day: date = TODAY) -> list[bool]:
    """For each row whether it matches; asked as a filter, and as a column that is never null."""
    types = SCHEMAS[tag.source]
    schema = pa.schema([("user_id", pa.string()), *(types.field(name) for name in tag.columns)])
    named = [{"user_id": str(number)} | row for number, row in enumerate(rows)]
    frame = session.createDataFrame(pa.Table.from_pylist(named, schema))
    kept = {row["user_id"] for row in frame.filter(tag.rule(day)).collect()}
    said = {row["user_id"]: row["said"] for row in frame.withColumn("said", tag.matches(day)).collect()}
    assert said == {row["user_id"]: row["user_id"] in kept for row in named}
    return [str(number) in kept for number in range(len(rows))]


@pytest.mark.parametrize("case", [*CASES, *VIPS], ids=str)
def test_a_boundary(session: SparkSession, case: Case) -> None:
    assert verdicts(session, TAGS[case.tag_id], [case.row]) == [case.matches]


@pytest.mark.parametrize("tag_id", ALL)
def test_users_that_the_other_tests_rely_on(session: SparkSession, tag_id: int) -> None:
    tag = TAGS[tag_id]
    rows = [{name: user[name] for name in tag.columns} for user in (EVERY_TAG, NO_TAG)]
    assert verdicts(session, tag, rows) == [True, False]


@pytest.mark.parametrize("day", [date(2024, 2, 29), date(2024, 3, 1), date(2025, 1, 1), date(1970, 1, 1)])
def test_the_window_of_a_tag_moves_with_the_day(session: SparkSession, day: date) -> None:
    for tag_id, column, width in ((4, "registration_date", 30), (8, "last_login_date", 7)):
        days = [day + timedelta(days=shift) for shift in (1, 0, -width, -width - 1)]
        assert verdicts(session, TAGS[tag_id], [{column: one} for one in days], day) == [False, True, True, False]


@pytest.mark.parametrize("type_", [pa.decimal128(21, 2), pa.int64(), pa.float32()], ids=str)
def test_money_may_be_any_number(session: SparkSession, type_: pa.DataType) -> None:
    values = pa.array([99_999, 100_000, 100_001, None]).cast(type_)
    frame = session.createDataFrame(pa.table({"user_id": list("abcd"), "total_asset_value": values}))
    assert {row["user_id"] for row in frame.filter(TAGS[1].rule(TODAY)).collect()} == {"b", "c"}


NEIGHBOURS = ([], [1.0, 2.0], [1.0, 500_000.0])


def test_what_is_not_a_number_is_judged_alike_everywhere(world: World) -> None:
    """Whoever else is in the file, whose bounds tell a reader what it may skip, and by a list as by a full run."""
    said = set()
    for others in NEIGHBOURS:
        for number, value in enumerate([math.nan, *others]):
            world.data.put(f"user{number}", **NO_TAG | {"total_asset_value": value, "cash_balance": value})
        world.data.save()
        for asked in ({}, {"user_ids": ["user0"]}, {"dry_run": True}):
            world.result([1, 6], **asked)
            said |= {(tag_id, "user0" in world.members(tag_id)) for tag_id in (1, 6)}
    assert len(said) == 2, "the same value is inside here and outside there"


# -- the catalogue ---------------------------------------------------------------------------


def test_the_catalogue_is_the_documents() -> None:
    assert {tag_id: (tag.task_class, tag.description) for tag_id, tag in TAGS.items()} == DOCUMENTED
    assert list(TAGS) == sorted(TAGS)
    assert all(tag.tag_id == tag_id for tag_id, tag in TAGS.items())
    assert {tag_id: tag.source for tag_id, tag in TAGS.items()} == {key: rule[0] for key, rule in RULES.items()}


def domain(*tags: type[TagTask]) -> ModuleType:
    """A module that these tags are written in."""
    module = ModuleType("domain")
    for tag in tags:
        tag.__module__ = module.__name__
        setattr(module, tag.__name__, tag)
    return module


def test_two_tags_with_one_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sober(LowRiskUserTask):
        pass

    class Timid(LowRiskUserTask):
        pass

    monkeypatch.setattr("tag_tasks.tags.catalogue.DOMAINS", (domain(Sober), domain(Timid)))
    with pytest.raises(ValueError, match="id 3: Sober, Timid"):
        catalogue()


def test_a_tag_is_in_the_catalogue_by_being_written(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sober(LowRiskUserTask):
        tag_id = 9

    monkeypatch.setattr("tag_tasks.tags.catalogue.DOMAINS", (domain(Sober),))
    assert [(tag_id, tag.task_class) for tag_id, tag in catalogue().items()] == [(9, "Sober")]


@pytest.mark.parametrize("tag_id", ALL)
def test_the_columns_of_a_tag_are_those_that_its_rule_reads(spark: Spark, tag_id: int) -> None:
    tag = TAGS[tag_id]
    fields = [SCHEMAS[tag.source].field(name) for name in tag.columns]
    whole = pa.Table.from_pylist([EVERY_TAG], pa.schema(fields))
    with spark.session() as session:
        assert session.createDataFrame(whole).filter(tag.rule(TODAY)).count() == 1
    for name in tag.columns:
        less = whole.drop_columns([name]).append_column("something", pa.array([1]))
        with pytest.raises(TaskFailed, match=name), spark.session() as session:
            session.createDataFrame(less).filter(tag.rule(TODAY)).count()


# -- what a rule is recognised by ------------------------------------------------------------


@pytest.mark.parametrize("tag_id", ALL)
def test_only_tags_4_and_8_read_today(session: SparkSession, tag_id: int) -> None:
    assert TAGS[tag_id].reads_today() is (tag_id in (4, 8))


def test_every_rule_has_a_fingerprint_of_its_own(session: SparkSession) -> None:
    prints = [tag.fingerprint() for tag in TAGS.values()]
    assert len(set(prints)) == len(ALL)
    assert all(0 <= one < 2**63 for one in prints), "it is kept in the signed 64 bits of a transaction's version"
    assert prints == [tag.fingerprint() for tag in catalogue().values()], "it is the rule's, not the object's"


class Richer(HighNetWorthUserTask):
    def rule(self, today: date) -> Column:
        return F.col("total_asset_value") >= 100_001


class Above(HighNetWorthUserTask):
    def rule(self, today: date) -> Column:
        return F.col("total_asset_value") > 100_000


class Liquid(HighNetWorthUserTask):
    def rule(self, today: date) -> Column:
        return F.col("cash_balance") >= 100_000


class Elsewhere(HighNetWorthUserTask):
    source = "user_basic_info"


class Newer(NewUserTask):
    def rule(self, today: date) -> Column:
        return F.col("registration_date").between(F.lit(today - timedelta(days=29)), F.lit(today))


@pytest.mark.parametrize("changed", [Richer(), Above(), Liquid(), Elsewhere(), Newer()], ids=lambda tag: tag.task_class)
def test_a_changed_rule_has_another_fingerprint(session: SparkSession, changed: TagTask) -> None:
    assert changed.fingerprint() != TAGS[changed.tag_id].fingerprint()


def test_words_and_names_are_not_in_the_fingerprint(session: SparkSession) -> None:
    class Wealthy(HighNetWorthUserTask):
        description = "很富有"
        rule_in_words = "rich"

    assert Wealthy().source == ASSETS
    assert Wealthy().fingerprint() == TAGS[1].fingerprint()


def test_the_day_is_not_in_the_fingerprint(world: World) -> None:
    """A run tomorrow finds the mark of today's rule to be its own."""
    world.data.put("ann", **EVERY_TAG)
    world.data.save()
    world.result([1, 4])
    rules = [world.table.marks(tag_id).rule for tag_id in (1, 4)]
    world.pass_time(days=1)
    world.result([1, 4])
    assert [world.table.marks(tag_id).rule for tag_id in (1, 4)] == rules
