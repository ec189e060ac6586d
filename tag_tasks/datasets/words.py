"""How figures and codes are said in the report: in Russian, as people write them there."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

TABLES: Mapping[str, str] = {
    "bookings": "Бронирования",
    "payments": "Платежи",
    "users": "Пользователи",
    "services": "Услуги",
}
STATUSES: Mapping[str, str] = {
    "pending": "ожидает",
    "confirmed": "подтверждено",
    "in_progress": "выполняется",
    "completed": "завершено",
    "cancelled": "отменено",
    "failed": "не прошёл",
    "refunded": "возвращён",
}
METHODS: Mapping[str, str] = {
    "card": "карта",
    "cash": "наличные",
    "bank_transfer": "банковский перевод",
    "wallet": "кошелёк",
}
MONTHS = ("янв", "фев", "мар", "апр", "май", "июн", "июл", "авг", "сен", "окт", "ноя", "дек")
NONE = "—"
SPACE = "\u202f"  # narrow, and no line breaks there


def count(number: float) -> str:
    return f"{round(number):,}".replace(",", SPACE)


def money(amount: Decimal | float | None) -> str:
    """Whole units: cents are for the tables that can be downloaded."""
    return NONE if amount is None else count(int(Decimal(str(amount)).quantize(Decimal(1), rounding=ROUND_HALF_UP)))


def share(part: float | None) -> str:
    return NONE if part is None else f"{100 * part:.1f}".replace(".", ",") + "%"


def short(number: float) -> str:
    """For scales: 1500 is 1,5 тыс."""
    for size, name in ((1e9, "млрд"), (1e6, "млн"), (1e3, "тыс")):
        if abs(number) >= size:
            return f"{number / size:.3g}".replace(".", ",") + f"{SPACE}{name}"
    return f"{number:.3g}".replace(".", ",")


def month(text: str) -> str:
    """`2024-03` is мар 24."""
    year, _, number = text.rpartition("-")
    return f"{MONTHS[int(number) - 1]}{SPACE}{year[-2:]}"


def status(code: str | None) -> str:
    return NONE if code is None else STATUSES.get(code, code)


def method(code: str | None) -> str:
    return NONE if code is None else METHODS.get(code, code)
