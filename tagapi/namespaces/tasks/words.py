"""The Spanish words of the tasks API."""

from __future__ import annotations

from collections.abc import Mapping

from tagapi.jobs.model import JobState
from tagapi.jobs.notifying import OWNER_GONE, RECEIVER_GONE, TOO_MANY_WAIT
from tagapi.jobs.webhooks import DeliveryState

STATUS: Mapping[JobState, str] = {
    JobState.QUEUED: "PENDING",
    JobState.RUNNING: "STARTED",
    JobState.COMMITTING: "STARTED",
    JobState.WAITING: "RETRY",
    JobState.PARKED: "RETRY",
    JobState.SUCCEEDED: "SUCCESS",
    JobState.FAILED: "FAILURE",
    JobState.CANCELLED: "REVOKED",
}
STATUSES = tuple(dict.fromkeys(STATUS.values()))

PENDING = "La tarea está pendiente o no se encontró."
IN_STATE = "La tarea está en estado: {status}"
FAILED = "Error: {reason}"
DONE = "La tarea se ha completado con éxito"
NO_REASON = "no se conoce el motivo"
UNDOING = "se está deshaciendo lo que se hizo fuera"

ERRORS: Mapping[str, str] = {
    "job_not_found": "La tarea no existe o ha sido eliminada",
    "not_found": "La ruta no existe",
    "is_running": "La tarea está en ejecución",
    "schedule_not_found": "No existe esa programación",
    "too_many_schedules": "{owner} ya tiene {schedules} programaciones, el máximo",
    "webhook_not_found": "No existe ese webhook",
    "delivery_not_found": "No existe esa entrega",
    "too_many_webhooks": "{owner} ya tiene {webhooks} webhooks, el máximo",
    "webhook_paused": "El webhook está en pausa: reanúdelo primero",
    "already_finished": "La tarea ya ha terminado ({status}) y no se puede cancelar",
    "not_parked": "La tarea no espera a que un administrador la resuelva",
    "method_not_allowed": "El método no está permitido en esta ruta",
    "too_large": "El cuerpo de la solicitud supera los 8 MiB",
    "unsupported_media_type": "El cuerpo debe ser JSON: Content-Type: application/json",
    "key_reused": "Esta Idempotency-Key ya se usó con otra solicitud",
    "queue_full": "La cola está llena: hay {queued} tareas en espera. Inténtelo de nuevo en {retry_after} s",
    "owner_queue_full": "Ya tiene {queued} tareas en espera. Inténtelo de nuevo en {retry_after} s",
    "shutting_down": "El servicio se está deteniendo. Inténtelo de nuevo en {retry_after} s",
    "store_unavailable": "El almacén de tareas no responde. Inténtelo de nuevo en {retry_after} s",
    "store_too_new": "El almacén de tareas es de una versión más reciente del servicio",
    "not_ready": "El servicio aún no está listo. Inténtelo de nuevo en {retry_after} s",
    "authentication_required": "Se necesita un token válido: Authorization: Bearer TOKEN",
    "ticket_invalid": "El tique no es válido, ya se usó o ha caducado",
    "token_not_needed": "Este servicio funciona sin tokens y no puede comprobar el suyo: no envíe ninguno",
    "tokens_unavailable": "Los tokens no se pueden comprobar ahora. Inténtelo de nuevo en {retry_after} s",
    "rate_limited": "Demasiados tokens incorrectos desde esta dirección. Inténtelo de nuevo en {retry_after} s",
    "permission_denied": "Solo un administrador puede hacer esto",
    "right_needed": "Hace falta ser administrador, o tener may: [{right}] en el fichero de tokens",
    "only_local": "Sin {setting} solo se responde a solicitudes de esta máquina",
    "bad_host": "La cabecera Host no es válida",
    "misdirected": "Este servicio no responde con ese nombre de host",
    "foreign_origin": "Esta página no puede usar este servicio",
    "transient": "No se puede leer ahora. Inténtelo de nuevo en unos segundos",
    "task_failed": "No se puede leer: {reason}",
    "pushes_full": "Hay {open} conexiones abiertas, que son las que caben. Inténtelo de nuevo en {retry_after} s",
    "no_pushes": "Este servidor no puede mantener conexiones abiertas",
    "not_configured": "Falta la configuración de la plataforma: {setting}",
    "conflict": "Esto no se puede hacer tal como están las cosas",
    "unavailable": "Esto no se puede hacer ahora",
    "bad_request": "La solicitud no es válida",
    "http_error": "La solicitud no se puede atender",
    "malformed": "La solicitud no es HTTP válido",
    "too_slow": "La solicitud tardó demasiado en llegar",
    "uri_too_long": "La línea de la solicitud es demasiado larga",
    "expectation_failed": "Lo que pide la cabecera Expect no se puede cumplir",
    "headers_too_large": "Las cabeceras de la solicitud son demasiado grandes",
    "not_implemented": "Esta codificación de transferencia no se conoce aquí",
    "overloaded": "Hay demasiadas conexiones. Inténtelo de nuevo más tarde",
    "internal": "Error interno del servidor",
}
"""By a problem's code."""

