"""What the workers API says: its words for tasks, states and errors, in Russian. No rule is in here."""

from __future__ import annotations

from collections.abc import Mapping

from tagapi.jobs.model import JobState

STATUS: Mapping[JobState, str] = {
    JobState.QUEUED: "pending",
    JobState.RUNNING: "processing",
    JobState.COMMITTING: "processing",
    JobState.WAITING: "processing",
    JobState.PARKED: "processing",
    JobState.SUCCEEDED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}
STATUS_DISPLAY: Mapping[str, str] = {
    "pending": "Ожидает",
    "processing": "Обрабатывается",
    "completed": "Завершено",
    "failed": "Ошибка",
    "cancelled": "Отменено",
}
TYPE_DISPLAY: Mapping[str, str] = {
    "bookings_export": "Экспорт бронирований",
    "payments_export": "Экспорт платежей",
    "users_export": "Экспорт пользователей",
    "services_export": "Экспорт услуг",
    "data_cleanup": "Очистка данных",
    "data_analysis": "Анализ данных",
    "report_generation": "Генерация отчетов",
}

BATCH_SIZE = "Размер пакета должен быть от 1 до 10000"
DATES = "Дата начала не может быть позже даты окончания"
PRICES = "Минимальная цена не может быть больше максимальной"
SENTENCES = frozenset({BATCH_SIZE, DATES, PRICES})
"""Reasons that are a message of their own: the document's, and what is like them."""

REQUIRED = "обязательное поле"
NOT_NULL = "не может быть null"
TEXT = "должно быть строкой"
WHOLE = "должно быть целым числом"
MONEY = "должно быть числом не больше 99999999.99 по модулю"
BOOLEAN = "должно быть true или false"
OBJECT = "должно быть объектом"
NO_MOMENT = "должно быть датой и временем ISO 8601 со смещением или Z, например 2024-01-01T00:00:00Z"
NO_FILTER = "такого фильтра у этой задачи нет"
NO_FORMAT = "формат выбирается только для экспорта"
NO_LANGUAGE = "язык выбирается только для отчета"
LONG = "слишком длинная строка"
NOT_NEGATIVE = "должно быть не меньше 0"
LARGE = "слишком много цифр"

REASONS: Mapping[str, str] = {
    "unknown field": "неизвестное поле",
    "unknown parameter": "неизвестный параметр",
    "given more than once": "параметр указан несколько раз",
    "must be a JSON object": "должно быть объектом JSON",
    "is not valid JSON": "не является корректным JSON",
    "is nested too deeply": "вложено слишком глубоко",
    "cannot be read": "не удалось прочитать",
    "must be a whole number": WHOLE,
    "must be 1 to 255 visible ASCII characters": "от 1 до 255 видимых символов ASCII",
}
"""What the shared base says of a request, in this document's language."""

