"""Whether a job may be begun: what it names is understood, and lies in scopes that its user sees.

The guard asks all of that again of each connection; here it is asked so that nothing is accepted that could only be
refused. What comes in has a valid shape already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tag_tasks.assets.connects import MOST_CONNECTS
from tag_tasks.assets.guarding import Guarding
from tag_tasks.assets.options import Options
from tag_tasks.assets.probes.names import most_candidates
from tag_tasks.assets.probes.ports import BadPorts, ports_of
from tag_tasks.assets.scope import Scope
from tag_tasks.assets.scope_file import ScopeError
from tag_tasks.assets.targets import BadTarget, Block, Domain, Single, Target, size, target_refusal, targets
from tag_tasks.assets.urls import Url
from tagapi.jobs.errors import Unusable
from tagapi.jobs.model import Json

TARGETS: Mapping[str, tuple[type, ...]] = {
    "domain_task": (Domain,),
    "ip_task": (Single, Block),
    "run_risk_cruising": (Domain, Single, Block, Url),
    "domain_exec_task": (Domain,),
    "ip_exec_task": (Single, Block),
    "add_asset_site_task": (Domain, Single, Url),
}
"""What may be named as a target, of the tasks that take some."""
NAMES_BELOW = frozenset({"domain_task", "domain_exec_task"})
"""Those that look for names below their targets."""
MOST_NAMES = 500_000  # to ask name servers for, in one job: more would not end within its time
KINDS: Mapping[type, str] = {Domain: "a domain", Single: "an address", Block: "a network", Url: "a URL"}


class OutOfScope(Unusable):
    message = "{field}: {target} is in no scope that you may use: {why}"
    code = "target_out_of_scope"


class NoScopes(Unusable):
    message = "{field}: no scope can be used: the scope file {reason}"
    code = "no_scopes"


class NotSetUp(Unusable):
    message = "{field}: {setting} is not set"
    code = "not_set_up"


class AssetOrders:
    """Safe to use from many threads."""

    def __init__(self, guarding: Guarding, missing: Mapping[str, str]) -> None:
        """`missing` has the settings that are not set, of the task types that cannot do without."""
        self._guarding = guarding
        self._missing = missing

    def scopes(self, user: str | None) -> Sequence[Scope]:
        """Those that a user sees; None sees all. Raises NoScopes."""
        return self._scopes(user, None, "scope_id")

    def arguments(self, task_type: str, data: Json, user: str | None) -> dict[str, Any]:
        """What the task is told. Raises Unusable, of which OutOfScope, NoScopes and NotSetUp are kinds."""
        if (setting := self._missing.get(task_type)) is not None:
            raise NotSetUp(field="task_type", setting=setting)
        scope_id = data.get("scope_id")
        if scope_id is not None and not self._scopes(user, scope_id, "data.scope_id"):
            raise Unusable(field="data.scope_id", reason="there is no such scope")
        told = {**data, "user": user}
        if task_type in TARGETS:
            self._check_targets(task_type, data, self._scopes(user, scope_id, "data.target"))
        elif task_type == "fofa_task":
            _ports(data)
            self._scopes(user, None, "data.query")
        return told

    def _scopes(self, user: str | None, scope_id: str | None, field: str) -> Sequence[Scope]:
        try:
            return self._guarding.scopes(user, scope_id)()
        except ScopeError as error:
            raise NoScopes(field=field, reason=str(error)) from None

    def _check_targets(self, task_type: str, data: Json, scopes: Sequence[Scope]) -> None:
        named = data["target"]
        found = targets_in(task_type, named) if named is not None else whole(task_type, scopes)
        if not found:
            raise Unusable(field="data.target", reason="names no target" if named is not None else "is required here")
        for target in found if named is not None else ():
            if (why := target_refusal(scopes, target)) is not None:
                raise OutOfScope(field="data.target", target=text_of(target), why=why.value)
        if task_type in NAMES_BELOW:
            self._check_names(found, data)
        ports = _ports(data)
        if Options.of(data.get("options") or {}).port_scan and ports:
            connects = sum(map(size, found)) * len(ports)
            if connects > MOST_CONNECTS:
                reason = f"{connects} ports of all addresses are too many: there may be {MOST_CONNECTS}"
                raise Unusable(field="data.target", reason=reason)

    @staticmethod
    def _check_names(found: Sequence[Target], data: Json) -> None:
        domains = [one.name for one in found if isinstance(one, Domain)]
        names = most_candidates(domains, Options.of(data.get("options") or {}))
        if names > MOST_NAMES:
            raise Unusable(
                field="data.target", reason=f"{names} names to ask for are too many: there may be {MOST_NAMES}"
            )


def targets_in(task_type: str, text: str) -> Sequence[Target]:
    """The targets that a text names. Raises Unusable, naming the one that is none."""
    kinds = TARGETS[task_type]
    try:
        found = targets(text, urls=Url in kinds)
    except BadTarget as error:
        raise Unusable(field="data.target", reason=str(error)) from None
    for target in found:
        if not isinstance(target, kinds):
            asked = " or ".join(KINDS[kind] for kind in kinds)
            raise Unusable(field="data.target", reason=f"{text_of(target)!r} is not {asked}")
    return found


def whole(task_type: str, scopes: Sequence[Scope]) -> Sequence[Target]:
    """All that the scopes name, of the kind that the task takes. Raises Unusable where that is too much."""
    if Domain in TARGETS[task_type]:
        return [Domain(name) for scope in scopes for name in scope.domains]
    networks = [network for scope in scopes for network in scope.networks]
    # As text, so that it is bounded as what people write.
    return targets_in(task_type, " ".join(map(str, networks)))


def text_of(target: Target) -> str:
    """As people write it."""
    if isinstance(target, Domain):
        return target.name
    if isinstance(target, Single):
        return str(target.address)
    return str(target.network if isinstance(target, Block) else target)


def _ports(data: Json) -> Sequence[int]:
    """The ports that the options mean. Raises Unusable."""
    options = Options.of(data.get("options") or {})
    try:
        return ports_of(options) if options.port_scan else ()
    except BadPorts as error:
        raise Unusable(field="data.options.port_custom", reason=str(error)) from None
