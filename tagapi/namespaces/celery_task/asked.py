"""What comes in at the celery_task API: what validates is what documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, post_load, pre_load, validate, validates_schema

from tagapi.namespaces.celery_task.words import STATUS, TYPES
from tagapi.namespaces.fields import ALWAYS, Input, Query, QueryInteger, StrictBoolean, StrictList, StrictText
from tagapi.namespaces.timing import TimingRequest

MOST_NAME, MOST_ECHOED, MOST_QUERY, MOST_KEYWORD = 255, 64, 1000, 256  # characters
MOST_TARGET = 1_000_000  # characters of a list of targets
MOST_CUSTOM = 2000  # characters of a list of ports
MOST_REVOKED = 1000
LEAST_SECONDS = 21_600
"""Between two runs of a monitor."""
STATUSES = tuple(dict.fromkeys(STATUS.values()))
KINDS = ("domains", "addresses", "sites", "certificates", "findings", "leaks", "wih", "pages")
ASSETS = KINDS[:-1]
FLAGS: Mapping[str, str] = {
    "domain_brute": "用字典查找子域名",
    "alt_dns": "对已发现的名称做变体",
    "port_scan": "TCP 端口扫描",
    "ssl_cert": "获取证书",
    "service_detection": "读取服务横幅",
    "find_site": "查找站点",
    "site_identify": "识别站点：标题、状态、指纹",
    "site_spider": "爬取站点，深度 2，遵守 robots.txt",
    "web_info_hunter": "读取站点脚本",
}
NOT_OFFERED = {
    "service_brute",
    "brute_config",
    "poc_config",
    "poc_run",
    "file_leak",
    "site_capture",
    "nuclei_scan",
    "npoc_service_detection",
    "host_collision",
    "skip_scan_cdn_ip",
    "fuzz",
}
"""Options of other products that ask for guessing, fuzzing or exploits."""

TARGET, QUERY, KEYWORD, SCOPE, TASK, OPTIONS, SCHEDULE = (
    "target",
    "query",
    "keyword",
    "scope_id",
    "task_id",
    "options",
    "schedule",
)
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "domain_task": (TARGET,),
    "ip_task": (TARGET,),
    "run_risk_cruising": (TARGET,),
    "domain_task_sync_task": (TASK, SCOPE),
    "fofa_task": (QUERY,),
    "domain_exec_task": (SCOPE,),
    "ip_exec_task": (SCOPE,),
    "github_task_task": (KEYWORD,),
    "github_task_monitor": (KEYWORD,),
    "asset_site_update": (SCOPE,),
    "add_asset_site_task": (TARGET, SCOPE),
    "asset_wih_update": (SCOPE,),
}
"""What the data of a type has to have."""
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "domain_task": (OPTIONS,),
    "ip_task": (OPTIONS,),
    "fofa_task": (OPTIONS,),
    "domain_exec_task": (TARGET, OPTIONS, SCHEDULE),
    "ip_exec_task": (TARGET, OPTIONS, SCHEDULE),
    "github_task_monitor": (SCHEDULE,),
    "asset_site_update": (SCHEDULE,),
    "asset_wih_update": (SCHEDULE,),
}
"""What it may have beside."""


def _flag(text: str) -> StrictBoolean:
    return StrictBoolean(load_default=False, metadata={"description": text})


def _choice(default: str, *values: str) -> StrictText:
    error = f"must be one of: {', '.join(values)}"
    return StrictText(load_default=default, validate=validate.OneOf(values, error=error))


def _text(most: int, least: int = 1, **more: Any) -> StrictText:
    return StrictText(
        load_default=None,
        allow_none=True,
        validate=validate.Length(least, most, error=f"must be {least} to {most} characters long"),
        metadata={"x-nullable": True, **more},
    )


class TaskOptions(Input):
    domain_brute = _flag(FLAGS["domain_brute"])
    domain_brute_type = _choice("small", "test", "small", "big")
    alt_dns = _flag(FLAGS["alt_dns"])
    port_scan = _flag(FLAGS["port_scan"])
    port_scan_type = _choice("test", "test", "top100", "top1000", "custom")
    port_custom = StrictText(
        load_default="",
        validate=validate.Length(0, MOST_CUSTOM, error=f"must be at most {MOST_CUSTOM} characters long"),
        metadata={"description": "如 80,443,8000-8010"},
    )
    ssl_cert = _flag(FLAGS["ssl_cert"])
    service_detection = _flag(FLAGS["service_detection"])
    find_site = _flag(FLAGS["find_site"])
    site_identify = _flag(FLAGS["site_identify"])
    site_spider = _flag(FLAGS["site_spider"])
    web_info_hunter = _flag(FLAGS["web_info_hunter"])

    example = {"domain_brute": True, "domain_brute_type": "small", "port_scan": True, "site_identify": True}

    @pre_load
    def _refuse(self, given: Any, **_: Any) -> Any:
        if isinstance(given, dict):
            for name in given:
                if name in NOT_OFFERED:
                    raise ValidationError("is not offered: nothing here guesses, fuzzes or exploits", name)
        return given

    @validates_schema
    def _ports_where_custom(self, values: dict[str, Any], **_: Any) -> None:
        if (values["port_scan_type"] == "custom") != bool(values["port_custom"]):
            raise ValidationError("goes with port_scan_type custom, which needs it", "port_custom")


class TaskData(Input):
    name = StrictText(
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, MOST_NAME, error=f"must be 1 to {MOST_NAME} characters long"),
        metadata={"description": "任务名称", "x-nullable": True},
    )
    target = _text(MOST_TARGET, description="域名、IP、网段或 URL，以空格、逗号或换行分隔")
    type = _text(MOST_ECHOED, 0, description="原样返回")
    task_tag = _text(MOST_ECHOED, 0, description="原样返回")
    options = fields.Nested(TaskOptions, load_default=None, allow_none=True, metadata={"x-nullable": True})
    scope_id = _text(MOST_ECHOED, description="授权范围")
    task_id = _text(MOST_ECHOED, description="已完成任务的 celery_id 或 task_id")
    query = _text(MOST_QUERY, description="Fofa 查询语句")
    keyword = _text(MOST_KEYWORD, description="Github 关键字")
    schedule = fields.Nested(TimingRequest, load_default=None, allow_none=True, metadata={"x-nullable": True})

    example = {
        "name": "示例域名任务",
        "target": "example.com",
        "type": "domain",
        "task_tag": "task",
        "options": TaskOptions.example,
    }


class CreateTaskRequest(Input):
    task_type = StrictText(
        required=True,
        validate=validate.OneOf(list(TYPES), error=f"must be one of: {', '.join(TYPES)}"),
        metadata={"description": "任务类型"},
    )
    data = fields.Nested(TaskData, required=True, error_messages={**ALWAYS})

    example = {"task_type": "domain_task", "data": TaskData.example}

    @validates_schema(skip_on_field_errors=True)
    def _fits(self, values: dict[str, Any], **_: Any) -> None:
        kind, data = values["task_type"], values["data"]
        for name in REQUIRED[kind]:
            if data[name] is None:
                raise ValidationError({"data": {name: ["is required"]}})
        known = {"name", "type", "task_tag", *REQUIRED[kind], *ALLOWED.get(kind, ())}
        for name, value in data.items():
            if value is not None and name not in known:
                raise ValidationError({"data": {name: [f"is not for {kind}"]}})

    @post_load
    def _of_the_type(self, values: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Nothing but what the type has, and the options whole."""
        kind, data = values["task_type"], values["data"]
        known = ("name", "type", "task_tag", *REQUIRED[kind], *ALLOWED.get(kind, ()))
        told = {name: data[name] for name in known}
        if OPTIONS in told and told[OPTIONS] is None:
            told[OPTIONS] = TaskOptions().load({})
        return {"task_type": kind, "data": {**told, "name": told["name"] or TYPES[kind]}}


