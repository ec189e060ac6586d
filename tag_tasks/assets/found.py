"""What a job finds, as rows: of one of a few kinds, with a key that says when two of them are the same thing.

Facts are what JSON can hold. Whatever came from a target is text of somebody else's: it is cut to a length, and what
looks like a secret is masked before it comes here.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tag_tasks.assets.addresses import Address
from tag_tasks.assets.refused import Refusal
from tag_tasks.assets.secrets import masked, masked_url
from tag_tasks.assets.spelling import written

MOST_TEXT = 1024  # characters of a fact


class Kind(enum.StrEnum):
    """The kinds of rows, in the order in which they are told."""

    DOMAINS = "domains"
    """A name that resolves."""
    ADDRESSES = "addresses"
    """An address, or an address with a port that is open, and what speaks there."""
    SITES = "sites"
    """A URL that answers: scheme, host and port."""
    CERTIFICATES = "certificates"
    """What a TLS handshake shows, at one host and port."""
    FINDINGS = "findings"
    """Something to look at: a check that did not pass; and what was refused or left out."""
    LEAKS = "leaks"
    """A place in a public repository."""
    WIH = "wih"
    """What the scripts of a site give away."""
    PAGES = "pages"
    """A page that a site links to. They stay with the job: no scope keeps them."""


KEPT = tuple(kind for kind in Kind if kind is not Kind.PAGES)
"""The kinds that there are assets of."""

REFUSED, SKIPPED = "refused", "skipped"
"""The checks of findings that say what a job did not do. They are the job's alone, and no assets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A row. Two of the same kind and key are the same thing, whatever their facts say."""

    kind: Kind
    key: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    """None of them is a `kind` or a `key`, nor what is told of an asset: they are told side by side."""


def domain(name: str, addresses: Sequence[Address], aliases: Sequence[str], source: str) -> Found:
    """`source` is how it was found: given, brute, alt, certificate or page."""
    facts = {"name": name, "addresses": [str(one) for one in addresses], "aliases": [*aliases], "source": source}
    return Found(kind=Kind.DOMAINS, key=name, facts=facts)


def address(at: Address, port: int | None = None, **facts: Any) -> Found:
    """`facts` may be `names`, `service`, `product`, `version`, `banner`, `tls` (its version), and `guessed`, where the
    service is what is usual at the port."""
    key = str(at) if port is None else f"{written(at)}:{port}"
    return Found(kind=Kind.ADDRESSES, key=key, facts={"address": str(at), "port": port, **facts})


def site(url: str, **facts: Any) -> Found:
    """`url` as `scheme://host[:port]/`. `facts` may be `status`, `title`, `server`, `favicon`, `fingerprints`, …"""
    return Found(kind=Kind.SITES, key=url, facts={"url": url, **facts})


def certificate(where: str, sha256: str, **facts: Any) -> Found:
    """`where` is a host with its port; `facts` are those of `probes.reading.Certificate`, `address` and `tls`."""
    return Found(kind=Kind.CERTIFICATES, key=f"{where} {sha256}", facts={"where": where, "sha256": sha256, **facts})


def finding(check: str, where: str, severity: str, evidence: str, advice: str) -> Found:
    """`check` is a stable word, `severity` one of info, low, medium and high."""
    facts = {"check": check, "where": where, "severity": severity, "evidence": cut(evidence), "advice": advice}
    return Found(kind=Kind.FINDINGS, key=_key(check, where, evidence), facts=facts)


def leak(repository: str, path: str, url: str, snippet: str, keyword: str) -> Found:
    facts = {"repository": repository, "path": path, "url": url, "snippet": snippet, "keyword": keyword}
    return Found(kind=Kind.LEAKS, key=_key(keyword, repository, path), facts=facts)


def wih(site: str, sort: str, value: str, script: str) -> Found:
    """`sort` is name, endpoint, address or secret; `script` the URL in which the value stands."""
    facts = {"site": site, "sort": sort, "value": cut(value), "script": script}
    return Found(kind=Kind.WIH, key=_key(site, sort, value), facts=facts)


def page(url: str, site: str, status: int, title: str | None) -> Found:
    return Found(kind=Kind.PAGES, key=url, facts={"url": url, "site": site, "status": status, "title": title})


def refusal(told: Refusal) -> Found:
    """What was not contacted, and why."""
    at = "" if told.address is None else f" ({told.address})"
    return finding(REFUSED, cut(masked_url(told.what)), "info", f"{told.why.value}{at}", "")


def skipped(what: str, reason: str) -> Found:
    """What was left out, or did not answer."""
    return finding(SKIPPED, cut(masked_url(what)), "info", masked(reason), "")


def cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"


def _key(*parts: str) -> str:
    """A short key of long parts."""
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
