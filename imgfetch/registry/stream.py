"""A blob on its way from a place, which is counted, and can be left for a faster place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from imgfetch.errors import TransportError
from imgfetch.oci.source import Body
from imgfetch.registry.server import Server


class LeftError(TransportError):
    """The download is left for a faster place."""


class Stream:
    """A body of which the first bytes have arrived; another thread may read the rest.

    Attributes:
        is_left: called with the number of bytes so far; if it returns ``True``, the download ends with a `LeftError`.
    """

    def __init__(self, body: Body, server: Server) -> None:
        """Wait for the first bytes."""
        self.is_left: Callable[[int], bool] = lambda _: False
        self.codings = body.codings
        self.name = body.name
        self.start = body.start
        self._server = server
        self._rest = body.chunks(sys.maxsize)
        self._first = next(self._rest, b"")  # not measured: a mirror may have to get the blob itself

    def chunks(self, limit: int) -> Iterator[bytes]:
        """Yield at most ``limit`` bytes."""
        chunk, count = self._first, 0
        self._server.count(len(chunk))
        while chunk:
            yield chunk[: limit - count]
            count += len(chunk)
            if count >= limit:
                return
            if self.is_left(self.start + count):
                raise LeftError(f"left {self._server.name} for a faster source")
            with self._server.wait() as received:
                chunk = next(self._rest, b"")
                received(len(chunk))
