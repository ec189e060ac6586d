"""What the tags API says: its words for states and errors, in English and Chinese. No rule is in here."""

from __future__ import annotations

from collections.abc import Mapping

from tagapi.jobs.model import JobState

STATUS: Mapping[JobState, str] = {
    JobState.QUEUED: "submitted",
    JobState.RUNNING: "running",
    JobState.COMMITTING: "running",
    JobState.WAITING: "running",
    JobState.PARKED: "running",
    JobState.SUCCEEDED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}

ERRORS: Mapping[str, tuple[str, str]] = {
    "job_not_found": ("Task not found", "任务不存在"),
    "too_many_schedules": ("Too many schedules of yours", "您的定时任务过多"),
    "already_finished": ("Task already finished", "任务已结束"),
    "not_parked": ("Task is not parked", "任务不在等待人工裁定"),
    "queue_full": ("Task queue is full", "任务队列已满，请稍后重试"),
    "owner_queue_full": ("Too many tasks of yours are waiting", "您等待中的任务过多，请稍后重试"),
    "key_reused": ("Idempotency-Key was used with another request", "Idempotency-Key 已用于另一个请求"),
    "transient": ("Data cannot be read now", "数据暂时无法读取，请稍后重试"),
    "task_failed": ("Data cannot be read now", "数据暂时无法读取，请稍后重试"),
    "shutting_down": ("Service is shutting down", "服务正在停止，请稍后重试"),
    "store_unavailable": ("Job store is not available", "任务存储暂时不可用，请稍后重试"),
    "store_too_new": ("Job store is not available", "任务存储暂时不可用，请稍后重试"),
    "not_ready": ("Service is not ready", "服务尚未就绪，请稍后重试"),
    "authentication_required": ("Authentication required", "需要有效的访问令牌"),
    "token_not_needed": ("No token is needed here, and none can be checked", "本服务未启用令牌，请勿发送令牌"),
    "bad_host": ("No valid Host header", "缺少有效的 Host 请求头"),
    "misdirected": (
        "This service does not answer to that host name: name it in TAGAPI_SERVER__HOSTS",
        "本服务不响应该主机名：请在 TAGAPI_SERVER__HOSTS 中添加",
    ),
    "foreign_origin": ("Requests from that origin are refused", "拒绝来自该来源的请求"),
    "permission_denied": ("Permission denied", "没有权限"),
    "rate_limited": ("Too many wrong tokens", "错误的访问令牌过多，请稍后重试"),
    "tokens_unavailable": ("Tokens cannot be checked now", "暂时无法验证访问令牌，请稍后重试"),
    "not_found": ("Not found", "资源不存在"),
    "method_not_allowed": ("Method not allowed", "不支持的请求方法"),
    "too_large": ("Request body is larger than 8 MiB", "请求体超过 8 MiB"),
    "unsupported_media_type": ("Content-Type must be application/json", "Content-Type 必须是 application/json"),
    "malformed": ("Malformed request", "请求格式错误"),
    "too_slow": ("Request took too long to come in", "请求发送超时"),
    "uri_too_long": ("Request line is too long", "请求行过长"),
    "expectation_failed": ("Expectation cannot be met", "无法满足 Expect 请求头"),
    "headers_too_large": ("Request headers are too large", "请求头过大"),
    "not_implemented": ("Transfer coding is not known", "不支持的传输编码"),
    "overloaded": ("Too many connections", "连接过多，请稍后重试"),
    "internal": ("Internal server error", "服务器内部错误"),
}
"""What a problem's code reads like: `error` and `message`."""

TAG_IDS_REQUIRED = ("tag_ids is required", "标签ID列表是必需的")
TAG_IDS_LIST = ("tag_ids must be a non-empty list", "标签ID必须是非空列表")
"""The document's words for tag ids that are not there, or no list of integers."""

THINGS: Mapping[str, tuple[str, str]] = {
    "tag": ("Tag not found", "标签不存在"),
    "user": ("User not found", "用户不存在"),
}
