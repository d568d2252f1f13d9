"""A small registry on the loopback, for the demo and for answers that no real registry gives.

It serves `Built` images from memory, remembers what it was asked, and gives any other answer to a path that a
test names.  The tests that want a real server start docker-registry instead.
"""

from __future__ import annotations

import fcntl
import select
import socket
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.images import Built

_TLS_HANDSHAKE = 0x16
_MAX_HOLD = 30.0


@dataclass(frozen=True)
class Answer:
    """The response to requests for a path.

    Attributes:
        body: the bytes sent.
        status: the HTTP status.
        headers: further headers; ``Content-Length`` is that of the body unless given, and left out where it is empty.
            A request with HEAD gets the headers alone.
        chunked: send the body in chunks and without a length.
        hold: wait for this in the middle of the body, for `_MAX_HOLD` seconds at most.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False
    hold: threading.Event | None = None


@dataclass(frozen=True)
class Request:
    """A request that was received."""

    path: str
    headers: Mapping[str, str]
    method: str = "GET"
    when: float = field(default_factory=time.monotonic, compare=False)


_NOTHING_MUCH = Answer(b"{}")


class Answering:
    """Gives the answers to paths that a test names, and remembers who asked."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.answers: dict[str, Answer | Callable[[Request], Answer]] = {}
        self.requests: list[Request] = []

    @property
    def paths(self) -> list[str]:
        """The paths asked, in order."""
        return [request.path for request in self.requests]

    @property
    def asked(self) -> list[tuple[str, str]]:
        """The method and the path of each request, in order."""
        return [(request.method, request.path) for request in self.requests]

    @property
    def authorizations(self) -> list[str | None]:
        """The ``Authorization`` of each request."""
        return [request.headers.get("Authorization") for request in self.requests]

    def redirect(self, path: str, target: str) -> None:
        """Send whoever asks for a path elsewhere."""
        self.answers[path] = Answer(status=307, headers={"Location": target})

    def challenge(self, path: str, challenge: str) -> None:
        """Refuse a path with a challenge."""
        self.answers[path] = Answer(status=401, headers={"WWW-Authenticate": challenge})

    def guard(self, path: str, accepted: str, challenge: str, answer: Answer = _NOTHING_MUCH) -> None:
        """Answer a path for an ``Authorization`` header, and challenge all others."""
        refusal = Answer(status=401, headers={"WWW-Authenticate": challenge})
        self.answers[path] = lambda request: answer if request.headers.get("Authorization") == accepted else refusal

    def answer(self, request: Request) -> Answer:
        """Return what a request gets."""
        self.requests.append(request)
        answer = self.answers.get(request.path.partition("?")[0])
        if answer is None:
            code = "MANIFEST_UNKNOWN" if "/manifests/" in request.path else "BLOB_UNKNOWN"
            body = f'{{"errors":[{{"code":"{code}","message":"unknown to registry"}}]}}'.encode()
            return Answer(body, 404, {"Content-Type": "application/json"})
        return answer(request) if callable(answer) else answer


def is_closed(connection: socket.socket) -> bool:
    """Return whether a client that sends nothing more has closed its connection."""
    try:
        return bool(select.select([connection], [], [], 0)[0]) and not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def until_received(connection: socket.socket) -> None:
    """Wait until everything that was sent is in the client's buffer, which it can read after a reset as well."""
    end = time.monotonic() + _MAX_HOLD
    while int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder):
        assert time.monotonic() < end, "the client does not receive"
        time.sleep(0.005)


class Requests:
    """The requests that are being answered, on connections that their clients have not closed.

    Attributes:
        most: the most that there were at a time.
    """

    def __init__(self) -> None:
        self.most = 0
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()

    @contextmanager
    def answering(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            self._connections.append(connection)
            self.most = max(self.most, sum(not is_closed(each) for each in self._connections))
        try:
            yield
        finally:
            with self._lock:
                self._connections.remove(connection)

    def __len__(self) -> int:
        return len(self._connections)


class _Server(ThreadingHTTPServer):
    """A server that counts its connections."""

    connections = 0
    request_queue_size = 128  # a client that connects to a full queue tries again after a second

    def get_request(self) -> tuple[socket.socket, Any]:
        self.connections += 1
        return super().get_request()


class LoopbackServer:
    """A server on a free port of the loopback, to be used in a ``with`` statement."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def connections(self) -> int:
        """The number of connections so far."""
        return self._server.connections

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Loopback(Answering, LoopbackServer):
    """A small registry."""

    def __init__(self) -> None:
        super().__init__(_handler(self))

    def add(self, repository: str, tag: str, built: Built) -> str:
        """Serve an image and return its reference with the tag."""
        self._add_document(repository, tag, built)
        for blob in built.blobs:
            self.answers[f"/v2/{repository}/blobs/{blob.digest}"] = Answer(
                blob.content, headers={"Content-Type": "application/octet-stream"}
            )
        return f"{self.host}/{repository}:{tag}"

    def _add_document(self, repository: str, tag: str, built: Built) -> None:
        headers = {"Content-Type": built.media_type, "Docker-Content-Digest": built.digest}
        for target in (tag, built.digest):
            if target:
                self.answers[f"/v2/{repository}/manifests/{target}"] = Answer(built.raw, headers=headers)
        for child in built.children:
            self._add_document(repository, "", child)


def _handler(registry: Loopback) -> type[BaseHTTPRequestHandler]:  # noqa: C901  # a class of five methods
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        disable_nagle_algorithm = True  # or a body would wait for the acknowledgement of its header

        def handle_one_request(self) -> None:
            # As Go's server does: who speaks TLS to a plain port is told so at once.
            try:
                first = self.connection.recv(1, socket.MSG_PEEK)
            except OSError:
                self.close_connection = True
                return
            if first[:1] == bytes([_TLS_HANDSHAKE]):
                self.connection.recv(65536)  # what is left unread at the end resets the connection
                self.connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                self.close_connection = True
                return
            try:
                super().handle_one_request()
            except OSError:  # the client went away
                self.close_connection = True

        def do_GET(self) -> None:
            answer = registry.answer(Request(self.path, dict(self.headers.items())))
            self._send_head(answer)
            if answer.chunked:
                self._send_chunks(answer.body)
                return
            middle = len(answer.body) // 2 if answer.hold else 0
            self.wfile.write(answer.body[:middle])
            if answer.hold:
                answer.hold.wait(_MAX_HOLD)
            self.wfile.write(answer.body[middle:])

        def do_HEAD(self) -> None:
            self._send_head(registry.answer(Request(self.path, dict(self.headers.items()), "HEAD")))

        def _send_head(self, answer: Answer) -> None:
            self.send_response(answer.status)
            length = str(len(answer.body))
            headers = {"Content-Length": length, **answer.headers}
            if answer.chunked:
                headers |= {"Content-Length": "", "Transfer-Encoding": "chunked"}
            elif headers["Content-Length"] != length:
                self.close_connection = True  # ends without a length, or breaks off
            for name, value in headers.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()

        def _send_chunks(self, body: bytes) -> None:
            for start in range(0, len(body), 1000):
                chunk = body[start : start + 1000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler


@contextmanager
def serving(serve: Callable[[socket.socket], object]) -> Iterator[str]:
    """Leave each connection to a function, one after the other, and yield ``host:port``."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # it was shut down
                return
            with connection, suppress(OSError):
                serve(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(30)
        listener.close()
