"""The interface that reports the progress of a save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Item:
    """One blob of a plan.

    Attributes:
        name: the blob's digest.
        size: its length in bytes.
        image: the short name of the image that it is for, for people; may be empty.
    """

    name: str
    size: int
    image: str = field(default="", compare=False)

    @property
    def short(self) -> str:
        """The first characters of the digest's hexadecimal digits, as docker shows them."""
        return self.name.partition(":")[2][:12] or self.name


class Progress:
    """Ignores the progress of a save; a subclass shows it.

    Methods are called from several threads at a time and must not block for long.
    """

    def resolving(self, done: int, total: int, name: str) -> None:
        """Receive the number of images of a save whose documents are here, and the last one's name."""

    def planned(self, items: Sequence[Item]) -> None:
        """Receive the blobs of the save, each once."""

    def started(self, item: Item) -> None:
        """Receive a blob whose download begins, or that is in the cache."""

    def advanced(self, item: Item, count: int) -> None:
        """Receive the number of new bytes of a blob; negative when it restarts, or when pieces of it are given up."""

    def resumed(self, item: Item, count: int) -> None:
        """Receive the number of a blob's bytes that an earlier attempt has left."""

    def interrupted(self, item: Item, reason: str) -> None:
        """Receive the reason why the download of a blob is interrupted, each time; it is tried again."""

    def failed(self, item: Item) -> None:
        """Receive a blob that is given up while others continue."""

    def finished(self, item: Item, *, cached: bool) -> None:
        """Receive a verified blob; ``cached`` if nothing was downloaded."""
