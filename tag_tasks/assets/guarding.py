"""What every guard of a process shares: the scope file, the limits, the name servers, and what is never contacted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tag_tasks.assets.addresses import Address
from tag_tasks.assets.guard import TARGET_SECONDS, Guard
from tag_tasks.assets.guard.gate import scopes_of
from tag_tasks.assets.guard.names import Names
from tag_tasks.assets.guard.pages import MOST_BODY
from tag_tasks.assets.limits import Limits
from tag_tasks.assets.refused import Refusal
from tag_tasks.assets.scope import Own, Scope
from tag_tasks.assets.scope_file import ScopeFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Guarding:
    """Safe to use from many threads: what a job changes is its guard's own."""

    scope_file: ScopeFile
    limits: Limits = field(default_factory=Limits)
    nameservers: Sequence[tuple[Address, int]] = ()
    """None are those of the system."""
    own: Callable[[], Sequence[Own]] = tuple
    """The sockets at which this service listens now."""
    seconds: float = TARGET_SECONDS
    most_body: int = MOST_BODY

    def scopes(self, user: str | None, scope_id: str | None = None) -> Callable[[], Sequence[Scope]]:
        """What a job may work in at each moment: all scopes that its user sees, or one of them.

        `user` is None for one who sees every scope. Raises ScopeError when it is asked.
        """
        return scopes_of(self.scope_file, None if scope_id is None else [scope_id], user)

    def open(self, scopes: Callable[[], Sequence[Scope]], record: Callable[[Refusal], None]) -> Guard:
        """The guard of one job. To be called on its loop."""
        return Guard(
            scopes=scopes,
            limits=self.limits,
            record=record,
            names=Names(self.nameservers),
            own=self.own,
            seconds=self.seconds,
            most_body=self.most_body,
        )
