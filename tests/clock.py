"""A clock that stands still until a test moves it: for a registry and for a runner alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2024, 2, 29, 23, 59, tzinfo=UTC)


class ManualClock:
    """`now` is what a registry asks for, `monotonic` what a runner asks for."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds
