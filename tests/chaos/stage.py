"""Who looks on at the platforms: sees each request come, and does what the scene says when its moment is there."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Callable
from urllib.parse import unquote

from tests.chaos.scenes import CANCEL, CHAINS, KILL, NOTHING, Scene, step_of
from tests.platforms.faults import KINDS, LATE, Fault
from tests.platforms.server import Asked

ANY_FAULT = 0.04  # the chance that a request meets a fault that no scene asks for
LATE_SECONDS = 0.7  # well within the time that an unanswered creation is looked for
TAKES_BACK = frozenset(chain.takes_back for chain in CHAINS)
ON_THE_WAY = tuple(kind for kind in KINDS if kind != LATE)
"""What removals meet by chance: one that came late could make untrue what a refusal of the next one has its job say."""
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Stage:
    """The watcher of both platforms' stand-ins. Each trouble of a scene comes once."""

    def __init__(self, chance: random.Random, kill: Callable[[], None], cancel: Callable[[str], None]) -> None:
        """`kill` ends the service, `cancel` asks it to stop a job; both before the request goes on."""
        self.met = threading.Event()
        """The scene is played."""
        self.faults: Counter[str] = Counter()
        """What requests met, by kind."""
        self._chance = chance
        self._do = {KILL: lambda _: kill(), CANCEL: cancel}
        self._lock = threading.Lock()
        self.play(None)

    def play(self, scene: Scene | None) -> None:
        """From now on; None is peace."""
        with self._lock:
            self._scene = scene
            self._owed = {} if scene is None else dict(scene.faults)
            self._cancel_first = None if scene is None else scene.cancel_first
            self._acted = False
            self.met.clear()

    def fault(self, asked: Asked) -> Fault | None:
        with self._lock:
            if self._scene is None:
                return None
            step = step_of(asked)
            kind = self._owed.pop(step, None) if self._cancel_first is None else None
            if kind is not None and not self._owed and self._scene.do == NOTHING:
                self.met.set()
            if kind is None and self._chance.random() < ANY_FAULT:
                kind = self._chance.choice(ON_THE_WAY if step in TAKES_BACK else KINDS)
            self.faults[kind or "none"] += 1
        return Fault(kind, seconds=LATE_SECONDS) if kind else None

    def at(self, moment: str, asked: Asked) -> None:
        scene, what = self._due((moment, step_of(asked)))
        if scene is None:
            return
        found = ID.search(asked.body.decode() + unquote(str(asked.query)))
        self._do[what](found[0] if found else "")
        with self._lock:
            if self._acted and self._scene is scene:
                self.met.set()

    def _due(self, here: tuple[str, str]) -> tuple[Scene | None, str]:
        """The scene, and what it wants done here and now; no scene where that is nothing."""
        with self._lock:
            scene = self._scene
            if scene is None or self._acted:
                return None, NOTHING
            if self._cancel_first is not None:
                if here != self._cancel_first:
                    return None, NOTHING
                self._cancel_first = None
                return scene, CANCEL
            if here != scene.at or self._owed:
                return None, NOTHING
            self._acted = True
            return scene, scene.do
