"""The report's words in Russian."""

from __future__ import annotations

from collections.abc import Mapping

from tag_tasks.datasets.words import SPACE, Words

TEXTS: Mapping[str, str] = {
    "Bookings and payments": "Отчёт о бронированиях и платежах",
    "All time": "За всё время",
    "from {}": "с {}",
    "from the beginning": "с начала",
    "Period: {} to {} (UTC)": "Период: {} по {} (UTC)",
    "Period: {} (UTC), not begun yet": "Период: {} (UTC), ещё не наступил",
    "Period: {} (UTC) to today": "Период: {} (UTC) по сегодня",
    "Made on {} (UTC)": "Составлен {} (UTC)",
    "Bookings": "Бронирований",
    "{} completed": "завершено {}",
    "Revenue, no currency given": "Выручка, валюта не указана",
    "of completed bookings": "по завершённым бронированиям",
    "{} on average": "в среднем {} за заказ",
    "Received, {}": "Получено, {}",
    "{} payments": "платежей {}",
    "Cancellation rate": "Доля отмен",
    "{} cancelled": "отменено {}",
    "Users": "Пользователей",
    "New users": "Новых пользователей",
    "{} active": "активных {}",
    "in the period, {} active": "за период, активных {}",
    "Services": "Услуг",
    "New services": "Новых услуг",
    "in the catalogue": "в каталоге",
    "in the period": "за период",
    "Left out as duplicates, as the data cleanup finds them: {}.": (
        "Повторы, которые находит очистка данных, не учтены: {}."
    ),
    "Revenue by month": "Выручка по месяцам",
    "Bookings by day": "Бронирования по дням",
    "Bookings by day, {}": "Бронирования по дням, {}",
    "Share of cancellations by month": "Доля отмен по месяцам",
    "Bookings by status": "Бронирования по состоянию",
    "Best services": "Лучшие услуги",
    "Best providers": "Лучшие исполнители",
    "Service": "Услуга",
    "Provider": "Исполнитель",
    "Orders": "Заказы",
    "Revenue": "Выручка",
    "Cancelled": "Отмены",
    "Payments by method": "Платежи по способу оплаты",
    "Payments by status": "Платежи по состоянию",
    "Status": "Состояние",
    "Currency": "Валюта",
    "Payments": "Платежи",
    "Amount": "Сумма",
    "New users by month": "Новые пользователи по месяцам",
    "Prices of bookings, no currency given": "Сколько стоят бронирования, валюта не указана",
    "Quality of the data": "Качество данных",
    "Column": "Столбец",
    "Empty": "Пусто",
    "Share": "Доля",
    "Outliers": "Выбросы",
    "Lighter bar": "Светлый столбец",
    "Ring": "Кружок",
    "{} (partial)": "{} (неполный)",
    "No data": "Нет данных",
    "yes": "да",
    "no": "нет",
    "Revenue is the price of completed bookings. Bookings and services name no currency: their prices are added up "
    "as they stand. Payments in different currencies are never added up. The share of cancellations is that of "
    "cancelled bookings among all. Prices and the quality of the data tell of every row, duplicates among them. "
    "All dates and times are UTC.": (
        "Выручка — стоимость завершённых бронирований. Валюта бронирований и услуг в данных не указана: их цены "
        "складываются как есть. Платежи в разных валютах не складываются. Доля отмен — отменённые бронирования среди "
        "всех. Стоимость и качество данных — по всем строкам, включая повторы. Все даты и часы — UTC."
    ),
}
"""By the English sentence."""


def last_days(number: int) -> str:
    """`последние 90 дней`: both words bend with the number."""
    if number % 10 == 1 and number % 100 != 11:
        return f"последний {number} день"
    few = number % 10 in (2, 3, 4) and number % 100 not in (12, 13, 14)
    return f"последние {number} {'дня' if few else 'дней'}"


RUSSIAN = Words(
    code="ru",
    texts=TEXTS,
    tables={
        "bookings": "Бронирования",
        "payments": "Платежи",
        "users": "Пользователи",
        "services": "Услуги",
    },
    statuses={
        "pending": "ожидает",
        "confirmed": "подтверждено",
        "in_progress": "выполняется",
        "completed": "завершено",
        "cancelled": "отменено",
        "failed": "не прошёл",
        "refunded": "возвращён",
    },
    methods={
        "card": "карта",
        "cash": "наличные",
        "bank_transfer": "банковский перевод",
        "wallet": "кошелёк",
    },
    roles={"customer": "клиент", "provider": "исполнитель", "admin": "администратор"},
    filters={
        "status": "состояние: {}",
        "customer_id": "клиент № {}",
        "provider_id": "исполнитель № {}",
        "user_id": "пользователь № {}",
        "role": "роль: {}",
        "is_active": "активен: {}",
        "min_price": "цена от {}",
        "max_price": "цена до {}",
    },
    columns={
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
    },
    months=("янв", "фев", "мар", "апр", "май", "июн", "июл", "авг", "сен", "окт", "ноя", "дек"),
    sizes=tuple(f"{SPACE}{name}" for name in ("трлн", "млрд", "млн", "тыс.")),
    group=SPACE,
    point=",",
    date_form="%d.%m.%Y",
    day_form="%d.%m",
    last_days=last_days,
)
