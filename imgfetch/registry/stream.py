"""A blob on its way from a place, which is counted, and can be left for a faster place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from imgfetch.errors import TransportError
from imgfetch.oci.source import Body, Paced
from imgfetch.registry.server import Server


class LeftError(TransportError):
    """The download is left for a faster place."""


class AloneError(LeftError):
    """The rest of the blob is requested from the same place, over one connection."""


class MixedError(AloneError):
    """The pieces of a blob do not fit together; all of it is requested over one connection."""


class Stream:
    """A body of which the first bytes have arrived; another thread may read the rest.

    Attributes:
        is_left: called with the number of bytes so far; if it returns ``True``, the download ends with a `LeftError`.
        close: closes the response.
        pause: waits until a rate limit allows more bytes, so that reading them does not have to.
    """

    def __init__(self, body: Body, server: Server, close: Callable[[], None] = lambda: None) -> None:
        """Wait for the first bytes."""
        self.is_left: Callable[[int], bool] = lambda _: False
        self.close = close
        self.codings = body.codings
        self.name = body.name
        self.start = body.start
        self._server = server
        self.pause: Callable[[], object] = body.pause if isinstance(body, Paced) else lambda: None
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
            self.check(self.start + count)
            self.pause()  # not measured: our own limit does not make a server slow
            with self._server.wait() as received:
                chunk = next(self._rest, b"")
                received(len(chunk))

    def check(self, position: int) -> None:
        """Raise a `LeftError` if the blob's bytes from ``position`` on are to come from a faster place."""
        if self.is_left(position):
            raise LeftError(f"left {self._server.name} for a faster source")
