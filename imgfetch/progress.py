"""The interface that reports the progress of a save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """One blob of a plan.

    Attributes:
        name: the blob's digest.
        size: its length in bytes.
    """

    name: str
    size: int


class Progress:
    """Ignores the progress of a save; a subclass shows it.

    Methods are called from several threads at a time and must not block for long.
    """

    def planned(self, items: Sequence[Item]) -> None:
        """Receive the blobs of the save, each once."""

    def started(self, item: Item) -> None:
        """Receive a blob whose download begins, or that is in the cache."""

    def advanced(self, item: Item, count: int) -> None:
        """Receive the number of new bytes of a blob; negative when its download restarts."""

    def finished(self, item: Item, *, cached: bool) -> None:
        """Receive a verified blob; ``cached`` if nothing was downloaded."""
