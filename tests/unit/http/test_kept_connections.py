"""A request is repeated if the server had closed the connection that was kept from an earlier request."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from imgfetch.errors import TransportError
from imgfetch.http import adapter
from imgfetch.http.client import HttpClient
from imgfetch.http.interrupt import Interrupt
from imgfetch.http.proxies import Proxies
from imgfetch.http.tls import TlsConfig
from imgfetch.tolerance import Tolerance
from tests.certificates import Certificates
from tests.loopback import serving, until_received
from tests.threads import together

NAME = "registry.example"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
RESET = struct.pack("ii", 1, 0)  # to linger for no time

Ending = Callable[[socket.socket], object]


def close(connection: socket.socket) -> None:
    """Send nothing more; TLS without a word."""


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def say_goodbye(connection: socket.socket) -> None:
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout(0.1)
        with suppress(OSError):
            connection.unwrap()


@dataclass
class Server:
    """Answers the first request of a connection, and ends each of the first connections at the next request."""

    ending: Ending = close
    endings: int = 1
    context: ssl.SSLContext | None = None
    has_tunnel: bool = False
    greeting: bytes = GOOD
    connections: int = 0
    requests: list[tuple[int, str]] = field(default_factory=list)

    @property
    def paths(self) -> list[tuple[int, str]]:
        """The connection, and the method and the path of each request."""
        return [
            (number, line.removesuffix(" HTTP/1.1").replace(f"http://{NAME}", "")) for number, line in self.requests
        ]

    def serve(self, connection: socket.socket) -> None:
        self.connections += 1
        threading.Thread(target=self._serve, args=(connection.dup(), self.connections), daemon=True).start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        with plain, suppress(OSError):
            plain.settimeout(30)
            if self.has_tunnel:
                plain.recv(65536)
                plain.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            connection = self.context.wrap_socket(plain, server_side=True) if self.context else plain
            with connection:
                for answered in range(99):
                    if not (request := connection.recv(65536)):
                        return
                    self.requests.append((number, request.partition(b"\r\n")[0].decode()))
                    if answered and number <= self.endings:
                        self.ending(connection)
                        return
                    connection.sendall(self.greeting)


@pytest.fixture
def secured(made: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server_cert, made.server_key)
    return context


@contextmanager
def client_of(server: Server, made: Certificates, *, by_proxy: bool = False) -> Iterator[tuple[HttpClient, str]]:
    """Yield a client, and the URL of a server's root."""
    scheme = "https" if server.context else "http"
    with serving(server.serve) as host:
        client = HttpClient(
            tolerance=Tolerance(),
            trust=TlsConfig(ca_files=(made.ca,)),
            proxies=Proxies(http=f"http://{host}", https=f"http://{host}") if by_proxy else Proxies(),
            timeout=10,
        )
        yield client, f"{scheme}://{NAME}" if by_proxy else f"{scheme}://{host}"
        client.close()


def get(client: HttpClient, url: str, method: str = "GET") -> int:
    with client.get(url, method=method) as response:
        response.document(99, "it") if method == "GET" else response.keep()
        return response.status


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("ending", [close, reset, say_goodbye])
@pytest.mark.parametrize("way", ["http", "https", "http by a proxy", "https by a proxy"])
def test_a_request_is_repeated_at_once_if_the_server_had_closed_its_connection(
    way: str, ending: Ending, method: str, made: Certificates, secured: ssl.SSLContext
) -> None:
    is_tls, by_proxy = way.startswith("https"), way.endswith("proxy")
    server = Server(ending, context=secured if is_tls else None, has_tunnel=is_tls and by_proxy)
    server.greeting = GOOD.replace(b"{}", b"") if method == "HEAD" else GOOD
    with client_of(server, made, by_proxy=by_proxy) as (client, url):
        assert [get(client, f"{url}/{path}", method) for path in "abc"] == [200] * 3
    assert server.paths == [(1, f"{method} /a"), (1, f"{method} /b"), (2, f"{method} /b"), (2, f"{method} /c")]


@pytest.mark.parametrize("pause", [0.0, 0.001, 0.005])
def test_a_server_may_close_a_connection_at_any_time_after_its_answer(pause: float) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(GOOD)
        time.sleep(pause)

    with serving(serve) as host:
        client = HttpClient(tolerance=Tolerance(), timeout=10)
        assert [get(client, f"http://{host}/") for _ in range(20)] == [200] * 20
        client.close()


