"""No read outlives its deadline, however the bytes come, and no thread is needed to watch it."""

from __future__ import annotations

import errno
import itertools
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from imgfetch.errors import TransportError
from imgfetch.http import deadline
from imgfetch.http.client import HttpClient
from imgfetch.http.deadline import MIN_PROGRESS, NOTICE, Deadline
from imgfetch.http.proxies import Proxies
from imgfetch.http.tls import TlsConfig
from imgfetch.tolerance import Tolerance
from tests.certificates import Certificates
from tests.loopback import serving

Steps = list[tuple[float, int]]


class Connection(socket.socket):
    """Receives, some seconds after it is asked, some bytes, on a clock of its own."""

    def __init__(self, *steps: tuple[float, int]) -> None:
        super().__init__()
        self.steps = list(steps)
        self.now = 0.0

    def recv_into(self, buffer: object, nbytes: int = 0, flags: int = 0) -> int:
        del buffer, nbytes, flags
        seconds, count = self.steps.pop(0)
        wait = self.gettimeout() or 0.0
        self.now += min(seconds, wait)
        if seconds > wait:
            self.steps.insert(0, (seconds - wait, count))
            raise TimeoutError
        return count


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Connection]]:
    made: list[Connection] = []

    def connect(*steps: tuple[float, int]) -> Connection:
        made.append(Connection(*steps))
        monkeypatch.setattr(deadline.time, "monotonic", lambda: made[-1].now)
        return made[-1]

    yield connect
    for connection in made:
        connection.close()


def received(limit: Deadline, connection: Connection, times: int = 1) -> list[int]:
    return [limit.read_into(connection, bytearray()) for _ in range(times)]


def take(limit: Deadline, connection: Connection) -> None:
    """Receive all bytes as content."""
    while connection.steps:
        limit.count(*received(limit, connection))


def test_bytes_that_trickle_end_at_the_deadline_like_silence(connect: Callable[..., Connection]) -> None:
    for step in (1, 7, 100):
        connection = connect(*[(step, 1)] * 100)
        with pytest.raises(TimeoutError):
            received(Deadline(60), connection, 100)
        assert connection.now == pytest.approx(60)


def test_enough_content_gives_as_much_time_again(connect: Callable[..., Connection]) -> None:
    limit, connection = Deadline(60), connect(*[(50, MIN_PROGRESS)] * 5, (61, 1))
    for _ in range(5):
        limit.count(*received(limit, connection))
    with pytest.raises(TimeoutError):
        received(limit, connection)
    assert connection.now == pytest.approx(5 * 50 + 60)
    assert limit.shortfall == ""


