"""Sample business data: bookings, payments, users and services that belong together, with some dirt in them.

The same for a seed and a day on every machine: only integer arithmetic on a seeded generator.
About one row in 250 is broken in one of the ways that the cleanup looks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SEED = 20240315
CHUNK = 250_000  # bookings a file
BOOKINGS_PER_USER = 5
BOOKINGS_PER_SERVICE = 20
PROVIDER_EVERY = 10  # the users 1, 11, 21, … offer services
DAYS = 730  # that the data reach back
DIRTY = 1000  # one row in so many, for each kind of dirt

DAY = 86_400 * 1_000_000  # microseconds
MONEY = pa.decimal128(10, 2)
STAMP = pa.timestamp("us", tz="UTC")

STATUSES = ("completed", "confirmed", "pending", "cancelled", "in_progress")
STATUS_WEIGHTS = (58, 16, 9, 14, 3)  # per cent
PAID = ("completed", "pending", "failed", "refunded")
PAID_WEIGHTS = (88, 4, 5, 3)
METHODS = ("card", "cash", "bank_transfer", "wallet")
METHOD_WEIGHTS = (64, 14, 12, 10)
CURRENCIES, CURRENCY_WEIGHTS = ("RUB", "EUR"), (92, 8)
FREQUENCIES = ("once", "weekly", "biweekly", "monthly")
FREQUENCY_WEIGHTS = (55, 22, 13, 10)
CITIES = (
    "Москва, Тверская",
    "Санкт-Петербург, Невский пр.",
    "Казань, Баумана",
    "Сочи, Курортный пр.",
    "Тверь, Советская",
)
WORK = ("Уборка квартиры", "Мытьё окон", "Стрижка", "Ремонт «под ключ»", "Английский, онлайн", "Массаж", "Фотосъёмка")
FIRST = ("Анна", "Иван", "Мария", "Пётр", "Ольга", "Сергей", "Елена", "Дмитрий", "Нина", "Олег")
LAST = ("Коваленко", "Шевченко", "Бондаренко", "Лысенко", "Белых", "Черных", "О'Коннор", "Дюма", "Седых", "Живаго")
REMARKS = (
    "",
    'Скидка "первый заказ"',
    "=СУММ(A1:A9)",
    "Оплачено, спасибо",
    "+7 звонить заранее",
    "a,b;c\nвторая строка",
)
BROKEN_EMAILS = ("no-at-sign.example.com", "two@@example.com", "with space@example.com", "@example.com", "nobody@")


def write_sample(folder: Path, bookings: int, today: date, seed: int = SEED) -> None:
    """Write so many bookings, and what belongs to them, into `folder`/<table>/part-NNNNN.parquet.

    Existing files of the same name are replaced; the caller decides whether there is anything to keep.
    """
    world = _World(bookings, today, seed)
    for number, first in enumerate(range(1, bookings + 1, CHUNK)):
        last = min(first + CHUNK - 1, bookings)
        booked = world.bookings(number, first, last)
        _write(folder, "bookings", number, booked)
        _write(folder, "payments", number, world.payments(number, booked))
    for table, count, make in (
        ("users", world.users, world.user_rows),
        ("services", world.services, world.service_rows),
    ):
        for number, first in enumerate(range(1, count + 1, CHUNK)):
            _write(folder, table, number, make(number, first, min(first + CHUNK - 1, count)))


def _write(folder: Path, table: str, number: int, rows: pa.Table) -> None:
    target = folder / table / f"part-{number:05d}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    pq.write_table(rows, unfinished, compression="zstd", row_group_size=100_000)
    unfinished.replace(target)


class _World:
    """How many there are of everything; a row's facts follow from its id, so that the tables agree."""

    def __init__(self, bookings: int, today: date, seed: int) -> None:
        self.users = max(PROVIDER_EVERY, bookings // BOOKINGS_PER_USER)
        self.services = max(1, bookings // BOOKINGS_PER_SERVICE)
        self._midnight = int(datetime.combine(today, time(), UTC).timestamp()) * 1_000_000
        self._seed = seed

    def bookings(self, number: int, first: int, last: int) -> pa.Table:
        draw = _Draws([self._seed, 1, number], last - first + 1)
        # The square of a uniform number: some services, and some customers, are asked for far more than others.
        service = 1 + draw.skewed(self.services)
        customer = 1 + draw.skewed(self.users)
        # The smaller of two even draws: a business that grows.
        days_ago = np.minimum(draw.whole(0, DAYS - 1), draw.whole(0, DAYS - 1))
        created = self._midnight - days_ago * DAY - draw.whole(1, DAY)
        hour, half = draw.whole(8, 20), draw.whole(0, 1)
        day = created // DAY + draw.whole(1, 30)
        scheduled = day * DAY + (hour * 2 + half) * (DAY // 48)
        price = np.maximum(500, self._price(service) * draw.whole(80, 120) // 100)
        ids = np.arange(first, last + 1)
        lost = draw.some(service + self.services * 10, service)
        rows = {
            "id": _ints(ids),
            "customer_id": _ints(customer),
            "customer_email": draw.broken(_emails(customer)),
            "service_id": _ints(lost),
            "service_title": _titles(service),
            "provider_id": _ints(self._provider(service)),
            "provider_email": _emails(self._provider(service)),
            "status": draw.words(STATUSES, STATUS_WEIGHTS),
            "location": draw.holes(_joined(draw.any(CITIES), ", ", _text(draw.whole(1, 120)))),
            "preferred_date": draw.holes(pa.array(day.astype("int32"), pa.date32())),
            "preferred_time": _joined(_padded(hour), ":", _padded(half * 30)),
            "frequency": draw.words(FREQUENCIES, FREQUENCY_WEIGHTS),
            "scheduled_datetime": draw.holes(_stamps(draw.some(scheduled + 90 * 365 * DAY, scheduled))),
            "total_price": _money(draw.some(-price, price)),
            "created_at": _stamps(draw.some(created - 60 * 365 * DAY, created)),
        }
        return draw.doubled(pa.table(rows))

    def payments(self, number: int, booked: pa.Table) -> pa.Table:
        """One for each booking that was not cancelled or left pending."""
        asked = pc.invert(pc.is_in(booked["status"], value_set=pa.array(["pending", "cancelled"])))
        paid = booked.filter(asked)
        draw = _Draws([self._seed, 2, number], paid.num_rows)
        booking, user = paid["id"].to_numpy(), paid["customer_id"].to_numpy()
        cents = np.abs(pc.multiply(paid["total_price"].combine_chunks(), 100).cast(pa.int64()).to_numpy())
        created = np.maximum(paid["created_at"].cast(pa.int64()).to_numpy(), self._midnight - 2 * DAYS * DAY)
        reference = _joined("txn_", "", _padded(booking * 7919 % 1_000_000_007, 10))
        rows = {
            "id": _ints(booking),
            "user_id": _ints(draw.some(user + self.users * 10, user)),
            "user_email": _emails(user),
            "amount": _money(draw.some(-cents, cents)),
            "currency": draw.words(CURRENCIES, CURRENCY_WEIGHTS),
            "status": draw.words(PAID, PAID_WEIGHTS),
            "payment_method": draw.words(METHODS, METHOD_WEIGHTS),
            "transaction_id": draw.repeated(reference),
            "description": draw.holes(draw.any(REMARKS)),
            "created_at": _stamps(created + draw.whole(0, 3 * 3600 * 1_000_000)),
        }
        return draw.doubled(pa.table(rows))

    def user_rows(self, number: int, first: int, last: int) -> pa.Table:
        draw = _Draws([self._seed, 3, number], last - first + 1)
        ids = np.arange(first, last + 1)
        joined = self._midnight - draw.whole(DAYS, 2 * DAYS) * DAY - draw.whole(1, DAY)
        login = joined + draw.whole(0, DAYS - 1) * DAY
        role = np.where(ids % PROVIDER_EVERY == 1, 1, np.where(ids % 1009 == 0, 2, 0))
        rows = {
            "id": _ints(ids),
            "email": draw.broken(_emails(ids)),
            "first_name": draw.any(FIRST),
            "last_name": draw.any(LAST),
            "role": pa.array(("customer", "provider", "admin")).take(pa.array(role)),
            "is_active": pa.array(draw.whole(1, 100) <= 93),
            "date_joined": _stamps(joined),
            "last_login": draw.holes(_stamps(draw.some(joined - 30 * DAY, login))),
        }
        return draw.doubled(pa.table(rows))

    def service_rows(self, number: int, first: int, last: int) -> pa.Table:
        draw = _Draws([self._seed, 4, number], last - first + 1)
        ids = np.arange(first, last + 1)
        cents = self._price(ids)
        rows = {
            "id": _ints(ids),
            "provider_id": _ints(self._provider(ids)),
            "provider_email": draw.broken(_emails(self._provider(ids))),
            "title": _titles(ids),
            "description": draw.holes(_joined(draw.any(WORK), ". ", draw.any(REMARKS))),
            "price": _money(draw.some(-cents, cents)),
            "created_at": _stamps(self._midnight - draw.whole(DAYS, 2 * DAYS) * DAY),
        }
        return draw.doubled(pa.table(rows))

    def _provider(self, service: np.ndarray) -> np.ndarray:
        return 1 + PROVIDER_EVERY * (service * 31 % (self.users // PROVIDER_EVERY))

    @staticmethod
    def _price(service: np.ndarray) -> np.ndarray:
        """Cents: from 500.00 to some 9,500.00, a few far above."""
        return 50_000 + service * 7919 % 900_000 + np.where(service % 97 == 0, 4_000_000, 0)


class _Draws:
    """Seeded choices for the rows of one file."""

    def __init__(self, seed: Sequence[int], count: int) -> None:
        self._random = np.random.default_rng(seed)
        self._count = count

    def whole(self, low: int, high: int) -> np.ndarray:
        """Whole numbers from low to high, both included."""
        return self._random.integers(low, high, self._count, endpoint=True)

    def skewed(self, below: int) -> np.ndarray:
        """Whole numbers from 0, small ones far more often."""
        wide = self.whole(0, 2**20 - 1)
        chosen: np.ndarray = wide * wide // 2**20 * below // 2**20
        return chosen

    def words(self, words: Sequence[str], weights: Sequence[int]) -> pa.Array:
        """Each word as often as its share of a hundred says."""
        chosen = np.searchsorted(np.cumsum(weights), self.whole(0, 99), side="right")
        return pa.array(words).take(pa.array(chosen))

    def any(self, words: Sequence[str]) -> pa.Array:
        return pa.array(words).take(pa.array(self.whole(0, len(words) - 1)))

    def some(self, dirty: np.ndarray, clean: np.ndarray) -> np.ndarray:
        """One in DIRTY from `dirty`, the others from `clean`."""
        return np.where(self.whole(1, DIRTY) == 1, dirty, clean)

    def broken(self, emails: pa.Array) -> pa.Array:
        return pc.if_else(pa.array(self.whole(1, DIRTY) == 1), self.any(BROKEN_EMAILS), emails)

    def holes(self, column: pa.Array) -> pa.Array:
        """A hundredth is null: real data has holes."""
        return pc.if_else(pa.array(self.whole(1, 100) == 1), pa.scalar(None, column.type), column)

    def repeated(self, column: pa.Array) -> pa.Array:
        """One in DIRTY repeats the value of the row before."""
        order = np.arange(self._count)
        return column.take(pa.array(self.some(np.maximum(order - 1, 0), order)))

    def doubled(self, rows: pa.Table) -> pa.Table:
        """One row in DIRTY comes a second time, at the end."""
        return pa.concat_tables([rows, rows.filter(pa.array(self.whole(1, DIRTY) == 1))]).combine_chunks()


def _joined(left: pa.Array | str, between: str, right: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(left, right, between)


def _text(numbers: np.ndarray) -> pa.Array:
    return pa.array(numbers).cast(pa.string())


def _padded(numbers: np.ndarray, width: int = 2) -> pa.Array:
    return pc.utf8_lpad(_text(numbers), width, "0")


def _emails(ids: np.ndarray) -> pa.Array:
    return _joined(_joined("user", "", _padded(ids, 6)), "@", pa.scalar("example.com"))


def _titles(services: np.ndarray) -> pa.Array:
    work = pa.array(WORK).take(pa.array(services % len(WORK)))
    return _joined(work, " № ", _text(services))


def _ints(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype("int32"))


def _money(cents: np.ndarray) -> pa.Array:
    """Exactly: a decimal's digits are the cents."""
    low = np.stack([cents.astype("int64"), cents.astype("int64") >> 63], axis=1)  # 128 bits, little-endian
    return pa.Array.from_buffers(MONEY, len(cents), [None, pa.py_buffer(low.tobytes())])


def _stamps(micros: np.ndarray) -> pa.Array:
    return pa.array(micros).cast(STAMP)
