"""One's own assets over HTTP: every type of task against a small internet of which all is known, by the service itself.

What is found has to be what was planted; what lies outside of the scope must never be contacted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.assets_client import ROOT, pages
from tests.e2e.conftest import served
from tests.e2e.server import Server, until
from tests.internet.lab import KEY, OUTSIDE, SHOP, WWW, ZONE, Lab, site

EVERYTHING = {
    "domain_brute": True,
    "ssl_cert": True,
    "site_identify": True,
    "site_spider": True,
    "web_info_hunter": True,
}
THERE = {"corp.example", "www.corp.example", "shop.corp.example", "api.corp.example", "dev.corp.example"}
TAUGHT = {"hidden-9.corp.example", "secret-api.corp.example"}
"""Names that no word list has: one is in a certificate, one in a script."""
PATIENCE = 90.0  # seconds, for one task on a busy machine


class Company:
    """A service, and the internet of those who run it."""

    def __init__(self, server: Server, lab: Lab) -> None:
        self.server = server
        self.lab = lab

    def begin(self, task_type: str, **data: Any) -> str:
        told = self.server.post(f"{ROOT}/", {"task_type": task_type, "data": data})
        assert told.status_code == 200, told.text
        return str(told.json()["data"]["celery_id"])

    def status(self, celery_id: str) -> dict[str, Any]:
        status: dict[str, Any] = self.server.read(f"{ROOT}/{celery_id}/")["data"]
        return status

    def finish(self, celery_id: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            seen = self.status(celery_id)
            return seen if seen["status"] in ("SUCCESS", "FAILURE", "REVOKED") else None

        return until(look, f"{celery_id} ends", PATIENCE) or {}

    def run(self, task_type: str, **data: Any) -> dict[str, Any]:
        """The status of a task that succeeds."""
        told = self.finish(self.begin(task_type, **data))
        assert told["status"] == "SUCCESS", (told.get("error"), told)
        return told

    def pages(self, path: str, **asked: Any) -> list[dict[str, Any]]:
        """All rows, page by page."""
        return pages(self.server, f"{path}/", **asked)

    def found(self, told: dict[str, Any], kind: str) -> list[dict[str, Any]]:
        return self.pages(f"{told['celery_id']}/result", kind=kind)

    def assets(self, kind: str) -> list[dict[str, Any]]:
        return self.pages(f"assets/{kind}", scope_id="corp")

    def refused(self, told: dict[str, Any]) -> set[str]:
        return {one["where"] for one in self.found(told, "findings") if one["check"] == "refused"}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("company")
    with Lab() as lab:
        variables = lab.settings(folder / "scope.yaml")
        variables |= {"TAGAPI_ASSETS__TARGET_SECONDS": "2", "TAGAPI_ASSETS__PER_SECOND": "0"}
        for server in served(Server(folder, variables)):
            yield Company(server, lab)
        assert not [at for at, _ in lab.accepted if at == OUTSIDE], "nothing outside is contacted, whatever was asked"
        told = "".join(path.read_text("utf-8") for path in folder.rglob("*.log*"))
        for secret in (KEY, variables["TAGAPI_FOFA__KEY"], variables["TAGAPI_GITHUB__TOKEN"]):
            assert secret not in told


@pytest.fixture(scope="module")
def surveyed(company: Company) -> dict[str, Any]:
    """A domain task with everything that there is."""
    return company.run("domain_task", name="all of it", target="corp.example", options=EVERYTHING)


# -- domains -------------------------------------------------------------------------------


def test_every_planted_name_is_found_and_nothing_else(company: Company, surveyed: dict[str, Any]) -> None:
    found = {row["name"]: row["source"] for row in company.found(surveyed, "domains")}
    assert set(found) == THERE | TAUGHT | {"mail.corp.example"}
    assert found["corp.example"] == "given" and found["www.corp.example"] == "brute"
    assert found["hidden-9.corp.example"] == "certificate" and found["secret-api.corp.example"] == "page"


def test_every_site_is_found_with_its_title(company: Company, surveyed: dict[str, Any]) -> None:
    sites = {row["url"]: row for row in company.found(surveyed, "sites")}
    http, https = company.lab.plain.port, company.lab.secure.port
    titles = {"www.corp.example": "Corp & Söhne", "shop.corp.example": "The shop", "api.corp.example": "API"}
    for name, title in titles.items():
        for url in (f"http://{name}:{http}/", f"https://{name}:{https}/"):
            assert sites[url]["title"] == title and sites[url]["status"] == 200
            assert sites[url]["server"] == "nginx/1.25.3"
    assert f"https://secret-api.corp.example:{https}/" in sites
    assert not [url for url in sites if "mail" in url or "legacy" in url or "dev" in url]


def test_certificates_and_what_scripts_give_away_are_told_and_secrets_masked(
    company: Company, surveyed: dict[str, Any]
) -> None:
    shown = company.found(surveyed, "certificates")
    assert shown and all(row["key"] == f"{row['where']} {row['sha256']}" for row in shown)
    wih = company.found(surveyed, "wih")
    values = {(row["sort"], row["value"]) for row in wih}
    assert ("name", "secret-api.corp.example") in values
    assert any(sort == "endpoint" and "/api/v2/users" in value for sort, value in values)
    secrets = [value for sort, value in values if sort == "secret"]
    assert secrets and all(value.startswith("AKIA") for value in secrets)
    assert KEY not in json.dumps(company.pages(f"{surveyed['celery_id']}/result"))


def test_what_was_refused_is_a_finding(company: Company, surveyed: dict[str, Any]) -> None:
    refused = company.refused(surveyed)
    assert any("mail.corp.example" in where for where in refused)
    assert not [at for at, _ in company.lab.accepted if at == OUTSIDE]


def test_phases_and_a_statistic_are_told(company: Company, surveyed: dict[str, Any]) -> None:
    names = [one["name"] for one in surveyed["service"]]
    assert names[0] == "domain_brute" and {"ssl_cert", "find_site", "site_spider", "web_info_hunter"} <= set(names)
    assert all(one["seconds"] >= 0 for one in surveyed["service"])
    statistic = surveyed["statistic"]
    assert statistic["domain_cnt"] == len(THERE | TAUGHT) + 1
    assert statistic["site_cnt"] == len(company.found(surveyed, "sites"))
    total = company.server.read(f"{ROOT}/{surveyed['celery_id']}/result/")["data"]["total"]
    assert total == sum(statistic.values())
    assert statistic["vuln_cnt"] == 0 < statistic["refused_cnt"], "nobody looked for weaknesses"
    assert statistic["refused_cnt"] == len(company.refused(surveyed))


# -- addresses, Fofa, GitHub, risks ---------------------------------------------------------


def test_open_ports_and_services_are_found(company: Company) -> None:
    ports = f"{company.lab.ssh},{company.lab.plain.port},{company.lab.secure.port},1"
    options = {"port_scan": True, "port_scan_type": "custom", "port_custom": ports, "service_detection": True}
    told = company.run("ip_task", target=f"{WWW}, {SHOP}", options={**options, "ssl_cert": True, "find_site": True})
    found = {(row["address"], row["port"]): row for row in company.found(told, "addresses")}
    http, https, ssh = company.lab.plain.port, company.lab.secure.port, company.lab.ssh
    assert set(found) == {(WWW, http), (WWW, https), (SHOP, http), (SHOP, https), (SHOP, ssh)}
    assert found[SHOP, ssh]["service"] == "ssh" and "OpenSSH_9.6p1" in found[SHOP, ssh]["banner"]
    assert {row["where"] for row in company.found(told, "certificates")} == {f"{WWW}:{https}", f"{SHOP}:{https}"}
    assert {row["url"] for row in company.found(told, "sites")} >= {f"http://{WWW}:{http}/", f"https://{SHOP}:{https}/"}


def test_what_fofa_knows_is_scanned_inside_of_the_scope_alone(company: Company) -> None:
    told = company.run("fofa_task", query='domain="corp.example"', options={"find_site": True})
    assert {row["url"] for row in company.found(told, "sites")} == {
        f"http://{SHOP}:{company.lab.plain.port}/",
        f"https://{SHOP}:{company.lab.secure.port}/",
    }
    assert any(OUTSIDE in where for where in company.refused(told))


def test_leaks_are_masked_and_a_monitor_tells_each_once(company: Company) -> None:
    told = company.run("github_task_task", keyword="corp.example")
    (leak,) = company.found(told, "leaks")
    assert (leak["repository"], leak["path"]) == ("somebody/tools", "deploy.sh")
    assert KEY not in json.dumps(leak) and "AKIA" in leak["snippet"]
    first = company.run("github_task_monitor", keyword="corp.example")
    assert first["new"] == {"leaks": 1}
    assert company.run("github_task_monitor", keyword="corp.example")["new"] == {}
    assert [row["path"] for row in company.pages("assets/leaks")] == ["deploy.sh"]


def test_risks_are_found_by_looking_alone(company: Company) -> None:
    told = company.run("run_risk_cruising", target=f"http://shop.corp.example:{company.lab.plain.port}/")
    checks = {row["check"]: row for row in company.found(told, "findings")}
    assert any("cookie" in check for check in checks), checks
    for row in checks.values():
        if row["check"] not in ("refused", "skipped"):
            assert row["severity"] in ("info", "low", "medium", "high") and row["evidence"] and row["advice"]


# -- assets --------------------------------------------------------------------------------


def test_a_sync_takes_over_what_is_new_and_a_second_one_nothing(company: Company, surveyed: dict[str, Any]) -> None:
    asked = {"task_id": surveyed["task_id"], "scope_id": "corp"}
    first = company.run("domain_task_sync_task", **asked)
    assert first["new"]["domains"] == len(THERE | TAUGHT) + 1
    names = [row["name"] for row in company.assets("domains")]
    assert sorted(names) == sorted(THERE | TAUGHT | {"mail.corp.example"})
    assert company.run("domain_task_sync_task", **asked)["new"] == {}
    assert [row["name"] for row in company.assets("domains")] == names


def test_a_monitor_tells_only_what_was_added_since(company: Company, surveyed: dict[str, Any]) -> None:
    options = {"domain_brute": True, "domain_brute_type": "test", "site_identify": True}
    company.run("domain_exec_task", scope_id="corp", options=options)
    again = company.run("domain_exec_task", scope_id="corp", options=options)
    assert again["new"] == {}, again
    ZONE["blog.corp.example"] = {"A": [WWW]}
    try:
        third = company.run("domain_exec_task", scope_id="corp", options={**options, "domain_brute_type": "small"})
    finally:
        del ZONE["blog.corp.example"]
    assert "blog.corp.example" in {row["name"] for row in company.found(third, "domains")}
    assert not THERE & {row["name"] for row in company.found(third, "domains")}
    assert {row["url"] for row in company.found(third, "sites")} >= {
        f"http://blog.corp.example:{company.lab.plain.port}/"
    }


def test_sites_that_change_or_go_are_told(company: Company) -> None:
    http, sites = company.lab.plain.port, company.lab.plain.sites
    urls = [f"http://{name}:{http}/" for name in ("shop.corp.example", "api.corp.example", "www.corp.example")]
    company.run("add_asset_site_task", scope_id="corp", target=" ".join(urls))
    assert {row["url"] for row in company.assets("sites")} >= set(urls)
    assert company.run("add_asset_site_task", scope_id="corp", target=urls[0])["new"] == {}
    company.run("asset_site_update", scope_id="corp")
    before, gone = dict(sites), ZONE.pop("api.corp.example")
    assert isinstance(sites, dict)
    sites["shop.corp.example"] = site("A new shop")
    try:
        told = company.run("asset_site_update", scope_id="corp")
    finally:
        sites.update(before)
        ZONE["api.corp.example"] = gone
    rows = {row["url"]: row for row in company.assets("sites")}
    assert rows[urls[0]]["title"] == "A new shop" and not rows[urls[0]].get("gone")
    assert rows[urls[1]]["gone"] is True
    assert told["changed"]["sites"] >= 1 and told["gone"]["sites"] >= 1, told
    back = company.run("asset_site_update", scope_id="corp")
    assert not {row["url"]: row for row in company.assets("sites")}[urls[1]].get("gone"), back


def test_the_scripts_of_known_sites_tell_what_is_new_once(company: Company) -> None:
    url = f"http://shop.corp.example:{company.lab.plain.port}/"
    company.run("add_asset_site_task", scope_id="corp", target=url)
    company.run("asset_wih_update", scope_id="corp")
    assert "secret-api.corp.example" in {row["value"] for row in company.assets("wih")}
    assert company.run("asset_wih_update", scope_id="corp")["new"] == {}
    assert KEY not in json.dumps(company.assets("wih"))


# -- ends ----------------------------------------------------------------------------------


def test_a_cancel_stops_within_a_second_with_every_socket_closed(company: Company) -> None:
    slow = f"http://dev.corp.example:{company.lab.plain.port}/"
    celery_id = company.begin("run_risk_cruising", target=slow)
    until(lambda: company.lab.plain.open, "the tarpit is contacted")
    began = time.monotonic()
    told = company.server.delete(f"{ROOT}/{celery_id}/")
    assert told.status_code == 200, told.text
    assert time.monotonic() - began < 1.5
    until(lambda: not company.lab.plain.open, "every socket is closed", 2)
    assert company.status(celery_id)["status"] == "REVOKED"
    assert company.server.get(f"{ROOT}/{celery_id}/result/").status_code == 409


@pytest.mark.parametrize("target", ["evil.test", "corp.example evil.test", "legacy.corp.example"])
def test_a_target_outside_is_refused_by_its_name(company: Company, target: str) -> None:
    told = company.server.post(f"{ROOT}/", {"task_type": "domain_task", "data": {"target": target}})
    assert told.status_code == 400
    assert told.json()["message"] == "目标不在授权范围内"
    assert target.split()[-1] in told.json()["data"]["reason"]


@pytest.mark.parametrize(
    ("task_type", "data", "field"),
    [
        ("ip_task", {"target": "127.1.0.1/8"}, "data.target"),
        ("ip_task", {"target": "corp.example"}, "data.target"),
        ("ip_task", {"target": "0177.1.0.1"}, "data.target"),
        ("ip_task", {"target": "8.8.8.8"}, "data.target"),
        ("domain_task", {"target": "127.1.0.1"}, "data.target"),
        ("run_risk_cruising", {"target": "ftp://corp.example/"}, "data.target"),
        ("run_risk_cruising", {"target": "http://ann@corp.example/"}, "data.target"),
        ("asset_site_update", {"scope_id": "other"}, "data.scope_id"),
        (
            "ip_task",
            {
                "target": "127.1.0.0/24",
                "options": {"port_scan": True, "port_scan_type": "custom", "port_custom": "1-65535"},
            },
            "data.target",
        ),
        (
            "domain_task",
            {
                "target": " ".join(f"n{n}.corp.example" for n in range(101)),
                "options": {"domain_brute": True, "domain_brute_type": "big"},
            },
            "data.target",
        ),
    ],
)
def test_what_cannot_be_scanned_is_refused(company: Company, task_type: str, data: dict[str, Any], field: str) -> None:
    told = company.server.post(f"{ROOT}/", {"task_type": task_type, "data": data})
    assert (told.status_code, told.json()["data"]["field"]) == (400, field), told.text


def test_that_nothing_was_asked_for_is_said(company: Company) -> None:
    assert "未启用任何选项" in company.run("ip_task", target=SHOP)["message"]


def test_a_broken_scope_file_closes_every_scope(company: Company, tmp_path: Path) -> None:
    path = Path(company.server.folder / "scope.yaml")
    good = path.read_text()
    slow = f"http://dev.corp.example:{company.lab.plain.port}/"
    try:
        celery_id = company.begin("run_risk_cruising", target=f"{slow} {slow}x")
        until(lambda: company.lab.plain.open, "the tarpit is contacted")
        path.write_text("scopes: [")
        until(lambda: not company.lab.plain.open, "what was open is closed", 5)
        ended = company.finish(celery_id)
        assert ended["status"] == "FAILURE" and "授权范围" in ended["error"], "half of a scan is no success"
        body = {"task_type": "domain_task", "data": {"target": "corp.example"}}

        def refused() -> bool:
            told = company.server.post(f"{ROOT}/", body)
            if told.status_code == 200:
                company.server.delete(f"{ROOT}/{told.json()['data']['celery_id']}/")
            return told.status_code == 400 and told.json()["message"] == "没有可用的授权范围"

        until(refused, "no target is in any scope", 5)
    finally:
        path.write_text(good)
    until(lambda: company.server.read(f"{ROOT}/scopes/")["data"]["scopes"], "the scope is back", 5)
    assert [one["id"] for one in company.server.read(f"{ROOT}/scopes/")["data"]["scopes"]] == ["corp"]
