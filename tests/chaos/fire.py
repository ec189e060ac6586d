"""Lives of a service that publishes: scene after scene, and a new life after each death."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil
import requests

from tests.chaos.failpoints import KILL as KILL_ALL
from tests.chaos.failpoints import KILL_WORKER, Order
from tests.chaos.ground import Say
from tests.chaos.process import ChaosServer
from tests.chaos.publications import TASKS, Publications
from tests.chaos.scenes import CANCEL, KILL, NOTHING, Scene
from tests.chaos.stage import Stage
from tests.e2e.server import Late, until

MEET_SECONDS = 12.0  # in which somebody comes by where the scene waits
TRIES = 5  # each with further publications
SOON = 1.5  # seconds: a random moment lies before this
NEWEST = 8  # jobs, one of which is cancelled at random: older ones have ended
BUSY = 16  # jobs; with more of them the next scene waits a while
BUSY_SECONDS = 10.0
SAY_EVERY = 20  # scenes
END_SECONDS = 240.0  # for everything that was accepted, in the end: attempts to undo come ever slower


class Fire:
    """One service under fire, on both platforms at once."""

    def __init__(self, start: Callable[[], ChaosServer], chance: random.Random, say: Say) -> None:
        self.stage = Stage(random.Random(chance.random()), self._kill, self._cancel)
        self.publications = Publications()
        self.kills: Counter[str] = Counter()
        self.played: Counter[str] = Counter()
        self.missed: list[str] = []
        self._start = start
        self.server = start()
        self._chance = chance
        self._say = say
        self._whole_group = True
        self._dead: int | None = None
        """The worker that a scene killed."""

    def run(self, scenes: Sequence[Scene], each: int) -> None:
        """Play the scenes, with so many publications on each platform spread over them; more where one is missed."""
        self.server.wait_alive()
        for number, scene in enumerate(scenes):
            self._play(scene, each * (number + 1) // len(scenes) - each * number // len(scenes))
            if (number + 1) % SAY_EVERY == 0:
                self._say(f"{number + 1} scenes, {self.kills.total()} kills, {len(self.publications.jobs)} sent")
        self._end()

    # -- a scene ---------------------------------------------------------------------------

    def _play(self, scene: Scene, publications: int) -> None:
        self._wait_for_room()
        for attempt in range(TRIES):
            self._whole_group, self._dead = self._chance.random() < 0.5, None
            self.stage.play(scene)
            if scene.note is not None:
                self.server.orders.place(Order(scene.note, do=KILL_ALL if self._whole_group else KILL_WORKER))
            self._publish(0 if attempt else publications)
            if attempt or not publications:
                self.publications.send(self.server, scene.platform)
            if self._met(scene):
                self.played[scene.do] += 1
                return
            self.server.orders.place(None)
        self.missed.append(str(scene))

    def _publish(self, count: int) -> None:
        for _ in range(count):
            for platform in ("meta", "google"):
                self.publications.send(self.server, platform)

    def _met(self, scene: Scene) -> bool:
        """Wait until the scene is played; where it was a death, until the service lives again."""
        if scene.note is not None:
            return self._met_note(scene.note)
        if scene.do != NOTHING and scene.at is None:
            self._at_random(scene)
        elif not self.stage.met.wait(MEET_SECONDS):
            return False
        if scene.do == KILL:
            self._count(scene.at[1] if scene.at else "at random")
            self._live_again()
        elif scene.do == CANCEL:
            self.publications.hear()
        return True

    def _met_note(self, note: str) -> bool:
        try:
            self._dead = self.server.obeyed(MEET_SECONDS)
        except Late:
            return False
        self._count(note)
        self._live_again()
        return True

    def _at_random(self, scene: Scene) -> None:
        time.sleep(self._chance.uniform(0.0, SOON))
        known = [job for job in self.publications.jobs.values() if job is not None]
        if scene.do == KILL:
            self._kill()
        elif known:
            self._cancel(self._chance.choice(known[-NEWEST:]))

    # -- what scenes do --------------------------------------------------------------------

    def _kill(self) -> None:
        worker = self.server.workers()[0].pid
        if self._whole_group:
            os.killpg(self.server.pid, signal.SIGKILL)
        else:
            os.kill(worker, signal.SIGKILL)
        self._dead = worker

    def _cancel(self, job: str) -> None:
        self.publications.cancel(self.server.url, job)

    def _count(self, where: str) -> None:
        self.kills[where if self._whole_group else f"{where} (worker)"] += 1

    def _live_again(self) -> None:
        """After the whole group another service is started; after its worker, the launcher starts another."""
        assert self._dead is not None
        if self._whole_group:
            self.server.kill()
            self.server = self._start()
            self.server.wait_alive()
        else:
            until(self._another_worker, "another worker answers", 60.0)
        self.publications.send_again(self.server)

    def _another_worker(self) -> bool:
        with suppress(psutil.NoSuchProcess):
            return all(one.pid != self._dead for one in self.server.workers()) and self.server.answers()
        return False

    # -- between scenes, and in the end ----------------------------------------------------

    def _wait_for_room(self) -> None:
        with suppress(Late):
            until(lambda: self._open() <= BUSY, "there is room", BUSY_SECONDS, every=0.1)

    def _open(self) -> int:
        with suppress(requests.RequestException, AssertionError):
            return int(self.server.read(TASKS, active="true", page_size=1)["total"])
        return BUSY + 1

    def _end(self) -> None:
        """In peace: whatever was accepted has to end now."""
        self.stage.play(None)
        self.publications.hear()
        until(lambda: self.publications.send_again(self.server), "everything is acknowledged", every=0.2)
        with suppress(Late):  # then the verdict names what is stuck
            until(lambda: self._open() == 0, "every job ends", END_SECONDS, every=0.2)
