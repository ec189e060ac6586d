"""What a job of `celery_task.zh.md` may be told to do, beside its targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

BRUTE_TYPES = ("test", "small", "big")
PORT_TYPES = ("test", "top100", "top1000", "custom")


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Nothing is done that was not asked for."""

    domain_brute: bool = False
    """Try the names of a word list."""
    domain_brute_type: str = "small"
    alt_dns: bool = False
    """Try variations of the names that were found."""
    port_scan: bool = False
    port_scan_type: str = "test"
    port_custom: str = ""
    """Such as `80,443,8000-8010`, where the type is custom."""
    ssl_cert: bool = False
    """Look at the certificates."""
    service_detection: bool = False
    """Read what services say first."""
    find_site: bool = False
    site_identify: bool = False
    """Title, status, server, favicon, fingerprints. Finds the sites, too."""
    site_spider: bool = False
    web_info_hunter: bool = False
    """Read the scripts of the sites."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """Of a job's arguments, which are valid."""
        return cls(**given)

    @property
    def sites(self) -> bool:
        """Whether sites are looked for."""
        return self.find_site or self.site_identify or self.site_spider or self.web_info_hunter


FLAGS = tuple(one.name for one in fields(Options) if one.default is False)
"""The options that are yes or no."""