ERRORS: Mapping[str, tuple[str, str]] = {
    "authentication_required": ("AUTHENTICATION_REQUIRED", "Требуется действительный токен"),
    "token_not_needed": (
        "AUTHENTICATION_REQUIRED",
        "Сервис работает без токенов и не может их проверить: не отправляйте токен",
    ),
    "bad_host": ("VALIDATION_ERROR", "Нет корректного заголовка Host"),
    "misdirected": ("MISDIRECTED_REQUEST", "Сервис не отвечает на это имя узла: добавьте его в TAGAPI_SERVER__HOSTS"),
    "foreign_origin": ("PERMISSION_DENIED", "Запросы с этого источника (Origin) запрещены"),
    "permission_denied": ("PERMISSION_DENIED", "Недостаточно прав: это может только администратор"),
    "only_local": ("PERMISSION_DENIED", "Без настройки {setting} сервис отвечает только на запросы с этой же машины"),
    "rate_limited": ("RATE_LIMITED", "Слишком много неверных токенов, повторите позже"),
    "tokens_unavailable": ("STORE_UNAVAILABLE", "Токены сейчас нельзя проверить, повторите позже"),
    "store_unavailable": ("STORE_UNAVAILABLE", "Хранилище задач недоступно, повторите позже"),
    "store_too_new": ("STORE_UNAVAILABLE", "Хранилище задач недоступно, повторите позже"),
    "job_not_found": ("TASK_NOT_FOUND", "Задача не найдена"),
    "is_running": ("TASK_IS_RUNNING", "Задача выполняется"),
    "schedule_not_found": ("SCHEDULE_NOT_FOUND", "Расписание не найдено"),
    "too_many_schedules": ("TOO_MANY_SCHEDULES", "Слишком много расписаний"),
    "webhook_not_found": ("WEBHOOK_NOT_FOUND", "Вебхук не найден"),
    "delivery_not_found": ("DELIVERY_NOT_FOUND", "Доставка не найдена"),
    "too_many_webhooks": ("TOO_MANY_WEBHOOKS", "Слишком много вебхуков"),
    "webhook_paused": ("WEBHOOK_PAUSED", "Вебхук приостановлен"),
    "already_finished": ("TASK_CANNOT_CANCEL", "Задачу нельзя отменить: она уже завершена или завершается"),
    "not_parked": ("TASK_NOT_PARKED", "Задача не ждет решения администратора"),
    "result_not_ready": ("RESULT_NOT_READY", "Результат еще не готов"),
    "no_result": ("NO_RESULT", "Результата нет: {why}"),
    "queue_full": ("QUEUE_FULL", "Очередь задач заполнена, повторите позже"),
    "owner_queue_full": ("RATE_LIMITED", "Слишком много ваших задач ожидает выполнения, повторите позже"),
    "key_reused": ("IDEMPOTENCY_KEY_REUSED", "Idempotency-Key уже использован для другого запроса"),
    "shutting_down": ("SERVICE_UNAVAILABLE", "Сервис останавливается, повторите позже"),
    "not_ready": ("SERVICE_UNAVAILABLE", "Сервис еще не готов, повторите позже"),
    "not_found": ("NOT_FOUND", "Ресурс не найден"),
    "method_not_allowed": ("METHOD_NOT_ALLOWED", "Метод не поддерживается"),
    "too_large": ("PAYLOAD_TOO_LARGE", "Тело запроса больше 8 МиБ"),
    "unsupported_media_type": ("UNSUPPORTED_MEDIA_TYPE", "Content-Type должен быть application/json"),
    "range_not_satisfiable": ("RANGE_NOT_SATISFIABLE", "Такого диапазона в файле нет"),
    "malformed": ("VALIDATION_ERROR", "Запрос не является корректным HTTP"),
    "too_slow": ("REQUEST_TIMEOUT", "Запрос передавался слишком долго"),
    "uri_too_long": ("URI_TOO_LONG", "Слишком длинная строка запроса"),
    "expectation_failed": ("EXPECTATION_FAILED", "Заголовок Expect не может быть выполнен"),
    "headers_too_large": ("HEADERS_TOO_LARGE", "Слишком большие заголовки запроса"),
    "not_implemented": ("NOT_IMPLEMENTED", "Неизвестное кодирование передачи"),
    "overloaded": ("SERVICE_UNAVAILABLE", "Слишком много соединений, повторите позже"),
    "internal": ("INTERNAL_ERROR", "Внутренняя ошибка сервера"),
}
"""By the code of a problem: the document's code, and the message."""

WHY_NO_RESULT: Mapping[JobState, str] = {
    JobState.FAILED: "задача завершилась с ошибкой: {reason}",
    JobState.CANCELLED: "задача отменена",
}

MISSING: Mapping[str, tuple[str, str]] = {
    "page": ("PAGE_NOT_FOUND", "Такой страницы нет"),
    "result": ("RESULT_NOT_FOUND", "Файл результата больше не существует"),
}
"""What there is not, beside jobs."""
