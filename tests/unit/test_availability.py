"""Whether a store answers: who is let through to it while it does not, and how it is found to be back."""

from __future__ import annotations

import pytest

from tagapi.jobs.errors import StoreUnavailable
from tagapi.registries.availability import Availability
from tests.clock import ManualClock


class Store:
    """Answers, or not."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0
        self.clock = ManualClock()
        self.availability = Availability("test", OSError, monotonic=self.clock.monotonic)

    def ask(self) -> None:
        with self.availability.asked():
            self.asked += 1
            if self.away:
                raise OSError("a text that only the log may have")


def test_a_store_that_answers_is_not_asked_before_every_request() -> None:
    store = Store()
    store.ask()
    store.availability.check(store.ask)
    assert store.asked == 1


def test_the_driver_s_error_goes_no_further() -> None:
    store = Store()
    store.away = True
    with pytest.raises(StoreUnavailable) as told:
        store.ask()
    assert "only the log" not in str(told.value)
    assert isinstance(told.value.__cause__, OSError)


def test_while_it_is_away_one_a_second_asks_and_nobody_slips_through() -> None:
    store = Store()
    store.away = True
    with pytest.raises(StoreUnavailable):
        store.ask()
    for _ in range(24):
        with pytest.raises(StoreUnavailable):
            store.availability.check(store.ask)
        store.clock.advance(0.125)
    assert store.asked == 1 + 3


def test_whoever_asks_finds_it_back() -> None:
    store = Store()
    store.away = True
    with pytest.raises(StoreUnavailable):
        store.ask()
    store.away = False
    store.availability.check(store.ask)
    store.availability.check(store.ask)
    assert store.asked == 2
