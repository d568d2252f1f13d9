"""Mirrors that are fast, slow or silent, or that break, as a test chooses."""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

from imgfetch.registry.connections import PieceLimits
from imgfetch.registry.server import LIMITS
from tests.images import Built
from tests.loopback import LoopbackServer, Requests

HURRIED = LIMITS._replace(first_byte=0.5, upstream=2.0, interval=0.2, slow=2_000_000, slow_for=0.5, worth=0.1)
"""Limits with which tests need not wait long."""
PATIENT = HURRIED._replace(upstream=30.0, interval=10.0, slow=100_000, slow_for=30.0)
"""Limits for mirrors that are as fast as a busy machine lets them be, and may be silent."""
PIECEMEAL = HURRIED._replace(
    pieces=PieceLimits(
        large=500_000,
        shared=400_000,
        tail=0.05,
        alone=0.05,
        worth=0.05,
        seconds=0.2,
        least=32_000,
        most=100_000,
        judged=1.0,
        silent=0.3,
        lost=0.8,
    )
)
"""The same, with which small layers come in pieces."""
_STEP = 16 * 1024
_LONGEST = 60.0


class MirrorServer(LoopbackServer):
    """A registry of one image.

    Attributes:
        rate: bytes a second of all answers together.
        is_silent: take requests and say nothing until the client goes away.
        lasts: bytes of blobs after which it is silent, or broken if `breaks`.
        breaks: break connections instead of being silent.
        lies: change the bytes of layers.
        is_private: ask for a login.
        status: the status of all answers, if there is one.
        requests: the path and the first byte of each request, in order.
        sent: bytes of blobs that were sent.
        answering: the requests that are being answered; several servers may share it.
        authorizations: the ``Authorization`` headers that came.
    """

    def __init__(
        self,
        built: Built,
        *,
        rate: float = 1e9,
        is_silent: bool = False,
        lasts: float = 1e18,
        breaks: bool = False,
        lies: bool = False,
        is_private: bool = False,
        status: int = 0,
    ) -> None:
        super().__init__(_handler(self))
        self.rate = rate
        self.is_silent = is_silent
        self.lasts = lasts
        self.breaks = breaks
        self.is_private = is_private
        self.status = status
        self.requests: list[tuple[str, int]] = []
        self.authorizations: list[str] = []
        self.sent = 0
        self.answering = Requests()
        self.contents = {blob.digest: blob.content for blob in built.blobs}
        if lies:
            self.contents |= {blob.digest: bytes(len(blob.content)) for blob in built.layers}
        self.documents = dict.fromkeys(("1", built.digest), (built.raw, built.media_type))
        self.lock = threading.Lock()
        self._free = 0.0

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def blobs(self) -> list[tuple[str, int]]:
        """The digest and first byte of each request for a blob."""
        return [(path.rpartition("/")[2], start) for path, start in self.requests if "/blobs/" in path]

    def pace(self, size: int) -> None:
        """Wait until so many bytes may be sent."""
        with self.lock:
            self.sent += size
            self._free = max(self._free, time.monotonic()) + size / self.rate
            wait = self._free - time.monotonic()
        if wait > 0:
            time.sleep(wait)


def _handler(mirror: MirrorServer) -> type[BaseHTTPRequestHandler]:  # noqa: C901  # a class of small methods
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _LONGEST

        def handle(self) -> None:
            with suppress(OSError):
                super().handle()

        def do_GET(self) -> None:
            match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(match[1]) if match else 0
            with mirror.lock:
                mirror.requests.append((self.path, start))
                mirror.authorizations.append(self.headers.get("Authorization", ""))
            try:
                with mirror.answering.answering(self.connection):
                    self._answer(self.path.rpartition("/")[2], start)
            except OSError:  # the client went away
                self.close_connection = True

        def _answer(self, name: str, start: int) -> None:
            if mirror.is_silent:
                self._end()
            elif mirror.status:
                self._head(mirror.status, 0)
            elif mirror.is_private and not self.headers.get("Authorization"):
                self._head(401, 0, extra={"WWW-Authenticate": 'Basic realm="r"'})
            elif name in mirror.documents:
                self._head(200, len(mirror.documents[name][0]), mirror.documents[name][1])
                self.wfile.write(mirror.documents[name][0])
            elif name in mirror.contents:
                self._blob(mirror.contents[name], start)
            else:
                self._head(404, 0)

        def _blob(self, content: bytes, start: int) -> None:
            if mirror.sent >= mirror.lasts:
                self._end()
                return
            extra = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
            self._head(206 if start else 200, len(content) - start, "application/octet-stream", extra)
            for at in range(start, len(content), _STEP):
                if mirror.sent >= mirror.lasts:
                    self._end()
                    return
                piece = content[at : at + _STEP]
                mirror.pace(len(piece))
                self.wfile.write(piece)

        def _end(self) -> None:
            """Say no more, or break the connection."""
            self.close_connection = True
            if mirror.breaks:
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self.connection.settimeout(_LONGEST)
                self.connection.recv(1)  # until the client goes away

        def _head(self, status: int, length: int, media_type: str = "", extra: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": media_type, "Content-Length": str(length), **(extra or {})}.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler
