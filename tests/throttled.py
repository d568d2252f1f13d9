"""A registry that honours ranges, counts what it sends, and sends no faster than it is told.

A pull has to last for a while if it is to be ended at many points of it; a real registry on the loopback is too fast.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

from tests.images import Built
from tests.loopback import LoopbackServer, Requests

_STEP = 16 * 1024


class Throttled(LoopbackServer):
    """A small registry.

    Attributes:
        rate: bytes a second for each answer.
        sent: bytes of bodies that were sent, or tried to be.
        blobs: the digests asked for, in order, each with the first byte that was wanted.
        sending: the blobs that are being sent.
    """

    def __init__(self, rate: float) -> None:
        super().__init__(_handler(self))
        self.rate = rate
        self.sent = 0
        self.blobs: list[tuple[str, int]] = []
        self.sending = Requests()
        self.documents: dict[str, tuple[bytes, str]] = {}
        self.contents: dict[str, bytes] = {}
        self.lock = threading.Lock()

    def add(self, repository: str, tag: str, built: Built) -> str:
        """Serve an image manifest and return its reference with the tag."""
        for target in (tag, built.digest):
            self.documents[f"/v2/{repository}/manifests/{target}"] = built.raw, built.media_type
        self.contents |= {blob.digest: blob.content for blob in built.blobs}
        return f"{self.host}/{repository}:{tag}"


def _handler(registry: Throttled) -> type[BaseHTTPRequestHandler]:  # noqa: C901  # a class of five methods
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def handle(self) -> None:
            with suppress(ConnectionError):  # the client was ended
                super().handle()

        def do_GET(self) -> None:
            digest = self.path.rpartition("/blobs/")[2]
            try:
                if digest in registry.contents:
                    self._blob(digest, registry.contents[digest])
                elif self.path in registry.documents:
                    self._send(200, *registry.documents[self.path])
                else:
                    self._send(404, b"", "text/plain")
            except OSError:  # the client was ended
                self.close_connection = True

        def _blob(self, digest: str, content: bytes) -> None:
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            start, last = (int(match[1]), int(match[2] or len(content) - 1)) if match else (0, len(content) - 1)
            with registry.lock:
                registry.blobs.append((digest, start))
            extra = {"Content-Range": f"bytes {start}-{last}/{len(content)}"} if match else {}
            with registry.sending.answering(self.connection):
                self._send(206 if match else 200, content[start : last + 1], "application/octet-stream", extra)

        def _send(self, status: int, body: bytes, media_type: str, extra: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": media_type, "Content-Length": len(body), **(extra or {})}.items():
                self.send_header(name, str(value))
            self.end_headers()
            for at in range(0, len(body), _STEP):
                piece = body[at : at + _STEP]
                self.wfile.write(piece)
                with registry.lock:
                    registry.sent += len(piece)
                time.sleep(len(piece) / registry.rate)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler
