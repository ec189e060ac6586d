"""How figures and codes are said in the report: in Russian, as people write them there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time
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
ROLES: Mapping[str, str] = {"customer": "клиент", "provider": "исполнитель", "admin": "администратор"}
FILTERS: Mapping[str, str] = {
    "status": "состояние: {}",
    "customer_id": "клиент № {}",
    "provider_id": "исполнитель № {}",
    "user_id": "пользователь № {}",
    "role": "роль: {}",
    "is_active": "активен: {}",
    "min_price": "цена от {}",
    "max_price": "цена до {}",
}
COLUMNS: Mapping[str, str] = {
    "id": "номер",
    "amount": "сумма",
    "created_at": "создано",
    "currency": "валюта",
    "customer_email": "почта клиента",
    "customer_id": "клиент",
    "date_joined": "дата регистрации",
    "description": "описание",
    "email": "почта",
    "first_name": "имя",
    "frequency": "периодичность",
    "is_active": "активен",
    "last_login": "последний вход",
    "last_name": "фамилия",
    "location": "место",
    "payment_method": "способ оплаты",
    "preferred_date": "желаемая дата",
    "preferred_time": "желаемое время",
    "price": "цена",
    "provider_email": "почта исполнителя",
    "provider_id": "исполнитель",
    "role": "роль",
    "scheduled_datetime": "назначено на",
    "service_id": "услуга",
    "service_title": "название услуги",
    "status": "состояние",
    "title": "название",
    "total_price": "стоимость",
    "transaction_id": "номер операции",
    "user_email": "почта пользователя",
    "user_id": "пользователь",
}
SIZES = ((Decimal(10**12), "трлн"), (Decimal(10**9), "млрд"), (Decimal(10**6), "млн"), (Decimal(10**3), "тыс."))
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
    """For scales: 1500 is 1,5 тыс. Rounded before the unit is chosen: 999 999 is 1 млн, not 1000 тыс."""
    rounded = Decimal(f"{number:.3g}")
    for size, name in SIZES:
        if abs(rounded) >= size:
            return f"{_plain(rounded / size)}{SPACE}{name}"
    return _plain(rounded)


def month(text: str) -> str:
    """`2024-03` is мар 24."""
    year, _, number = text.rpartition("-")
    return f"{MONTHS[int(number) - 1]}{SPACE}{year[-2:]}"


def days(number: int) -> str:
    """`последние 90 дней`: both words bend with the number."""
    if number % 10 == 1 and number % 100 != 11:
        return f"последний {number} день"
    few = number % 10 in (2, 3, 4) and number % 100 not in (12, 13, 14)
    return f"последние {number} {'дня' if few else 'дней'}"


def since(moment: datetime) -> str:
    """A beginning. Midnight goes without saying."""
    return _day(moment) if moment.time() == time() else _to_the_second(moment)


def until(moment: datetime) -> str:
    """An end, itself included: the last second of a day is that day, but its midnight is only an instant of it."""
    return _day(moment) if moment.time() >= time(23, 59, 59) else _to_the_second(moment)


def condition(key: str, value: object) -> str:
    """A filter, as it was asked for."""
    said = _value(key, value)
    return FILTERS[key].format(said) if key in FILTERS else f"{key}: {said}"


def status(code: str | None) -> str:
    return NONE if code is None else STATUSES.get(code, code)


def method(code: str | None) -> str:
    return NONE if code is None else METHODS.get(code, code)


def _value(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "да" if value else "нет"
    if isinstance(value, float):
        return _plain(Decimal(str(value)))
    known = {"status": STATUSES, "role": ROLES}.get(key, {})
    return known.get(str(value), str(value))


def _plain(number: Decimal) -> str:
    """With a comma, and neither an exponent nor noughts at the end."""
    return f"{number.normalize() or Decimal(0):f}".replace(".", ",")


def _day(moment: datetime) -> str:
    return f"{moment:%d.%m.%Y}"


def _to_the_second(moment: datetime) -> str:
    return f"{moment:%d.%m.%Y %H:%M:%S}" if moment.second else f"{moment:%d.%m.%Y %H:%M}"
