"""The body of a request, which can be sent several times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

OCTETS = "application/octet-stream"


class Body(NamedTuple):
    """Content to send.

    Attributes:
        size: its length in bytes, which the pieces must have together.
        content: returns the content anew, in small pieces if it is long, because a timeout applies to each of them.
        media_type: its ``Content-Type``.
        content_range: its place in a blob, as ``first-last``, if that is to be told.
        patience: the seconds by which the response may come later than others, while the server stores the content.
    """

    size: int
    content: Callable[[], bytes | Iterator[bytes]]
    media_type: str = OCTETS
    content_range: str = ""
    patience: float = 0

    @property
    def headers(self) -> dict[str, str]:
        """The headers that describe it."""
        place = {"Content-Range": self.content_range} if self.content_range else {}
        return {"Content-Type": self.media_type, "Content-Length": str(self.size), **place}
