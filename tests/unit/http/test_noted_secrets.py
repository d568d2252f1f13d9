"""The secrets of requests and of token replies, which are known before a server can repeat them."""

from __future__ import annotations

import json
import socket

import pytest

from imgfetch.auth import grants
from imgfetch.errors import VerificationError
from imgfetch.http.client import HttpClient
from imgfetch.http.proxies import Proxies
from imgfetch.http.status_errors import answer_of
from imgfetch.text import sanitize
from imgfetch.tolerance import Tolerance
from tests.loopback import Answer, Loopback, Request, serving
from tests.spellings import shows

SECRET = "vJ3-kQ_81.Zt0aMx9uWq"


def test_an_authorization_that_is_sent_is_a_secret(loopback: Loopback, transport: HttpClient) -> None:
    def repeat(request: Request) -> Answer:
        return Answer(request.headers["Authorization"].encode(), 403)

    loopback.answers["/x"] = repeat
    with transport.get(f"http://{loopback.host}/x", authorization=f"Bearer {SECRET}") as response:
        assert answer_of(response) == f"{loopback.host} returned 403 Forbidden (Bearer REDACTED)"


def test_a_signature_of_a_url_is_a_secret(loopback: Loopback, transport: HttpClient) -> None:
    loopback.redirect("/x", f"/y?X-Signature={SECRET}&scope=repository:team/application:pull")
    loopback.answers["/y"] = lambda request: Answer(request.path.encode(), 403)
    with transport.get(f"http://{loopback.host}/x") as response:
        assert "(/y?X-Signature=REDACTED&scope=repository:team/application:pull)" in answer_of(response)


def test_a_proxys_password_is_a_secret() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 403 {SECRET} is not alice's\r\nContent-Length: 0\r\n\r\n".encode())

    with serving(refuse) as host:
        proxy = f"http://alice:{SECRET}@{host}"
        transport = HttpClient(tolerance=Tolerance(), proxies=Proxies(http=proxy))
        with transport.get("http://registry.example/v2/") as response:
            assert "403 REDACTED is not alice's" in answer_of(response)
        transport.close()


def test_a_proxys_password_is_not_in_the_error_of_a_tunnel() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 403 {SECRET} is not alice's\r\nContent-Length: 0\r\n\r\n".encode())

    with serving(refuse) as host:
        proxy = f"http://alice:{SECRET}@{host}"
        transport = HttpClient(tolerance=Tolerance(), proxies=Proxies(https=proxy))
        with pytest.raises(Exception, match="403 REDACTED is not alice's"), transport.get("https://registry.example"):
            pass
        transport.close()


@pytest.mark.parametrize("member", ["token", "access_token", "refresh_token", "id_token"])
def test_a_token_that_arrives_is_a_secret(member: str) -> None:
    grants.read(json.dumps({member: SECRET}).encode(), None)
    assert sanitize(f"it is {SECRET}") == "it is REDACTED"


def test_a_token_that_cannot_be_text_breaks_nothing() -> None:
    grants.read(b'{"refresh_token": "\\ud800-and-more", "token": 5}', None)
    assert sanitize("it is fine") == "it is fine"
    with pytest.raises(VerificationError):
        grants.read(b"[]", None)


def test_a_token_of_more_than_the_bound_is_not_used() -> None:
    assert grants.read(json.dumps({"token": "x" * grants.MAX_TOKEN}).encode(), None)
    assert grants.read(json.dumps({"token": "x" * (grants.MAX_TOKEN + 1)}).encode(), None) is None


@pytest.mark.parametrize("limit", [8, 20, 30, 200])
def test_a_secret_is_removed_before_the_text_is_cut(limit: int) -> None:
    token = SECRET * 20
    grants.read(json.dumps({"token": token}).encode(), None)
    shown = sanitize(f"it is {token}, and more", limit)
    assert not shows(shown, token, 8)
    assert len(shown) <= limit
