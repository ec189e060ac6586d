"""The scope file: read strictly, looked at again every second in which somebody asks, shut while it cannot be used.

    scopes:
      - id: corp
        name: Our own
        domains: [corp.example]
        networks: [198.51.100.0/24]
        exclude: [legacy.corp.example, 198.51.100.7]
        ports: [80, 443, 8000-8010]
        users: [ann]

Whatever is not understood closes every scope: half of a list of what one may touch is no list.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import tldextract
import yaml

from tag_tasks.assets.addresses import Network, never
from tag_tasks.assets.scope import SITE_PORTS, Scope
from tag_tasks.assets.spelling import Misspelt, domain, network

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks at the file; closing is promised within five
MOST_BYTES = 1024 * 1024
WIDEST = {4: 8, 6: 16}  # bits of the prefix: what is wider is nobody's own
LOCAL6 = ip_network("fc00::/7")  # but this, which is for everybody's own
MOST_RANGES = 100
KEYS = {"id", "name", "domains", "networks", "exclude", "ports", "users"}
ID = re.compile(r"\w[\w.-]{0,63}", re.ASCII)
RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
SUFFIXES = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=(), include_psl_private_domains=True)


class ScopeError(Exception):
    """The scope file cannot be used, so nothing may be contacted. The message says where and why."""


class _Loader(yaml.SafeLoader):
    """Without what YAML reads otherwise than people do: the last of two keys, `22:22` as 1342, `0100` as 64."""

    yaml_implicit_resolvers = {
        first: [(tag, shape) for tag, shape in known if tag not in NUMBERS]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [one.value for one, _ in node.value]
        if twice := {one for one in names if isinstance(one, str) and names.count(one) > 1}:
            raise ScopeError(f"line {node.start_mark.line + 1}: {min(twice)} is there twice")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(NUMBERS[0], re.compile(r"(0|[1-9][0-9]*)\Z"), list("0123456789"))

# -- reading -------------------------------------------------------------------------------


def parse(raw: bytes) -> tuple[Scope, ...]:
    """The scopes of a file. Raises ScopeError."""
    try:
        given = yaml.load(raw, Loader=_Loader)  # noqa: S506 (it is a safe one)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ScopeError("is not YAML" + (f": line {mark.line + 1}" if mark else "")) from None
    except (ValueError, RecursionError, TypeError):  # an impossible date, a nesting without end, a list as a key
        raise ScopeError("is not YAML") from None
    if not isinstance(given, dict) or given.keys() != {"scopes"} or not isinstance(given["scopes"], list):
        raise ScopeError("must be {scopes: [...]}, and nothing else")
    scopes = tuple(_scope(f"scopes[{number}]", one) for number, one in enumerate(given["scopes"]))
    if len({one.id for one in scopes}) < len(scopes):
        raise ScopeError("scopes: one id is there twice")
    return scopes


def _scope(where: str, given: Any) -> Scope:
    if not isinstance(given, dict):
        raise ScopeError(f"{where}: must be {{{', '.join(sorted(KEYS))}}}")
    if unknown := given.keys() - KEYS:
        raise ScopeError(f"{where}: unknown: {', '.join(sorted(map(str, unknown)))}")
    key = given.get("id")
    if not isinstance(key, str) or not ID.fullmatch(key):
        raise ScopeError(f"{where}.id: must be 1 to 64 letters, digits and _ . -")
    name = given.get("name", key)
    if not isinstance(name, str) or not 1 <= len(name) <= 128:
        raise ScopeError(f"{where}.name: must be a text of 1 to 128 characters")
    domains = tuple(_own_domain(at, one) for at, one in _texts(where, given, "domains"))
    networks = tuple(_own_network(at, one) for at, one in _texts(where, given, "networks"))
    if not domains and not networks:
        raise ScopeError(f"{where}: has neither domains nor networks")
    left_out = [_excluded(at, one) for at, one in _texts(where, given, "exclude")]
    return Scope(
        id=key,
        name=name,
        domains=domains,
        networks=networks,
        exclude_domains=tuple(one for one in left_out if isinstance(one, str)),
        exclude_networks=tuple(one for one in left_out if not isinstance(one, str)),
        ports=_ports(f"{where}.ports", given["ports"]) if "ports" in given else SITE_PORTS,
        users=_users(f"{where}.users", given["users"]) if "users" in given else None,
    )


def _texts(where: str, given: dict[str, Any], key: str) -> Iterator[tuple[str, str]]:
    """Each text of a list, and its place."""
    listed = given.get(key, [])
    if not isinstance(listed, list):
        raise ScopeError(f"{where}.{key}: must be a list")
    for number, one in enumerate(listed):
        if not isinstance(one, str):
            raise ScopeError(f"{where}.{key}[{number}]: must be a text")
        yield f"{where}.{key}[{number}]", one


def _own_domain(where: str, text: str) -> str:
    found = _domain(where, text)
    if "." not in found or not SUFFIXES(found).domain:
        raise ScopeError(f"{where}: {found} is where others have their domains")
    return found


def _domain(where: str, text: str) -> str:
    try:
        return domain(text)
    except Misspelt as error:
        raise ScopeError(f"{where}: {text!r} {error}") from None


def _own_network(where: str, text: str) -> Network:
    found = _network(where, text)
    if found.prefixlen < WIDEST[found.version] and found != LOCAL6:
        raise ScopeError(f"{where}: {text} is too wide to be one's own")
    if never(found.network_address) and never(found.broadcast_address):
        raise ScopeError(f"{where}: {text} can never be allowed")
    return found


def _network(where: str, text: str) -> Network:
    try:
        return network(text)
    except Misspelt as error:
        raise ScopeError(f"{where}: {text!r} {error}") from None


def _excluded(where: str, text: str) -> str | Network:
    """A domain, or else a network: what has a slash or a colon, or ends in a number."""
    looks_like_network = "/" in text or ":" in text or text.rpartition(".")[2].isdecimal()
    return _network(where, text) if looks_like_network else _domain(where, text)


def _ports(where: str, given: Any) -> frozenset[int]:
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_RANGES:
        raise ScopeError(f"{where}: must be a list of 1 to {MOST_RANGES} ports and ranges such as 8000-8010")
    return frozenset(port for number, one in enumerate(given) for port in _range(f"{where}[{number}]", one))


def _range(where: str, given: Any) -> range:
    first, last = given, given
    if isinstance(given, str) and (found := RANGE.fullmatch(given)):
        first, last = int(found[1]), int(found[2])
    if type(first) is not int or type(last) is not int or not 1 <= first <= last <= 65535:
        raise ScopeError(f"{where}: {given!r} is no port, and no range such as 8000-8010")
    return range(first, last + 1)


def _users(where: str, given: Any) -> frozenset[str]:
    if not isinstance(given, list) or not given or not all(isinstance(one, str) and one for one in given):
        raise ScopeError(f"{where}: must be a list of at least one name")
    return frozenset(given)


# -- watching ------------------------------------------------------------------------------


class ScopeFile:
    """The scopes as the file has them, at most LOOK_SECONDS old. Safe to use from many threads."""

    def __init__(self, path: Path | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Without a path there is no scope, and nothing may be contacted."""
        self._path = path
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._raw: bytes | None = None
        self._scopes: tuple[Scope, ...] | None = None
        self._trouble = "" if path else "there is none: TAGAPI_ASSETS__SCOPE_FILE says where it is"
        self._looked: float | None = None

    def scopes(self) -> Sequence[Scope]:
        """All there are now. Raises ScopeError while the file cannot be used."""
        with self._lock:
            now = self._monotonic()
            if self._path and (self._looked is None or now - self._looked >= LOOK_SECONDS):
                self._looked = now
                self._look(self._path)
            if self._scopes is None:
                raise ScopeError(self._trouble)
            return self._scopes

    def _look(self, path: Path) -> None:
        """Take over what has changed. The content is compared: times and sizes may stay as they were."""
        try:
            raw = _read(path)
            if raw == self._raw:
                return
            self._scopes, self._raw, self._trouble = parse(raw), raw, ""
            log.info("scopes_read", extra={"file": str(path), "scopes": len(self._scopes)})
        except ScopeError as error:
            if str(error) != self._trouble:
                extra = {"file": str(path), "reason": str(error), "consequence": "nothing is contacted"}
                log.error("scopes_unusable", extra=extra)
            self._raw, self._scopes, self._trouble = None, None, str(error)


def _read(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ScopeError("is not a file")
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ScopeError(f"cannot be read: {error.strerror}") from None
    if len(raw) > MOST_BYTES:
        raise ScopeError(f"has more than {MOST_BYTES} bytes")
    return raw
