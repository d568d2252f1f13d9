"""Nothing that the network libraries raise gets out as it is."""

from __future__ import annotations

import email.errors
import http.client
import inspect
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import urllib3
import urllib3.exceptions

from imgfetch.errors import NotTlsError, TransportError, VerificationError
from imgfetch.http.client import HttpClient
from imgfetch.http.network_errors import mapped
from imgfetch.tolerance import Tolerance
from tests.loopback import serving
from tests.tools import tool

URL = "https://127.0.0.1:8443/v2/x?scope=a&Signature=SECRET"
SHOWN = "https://127.0.0.1:8443/v2/x?scope=a&Signature=REDACTED"


# ---- every class there is ----


def classes(module: object) -> list[type[Exception]]:
    """Return the exceptions that a module defines; warnings are not raised."""
    found = [member for _, member in inspect.getmembers(module, inspect.isclass)]
    return [
        member
        for member in found
        if issubclass(member, Exception)
        and not issubclass(member, Warning)
        and member.__module__ == getattr(module, "__name__", "")
    ]


ARGUMENTS = {
    "JSONDecodeError": ("message", "document", 0),
    "PoolError": (None, "message"),
    "EmptyPoolError": (None, "message"),
    "FullPoolError": (None, "message"),
    "ClosedPoolError": (None, "message"),
    "RequestError": (None, "/v2/x?Signature=SECRET", "message"),
    "MaxRetryError": (None, "/v2/x?Signature=SECRET", None),
    "HostChangedError": (None, "/v2/x"),
    "ReadTimeoutError": (None, "/v2/x", "message"),
    "NewConnectionError": (None, "message"),
    "NameResolutionError": ("registry.example", None, socket.gaierror(-2, "Name or service not known")),
    "ProxyError": ("message", OSError("message")),
    "IncompleteRead": (5, 10),
    "InvalidChunkLength": (urllib3.HTTPResponse(), b"zz"),
    "HeaderParsingError": ([email.errors.MessageDefect("defect")], b"data"),
}
"""Arguments of the constructors that do not take a message."""

CLASSES = [*classes(requests.exceptions), *classes(urllib3.exceptions)]


def raised(error: BaseException, url: str = URL) -> BaseException:
    """Return what comes out when ``error`` is raised within `mapped`."""
    with pytest.raises(Exception) as caught, mapped(url):  # noqa: PT011  # whatever it is, it is looked at
        raise error
    return caught.value


def assert_mapped(error: Exception) -> None:
    """Check that an exception comes out as ours, without what the libraries put into theirs."""
    failure = raised(error)
    assert isinstance(failure, TransportError)
    # what the libraries raise has whole URLs and our headers in it
    assert not isinstance(failure.__cause__, (requests.RequestException, urllib3.exceptions.HTTPError))
    assert failure.__suppress_context__
    assert "127.0.0.1:8443" in str(failure)
    assert str(failure).isprintable()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: f"{cls.__module__}.{cls.__qualname__}")
def test_every_exception_of_the_libraries_becomes_a_transport_error(cls: type[Exception]) -> None:
    assert_mapped(cls(*ARGUMENTS.get(cls.__name__, ("message",))))


def test_the_libraries_define_what_was_walked() -> None:
    assert {requests.RequestException, requests.ConnectionError, requests.exceptions.RetryError} <= set(CLASSES)
    assert {urllib3.exceptions.HTTPError, urllib3.exceptions.IncompleteRead} <= set(CLASSES)


@pytest.mark.parametrize(
    "error",
    [
        OSError("message"),
        OSError(113, "No route to host"),
        ConnectionResetError(104, "Connection reset by peer"),
        BrokenPipeError(32, "Broken pipe"),
        TimeoutError("timed out"),
        socket.gaierror(-2, "Name or service not known"),
        ssl.SSLError("message"),
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
        ssl.SSLCertVerificationError("message"),
        http.client.HTTPException("message"),
        http.client.BadStatusLine("SSH-2.0"),
        http.client.IncompleteRead(b"abc", 5),
        http.client.LineTooLong("header line"),
        http.client.RemoteDisconnected("message"),
        UnicodeError("label empty or too long"),
        ValueError("Invalid IPv6 URL"),
    ],
    ids=repr,
)
def test_so_does_every_exception_of_the_standard_library_below_them(error: Exception) -> None:
    assert_mapped(error)


@pytest.mark.parametrize(
    "error", [VerificationError("odd"), KeyError("key"), KeyboardInterrupt(), AssertionError("bug")], ids=repr
)
def test_what_is_no_failure_of_the_network_stays_as_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, mapped(URL):
        raise error
    assert caught.value is error


def test_a_transport_error_is_not_mapped_twice() -> None:
    error = TransportError("first")
    assert raised(error) is error


# ---- in the shapes in which they come ----


