"""What a file is written to."""

from __future__ import annotations

from typing import Protocol


class Target(Protocol):
    """Takes bytes from the beginning to the end, and never goes back."""

    def write(self, data: bytes | memoryview) -> int:
        """Add these bytes; answers with their number."""

    def flush(self) -> None:
        """Nothing is to be kept back."""

    @property
    def closed(self) -> bool:
        """Whether the end was reached."""
