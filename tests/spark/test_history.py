"""Random histories of sources and runs, against a model in plain Python that knows the contract and nothing else."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.spark.world import (
    ACTIVITY,
    ALL,
    ASSETS,
    BASIC,
    EVERY_TAG,
    LATE,
    NO_TAG,
    RULES,
    TODAY,
    Row,
    World,
    counts,
)

USERS = [f"user{number}" for number in range(12)]
STEPS = 14


def within(value: Any, low: Any, high: Any) -> bool:
    return value is not None and low <= value <= high


def carries(tag_id: int, row: Row, today: date) -> bool:
    """The documents' rules once more, without a line of SQL."""
    far = 10**9
    return {
        1: lambda: within(row["total_asset_value"], 100_000, far),
        2: lambda: within(row["trade_count_30d"], 11, far),
        3: lambda: within(row["risk_score"], 0, 30),
        4: lambda: within(row["registration_date"], today - timedelta(days=30), today),
        5: lambda: row["user_level"] in ("VIP2", "VIP3") and row["kyc_status"] == "verified",
        6: lambda: within(row["cash_balance"], 50_000, far),
        7: lambda: within(row["age"], 18, 30),
        8: lambda: within(row["last_login_date"], today - timedelta(days=7), today),
    }[tag_id]()


class Model:
    """What the table should hold and a result should say."""

    def __init__(self, rows: Mapping[str, Mapping[str, Row]]) -> None:
        self.rows = rows
        self.members: dict[int, set[str]] = {tag_id: set() for tag_id in ALL}
        self.marks: dict[int, tuple[datetime, date]] = {}
        self.new: dict[int, set[str]] = {tag_id: set() for tag_id in ALL}
        """Users of whom a row lies in a file that the tag's last run over everyone has not seen."""

    def arrive(self, touched: Mapping[str, set[str]]) -> None:
        for tag_id, new in self.new.items():
            new |= touched[RULES[tag_id][0]]

    def run(self, now: datetime, tag_ids: Sequence[int], users: Sequence[str] | None, mode: str, dry: bool) -> int:
        """Answer with total_users."""
        if users is not None:
            scopes = {tag_id: set(users) for tag_id in tag_ids}
            total = len(set(users) & set(self.rows[BASIC]))
        else:
            scopes = {tag_id: self.scope(tag_id, now, mode) for tag_id in tag_ids}
            total = len(set().union(*scopes.values())) if mode == "incremental" else len(self.rows[BASIC])
            everyone = mode == "full"
            for tag_id in tag_ids:
                if everyone or self.since(tag_id, now) is None:
                    scopes[tag_id] |= self.members[tag_id]
        if dry or (not total and users is None):
            return total
        for tag_id in tag_ids:
            rows = self.rows[RULES[tag_id][0]]
            match = {user for user in scopes[tag_id] if user in rows and carries(tag_id, rows[user], now.date())}
            self.members[tag_id] = (self.members[tag_id] - scopes[tag_id]) | match
            if users is None:
                self.mark(tag_id, now, mode)
        return total

    def since(self, tag_id: int, now: datetime) -> datetime | None:
        watermark, day = self.marks.get(tag_id, (None, None))
        return None if tag_id in (4, 8) and day != now.date() else watermark

    def scope(self, tag_id: int, now: datetime, mode: str) -> set[str]:
        rows = self.rows[RULES[tag_id][0]]
        since = self.since(tag_id, now)
        if mode == "full" or since is None:
            return set(rows)
        return {user for user in self.new[tag_id] & rows.keys() if is_recent(rows[user], since - LATE)}

    def mark(self, tag_id: int, now: datetime, mode: str) -> None:
        rows, since = self.rows[RULES[tag_id][0]], self.since(tag_id, now)
        read = set(rows)
        if mode == "incremental" and since is not None:
            read &= self.new[tag_id]
        times = [rows[user]["updated_time"] for user in read]
        seen = [moment for moment in times if moment is not None and moment <= now]
        if mode == "incremental" and since is not None:
            seen.append(since)
        if seen:
            self.marks[tag_id] = max(seen), now.date()
            self.new[tag_id].clear()


