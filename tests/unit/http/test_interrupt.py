"""A request can be ended from another thread, before and after its response begins."""

from __future__ import annotations

import random
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from imgfetch.errors import TransportError
from imgfetch.http.client import HttpClient
from imgfetch.http.interrupt import Interrupt, current, cut
from imgfetch.http.tls import TlsConfig
from imgfetch.tolerance import Tolerance
from tests.certificates import Certificates
from tests.loopback import Answer, Loopback, Request, serving
from tests.threads import together

_LONGEST = 30.0


@pytest.fixture
def held(loopback: Loopback) -> threading.Event:
    """Let the server wait in the middle of ``/body`` and before the head of ``/head``."""
    event = threading.Event()

    def head(_: Request) -> Answer:
        event.wait(_LONGEST)
        return Answer(b"late")

    loopback.answers |= {"/head": head, "/body": Answer(b"x" * 1000, hold=event), "/good": Answer(b"good")}
    return event


def read(client: HttpClient, url: str, interrupt: Interrupt) -> list[BaseException]:
    """Read a document in a thread that is interrupted, and return the error."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with interrupt, client.get(url) as response:
                list(response.chunks(10_000))
        except TransportError as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(0.3)
    interrupt.set()
    thread.join(_LONGEST / 2)  # before the server would answer
    assert not thread.is_alive()
    return errors


@pytest.mark.parametrize("path", ["/head", "/body"])
def test_a_request_is_ended_while_it_waits(loopback: Loopback, held: threading.Event, path: str) -> None:
    assert read(HttpClient(tolerance=Tolerance()), f"http://{loopback.host}{path}", Interrupt())
    assert not held.is_set()
    held.set()


def test_after_that_its_thread_sends_no_request(loopback: Loopback, held: threading.Event) -> None:
    held.set()
    interrupt = Interrupt()
    interrupt.set()
    (error,) = read(HttpClient(tolerance=Tolerance()), f"http://{loopback.host}/good", interrupt)
    assert isinstance(error, TransportError)
    assert error.tries == 1  # nor does it try again
    assert loopback.paths == []


def test_other_threads_are_not_interrupted(loopback: Loopback, held: threading.Event) -> None:
    client = HttpClient(tolerance=Tolerance())
    read(client, f"http://{loopback.host}/head", Interrupt())
    held.set()
    assert current() is None
    with client.get(f"http://{loopback.host}/good") as response:
        assert b"".join(response.chunks(100)) == b"good"


def test_a_connection_that_serves_another_request_is_not_ended(loopback: Loopback, held: threading.Event) -> None:
    held.set()
    client, interrupt = HttpClient(tolerance=Tolerance()), Interrupt()
    url = f"http://{loopback.host}/good"
    with interrupt, client.get(url) as first:
        list(first.chunks(100))
    later = threading.Event()
    loopback.answers["/later"] = Answer(b"x" * 1000, hold=later)
    with client.get(f"http://{loopback.host}/later") as second:  # by the same connection
        interrupt.set()
        later.set()
        assert b"".join(second.chunks(10_000)) == b"x" * 1000


def test_abort_ends_requests_whose_response_has_not_begun(loopback: Loopback, held: threading.Event) -> None:
    client, asked = HttpClient(tolerance=Tolerance()), threading.Event()

    def silence(_: Request) -> Answer:
        asked.set()
        held.wait(2 * _LONGEST)
        return Answer(b"late")

    def request() -> None:
        with client.get(f"http://{loopback.host}/silence"):
            pass

    def stop() -> None:
        assert asked.wait(_LONGEST / 2)
        client.abort()

    loopback.answers["/silence"] = silence

    assert [type(failure) for failure in together(request, stop)] == [TransportError]
    assert not held.is_set()  # before the server would answer
    held.set()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("how", ["abort", "interrupt"])
def test_all_that_is_read_after_the_end_is_content(how: str, scheme: str, made: Certificates) -> None:
    content = random.Random(scheme).randbytes(60_000)  # the system's buffers have room for it
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server_cert, made.server_key)
    is_sent, is_read = threading.Event(), threading.Event()

    def serve(plain: socket.socket) -> None:
        with context.wrap_socket(plain, server_side=True) if scheme == "https" else plain as connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + content)
            is_sent.set()
            is_read.wait(_LONGEST)

    interrupt = Interrupt()
    with serving(serve) as host:
        client = HttpClient(tolerance=Tolerance(), trust=TlsConfig(ca_files=(made.ca,)))
        with interrupt, client.get(f"{scheme}://{host}/") as response:
            chunks = response.chunks(len(content))
            got = bytearray(next(chunks))
            assert is_sent.wait(_LONGEST)
            client.abort() if how == "abort" else interrupt.set()
            with suppress(TransportError):
                for chunk in chunks:
                    got += chunk
        is_read.set()
        client.close()
    assert content.startswith(got)


def test_a_connection_within_the_tls_of_a_proxy_is_cut_below_both() -> None:
    class Within:
        def __init__(self, outer: socket.socket) -> None:
            self.socket = outer

    one, other = socket.socketpair()
    with one, other:
        cut(Within(one))
        assert other.recv(1) == b""


def test_what_fails_to_end_a_request_does_no_harm() -> None:
    def broken() -> None:
        raise OSError

    interrupt = Interrupt()
    interrupt.watch(broken)
    interrupt.set()
    ended: list[Callable[[], object]] = []
    interrupt.watch(lambda: ended.append(broken))
    assert ended  # at once, because it comes too late


def test_pauses_within_a_body_have_a_limit_of_their_own(loopback: Loopback, held: threading.Event) -> None:
    client = HttpClient(tolerance=Tolerance(), timeout=2 * _LONGEST, pause=0.3)
    with (
        client.get(f"http://{loopback.host}/body") as response,
        pytest.raises(TransportError, match=r"responding|too slow"),
    ):
        list(response.chunks(10_000))
    assert not held.is_set()
    held.set()


def test_the_wait_for_a_response_is_no_pause_within_it(loopback: Loopback, held: threading.Event) -> None:
    threading.Timer(1, held.set).start()
    client = HttpClient(tolerance=Tolerance(), timeout=2 * _LONGEST, pause=0.3)
    with client.get(f"http://{loopback.host}/head") as response:
        assert b"".join(response.chunks(100)) == b"late"
