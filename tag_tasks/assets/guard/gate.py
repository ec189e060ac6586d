"""Whether something may be contacted now: asked of the scopes each time, and each refusal recorded."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import NoReturn

from tag_tasks.assets.addresses import Address, judged
from tag_tasks.assets.refused import Refusal, refused
from tag_tasks.assets.scope import Asked, Own, Scope, Why, name_refusal, refusal
from tag_tasks.assets.scope_file import ScopeError, ScopeFile

MOST_KNOWN = 1024  # addresses whose judgement is kept


def scopes_of(file: ScopeFile, ids: Sequence[str] | None, user: str | None) -> Callable[[], Sequence[Scope]]:
    """What a job may work in, as the file has it at each moment; `ids` is None for all that there are, `user` for one
    who sees every scope."""

    def now() -> Sequence[Scope]:
        return [one for one in file.scopes() if (ids is None or one.id in ids) and (user is None or one.open_to(user))]

    return now


class Gate:
    """Judges for one job."""

    def __init__(
        self, scopes: Callable[[], Sequence[Scope]], own: Callable[[], Sequence[Own]], record: Callable[[Refusal], None]
    ) -> None:
        """`scopes` may raise ScopeError; `own` says at which sockets this service listens now."""
        self._scopes = scopes
        self._own = own
        self._record = record
        self._judged_by: tuple[Scope, ...] = ()
        self._judgements: dict[Address, Why | None] = {}
        """Of addresses that stand for themselves, by these scopes."""
        self.shut = True
        """Before the job's work has begun, and after it has ended: then nothing may be contacted."""

    def check(self, asked: Asked, what: object) -> None:
        """Raises Refused, where this address may not be connected to. `what` is what it is for, as people read it."""
        if (why := self.judge(asked)) is not None:
            self.refuse(str(what), str(asked.address), why)

    def check_name(self, name: str) -> None:
        """Raises Refused, where the name servers may not be asked for this name."""
        try:
            why = Why.CLOSED if self.shut else name_refusal(self._scopes(), name)
        except ScopeError:
            why = Why.CLOSED
        if why is not None:
            self.refuse(name, None, why)

    def check_aliases(self, name: str, aliases: Sequence[str]) -> None:
        """Raises Refused, where the name leads over one that is excluded."""
        try:
            excluded = any(scope.excludes(alias) for scope in self._scopes() for alias in aliases)
        except ScopeError:
            self.refuse(name, None, Why.CLOSED)
        if excluded:
            self.refuse(name, None, Why.EXCLUDED)

    def judge(self, asked: Asked) -> Why | None:
        """Why this may not be connected to now; None where it may."""
        if self.shut:
            return Why.CLOSED
        own = [one for one in self._own() if one.port == asked.port]
        if own:
            here = is_here(asked.address)
            if any(one.meets(asked.address, asked.port, here) for one in own):
                return Why.OWN
        try:
            scopes = self._scopes()
        except ScopeError:
            return Why.CLOSED
        return self._known(tuple(scopes), asked) if asked.name is None else refusal(scopes, asked)

    def _known(self, scopes: tuple[Scope, ...], asked: Asked) -> Why | None:
        """An address without a name is judged once for all its ports, and anew by scopes that are not the same."""
        if scopes != self._judged_by or len(self._judgements) >= MOST_KNOWN:
            self._judged_by = scopes
            self._judgements.clear()
        try:
            return self._judgements[asked.address]
        except KeyError:
            why = self._judgements[asked.address] = refusal(scopes, asked)
            return why

    def refuse(self, what: str, address: str | None, why: Why) -> NoReturn:
        told = Refusal(what, address, why)
        self._record(told)
        raise refused(told)


def is_here(address: Address) -> bool:
    """Whether the address is one of this machine's: one can listen there. Nothing is sent to find that out."""
    one = judged(address)
    family = socket.AF_INET if one.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.bind((str(one), 0))
    except OSError:
        return False
    return True