def wrapped(reason: Exception, outer: type[requests.RequestException] = requests.ConnectionError) -> Exception:
    """Return an error of the connection as `requests` raises it."""
    pool = urllib3.HTTPSConnectionPool("127.0.0.1", 8443)
    return outer(urllib3.exceptions.MaxRetryError(pool, "/v2/x?scope=a&Signature=SECRET", reason))


def not_connected(cause: OSError) -> Exception:
    """Return a refusal of the system as `urllib3` raises it."""
    connection = urllib3.connection.HTTPSConnection("127.0.0.1", 8443)
    error = urllib3.exceptions.NewConnectionError(connection, f"Failed to establish a new connection: {cause}")
    error.__cause__ = cause
    return wrapped(error)


def not_resolved(cause: socket.gaierror) -> Exception:
    connection = urllib3.connection.HTTPSConnection("nowhere.invalid", 8443)
    error = urllib3.exceptions.NameResolutionError("nowhere.invalid", connection, cause)
    error.__cause__ = cause
    return wrapped(error)


def not_secured(reason: str) -> Exception:
    cause = ssl.SSLError(1, f"[SSL: {reason}] {reason.lower().replace('_', ' ')} (_ssl.c:1006)")
    cause.reason = reason
    return wrapped(urllib3.exceptions.SSLError(cause), requests.exceptions.SSLError)


POOL = urllib3.HTTPSConnectionPool("127.0.0.1", 8443)
SHAPES: dict[str, tuple[Exception, str]] = {
    "refused": (
        not_connected(ConnectionRefusedError(111, "Connection refused")),
        "cannot connect to 127.0.0.1:8443: connection refused",
    ),
    "unknown name": (
        not_resolved(socket.gaierror(-2, "Name or service not known")),
        "the name does not resolve (Name or service not known)",
    ),
    "no route": (not_connected(OSError(113, "No route to host")), "No route to host"),
    "no network": (not_connected(OSError(101, "Network is unreachable")), "Network is unreachable"),
    "forbidden": (not_connected(PermissionError(13, "Permission denied")), "Permission denied"),
    "connecting takes too long": (
        wrapped(
            urllib3.exceptions.ConnectTimeoutError(None, "Connection to 127.0.0.1 timed out. (connect timeout=10.0)"),
            requests.ConnectTimeout,
        ),
        "cannot connect to 127.0.0.1:8443: connection timed out",
    ),
    "silence before the answer": (
        requests.ReadTimeout(urllib3.exceptions.ReadTimeoutError(POOL, "/v2/x?Signature=SECRET", "Read timed out.")),
        "127.0.0.1:8443 stopped responding",
    ),
    "silence within the body": (
        urllib3.exceptions.ReadTimeoutError(POOL, "/v2/x?Signature=SECRET", "Read timed out."),
        "127.0.0.1:8443 stopped responding",
    ),
    "reset": (
        requests.ConnectionError(
            urllib3.exceptions.ProtocolError(
                "Connection aborted.", ConnectionResetError(104, "Connection reset by peer")
            )
        ),
        "the connection to 127.0.0.1:8443 failed: Connection reset by peer",
    ),
    "cut off": (
        urllib3.exceptions.ProtocolError("Connection broken", urllib3.exceptions.IncompleteRead(5, 95)),
        f"127.0.0.1:8443 closed the connection partway through {SHOWN}",
    ),
    "no answer": (
        requests.ConnectionError(
            urllib3.exceptions.ProtocolError("Connection aborted.", http.client.RemoteDisconnected("Remote end closed"))
        ),
        f"127.0.0.1:8443 closed the connection without responding to {SHOWN}",
    ),
    "long header": (
        requests.ConnectionError(
            urllib3.exceptions.ProtocolError("Connection aborted.", http.client.LineTooLong("header line"))
        ),
        f"invalid response from 127.0.0.1:8443 for {SHOWN}: got more than 65536 bytes",
    ),
    "unusable URL": (requests.exceptions.InvalidURL("Failed to parse: SECRET"), f"{SHOWN} is not a valid URL"),
    "TLS": (
        not_secured("SSLV3_ALERT_HANDSHAKE_FAILURE"),
        "the TLS handshake with 127.0.0.1:8443 failed: SSLV3_ALERT_HANDSHAKE_FAILURE",
    ),
}


@pytest.mark.parametrize(("error", "words"), SHAPES.values(), ids=SHAPES)
def test_a_message_says_what_happened_to_whom_and_no_secret(error: Exception, words: str) -> None:
    failure = raised(error)
    assert isinstance(failure, TransportError)
    assert words in str(failure)  # host:port and the errno text
    assert ":8443" in str(failure)
    assert "SECRET" not in f"{failure} {failure.hint}"


def test_a_message_is_one_clean_line_whatever_the_server_sent() -> None:
    error = requests.ConnectionError(http.client.BadStatusLine("\x1b[31mSSH\r\n\u202e"))
    assert str(raised(error)).isprintable()


