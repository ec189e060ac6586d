"""Sample user data: three tables that look like a broker's, the same for a seed and a day on every machine.

Only integer arithmetic on a seeded generator is used, since the last digit of a
floating-point logarithm may differ between processors. Dates are counted back from
`today`, so that the rules that read today's date find somebody.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tag_tasks.tags import TABLES as TABLES

SEED = 20240120
CHUNK = 500_000  # users a file: a 10-million set is 20 files a table, which every reader splits well

# Ids differ in their last digits only: stored as differences they take a third of the space and are read faster.
LAYOUT = {
    "compression": "zstd",
    "row_group_size": 250_000,
    "write_page_index": True,
    "use_dictionary": ["user_level", "kyc_status"],
    "column_encoding": {"user_id": "DELTA_BYTE_ARRAY"},
}

LEVELS = ("BRONZE", "SILVER", "GOLD", "VIP1", "VIP2", "VIP3")
LEVEL_WEIGHTS = (40, 25, 15, 10, 6, 4)  # per cent
KYC = ("verified", "pending", "rejected")
KYC_WEIGHTS = (70, 20, 10)  # per cent
NULL_PER_MILLE = 10  # of the columns that rules read: real data has holes

DAY_MICROSECONDS = 86_400 * 1_000_000


def write_sample(folder: Path, users: int, today: date, seed: int = SEED) -> None:
    """Write `users` users into `folder`/<table>/part-NNNNN.parquet, one file for every CHUNK of them.

    Tables: user_basic_info, user_asset_summary, user_activity_summary. Existing files of
    the same name are replaced; the caller decides whether there is anything to keep.
    """
    for number, first in enumerate(range(1, users + 1, CHUNK)):
        ids = np.arange(first, min(first + CHUNK, users + 1))
        random = np.random.default_rng([seed, number])
        for table, rows in _tables(ids, today, random).items():
            target = folder / table / f"part-{number:05d}.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_suffix(".unfinished")
            pq.write_table(rows, unfinished, **LAYOUT)
            unfinished.replace(target)


def _tables(ids: np.ndarray, today: date, random: np.random.Generator) -> dict[str, pa.Table]:
    count = len(ids)
    user_id = pc.binary_join_element_wise("user_", pc.utf8_lpad(pa.array(ids).cast(pa.string()), 6, "0"), "")

    def whole(low: int, high: int) -> np.ndarray:
        """Whole numbers from low to high, both included."""
        return random.integers(low, high, count, endpoint=True)

    def money(typical: int) -> pa.Array:
        """Amounts in cents with a long tail: most below `typical`, one in a hundred far above."""
        cents = whole(0, typical * 100) * np.where(whole(1, 100) == 1, 40, np.where(whole(1, 10) == 1, 5, 1))
        return pa.array(cents / 100, pa.float64(), mask=_holes(random, count))

    def days_ago(most: int) -> pa.Array:
        ordinal = today.toordinal() - date(1970, 1, 1).toordinal()
        days = ordinal - whole(0, most)
        return pa.array(days.astype("int32"), pa.date32(), mask=_holes(random, count))

    def integers(values: np.ndarray) -> pa.Array:
        return pa.array(values.astype("int32"), pa.int32(), mask=_holes(random, count))

    def updated() -> pa.Array:
        midnight = int(datetime.combine(today, time(), UTC).timestamp()) * 1_000_000
        return pa.array(midnight - whole(1, 365 * DAY_MICROSECONDS), pa.timestamp("us", tz="UTC"))

    return {
        "user_basic_info": pa.table(
            {
                "user_id": user_id,
                "age": integers(whole(16, 85)),
                "registration_date": days_ago(1500),
                "user_level": _words(LEVELS, LEVEL_WEIGHTS, whole(0, 99)),
                "kyc_status": _words(KYC, KYC_WEIGHTS, whole(0, 99)),
                "risk_score": integers(whole(0, 100)),
                "email": pc.binary_join_element_wise(user_id, "example.com", "@"),
                "phone": pc.binary_join_element_wise(
                    "+1555", pa.array(whole(1_000_000, 9_999_999)).cast(pa.string()), ""
                ),
                "updated_time": updated(),
            }
        ),
        "user_asset_summary": pa.table(
            {
                "user_id": user_id,
                "total_asset_value": money(120_000),
                "cash_balance": money(60_000),
                "stock_value": money(50_000),
                "bond_value": money(20_000),
                "fund_value": money(20_000),
                "updated_time": updated(),
            }
        ),
        "user_activity_summary": pa.table(
            {
                "user_id": user_id,
                "trade_count_30d": integers(whole(0, 25)),
                "trade_amount_30d": money(30_000),
                "login_count_30d": integers(whole(0, 60)),
                "last_login_date": days_ago(60),
                "updated_time": updated(),
            }
        ),
    }


def _holes(random: np.random.Generator, count: int) -> np.ndarray:
    return random.integers(0, 1000, count) < NULL_PER_MILLE


def _words(words: tuple[str, ...], weights: tuple[int, ...], draws: np.ndarray) -> pa.Array:
    """Each draw, 0..99, falls to the word whose share of a hundred it lies in."""
    chosen = np.searchsorted(np.cumsum(weights), draws, side="right")
    return pa.array(words).take(pa.array(chosen))
