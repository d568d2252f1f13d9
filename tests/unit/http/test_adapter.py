"""The head of a response has a time, however its bytes come, and no thread is needed to watch it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from imgfetch.errors import TransportError
from imgfetch.http.client import HttpClient
from imgfetch.tolerance import Tolerance
from tests.loopback import serving

BODY = b"0123456789" * 10_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


@pytest.mark.parametrize(
    ("start", "piece", "pause"),
    [
        (b"HTTP/1.1 200 OK\r\nX-A: ", b"x", 0.05),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: x\r\n", 0.05),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0),
    ],
    ids=["bytes", "headers", "continue"],
)
def test_a_head_that_never_ends_is_given_up(start: bytes, piece: bytes, pause: float) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(start)
        for _ in range(90 if pause else 200_000):  # fewer than the headers that the library reads
            connection.sendall(piece)
            time.sleep(pause)

    client = HttpClient(tolerance=Tolerance(), timeout=0.5)
    with (
        serving(serve) as host,
        pytest.raises(TransportError, match="stopped responding"),
        client.get(f"http://{host}/"),
    ):
        pass
    client.close()


def test_the_body_has_the_usual_time_between_two_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts: list[float | None] = []
    settimeout: Callable[[socket.socket, float | None], None] = socket.socket.settimeout

    def note(connection: socket.socket, timeout: float | None) -> None:
        timeouts.append(timeout)
        settimeout(connection, timeout)

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + BODY)

    client = HttpClient(tolerance=Tolerance(), timeout=7.0)
    with serving(serve) as host:
        monkeypatch.setattr(socket.socket, "settimeout", note)
        monkeypatch.setattr(threading.Thread, "start", None)
        with client.get(f"http://{host}/") as response:
            before = list(timeouts)
            assert b"".join(response.chunks(len(BODY) + 1)) == BODY
    assert timeouts == before
    assert any(0 < timeout < 7.0 for timeout in timeouts if timeout)
    assert timeouts[-1] == 7.0
    client.close()
