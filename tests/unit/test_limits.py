"""How much is done at once, and how fast: on a manual clock, and from several loops."""

from __future__ import annotations

import asyncio
import threading
from ipaddress import ip_address

import pytest

from tag_tasks.assets.limits import IDLE_KEPT, Limits, Places
from tests.clock import ManualClock
from tests.unit.fakes import PATIENCE

HERE, THERE = ip_address("10.1.0.1"), ip_address("10.1.0.2")


class Slow:
    """Limits on a manual clock, which sleeping moves."""

    def __init__(self, **more: float) -> None:
        self.clock = ManualClock()
        self.slept: list[float] = []
        self.limits = Limits(monotonic=self.clock.monotonic, sleep=self.sleep, **more)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_so_many_have_a_place_and_who_came_first_is_next() -> None:
    async def scene() -> list[int]:
        places, order, go = Places(2), [], asyncio.Event()

        async def work(number: int) -> None:
            async with places.one():
                order.append(number)
                await go.wait()

        working = [asyncio.create_task(work(number)) for number in range(5)]
        await turns()
        assert order == [0, 1] and places.taken == 2
        go.set()
        await asyncio.gather(*working)
        assert places.taken == 0
        return order

    assert asyncio.run(scene()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("granted", [False, True])
def test_who_leaves_while_waiting_takes_no_place_along(granted: bool) -> None:
    async def scene() -> None:
        places, go = Places(1), asyncio.Event()

        async def work() -> None:
            async with places.one():
                await go.wait()

        first, second, third = [asyncio.create_task(work()) for _ in range(3)]
        await turns()
        if granted:
            first.cancel()
            await asyncio.sleep(0)  # the place is given to the second, who has not heard of it
        second.cancel()
        go.set()
        await asyncio.gather(first, second, return_exceptions=True)
        await third
        assert second.cancelled() and places.taken == 0

    asyncio.run(scene())


def test_places_are_shared_by_the_loops_of_all_threads() -> None:
    places, most, lock = Places(3), 0, threading.Lock()

    async def work() -> None:
        nonlocal most
        async with places.one():
            with lock:
                most = max(most, places.taken)
            await asyncio.sleep(0)

    async def scene() -> None:
        await asyncio.gather(*(work() for _ in range(200)))

    threads = [threading.Thread(target=asyncio.run, args=(scene(),), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert (most, places.taken) == (3, 0)


def test_a_place_is_not_given_to_a_loop_that_is_closed() -> None:
    places = Places(1)

    async def wait() -> None:
        await asyncio.wait_for(places.take(), PATIENCE)

    async def scene() -> None:
        async with places.one():
            gone = asyncio.new_event_loop()
            waiting = gone.create_task(places.take())
            gone_thread = threading.Thread(target=gone.run_until_complete, args=(asyncio.sleep(0),))
            gone_thread.start()
            gone_thread.join()
            gone.close()
            waiting._log_destroy_pending = False  # type: ignore[attr-defined]
        await wait()

    asyncio.run(scene())


def test_connections_to_an_address_begin_so_many_a_second_and_others_are_not_kept() -> None:
    slow = Slow(per_second=200)

    async def scene() -> None:
        for address in (HERE, HERE, HERE, THERE, ip_address("::ffff:10.1.0.1")):
            async with slow.limits.place(address):
                pass

    asyncio.run(scene())
    assert slow.slept == [0.005, 0.01, 0.015]


def test_an_address_has_so_many_connections_and_the_process_so_many_sockets() -> None:
    async def scene() -> None:
        limits, go, inside = Limits(sockets=5, per_address=2, per_second=None), asyncio.Event(), []

        async def work(last: int) -> None:
            async with limits.place(ip_address(f"10.1.0.{last}")):
                inside.append(last)
                await go.wait()

        working = [asyncio.create_task(work(last)) for last in (1, 1, 1, 2, 2, 3, 3)]
        await turns()
        assert inside == [1, 1, 2, 2, 3] and limits.sockets.taken == 5
        go.set()
        await asyncio.gather(*working)
        assert sorted(inside) == [1, 1, 1, 2, 2, 3, 3] and limits.sockets.taken == 0

    asyncio.run(scene())


def test_addresses_that_are_done_with_are_forgotten() -> None:
    slow = Slow()

    async def scene() -> None:
        for number in range(5 * IDLE_KEPT):
            slow.clock.advance(1)
            async with slow.limits.place(ip_address(number)):
                pass

    asyncio.run(scene())
    assert len(slow.limits._paces) <= IDLE_KEPT