def test_too_little_content_gives_no_more_time_and_is_described(connect: Callable[..., Connection]) -> None:
    limit, connection = Deadline(60), connect(*[(25, MIN_PROGRESS // 3)] * 9)
    with pytest.raises(TimeoutError):
        take(limit, connection)
    assert limit.shortfall == f"{2 * (MIN_PROGRESS // 3)} bytes in 60 s"
    assert connection.now == pytest.approx(60)


def test_all_of_it_has_a_limit_too(connect: Callable[..., Connection]) -> None:
    limit, connection = Deadline(60), connect(*[(50, MIN_PROGRESS)] * 9)
    limit.limit(120)
    with pytest.raises(TimeoutError):
        take(limit, connection)
    assert limit.is_over
    assert connection.now == pytest.approx(120)


def test_time_in_which_nobody_waits_for_the_server_does_not_count(connect: Callable[..., Connection]) -> None:
    limit, connection = Deadline(60), connect(*[(1, 1)] * 9)
    for _ in range(9):
        received(limit, connection)
        connection.now += 1000


def test_a_lower_limit_counts_at_once(connect: Callable[..., Connection]) -> None:
    limit, connection = Deadline(60), connect((6, 1))
    limit.lower(5)
    with pytest.raises(TimeoutError):
        received(limit, connection)
    assert connection.now == pytest.approx(5)


def test_silence_is_reported_once_and_long_before_it_ends(connect: Callable[..., Connection]) -> None:
    told: list[float] = []
    connection = connect((NOTICE - 1, 1), (NOTICE - 1, 1), (500, 1))
    limit = Deadline(60)
    with limit.applied(lambda: told.append(connection.now)), pytest.raises(TimeoutError):
        received(limit, connection, 3)
    assert told == [pytest.approx(3 * NOTICE - 2)]


def test_a_connection_that_the_system_gives_up_is_not_waited_for(connect: Callable[..., Connection]) -> None:
    connection = connect()

    def lost(*_: object) -> int:
        connection.now += 1
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

    connection.recv_into = lost  # type: ignore[method-assign,assignment]
    with pytest.raises(TimeoutError, match="Connection timed out"):
        received(Deadline(60), connection)


# ---- over real connections ----

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def trickling(start: bytes, piece: bytes, *, first: bytes = b"", times: int = 100) -> Callable[[socket.socket], None]:
    """Return a server that answers once and then too slowly; it ends far behind the deadline of the tests."""

    def serve(connection: socket.socket) -> None:
        for answer in filter(None, (first, start)):
            connection.recv(65536)
            connection.sendall(answer)
        for _ in range(times):
            connection.sendall(piece)
            time.sleep(0.05)

    return serve


@pytest.mark.parametrize("is_document", [True, False], ids=["document", "blob"])
@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (CHUNKED + b"0\r\n", b"X-A: b\r\n"),
        (CHUNKED + b"2\r\n{}\r\n0\r\nX-A: ", b"b"),
        (CHUNKED + b"2;a=", b"b"),
        (CHUNKED, b"0"),
        (OK + b"Content-Length: 1000\r\n\r\n", b" "),
        (OK + b"\r\n", b" "),
    ],
    ids=["trailers", "a trailer", "an extension", "a size", "a length", "no length"],
)
def test_a_body_that_trickles_is_given_up(start: bytes, piece: bytes, *, is_document: bool) -> None:
    client = HttpClient(tolerance=Tolerance(), timeout=0.5)
    with (
        serving(trickling(start, piece)) as host,
        client.get(f"http://{host}/") as response,
        pytest.raises(TransportError, match=r"is too slow: \d+ bytes in 0\.5 s of"),
    ):
        response.document(10_000, "the manifest") if is_document else list(response.chunks(10_000))
    client.close()


def test_a_document_that_comes_steadily_has_a_time_limit_too() -> None:
    client = HttpClient(tolerance=Tolerance(), timeout=5.0)
    with (
        serving(trickling(OK + b"\r\n", b" " * MIN_PROGRESS)) as host,
        client.get(f"http://{host}/") as response,
        pytest.raises(TransportError, match=r"the manifest arrives too slowly from 127\.0\.0\.1.*after 0\.5 s"),
    ):
        response.document(10**6, "the manifest", timeout=0.5)
    client.close()


def test_a_blob_that_comes_steadily_has_no_time_limit() -> None:
    client = HttpClient(tolerance=Tolerance(), timeout=1.0)
    with (
        serving(trickling(OK + b"\r\n", b" " * MIN_PROGRESS, times=40)) as host,
        client.get(f"http://{host}/") as response,
    ):
        assert len(b"".join(response.chunks(10**6))) == 40 * MIN_PROGRESS
    client.close()


@pytest.mark.parametrize(
    ("first", "start", "piece"),
    [
        (b"", OK + b"X-A: ", b"b"),
        (b"", OK, b"X-A: b\r\n"),
        (b"", b"HTTP/1.1 1", b"00 Continue\r\n\r\nHTTP/1.1 1"),
        (OK + b"\r\n", b"\x16\x03\x03\x40\x00", b"\x02"),
    ],
    ids=["a header", "headers", "interim answers", "a handshake"],
)
def test_a_tunnel_that_never_opens_is_given_up(first: bytes, start: bytes, piece: bytes) -> None:
    with serving(trickling(start, piece, first=first)) as host:
        proxies = Proxies(https=f"http://{host}")
        client = HttpClient(tolerance=Tolerance(), connect_timeout=0.5, proxies=proxies)
        with (
            pytest.raises(TransportError, match=r"timed out|stopped responding|before the timeout"),
            client.get("https://registry.invalid/"),
        ):
            pass
        client.close()


def test_a_handshake_within_the_tls_of_a_proxy_is_given_up_too(made: Certificates) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server_cert, made.server_key)
    serve = trickling(b"\x16\x03\x03\x40\x00", b"\x02", first=OK + b"\r\n")

    def secured(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as inner:
            serve(inner)

    with serving(secured) as host:
        client = HttpClient(
            tolerance=Tolerance(),
            connect_timeout=1.0,
            trust=TlsConfig(ca_files=(made.ca,)),
            proxies=Proxies(https=f"https://{host.replace('127.0.0.1', 'localhost')}"),
        )
        with (
            pytest.raises(TransportError, match=r"timed out|stopped responding"),
            client.get("https://registry.invalid/"),
        ):
            pass
        client.close()


def test_redirects_have_the_time_of_one_response_together() -> None:
    numbers = itertools.count()

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.settimeout(0.4)
        with suppress(TimeoutError):
            connection.recv(1)
        head = b"HTTP/1.1 307 There\r\nConnection: close\r\nContent-Length: 0\r\nLocation: /%d\r\n\r\n"
        connection.sendall(head % next(numbers))

    client = HttpClient(tolerance=Tolerance(), timeout=1.0)
    with (
        serving(serve) as host,
        pytest.raises(TransportError, match="stopped responding"),
        client.get(f"http://{host}/"),
    ):
        pass
    client.close()


def test_no_thread_watches_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"0123456789" * 10_000

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    client = HttpClient(tolerance=Tolerance(), timeout=20.0)
    with serving(serve) as host:
        monkeypatch.setattr(threading.Thread, "start", None)
        with client.get(f"http://{host}/") as response:
            assert b"".join(response.chunks(len(body) + 1)) == body
    client.close()


def test_a_silent_server_is_named_once_for_all_attempts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(deadline, "NOTICE", 0.1)
    monkeypatch.setattr("imgfetch.http.client.NOTICE", 0.1)
    pauses = itertools.count()

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        next(pauses)
        connection.settimeout(10)
        connection.recv(1)

    client = HttpClient(tolerance=Tolerance(), timeout=0.5)
    for _ in range(3):
        with serving(serve) as host:
            url = f"http://{host}/v2/?secret=x"
            for _ in range(2):
                with pytest.raises(TransportError, match="stopped responding"), client.get(url):
                    pass
    client.close()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 3
    assert told[-1] == f"waiting for {host}: nothing received for 0 s"
