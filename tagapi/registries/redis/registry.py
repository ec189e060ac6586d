"""Jobs in Redis, or Valkey: several processes and hosts share them, by the server's clock.

How durable an acknowledged job is, the server's configuration decides (`appendonly`,
`appendfsync`): `describe` tells. A server that may evict keys is no place for jobs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from redis import ConnectionError as RedisConnectionError
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from tagapi.jobs.errors import JobNotFound
from tagapi.jobs.lists import Bounds, ListKey, Page, moves, waiting
from tagapi.jobs.model import DEFAULT_LANE, Job, Request
from tagapi.jobs.registry import Changed, IdempotencyKey, JobRegistry
from tagapi.registries.availability import Availability
from tagapi.registries.codec import Decoded, dump_moving, from_micros, micros, places
from tagapi.registries.redis import scripts
from tagapi.registries.redis.admission import TIMEOUT, Admission
from tagapi.registries.redis.names import list_name, list_names, of_lane
from tagapi.registries.redis.outbox import RedisOutbox
from tagapi.registries.redis.schedules import RedisSchedules
from tagapi.registries.versions import check_version

CLOCK_KEPT = 1.0  # seconds: how long the difference to the server's clock is believed
P = scripts.PREFIX


class RedisRegistry(JobRegistry):
    """One round trip for each step; what has to be one step is a script."""

    outbox: RedisOutbox

    def __init__(self, url: str) -> None:
        # Any: the client's annotations allow for text and for asynchronous answers, which are not asked for here.
        self._redis: Any = Redis.from_url(
            url,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            # A connection that the server dropped is made anew at once; scripts are safe to send again.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        )
        self._available = Availability("redis", RedisError, OSError)
        self._decoded = Decoded()
        self._admit_script = self._redis.register_script(scripts.ADMIT)
        self._swap_script = self._redis.register_script(scripts.SWAP)
        self._forget_script = self._redis.register_script(scripts.FORGET)
        self._page_script = self._redis.register_script(scripts.PAGE)
        self._lock_script = self._redis.register_script(scripts.LOCK)
        self._open_script = self._redis.register_script(scripts.OPEN)
        self._opened = False  # what is there is not known to be of a version that this release reads
        self._clock = (0.0, -CLOCK_KEPT)
        """The server's clock less ours, and when that was found, in monotonic seconds."""
        self._admission = Admission(
            lambda: self.now(), self._server_time, self.get_all, self._check_bounds, self._available
        )
        self.outbox = RedisOutbox(lambda: self.now(), self._redis, self._asking, self._admission)
        self.schedules = RedisSchedules(lambda: self.now(), self.get_all, self._redis, self._asking, self._admission)

    @property
    def errors(self) -> int:
        return self._available.errors

    def check(self) -> None:
        self._available.check(self.queued)

    def close(self) -> None:
        self._redis.close()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Around whatever the server is asked. Raises StoreUnavailable, also where what is there is too new."""
        with self._available.asked():
            if not self._opened:
                check_version(int(self._open_script(args=[scripts.SCHEMA_VERSION])), scripts.SCHEMA_VERSION)
                self._opened = True
            yield

    # -- one job ---------------------------------------------------------------------------

    def now(self) -> datetime:
        return self._server_time()

    def _server_time(self) -> datetime:
        ahead, found_at = self._clock
        before = time.monotonic()
        if before - found_at >= CLOCK_KEPT:
            with self._asking():
                seconds, micro = self._redis.time()
            after = time.monotonic()
            ahead = seconds + micro / 1_000_000 - (before + after) / 2
            self._clock = (ahead, after)
        return datetime.fromtimestamp(time.monotonic() + ahead, UTC)

    def get(self, job_id: str) -> Job:
        if found := self.get_all([job_id]):
            return found[0]
        raise JobNotFound(job_id=job_id)

    def get_all(self, job_ids: Sequence[str]) -> Sequence[Job]:
        return self._read([(job_id, None) for job_id in job_ids])

    def id_of(self, number: int) -> str:
        with self._asking():
            found = self._redis.hget(f"{P}ids", str(number))
        if found is None:
            raise JobNotFound(job_id=number)
        return str(found.decode())

    def _read(self, wanted: Sequence[tuple[str, Sequence[bytes] | None]]) -> list[Job]:
        """Jobs by id, each with its number, version and moving part where these are known already; without the lost."""
        known = [self._decoded.request(job_id) for job_id, _ in wanted]
        with self._asking():
            questions = []
            for (job_id, moving), request in zip(wanted, known, strict=True):
                fields = [] if moving else ["number", "version", "moving"]
                fields += [] if request else ["request"]
                if fields:
                    questions.append((f"{P}job:{job_id}", fields))
            answers = iter(self._hmget(questions))
        jobs = []
        for (job_id, moving), request in zip(wanted, known, strict=True):
            read = [*(moving or ()), *([] if moving and request else next(answers))]
            if None not in read:
                request = request or self._decoded.load_request(job_id, read[3])
                jobs.append(self._decoded.load_job(request, int(read[0]), int(read[1]), read[2]))
        return jobs

    def _hmget(self, questions: Sequence[tuple[str, list[str]]]) -> list[list[Any]]:
        if len(questions) == 1:  # much cheaper than a pipeline of one
            return [self._redis.hmget(*questions[0])]
        pipeline = self._redis.pipeline(transaction=False)
        for key, fields in questions:
            pipeline.hmget(key, fields)
        answers: list[list[Any]] = pipeline.execute()
        return answers

    def _admit(self, request: Request, bounds: Bounds, key: IdempotencyKey | None) -> tuple[Job, bool]:
        job, arguments = self._admission.arguments(request, bounds, key)
        while True:
            with self._asking():
                told = self._admit_script(args=arguments)
            if (admitted := self._admission.answer(told, job, bounds)) is not None:
                return admitted

    def _swap(self, before: Job, after: Job) -> bool:
        left, entered = moves(before, after)
        arguments: list[Any] = [before.id, before.number, before.version, after.version, dump_moving(after)]
        arguments += [*_derived(before), list_names(left), *_derived(after), list_names(entered)]
        arguments += [of_lane(after.lane)]
        while True:
            delivered = self.outbox.arguments(before, after)
            with self._asking():
                told = int(self._swap_script(args=[*arguments, *delivered]))
            if told >= 0:
                return bool(told)
            self.outbox.learn()

    def forget(self, job_ids: Iterable[str]) -> None:
        finished = [job for job in self.get_all(list(job_ids)) if job.finished]
        with self._asking():
            pipeline = self._redis.pipeline(transaction=False)
            for job in finished:
                left, _ = moves(job, None)
                _, ended, _ = _derived(job)
                arguments: list[Any] = [job.id, job.number, job.version, ended, list_names(left), of_lane(job.lane)]
                self._forget_script(args=arguments, client=pipeline)
            pipeline.execute()

    # -- many jobs -------------------------------------------------------------------------

    def _next_due(self, now: datetime, lane: str) -> str | None:
        with self._asking():
            first = self._redis.zrange(f"{P}due{of_lane(lane)}", "-inf", micros(now), byscore=True, offset=0, num=1)
        ids = self._ids(first)
        return ids[0] if ids else None

    def next_due_at(self, lane: str = DEFAULT_LANE) -> datetime | None:
        with self._asking():
            first = self._redis.zrange(f"{P}due{of_lane(lane)}", 0, 0, withscores=True)
        return from_micros(int(first[0][1])) if first else None

    def changed(self, after: str | None, limit: int = 1000) -> Changed:
        with self._asking():
            if after is None:
                last = self._redis.xrevrange(f"{P}changes", count=1)
                return Changed(upto=last[0][0].decode() if last else "0-0", job_ids=())
            found = self._redis.xrange(f"{P}changes", min=after, count=limit + 1)
        gap = after != "0-0" and (not found or found[0][0].decode() != after)
        found = [one for one in found if one[0].decode() != after][:limit]
        ids = list(dict.fromkeys(fields[b"id"].decode() for _, fields in reversed(found)))[::-1]
        return Changed(upto=found[-1][0].decode() if found else after, job_ids=ids, gap=gap)

    def _page(self, wanted: Sequence[ListKey], before: int | None, offset: int, limit: int, first: int = 0) -> Page:
        highest, lowest = "+inf" if before is None else f"({before}", str(first) if first else "-inf"
        with self._asking():
            total, *rows = self._page_script(args=[highest, lowest, offset, limit, *map(list_name, wanted)])
        return Page(jobs=self._read([(job_id.decode(), moving) for job_id, *moving in rows]), total=total)

    def _above(self, wanted: Sequence[ListKey], after: int, limit: int) -> Sequence[int]:
        with self._asking(), self._redis.pipeline(transaction=False) as asked:
            for name in map(list_name, wanted):
                asked.zrange(f"{P}list:{name}", f"({after}", "+inf", byscore=True, offset=0, num=limit)
            found = asked.execute()
        return sorted(int(number) for numbers in found for number in numbers)[:limit]

    def active(self) -> Sequence[Job]:
        with self._asking():
            ids = self._redis.smembers(f"{P}active")
        return [job for job in self.get_all([job_id.decode() for job_id in ids]) if job.lease_until is not None]

    def queued(self) -> int:
        with self._asking():
            waits = [self._redis.zcard(f"{P}list:{list_name(key)}") for key in waiting(None)]
        return sum(map(int, waits))

    def finished_before(self, moment: datetime, limit: int, lane: str = DEFAULT_LANE) -> Sequence[str]:
        key, until = f"{P}finished{of_lane(lane)}", f"({micros(moment)}"
        with self._asking():
            old = self._redis.zrange(key, "-inf", until, byscore=True, offset=0, num=limit)
        return self._ids(old)

    def _ids(self, padded: Sequence[bytes]) -> list[str]:
        """The ids of these numbers; without those that went meanwhile."""
        if not padded:
            return []
        with self._asking():
            found = self._redis.hmget(f"{P}ids", [str(int(number)) for number in padded])
        return [job_id.decode() for job_id in found if job_id is not None]

    # -- the store -------------------------------------------------------------------------

    def lock(self, name: str, holder: str, seconds: float) -> bool:
        with self._asking():
            return bool(self._lock_script(args=[name, holder, int(seconds * 1000)]))

    def describe(self) -> Mapping[str, Any]:
        """`appendfsync` is what the server says: always, everysec or no; or `off`, where it keeps no log at all."""
        with self._asking():
            memory, persistence = self._redis.info("memory"), self._redis.info("persistence")
            appendfsync = self._appendfsync() if persistence.get("aof_enabled") else "off"
        policy = str(memory.get("maxmemory_policy", "unknown"))
        return {"kind": "redis", "appendfsync": appendfsync, "maxmemory_policy": policy}

    def _appendfsync(self) -> str:
        try:
            return str(self._redis.config_get("appendfsync")["appendfsync"])
        except (RedisError, KeyError):
            return "unknown"  # some providers forbid the question


def _derived(job: Job) -> list[int | str]:
    """The job's places, as a script takes them: nothing is an empty text."""
    return ["" if place is None else int(place) for place in places(job)]
