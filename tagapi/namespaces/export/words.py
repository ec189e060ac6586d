"""The words of the export API: its codes, its messages, its states."""

from __future__ import annotations

from collections.abc import Mapping

from tagapi.jobs.model import JobState

OK = "0"
INTERNAL, SEARCH, MISSING, IN_QUERY, VALUE, TOKEN, CALLS, CREDITS = "1", "2", "3", "4", "5", "7", "8", "9"
RIGHTS, UNKNOWN, BAD_JSON, OPERATION, NO_RULES, NO_ENDPOINT, READS = "13", "15", "17", "18", "23", "26", "30"
"""What the vendor's codes mean."""

MESSAGES: Mapping[str, str] = {
    OK: "OK",
    INTERNAL: "Internal error",
    SEARCH: "Search error",
    MISSING: "Parameter missing",
    IN_QUERY: "Error in query",
    VALUE: "Invalid value",
    TOKEN: "Access token invalid",
    CALLS: "Call limit reached",
    CREDITS: "No credits left",
    RIGHTS: "Insufficient rights",
    UNKNOWN: "Unknown stream, collector or project",
    BAD_JSON: "Invalid JSON",
    OPERATION: "Invalid stream operation",
    NO_RULES: "The stream has no rules",
    NO_ENDPOINT: "No such endpoint",
    READS: "Too many open reads",
}

CODES: Mapping[str, str] = {
    "not_understood": IN_QUERY,
    "unusable": VALUE,
    "bad_offset": VALUE,
    "key_reused": VALUE,
    "bad_host": VALUE,
    "misdirected": VALUE,
    "bad_request": VALUE,
    "malformed": VALUE,
    "too_slow": VALUE,
    "uri_too_long": VALUE,
    "headers_too_large": VALUE,
    "expectation_failed": VALUE,
    "not_implemented": VALUE,
    "not_ready": SEARCH,
    "bad_operation": OPERATION,
    "no_rules": NO_RULES,
    "not_found_in_data": UNKNOWN,
    "authentication_required": TOKEN,
    "token_not_needed": TOKEN,
    "ticket_invalid": TOKEN,
    "rate_limited": CALLS,
    "owner_queue_full": CALLS,
    "permission_denied": RIGHTS,
    "right_needed": RIGHTS,
    "only_local": RIGHTS,
    "foreign_origin": RIGHTS,
    "not_found": NO_ENDPOINT,
    "method_not_allowed": NO_ENDPOINT,
    "too_large": BAD_JSON,
    "unsupported_media_type": BAD_JSON,
    "reads_full": READS,
    "own_reads_full": READS,
    "transient": SEARCH,
    "task_failed": SEARCH,
}
"""Of a problem, by its code; INTERNAL for the others."""

DETAILS: Mapping[str, str] = {
    "not_found": "There is no such path; /docs and /swagger.json say which there are.",
    "method_not_allowed": "The path does not take this method; the header Allow says which it takes.",
    "too_large": "A body has 8 MiB at most.",
}
"""Instead of what HTTP says."""

FAILURES: Mapping[str, str] = {"NoCredits": CREDITS, "TargetGone": UNKNOWN, "Transient": SEARCH, "TaskFailed": SEARCH}
"""Of a task that failed, by the kind of what failed it."""

STATUS: Mapping[JobState, str] = {
    JobState.QUEUED: "queued",
    JobState.RUNNING: "running",
    JobState.COMMITTING: "running",
    JobState.WAITING: "running",
    JobState.PARKED: "running",
    JobState.SUCCEEDED: "finished",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "aborted",
}
LIMIT_REACHED, DELETED, UNKNOWN_TASK = "result_limit_reached", "deleted", "unknown"

REQUIRED = ("is required", "Missing data for required field")
"""How the schemas say that something is not there."""
