"""The head of a response has a time, however its bytes come, and no thread is needed to watch it."""

from __future__ import annotations

import socket
import time

import pytest

from imgfetch.errors import TransportError
from imgfetch.http.adapter import MAX_INTERIM
from imgfetch.http.client import HttpClient
from imgfetch.http.proxies import Proxies
from imgfetch.tolerance import Tolerance
from tests.loopback import serving


@pytest.mark.parametrize(
    ("start", "piece", "pause"),
    [
        (b"HTTP/1.1 200 OK\r\nX-A: ", b"x", 0.05),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: x\r\n", 0.05),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
    ],
    ids=["bytes", "headers", "continue"],
)
def test_a_head_that_never_ends_is_given_up(start: bytes, piece: bytes, pause: float) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(start)
        for _ in range(90):  # fewer than the headers that the library reads
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


GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"


def received(*answers: bytes, stall: float = 0, timeout: float = 5.0) -> tuple[int, bytes]:
    """Return the status and the body of an answer that comes in these pieces, after which the connection ends."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        for piece in answers:
            connection.sendall(piece)
        if stall:
            connection.settimeout(stall)
            connection.recv(1)

    client = HttpClient(tolerance=Tolerance(), timeout=timeout)
    try:
        with serving(serve) as host, client.get(f"http://{host}/") as response:
            return response.status, b"".join(response.chunks(99))
    finally:
        client.close()


@pytest.mark.parametrize(
    "interim",
    [
        HINTS,
        PROCESSING,
        PROCESSING * 3 + b"HTTP/1.1 100 Continue\r\n\r\n" + HINTS,
        b"HTTP/1.1 199 Whatever\nX-A: b\n\n",
        HINTS * MAX_INTERIM,
    ],
    ids=["early hints", "processing", "several kinds", "unknown", "as many as are read"],
)
def test_the_answer_is_the_one_after_the_interim_ones(interim: bytes) -> None:
    assert received(interim + GOOD) == (200, b"{}")


def test_more_interim_answers_than_the_bound_are_an_error() -> None:
    with pytest.raises(TransportError, match=f"more than {MAX_INTERIM} interim responses"):
        received(PROCESSING * (MAX_INTERIM + 1) + GOOD)


def test_a_switch_of_protocols_that_nobody_asked_for_is_no_interim_answer() -> None:
    assert received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + GOOD)[0] == 101


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 404 Not Found\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /else",
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="https://a',
        HINTS,
        HINTS[:-2],
        HINTS + b"HTTP/1.1 200 OK\r\nX-A: ",
    ],
)
def test_a_connection_that_ends_inside_the_head_is_broken_and_no_answer(head: bytes) -> None:
    with pytest.raises(TransportError, match=r"closed the connection (partway through|without responding to)"):
        received(head)


@pytest.mark.parametrize("head", [b"HTTP/1.1 404 Not", b"HTTP/1.1 404 Not Found\r\n", b"HTTP/1.1 200 OK\r\nX-A: "])
def test_a_head_that_is_incomplete_at_the_deadline_is_no_answer(head: bytes) -> None:
    with pytest.raises(TransportError, match="stopped responding"):
        received(head, stall=10, timeout=0.3)


def test_a_proxy_may_send_interim_answers_before_it_opens_a_tunnel() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(PROCESSING + b"HTTP/1.1 502 Nobody There\r\n\r\n")

    client = HttpClient(tolerance=Tolerance(), timeout=5.0)
    with serving(serve) as host:
        client.proxies = Proxies(https=f"http://{host}")
        with pytest.raises(TransportError, match="502 Nobody There"), client.get("https://registry.invalid/"):
            pass
    client.close()


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_head_through_a_proxy_has_a_time_limit_too(scheme: str) -> None:
    if scheme != "http":
        pytest.importorskip("socks")

    def serve(connection: socket.socket) -> None:
        if scheme != "http":
            connection.recv(65536)
            connection.sendall(b"\5\0")  # no login
            connection.recv(65536)
            connection.sendall(b"\5\0\0\1" + bytes(6))  # connected
        connection.recv(65536)
        for _ in range(90):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            time.sleep(0.05)

    with serving(serve) as host:
        proxies = Proxies(http=f"{scheme}://{host}")
        client = HttpClient(tolerance=Tolerance(), timeout=0.5, proxies=proxies)
        with pytest.raises(TransportError, match="stopped responding"), client.get("http://registry.invalid/"):
            pass
        client.close()