class CeleryTasksQuery(Query):
    celery_id = fields.String(load_default=None, metadata={"description": "Celery任务ID"})
    status = fields.String(
        load_default=None, validate=validate.OneOf(STATUSES, error=f"must be one of: {', '.join(STATUSES)}")
    )
    task_type = fields.String(
        load_default=None, validate=validate.OneOf(list(TYPES), error=f"must be one of: {', '.join(TYPES)}")
    )
    page = QueryInteger(load_default=1, validate=validate.Range(1, 10**6, error="must be 1 to 1000000"))
    size = QueryInteger(load_default=10, validate=validate.Range(1, 100, error="must be 1 to 100"))


class PageQuery(Query):
    page = QueryInteger(load_default=1, validate=validate.Range(1, 10**6, error="must be 1 to 1000000"))
    size = QueryInteger(load_default=10, validate=validate.Range(1, 100, error="must be 1 to 100"))


class FoundQuery(PageQuery):
    kind = fields.String(
        load_default=None,
        validate=validate.OneOf(KINDS, error=f"must be one of: {', '.join(KINDS)}"),
        metadata={"description": "only what is of this kind"},
    )


class AssetsQuery(PageQuery):
    scope_id = fields.String(load_default=None, metadata={"description": "needed but for leaks, which are your own"})


class RevokeRequest(Input):
    celery_id = StrictText(required=True, metadata={"description": "Celery任务ID"})
    terminate = StrictBoolean(load_default=True, metadata={"description": "false: only where it waits"})

    example = {"celery_id": "c6a1e0b3-5263-4d8c-ae38-f5c4f9ad7c32", "terminate": True}


class BatchRevokeRequest(Input):
    celery_ids = StrictList(
        StrictText(),
        required=True,
        validate=validate.Length(1, MOST_REVOKED, error=f"must name 1 to {MOST_REVOKED} tasks"),
        metadata={"description": "Celery任务ID列表"},
    )
    terminate = StrictBoolean(load_default=True, metadata={"description": "false: only where they wait"})

    example = {"celery_ids": ["c6a1e0b3-5263-4d8c-ae38-f5c4f9ad7c32", "d7b2f1c4-6374-5e9d-bf49-a6d5a0be8d43"]}