def test_the_repeated_request_has_a_new_connection_and_no_other_that_was_kept(made: Certificates) -> None:
    server = Server(endings=2)
    with client_of(server, made) as (client, url):
        with client.get(f"{url}/a") as one, client.get(f"{url}/b") as other:
            assert one.document(99, "it") == other.document(99, "it")
        assert get(client, f"{url}/c") == 200
    assert [number for number, line in server.paths if line == "GET /c"] in ([1, 3], [2, 3])


def test_whoever_wants_a_new_connection_gets_none_that_was_kept(made: Certificates) -> None:
    server = Server(endings=0)
    with client_of(server, made) as (client, url):
        assert get(client, f"{url}/a") == 200
        with adapter._use.new():
            assert get(client, f"{url}/b") == 200
        assert get(client, f"{url}/c") == 200
    assert [number for number, _ in server.paths] == [1, 2, 2]


def test_it_is_repeated_once() -> None:
    connections = 0

    def serve(connection: socket.socket) -> None:
        nonlocal connections
        connections += 1
        connection.recv(65536)
        if connections == 1:
            connection.sendall(GOOD)
            connection.recv(65536)

    with serving(serve) as host:
        client = HttpClient(tolerance=Tolerance(), timeout=10)
        assert get(client, f"http://{host}/a") == 200
        with pytest.raises(TransportError, match="without responding"):
            get(client, f"http://{host}/b")
        client.close()
    assert connections == 2


def test_a_new_connection_that_is_closed_without_an_answer_is_an_error() -> None:
    connections = []

    def serve(connection: socket.socket) -> None:
        connections.append(connection.recv(65536))

    with serving(serve) as host, pytest.raises(TransportError, match="without responding"):
        get(HttpClient(tolerance=Tolerance(), timeout=10), f"http://{host}/a")
    assert len(connections) == 1


@pytest.mark.parametrize("part", [b"H", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
@pytest.mark.parametrize("ending", [close, reset])
def test_a_request_that_got_part_of_an_answer_is_not_repeated(ending: Ending, part: bytes, made: Certificates) -> None:
    def end(connection: socket.socket) -> None:
        connection.sendall(part)
        until_received(connection)  # else a reset discards the part
        ending(connection)

    server = Server(end)
    with client_of(server, made) as (client, url):
        assert get(client, f"{url}/a") == 200
        with pytest.raises(TransportError):
            get(client, f"{url}/b")
    assert server.paths == [(1, "GET /a"), (1, "GET /b")]


def test_a_form_is_not_repeated(made: Certificates) -> None:
    server = Server()
    with client_of(server, made) as (client, url):
        assert get(client, f"{url}/a") == 200
        with pytest.raises(TransportError, match="without responding"), client.post(f"{url}/b", b"secret"):
            pass
    assert server.paths == [(1, "GET /a"), (1, "POST /b")]


def test_silence_on_a_kept_connection_is_a_timeout(made: Certificates) -> None:
    is_asked, is_over = threading.Event(), threading.Event()
    server = Server(lambda _: (is_asked.set(), is_over.wait(30)))
    with client_of(server, made) as (client, url):
        assert get(client, f"{url}/a") == 200
        client.timeout = 0.2
        with pytest.raises(TransportError, match="stopped responding"):
            get(client, f"{url}/b")
        assert is_asked.wait(30)
        is_over.set()
    assert server.paths == [(1, "GET /a"), (1, "GET /b")]


def test_a_request_that_another_thread_ends_is_not_repeated(
    made: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "imgfetch")
    has_begun, is_over = threading.Event(), threading.Event()
    server = Server(lambda _: (has_begun.set(), is_over.wait(30)))
    interrupt = Interrupt()

    def ask() -> None:
        with interrupt:
            assert get(client, f"{url}/a") == 200
            get(client, f"{url}/b")

    with client_of(server, made) as (client, url):
        (failure,) = together(ask, lambda: has_begun.wait(30) and interrupt.set())
        is_over.set()
    assert isinstance(failure, TransportError)
    assert len(caplog.messages) == 1  # of the first response


def test_the_repetition_is_logged_with_the_host_and_without_the_url(
    made: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "imgfetch")
    with client_of(Server(), made) as (client, url):
        for path in "ab":
            get(client, f"{url}/{path}?token=secret")
    host = url.removeprefix("http://")
    assert caplog.messages[1] == f"{host} had closed a connection; repeating the request"
