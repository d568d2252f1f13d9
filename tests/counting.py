"""A proxy that counts the bytes that a client sends to a server, and can end the client at any of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_PIECE = 65536


class CountingProxy:
    """A proxy for TCP in front of a server on the loopback.

    Attributes:
        host: where it listens.
        sent: the bytes that went to the server.
        limit: the number of bytes after which nothing more is forwarded, and `reached` is called.
        reached: ends the client.
    """

    def __init__(self, server: str) -> None:
        name, _, port = server.rpartition(":")
        self._server = name, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self.sent = 0
        self.limit: int | None = None
        self.reached: Callable[[], object] = lambda: None

    def run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # it was closed
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _connect(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(self._server) as server:
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()
            while piece := client.recv(_PIECE):
                allowed, is_over = self._allowed(len(piece))
                server.sendall(piece[:allowed])
                if is_over:
                    return

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while piece := server.recv(_PIECE):
                client.sendall(piece)
            client.shutdown(socket.SHUT_RDWR)

    def _allowed(self, count: int) -> tuple[int, bool]:
        """Count bytes; return the number that may be forwarded, and whether the limit is reached."""
        with self._lock:
            if self.limit is None:
                self.sent += count
                return count, False
            allowed = min(count, self.limit)
            self.limit -= allowed
            self.sent += allowed
            is_over = self.limit == 0
            if is_over:
                self.reached()
            return allowed, is_over


@contextmanager
def counting(server: str) -> Iterator[CountingProxy]:
    """Run a proxy in front of a server."""
    proxy = CountingProxy(server)
    thread = threading.Thread(target=proxy.run, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(30)