def is_recent(row: Row, since: datetime) -> bool:
    return row["updated_time"] is None or row["updated_time"] >= since


class History:
    """A seed's worth of what may happen."""

    def __init__(self, world: World, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = world
        self.model = Model(world.data.rows)
        for user in USERS[:8]:
            self.change(user)
        world.data.save()

    def change(self, user: str) -> None:
        pick = self.random
        now = self.world.clock.now()
        late = [timedelta(0), LATE, LATE + timedelta(microseconds=1), timedelta(minutes=30), timedelta(days=1)]
        moment = pick.choice([None, now, now, now + timedelta(hours=8), *(self.newest(now) - one for one in late)])
        columns = {name: pick.choice([EVERY_TAG[name], NO_TAG[name], None]) for name in EVERY_TAG}
        for name, days in (("registration_date", (0, 29, 30, 31, -1)), ("last_login_date", (0, 6, 7, 8, -1))):
            columns[name] = TODAY - timedelta(days=pick.choice(days))
        tables = {BASIC: ("risk_score", "registration_date", "user_level", "kyc_status", "age")}
        tables |= {ASSETS: ("total_asset_value", "cash_balance"), ACTIVITY: ("trade_count_30d", "last_login_date")}
        new = user not in self.world.data.rows[BASIC]
        for table, names in tables.items():
            if new or pick.random() < 0.5:
                self.world.data.put(user, moment, **{name: columns[name] for name in names})
                if new and table == BASIC:
                    self.world.data.put(user, moment, **columns)
                    return

    def newest(self, now: datetime) -> datetime:
        """About where the watermark is."""
        return max((moment for moment, _ in self.model.marks.values()), default=now)

    def step(self) -> None:
        pick = self.random
        for _ in range(pick.choice([0, 1, 2, 5])):
            user = pick.choice(USERS)
            if pick.random() < 0.2 and len(self.world.data.rows[BASIC]) > 2:
                self.world.data.delete(user)
            else:
                self.change(user)
        self.model.arrive(self.world.data.deliver())
        self.world.clock.moment += timedelta(hours=pick.choice([0, 1, 5, 9, 24]), microseconds=pick.choice([0, 1]))
        self.run()

    def run(self) -> None:
        pick, world, model = self.random, self.world, self.model
        tag_ids = sorted(pick.sample(ALL, pick.choice([1, 2, 8])))
        users = pick.choice([None, None, None, pick.sample([*USERS, "nobody"], pick.choice([1, 3, 13]))])
        mode = pick.choice(["full", "incremental", "incremental"])
        dry = pick.random() < 0.15
        before = {tag_id: frozenset(model.members[tag_id]) for tag_id in ALL}
        total = model.run(world.clock.now(), tag_ids, users, mode, dry)
        result = world.result(tag_ids, user_ids=users, mode=mode, dry_run=dry, diff=True)
        assert result["total_users"] == total
        assert world.memberships() == model.members
        if not dry:
            for tag_id, (_, added, removed) in counts(result).items():
                assert added == len(model.members[tag_id] - before[tag_id])
                assert removed == len(before[tag_id] - model.members[tag_id])


LIMITS = {"some": (10**6, 20_000, 1000), "many": (1, 20_000, 1000), "large": (10**6, 2, 1), "both": (3, 3, 3)}


@pytest.mark.parametrize(("seed", "limits"), list(enumerate(LIMITS)))
def test_a_random_history(world: World, monkeypatch: pytest.MonkeyPatch, seed: int, limits: str) -> None:
    """On each of the roads that a run may take, chosen by lowering the numbers that choose."""
    users, rows, named = LIMITS[limits]
    monkeypatch.setattr("tag_tasks.tags.compute.SOME", users)
    monkeypatch.setattr("tag_tasks.tags.edit.SMALL", rows)
    monkeypatch.setattr("tag_tasks.tags.edit.NAMED", named)
    monkeypatch.setattr("tag_tasks.tags.evaluate.NAMED", named)
    history = History(world, seed)
    for _ in range(STEPS):
        history.step()