PAST_RETURN = "La tarea ya no se puede cancelar ({status}): su resultado se está guardando, o no se sabe si se guardó"
"""Instead of that it has ended, of a job that has not."""

NOT_RETRYABLE: Mapping[bool, str] = {
    False: "La tarea aún no ha terminado ({status}): no se puede repetir",
    True: "La tarea terminó con éxito: para repetirla hace falta force=true",
}
MISSING: Mapping[str, str] = {
    "model": "No existe el modelo {name}",
    "version": "El modelo no tiene la versión {name}",
    "user": "No existe el usuario {name}",
    "audience": "No existe la audiencia {name}",
    "computed tag": "La etiqueta {name} todavía no se ha calculado",
    "simulated audience": "No existe ninguna audiencia simulada {name}",
    "segment": "El usuario no tiene segmento",
}

REASONS: Mapping[str, str] = {
    "unknown field": "campo desconocido",
    "unknown parameter": "parámetro desconocido",
    "must be a JSON object": "debe ser un objeto JSON",
    "is not valid JSON": "no es JSON válido",
    "is nested too deeply": "está anidado a demasiados niveles",
    "cannot be read": "no se puede leer",
    "is required": "es obligatorio",
    "Missing data for required field": "es obligatorio",  # marshmallow's own, of a field that is an object
    "must not be null": "no puede ser null",
    "Field may not be null": "no puede ser null",
    "must be true or false": "debe ser true o false",
    "must be a whole number": "debe ser un número entero",
    "has too many digits": "tiene demasiadas cifras",
    "given more than once": "se dio más de una vez",
    "it is no address of the web": "no es una dirección web",
    "it has to be an https address": "debe ser una dirección https",
    "it must not have a user or a password in it": "no puede llevar usuario ni contraseña",
    "it must not have a fragment": "no puede llevar un fragmento",
    "it is no address of the internet, and TAGAPI_WEBHOOKS__ALLOW does not list it": (
        "no es una dirección de Internet, y TAGAPI_WEBHOOKS__ALLOW no la tiene"
    ),
    "must be 1 to 255 visible ASCII characters": "debe tener de 1 a 255 caracteres ASCII visibles",
}
"""What is wrong with a field, where the schemas that all fronts share say it."""

KINDS: Mapping[str, str] = {
    "must be an integer": "debe ser un entero",
    "must be a list": "debe ser una lista",
    "must be a string": "debe ser una cadena",
    "must be an object": "debe ser un objeto",
}
"""Likewise, by how it begins."""

PAUSED: Mapping[str, str] = {
    OWNER_GONE: "su dueño ya no puede recibir esto",
    TOO_MANY_WAIT: "esperan demasiadas entregas",
    RECEIVER_GONE: "quien recibe respondió 410 Gone",
}
"""Why a webhook is paused."""
WEBHOOK_REMOVED = "El webhook se ha eliminado"
DELIVERY_STATUS: Mapping[DeliveryState, str] = {
    DeliveryState.WAITING: "PENDING",
    DeliveryState.DELIVERED: "SUCCESS",
    DeliveryState.GIVEN_UP: "FAILURE",
}
DELIVERY_STATUSES = ("PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE")
DELIVERY_ERRORS: Mapping[str, str] = {
    "address not allowed": "la dirección no está permitida",
    "timeout": "no respondió a tiempo",
    "no such host": "el nombre no se pudo resolver",
    "no TLS handshake": "no hubo conexión TLS",
    "no answer": "no hubo respuesta",
}
"""Why nobody answered."""

INVALID = "Valor no válido en «{field}»: {reason}"
