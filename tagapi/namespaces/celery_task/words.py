"""The words of the celery_task API: its codes, its messages, its types and states. No rule is in here."""

from __future__ import annotations

from collections.abc import Mapping

from tagapi.jobs.model import JobState

SUCCESS = "success"

TYPES: Mapping[str, str] = {
    "domain_task": "常规域名任务",
    "ip_task": "常规IP任务",
    "run_risk_cruising": "PoC运行任务",
    "domain_task_sync_task": "域名同步任务",
    "fofa_task": "Fofa查询任务",
    "domain_exec_task": "域名监测任务",
    "ip_exec_task": "IP监测任务",
    "github_task_task": "Github泄露任务",
    "github_task_monitor": "Github泄露监控任务",
    "asset_site_update": "资产站点更新任务",
    "add_asset_site_task": "资产站点添加任务",
    "asset_wih_update": "资产WIH更新任务",
}
"""The types of tasks, in the document's order."""

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
REVOKED = "revoked"

ACTIVE: Mapping[JobState, str] = {
    JobState.RUNNING: "active",
    JobState.COMMITTING: "active",
    JobState.QUEUED: "reserved",
    JobState.WAITING: "scheduled",
    JobState.PARKED: "scheduled",
}
"""How Celery calls what is not over."""

ID_NOT_FOUND, TASK_NOT_FOUND, RUNNING, DONE, ERROR = 102, 103, 104, 105, 500
NAMES: Mapping[int, str] = {
    ID_NOT_FOUND: "CeleryIdNotFound",
    TASK_NOT_FOUND: "NotFoundTask",
    RUNNING: "TaskIsRunning",
    DONE: "TaskIsDone",
    ERROR: "Error",
}
"""The document's codes, and what it calls them."""

CODES: Mapping[str, int] = {
    "job_not_found": ID_NOT_FOUND,
    "task_not_found": TASK_NOT_FOUND,
    "is_running": RUNNING,
    "task_is_running": RUNNING,
    "result_not_ready": RUNNING,
    "already_finished": DONE,
    "internal": ERROR,
}
"""Of a problem, by its code; the others have the status of the answer."""

MESSAGES: Mapping[str, str] = {
    "invalid": "参数错误",
    "unusable": "参数错误",
    "target_out_of_scope": "目标不在授权范围内",
    "no_scopes": "没有可用的授权范围",
    "not_set_up": "服务未配置",
    "task_type_unknown": "任务类型不存在",
    "schedule_not_found": "没有找到定时任务",
    "too_many_schedules": "定时任务过多",
    "webhook_not_found": "没有找到 Webhook",
    "delivery_not_found": "没有找到投递记录",
    "too_many_webhooks": "Webhook 过多",
    "webhook_paused": "Webhook 已暂停",
    "no_result": "任务没有结果",
    "not_found_in_data": "没有找到数据",
    "not_parked": "任务不在等待人工裁定",
    "queue_full": "任务队列已满，请稍后重试",
    "owner_queue_full": "您等待中的任务过多，请稍后重试",
    "key_reused": "Idempotency-Key 已用于另一个请求",
    "transient": "数据暂时无法读取，请稍后重试",
    "task_failed": "数据暂时无法读取，请稍后重试",
    "shutting_down": "服务正在停止，请稍后重试",
    "store_unavailable": "任务存储暂时不可用，请稍后重试",
    "store_too_new": "任务存储暂时不可用，请稍后重试",
    "not_ready": "服务尚未就绪，请稍后重试",
    "authentication_required": "需要有效的访问令牌",
    "token_not_needed": "本服务未启用令牌，请勿发送令牌",
    "only_local": "未设置 TAGAPI_AUTH__TOKENS_FILE，只允许本机访问",
    "bad_host": "缺少有效的 Host 请求头",
    "misdirected": "本服务不响应该主机名：请在 TAGAPI_SERVER__HOSTS 中添加",
    "foreign_origin": "拒绝来自该来源的请求",
    "permission_denied": "没有权限",
    "right_needed": "没有权限：令牌文件中需要 may: [scan]",
    "rate_limited": "错误的访问令牌过多，请稍后重试",
    "tokens_unavailable": "暂时无法验证访问令牌，请稍后重试",
    "not_found": "资源不存在",
    "method_not_allowed": "不支持的请求方法",
    "too_large": "请求体超过 8 MiB",
    "unsupported_media_type": "Content-Type 必须是 application/json",
    "malformed": "请求格式错误",
    "too_slow": "请求发送超时",
    "uri_too_long": "请求行过长",
    "expectation_failed": "无法满足 Expect 请求头",
    "headers_too_large": "请求头过大",
    "not_implemented": "不支持的传输编码",
    "overloaded": "连接过多，请稍后重试",
}
"""Of a problem, by its code."""
OTHER = "请求无法完成"