def test_an_ipv6_address_stands_in_brackets_before_its_port() -> None:
    failure = raised(ConnectionResetError(104, "Connection reset by peer"), "https://[::1]:8443/v2/")
    assert "[::1]:8443" in str(failure)


@pytest.mark.parametrize(
    ("error", "may_be_http"),
    [
        pytest.param(not_connected(ConnectionRefusedError(111, "Connection refused")), True, id="refused"),
        pytest.param(not_secured("WRONG_VERSION_NUMBER"), True, id="not a TLS record"),
        pytest.param(not_secured("TLSV1_ALERT_PROTOCOL_VERSION"), False, id="a TLS alert"),
        pytest.param(not_connected(OSError(113, "No route to host")), False, id="no route"),
    ],
)
def test_only_a_refusal_or_what_is_no_tls_hints_at_plain_http(error: Exception, *, may_be_http: bool) -> None:
    assert isinstance(raised(error), NotTlsError) is may_be_http


# ---- for real, on the loopback ----


def saying(*answer: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        for part in answer:
            connection.sendall(part)

    return serve


def resetting(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def failure_of(url: str) -> TransportError:
    transport = HttpClient(tolerance=Tolerance())
    try:
        with pytest.raises(TransportError) as caught:
            _read(transport, url)
    finally:
        transport.close()
    return caught.value


def _read(transport: HttpClient, url: str) -> None:
    with transport.get(url) as response:
        for _ in response.chunks(1_000_000):
            pass


OK = b"HTTP/1.1 200 OK\r\n"
ASKED = "http://HOST/x?Signature=REDACTED"


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        pytest.param(resetting, "the connection to HOST failed: Connection reset by peer", id="reset"),
        pytest.param(saying(), f"HOST closed the connection without responding to {ASKED}", id="closed"),
        pytest.param(
            saying(b"SSH-2.0-OpenSSH_9.2\r\n"), f"invalid response from HOST for {ASKED}: SSH-2.0", id="garbage"
        ),
        pytest.param(
            saying(OK, b"Content-Length: 100\r\n\r\nabc"),
            f"HOST closed the connection partway through {ASKED}",
            id="cut",
        ),
        pytest.param(
            saying(OK, b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc"),
            "HOST closed the connection partway through",
            id="cut within a chunk",
        ),
        pytest.param(saying(OK, b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc"), "HOST", id="no chunk"),
        pytest.param(saying(OK, b"X: y\r\n" * 200, b"\r\n"), "HOST", id="too many headers"),
        pytest.param(saying(OK, b"X: ", b"y" * 70000, b"\r\n\r\n"), "HOST", id="too long a header"),
    ],
)
def test_a_broken_answer_is_a_transport_error(serve: Callable[[socket.socket], None], words: str) -> None:
    with serving(serve) as host:
        failure = failure_of(f"http://{host}/x?Signature=SECRET")
    assert words.replace("HOST", host) in str(failure)
    assert "SECRET" not in str(failure)
    assert str(failure).isprintable()


def test_a_refused_connection_names_address_and_cause() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    failure = failure_of(f"http://localhost:{port}/v2/")
    assert isinstance(failure, NotTlsError)
    assert str(failure) == f"cannot connect to localhost:{port} (127.0.0.1): connection refused"
    assert failure.hint == "check the name and the port, and whether the registry is running"


def test_a_refused_connection_is_told_though_the_name_resolves_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", gone)
    failure = raised(not_connected(ConnectionRefusedError(111, "Connection refused")), "https://registry.example/v2/")
    assert str(failure) == "cannot connect to registry.example:443 (no proxy): connection refused"
    assert failure.hint == "check the name, the port and the VPN; if a proxy is needed, set HTTPS_PROXY"


@pytest.mark.parametrize(
    "serve",
    [saying(b"HTTP/1.0 400 Bad Request\r\n\r\n"), saying(b"SSH-2.0-OpenSSH_9.2\r\n")],
    ids=["http", "another protocol"],
)
def test_what_does_not_speak_tls_is_told_from_what_does(serve: Callable[[socket.socket], None]) -> None:
    with serving(serve) as host:
        failure = failure_of(f"https://{host}/v2/")
    assert isinstance(failure, NotTlsError)
    assert str(failure).startswith(f"{host} does not use https")


def test_a_certificate_that_is_not_trusted_is_named_as_the_cause(tmp_path: Path) -> None:
    key, certificate = str(tmp_path / "key"), str(tmp_path / "certificate")
    make = [tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    make += ["-subj", "/CN=localhost", "-keyout", key, "-out", certificate]
    subprocess.run(make, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    with serving(serve) as host:
        failure = failure_of(f"https://{host}/v2/")
    assert not isinstance(failure, NotTlsError)
    reason = 'unknown issuer "localhost" (self-signed certificate); issued to "localhost"'
    assert str(failure) == f"cannot verify the certificate of {host}: {reason}"
    assert failure.tries == 1
