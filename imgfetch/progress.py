"""Whom to tell how far we are."""

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
    """Is told how far a save is, and does nothing about it; a subclass shows it.

    Methods are called from several threads at a time and must not block for long.
    """

    def planned(self, items: Sequence[Item]) -> None:
        """Take the blobs to come, each once."""

    def started(self, item: Item) -> None:
        """A blob's first byte is asked for."""

    def advanced(self, item: Item, count: int) -> None:
        """Take note of ``count`` more bytes of a blob; of fewer, where some have to be fetched again."""

    def finished(self, item: Item, *, cached: bool) -> None:
        """A blob is verified; it was ``cached`` if nothing was fetched for it."""
